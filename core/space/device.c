/*
 * device.c - devices and their memory (the RFC's gm_dev_* and hnodes).
 */
#include "core/page/frame_lru.h"
#include "core/page/plugin.h"
#include "core/page/registry.h"
#include "core/space/attach.h"
#include "core/space/setup.h"
#include "core/page/driver.h"
#include <errno.h>

static int next_hnid = 1024; /* above any NUMA node id of a host */

int gm_dev_create(const struct gm_mmu *mmu, void *dev_data, uint64_t cap, struct gm_dev **out)
{
	int err = gmc_check_dev(__func__, mmu, cap, out);

	if (err)
		return err;
	gm_sigmask mask = gmc_registry_enter();
	err = -ENOSPC;

	for (unsigned i = 0; i < GM_MAX_DEV && err == -ENOSPC; i++) {
		if (gmc_devs[i])
			continue;
		struct gm_dev *dev = gmi_alloc(sizeof *dev);
		err = dev ? 0 : -ENOMEM;
		if (err)
			break;
		dev->index = i;
		gm_lock_rank(&dev->lock, GM_RANK_DEVICE);
		gm_lock_rank(&dev->purge_lock, GM_RANK_BLOCK);
		dev->mmu = mmu;
		dev->data = dev_data;
		dev->cap = cap;
		dev->hnid = -1;
		dev->page_order = (unsigned)__builtin_ctzll(mmu->page_bytes) - GM_PAGE_SHIFT;
		dev->orders = (unsigned)(gmc_page_sizes(mmu) >> GM_PAGE_SHIFT);
		dev->min_order = (unsigned)__builtin_ctz(dev->orders);
		dev->aperture = gmc_driver_aperture(dev);
		err = gmc_check_aperture(dev);
		if (err) {
			gmi_free(dev, sizeof *dev);
			break;
		}
		gmc_devs[i] = *out = dev;
	}
	gmc_registry_leave(mask);
	if (err == -ENOSPC)
		gmc_fail(err, "there are %d devices already, which is the most", GM_MAX_DEV);
	return err;
}

static size_t backed_bytes(const struct gm_dev *dev, uint64_t mem_bytes)
{
	return (mem_bytes >> (GM_PAGE_SHIFT + dev->page_order)) / 8 + sizeof(uint64_t);
}

static void forget_physmem(struct gm_dev *dev)
{
	gmc_frame_lru_free(dev);
	gmc_plugin_close(dev);
	if (dev->phys)
		gmi_free(dev->backed, backed_bytes(dev, gmi_phys_total_bytes(dev->phys)));
	dev->backed_bytes = 0;
	gmi_phys_destroy(dev->phys);
	dev->phys = NULL;
}

int gm_dev_link(struct gm_dev *dev, struct gm_dev *peer, unsigned how)
{
	int err = gmc_check_link(__func__, dev, peer, how);

	if (!err)
		__atomic_store_n(&dev->peers[peer->index], (uint8_t)how, __ATOMIC_RELAXED);
	return err;
}

int gm_dev_spill(struct gm_dev *dev, struct gm_dev *to)
{
	if (gmc_called_back(__func__))
		return -EDEADLK;
	gm_sigmask mask = gmc_registry_enter();
	int err = gmc_check_spill(dev, to);

	if (!err)
		__atomic_store_n(&dev->spill, to ? to->index + 1 : 0, __ATOMIC_RELAXED);
	gmc_registry_leave(mask);
	return err;
}

/* No other one's links or memory name it any more. Registry lock held. */
static void forget_in_others(const struct gm_dev *dev)
{
	for (unsigned i = 0; i < GM_MAX_DEV; i++) {
		if (!gmc_devs[i])
			continue;
		__atomic_store_n(&gmc_devs[i]->peers[dev->index], 0, __ATOMIC_RELAXED);
		if (gmc_devs[i]->spill == dev->index + 1)
			__atomic_store_n(&gmc_devs[i]->spill, 0, __ATOMIC_RELAXED);
	}
}

