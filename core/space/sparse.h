/*
 * sparse.h - buffer objects and sparse ranges inside core (the calls are in gmem/sparse.h): what
 * faults and other mappings must know of them.
 *
 * as->sparse_lock (rank block) protects the space's list of ranges and their tables.
 */
#ifndef GM_CORE_SPARSE_H
#define GM_CORE_SPARSE_H

#include "core/page/registry.h"
#include <errno.h>
#include <gmem/sparse.h>

/*
 * Memory of a device (dev, and frames), or of the host: at `va` of the space, and so at its place
 * in the host store; the program's own, which one device has mapped (dev again), or of no device.
 */
struct gm_bo {
	struct gm_dev *dev;
	struct gm_as *as; /* NULL: it lies on the device */
	uintptr_t va;
	/* of the program's own: as->user_bos; of a device's that is not needed: dev->purgeable */
	struct gm_bo *next;
	uint64_t bytes;
	int pid;  /* of the host's: who made it */
	int prot; /* GM_PROT_*: the most that it may be bound with */
	_Atomic uint64_t bound;
	/* of a device's: enum gm_bo_need, or GM_BO_LOST; and who copies from or to it */
	_Atomic unsigned need, users;
	uint32_t frame[]; /* by device page: its number in units of 4 KiB */
};

#define GM_BO_LOST 2 /* its frames are others' */
/* 0; -EBUSY it is not needed, -ENODATA it has lost its frames. */
static inline int gmc_bo_usable(const struct gm_bo *bo)
{
	unsigned need = atomic_load(&bo->need);

	return need == GM_BO_WILLNEED ? 0 : need == GM_BO_LOST ? -ENODATA : -EBUSY;
}
/*
 * Its frames stay while somebody copies. 0, or as above. No locks.
 */
int gmc_bo_use(struct gm_bo *bo);
void gmc_bo_unuse(struct gm_bo *bo);
/* It is about to be destroyed: nobody takes its frames any more. Has it any? */
bool gmc_bo_keeps_frames(struct gm_bo *bo);
/*
 * The device loses its entries onto pages of the object; tables keep them. Its purge lock held;
 * other locks are tried for. 0, -EAGAIN, errors of the driver.
 */
int gmc_sparse_hide(struct gm_dev *dev, const struct gm_bo *bo);

/* On the host: offset in the store; and where byte `at` is for us. */
static inline uint64_t gmc_bo_offset(const struct gm_bo *bo)
{
	return bo->va - bo->as->base;
}
void *gmc_bo_host(const struct gm_bo *bo, uint64_t at);
/*
 * gm_bo_create_user(), in pages of 4 KiB. And a fault in a table of device addresses: 0 the entry
 * was given again, -EFAULT, -EPERM, errors of the driver.
 */
int gmc_bo_user(struct gm_as *as, struct gm_dev *dev, uintptr_t lo, size_t bytes, int prot,
		struct gm_bo **out);
int gmc_iova_fault(struct gm_iova *v, uint64_t va, struct gm_dev *dev, bool write);
/* Does an object have memory of the program's in [lo, hi)? Region lock held. */
bool gmc_bo_at(const struct gm_as *as, uintptr_t lo, uintptr_t hi);

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
/* Is there anything that only such calls may change? */
static inline bool gm_has_objects(const struct gm_as *as)
{
	return __atomic_load_n(&as->sparse, __ATOMIC_ACQUIRE) || as->nbos;
}
static inline bool gm_has_sparse(const struct gm_as *as)
{
	return __atomic_load_n(&as->sparse, __ATOMIC_ACQUIRE) != NULL;
}

#endif
