/*
 * sparse.h - buffer objects and sparse ranges inside core (the calls are in gmem/sparse.h): what
 * faults and other mappings must know of them.
 *
 * as->sparse_lock (rank block) protects the space's list of ranges and their tables.
 */
#ifndef GM_CORE_SPARSE_H
#define GM_CORE_SPARSE_H

#include "core/page/registry.h"
#include <gmem/sparse.h>

/* The device's memory that a buffer object has. */
struct gm_bo {
	struct gm_dev *dev;
	uint64_t npages; /* of the device */
	_Atomic uint64_t bound;
	uint32_t frame[]; /* as gm_block_dev.frame */
};

/* Device pages [n, n + the result) lie side by side; at most `most` of them. */
uint64_t gmc_bo_run(const struct gm_bo *bo, uint64_t n, uint64_t most);
/* The device's physical address of device page n. */
uint64_t gmc_bo_pa(const struct gm_bo *bo, uint64_t n);
/* Is its device the one that it was made on? Not in a fork child. */
bool gmc_bo_alive(const struct gm_bo *bo);

/*
 * A device's fault: -ENOENT the address is in no sparse range; 0 the entry was given again;
 * -EFAULT; -EPERM; errors of the driver. No locks held.
 */
int gmc_sparse_fault(struct gm_as *as, uint64_t va, struct gm_dev *dev, bool write);
static inline bool gm_has_sparse(const struct gm_as *as)
{
	return __atomic_load_n(&as->sparse, __ATOMIC_ACQUIRE) != NULL;
}

#endif