int gm_dev_destroy(struct gm_dev *dev)
{
	if (gmc_called_back(__func__))
		return -EDEADLK;
	if (!dev)
		return -EINVAL;
	gm_sigmask mask = gmc_registry_enter();
	int err = -EBUSY;

	if (!dev->attached && !dev->nbos) {
		err = 0;
		gmc_devs[dev->index] = NULL;
		forget_in_others(dev);
		forget_physmem(dev);
		gmi_free(dev, sizeof *dev);
	}
	gmc_registry_leave(mask);
	return err;
}

int gm_dev_register_physmem(struct gm_dev *dev, uint64_t begin, uint64_t end)
{
	int err = gmc_check_physmem(__func__, dev, begin, end);

	if (err)
		return err;
	gm_sigmask mask = gmi_block_signals();
	struct gm_phys *phys = gmi_phys_create(end - begin);
	uint64_t *backed = gmi_alloc(backed_bytes(dev, end - begin));
	if (!phys || !backed) {
		gmi_phys_destroy(phys);
		gmi_free(backed, backed_bytes(dev, end - begin));
		phys = NULL;
	}
	if (phys) {
		gmi_lock(&gmc_registry_lock);
		dev->phys_begin = begin;
		dev->hnid = next_hnid++;
		dev->phys = phys;
		dev->backed = backed;
		gmc_plugin_open(dev);
		gmi_unlock(&gmc_registry_lock);
	}
	gmi_restore_signals(mask);
	return phys ? 0 : -ENOMEM;
}

int gm_dev_unregister_physmem(struct gm_dev *dev, int hnid)
{
	if (gmc_called_back(__func__))
		return -EDEADLK;
	if (!dev || dev->hnid < 0 || dev->hnid != hnid)
		return -EINVAL;
	gm_sigmask mask = gmc_registry_enter();

	int err = dev->nbos ? -EBUSY : 0;
	gm_for_each_space (each)
		if (!err && each->ctx[dev->index])
			err = gmc_ctx_bring_home(each->ctx[dev->index]);
	if (!err) {
		forget_physmem(dev);
		dev->hnid = -1;
	}
	gm_for_each_space (each)
		if (each->ctx[dev->index])
			atomic_store(&each->ctx[dev->index]->refuse, 0);
	gmc_registry_leave(mask);
	return err;
}

/* ---- questions ---- */

int gm_dev_hnid(const struct gm_dev *dev)
{
	return dev && dev->hnid >= 0 ? dev->hnid : -ENODEV;
}

int gm_is_hnode(int hnid)
{
	return gmc_dev_by_hnid(hnid) != NULL;
}

struct gm_dev *gm_get_hnode(int hnid)
{
	return gmc_dev_by_hnid(hnid);
}

int gm_query_hnode(int hnid, struct gm_hnode_info *info)
{
	if (gmc_called_back(__func__))
		return -EDEADLK;
	if (!info)
		return -EINVAL;
	gm_sigmask mask = gmc_registry_enter();

	const struct gm_dev *dev = gmc_dev_by_hnid(hnid);
	if (dev) {
		const struct gm_dev_stats *s = &gmi_stats->dev[dev->index];
		*info = (struct gm_hnode_info){
			.total_bytes = gmi_phys_total_bytes(dev->phys),
			.used_bytes = gmi_phys_used_bytes(dev->phys),
			.page_bytes = dev->mmu->page_bytes,
			.faults = atomic_load(&s->faults),
			.faults_merged = atomic_load(&s->faults_merged),
			.evicted_bytes = atomic_load(&s->evicted_bytes),
			.modelled_ns = atomic_load(&s->modelled_ns),
			.attached = dev->attached,
		};
	}
	gmc_registry_leave(mask);
	return dev ? 0 : -ENODEV;
}
