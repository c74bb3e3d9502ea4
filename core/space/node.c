/*
 * node.c - questions about devices' memories and about the whole process: what gmem.h calls
 * hnodes and counters.
 */
#include "core/page/driver.h"
#include "core/space/as.h"
#include <errno.h>

struct gm_dev *gmc_dev_by_hnid(int hnid)
{
	for (int i = 0; i < GM_MAX_DEV; i++)
		if (gmc_devs[i] && gmc_devs[i]->hnid >= 0 && gmc_devs[i]->hnid == hnid)
			return gmc_devs[i];
	return NULL;
}

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
	gm_sigmask mask = gmi_block_signals();
	gmi_lock(&gmc_registry_lock);
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
	gmi_unlock(&gmc_registry_lock);
	gmi_restore_signals(mask);
	return dev ? 0 : -ENODEV;
}

int gm_query_counters(struct gm_counters *counters, size_t bytes)
{
	if (!counters || !bytes)
		return -EINVAL;
	struct gm_counters c = {
		.to_device_bytes = atomic_load(&gmi_stats->h2d_bytes),
		.to_host_bytes = atomic_load(&gmi_stats->d2h_bytes),
		.zeroed_pages = atomic_load(&gmi_stats->zeroed_pages),
		.prefetched_pages = atomic_load(&gmi_stats->prefetched_pages),
		.cpu_faults = atomic_load(&gmi_stats->cpu_faults),
		.managed_bytes = atomic_load(&gmi_stats->managed_bytes),
		.metadata_bytes = gmi_private_bytes(),
	};
	gm_copy(counters, &c, gm_min(bytes, sizeof c));
	return 0;
}
