/*
 * purge.c - buffer objects that the program does not need: their frames are the first to go when
 * the device's memory is full, and nothing is copied.
 *
 * Whoever needs room holds a block already, so every lock here is only tried for: the device's
 * purge_lock (its list of such objects, and of the ranges that may have them bound), then one
 * space's sparse lock after the other. An object is marked as lost first; from then on it is given
 * to no copy, no binding and no fault, and who had been given it is waited out (bindings, faults:
 * by the sparse lock) or makes it stay (copies: users). A step that fails leaves it as it was.
 */
#include "core/page/frame.h"
#include "core/page/evict.h"
#include "core/page/driver.h"
#include "core/space/sparse.h"

int gmc_bo_use(struct gm_bo *bo)
{
	atomic_fetch_add(&bo->users, 1);
	int err = gmc_bo_usable(bo);
	if (err)
		gmc_bo_unuse(bo);
	return err;
}

void gmc_bo_unuse(struct gm_bo *bo)
{
	atomic_fetch_sub(&bo->users, 1);
}

/* ---- the lists; purge lock held ---- */

static struct gm_bo **place_of(struct gm_dev *dev, const struct gm_bo *bo)
{
	struct gm_bo **at = &dev->purgeable;

	while (*at && *at != bo)
		at = &(*at)->next;
	return at;
}

static void purgeable_add(struct gm_dev *dev, struct gm_bo *bo)
{
	bo->next = NULL;
	__atomic_store_n(place_of(dev, NULL), bo, __ATOMIC_RELAXED);
}

static void purgeable_remove(struct gm_dev *dev, struct gm_bo *bo)
{
	struct gm_bo **at = place_of(dev, bo);

	if (*at)
		__atomic_store_n(at, bo->next, __ATOMIC_RELAXED);
}

/* ---- taking ---- */

static int take_frames(struct gm_dev *dev, struct gm_bo *bo)
{
	atomic_store(&bo->need, GM_BO_LOST);
	int err = atomic_load(&bo->users) ? -EAGAIN : gmc_sparse_hide(dev, bo);
	purgeable_remove(dev, bo);
	if (err) {
		atomic_store(&bo->need, GM_BO_DONTNEED);
		purgeable_add(dev, bo); /* others first, the next time */
		return err;
	}
	for (uint64_t i = 0; i < bo->bytes / gm_dev_page_bytes(dev); i++)
		gmc_frame_free(dev, (uint64_t)bo->frame[i] << GM_PAGE_SHIFT);
	return 0;
}

static int purge(struct gm_dev *dev)
{
	if (!gmi_trylock(&dev->purge_lock))
		return -EAGAIN;
	struct gm_bo *bo = dev->purgeable;
	int err = bo ? take_frames(dev, bo) : -ENOSPC;
	gmi_unlock(&dev->purge_lock);
	return err;
}

__attribute__((constructor)) static void offer_purge(void)
{
	gmc_purge = purge;
}

/* ---- the calls ---- */

bool gmc_bo_keeps_frames(struct gm_bo *bo)
{
	gm_sigmask mask = gm_lock_masked(&bo->dev->purge_lock);
	bool has = atomic_load(&bo->need) != GM_BO_LOST;

	purgeable_remove(bo->dev, bo);
	gm_unlock_masked(&bo->dev->purge_lock, mask);
	return has;
}

int gm_bo_advise(struct gm_bo *bo, enum gm_bo_need need, int *retained)
{
	if (gmc_called_back(__func__))
		return -EDEADLK;
	if (!bo || (need != GM_BO_WILLNEED && need != GM_BO_DONTNEED))
		return -EINVAL;
	if (bo->as)
		return -EOPNOTSUPP;
	if (!gmc_bo_alive(bo))
		return -ENODEV;
	gm_sigmask mask = gm_lock_masked(&bo->dev->purge_lock);
	unsigned was = atomic_load(&bo->need);
	if (was != GM_BO_LOST && was != need) {
		if (need == GM_BO_DONTNEED)
			purgeable_add(bo->dev, bo);
		else
			purgeable_remove(bo->dev, bo);
		atomic_store(&bo->need, need);
	}
	gm_unlock_masked(&bo->dev->purge_lock, mask);
	if (retained)
		*retained = was != GM_BO_LOST;
	return 0;
}
