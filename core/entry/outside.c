/* outside.c - see outside.h. What an address outside the windows is, for those who ask. */
#include "core/entry/outside.h"
#include "core/page/driver.h"
#include "core/page/registry.h"
#include "core/rules/opt.h"
#include "core/space/range.h"
#include <errno.h>

_Atomic bool gmi_outside_live;
bool gmi_outside_watched;
void (*gmi_outside_forget)(uint64_t lo, uint64_t hi);

static enum gm_kind kind_of(const struct gm_vma *vma)
{
	if (gmc_outside_store(vma->dev, vma->ino) >= 0)
		return GM_KIND_ADOPTED;
	if (vma->huge || gmi_memfd_is_ours(vma->dev, vma->ino) || (vma->shared && !vma->ino))
		return GM_KIND_OTHER;
	if (vma->shared)
		return GM_KIND_SHARED;
	return gmc_outside_is_plain(vma) ? GM_KIND_PRIVATE : GM_KIND_OTHER;
}

bool gmi_outside_reaches(const void *p, size_t bytes)
{
	uint64_t va = (uintptr_t)p, end = va + bytes;
	struct gm_vma vma;

	if (gmi_opt.foreign < GM_FOREIGN_SHARED || end < va)
		return false;
	for (; va < end; va = vma.hi) {
		if (gmi_vma_find(va, &vma) || !vma.read)
			return false;
		enum gm_kind kind = kind_of(&vma);
		if (kind != GM_KIND_SHARED && kind != GM_KIND_ADOPTED &&
		    !(kind == GM_KIND_PRIVATE && gmc_outside_adoptable(&vma)))
			return false;
	}
	return true;
}

int gmc_outside_describe(uint64_t lo, uint64_t hi, struct gm_page_info *info)
{
	struct gm_vma vma = {0};

	for (uint64_t va = lo; va < hi; va += GM_PAGE_BYTES, info++) {
		if (gm_as_of((void *)va))
			return -EINVAL;
		int err = va < vma.hi ? 0 : gmi_vma_next(va, &vma);
		if (err == -ENOENT)
			vma = (struct gm_vma){.lo = UINT64_MAX, .hi = UINT64_MAX};
		else if (err)
			return err;
		*info = (struct gm_page_info){.hnid = -1, .kind = GM_KIND_NONE};
		if (va < vma.lo)
			continue;
		info->where = GM_HOST;
		info->cpu = (uint8_t)(vma.read * GM_PROT_READ | vma.write * GM_PROT_WRITE);
		info->pinned = 1;
		info->kind = (uint8_t)kind_of(&vma);
	}
	return 0;
}

int gmc_outside_advise(const void *p, size_t bytes, int behavior, bool to_device)
{
	if (!gmi_outside_reaches(p, bytes))
		return -EFAULT;
	if (behavior == MADV_PREFETCH)
		return to_device ? -EBUSY : 0;
	if (behavior == GM_MADV_DISCARD || behavior == GM_MADV_DISCARD_PREFETCH)
		return -EINVAL;
	return behavior >= GM_MADV_PINNED && behavior <= GM_MADV_LAST ? 0 : -EINVAL;
}

/* ---- registering ---- */

#define OUR_FRAMES ((uint64_t)64 << 10) /* what the exchange itself stands on, and its signals */

static int check_aligned(uint64_t lo, uint64_t len)
{
	uint64_t hi = lo + len, frame = (uint64_t)__builtin_frame_address(0),
		 tls = (uint64_t)__builtin_thread_pointer();

	if (!lo || !len || hi < lo || (lo | len) % GM_PAGE_BYTES)
		return -EINVAL;
	return (lo < frame + GM_PAGE_BYTES && frame - OUR_FRAMES < hi) || (lo <= tls && tls < hi)
		       ? -EINVAL
		       : 0;
}

static int check_registrable(uint64_t lo, uint64_t hi)
{
	struct gm_vma vma;

	if (gmi_opt.foreign < (gmi_world_stop ? GM_FOREIGN_COHERENT : GM_FOREIGN_SHARED))
		return -EOPNOTSUPP;
	for (uint64_t va = lo; va < hi; va = vma.hi) {
		int err = gmi_vma_find(va, &vma);
		if (err || !vma.read)
			return err && err != -ENOENT ? err : -EFAULT;
		if (gm_as_of((void *)va) || kind_of(&vma) == GM_KIND_ADOPTED)
			return -EEXIST;
		if (kind_of(&vma) == GM_KIND_OTHER)
			return -EOPNOTSUPP;
	}
	return 0;
}

int gm_register(struct gm_as *as, void *addr, size_t len)
{
	uint64_t lo = (uintptr_t)addr;

	if (gmc_called_back(__func__))
		return -EDEADLK;
	if (!as && !gm_as_default())
		return -ENOMEM;
	int err = check_aligned(lo, len);
	if (!err)
		err = check_registrable(lo, lo + len);
	return err ? err : gmc_outside_adopt_range(lo, lo + len);
}

int gm_unregister(void *addr, size_t len)
{
	uint64_t lo = (uintptr_t)addr;

	if (gmc_called_back(__func__))
		return -EDEADLK;
	int err = check_aligned(lo, len);
	return err ? err : gmc_outside_restore_range(lo, lo + len);
}
