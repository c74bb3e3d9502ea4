/*
 * gmem.h - Generalized Memory Management in user space: one address space shared by the CPU and accelerators.
 *
 * For two callers: programs that link -lgmem and want unified memory without a preload, and device drivers,
 * which give core their MMU functions (struct gm_mmu) and report faults with gm_dev_fault().
 *
 * Names and semantics follow the GMEM RFC (Linux, 28 Nov 2023, 6 patches). What differs: `struct mm_struct *`
 * is `struct gm_as *`, and every function returns 0 (or a count, where said) or -errno. Unless said otherwise
 * every function is thread-safe and must not be called from a signal handler; none may be called from inside
 * a gm_mmu callback. All addresses and lengths are bytes.
 */
#ifndef GMEM_H
#define GMEM_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

struct gm_as;  /* an address space: a window of virtual addresses and who holds each page of it */
struct gm_dev; /* a device: an MMU, and perhaps physical memory of its own */
struct gm_ctx; /* a device attached to a space */

/* ---- what a driver implements ------------------------------------------------------------------ */

#define GM_DEV_CAP_REPLAYABLE 0x1  /* the device can wait for a fault and try again */
#define GM_DEV_CAP_PEER	      0x10 /* the device has memory of its own (an hnode) */

#define GM_PROT_READ  1
#define GM_PROT_WRITE 2

/* One small step of a page-table change. Core emits them in batches; a driver may take a batch whole
 * (gm_mmu.batch). */
enum gm_op_kind {
	GM_OP_MAP,	/* va..va+len -> pa of `mem`, with prot */
	GM_OP_UNMAP,	/* va..va+len: after this returns the device cannot reach the pages */
	GM_OP_PROTECT,	/* va..va+len: lower or raise the rights to prot */
	GM_OP_COPY_IN,	/* host -> device physical memory: len bytes from `host` to pa */
	GM_OP_COPY_OUT, /* device physical memory -> host: len bytes from pa to `host` */
	GM_OP_ZERO,	/* device physical memory: len zero bytes at pa */
};
enum gm_mem { GM_MEM_DEVICE, GM_MEM_HOST };
struct gm_op {
	uint8_t kind; /* enum gm_op_kind */
	uint8_t prot; /* GM_PROT_* of MAP and PROTECT */
	uint8_t mem; /* enum gm_mem: what pa counts in; GM_MEM_HOST is the offset in the space's host store */
	uint64_t va, len, pa;
	void *host; /* COPY: the host side, an address that never faults (the host store's alias) */
};

/*
 * MMU functions of a device, called by core with the block of the pages locked and all signals of the thread
 * blocked. They must not fault on managed memory, must not call back into core, and must not wait for another
 * fault to be served. Each returns 0 or -errno; after an error core leaves the pages where they were, with
 * their data. `pmap` is what pmap_create returned for the (space, device) pair.
 */
struct gm_mmu {
	const char *name;
	uint64_t page_bytes; /* the device's page size: a power of two, 4 KiB .. 2 MiB */
	/* Physical memory that the host can address (aperture): copies are plain memcpy by core. NULL: COPY
	 * ops instead. */
	void *(*aperture)(void *dev_data);
	/* Same address for every device: reserve va on the device, -EBUSY if it is taken there. Optional. */
	int (*peer_va_alloc_fixed)(void *pmap, uint64_t va, uint64_t len, int prot);
	int (*peer_va_free)(void *pmap, uint64_t va, uint64_t len);
	int (*pmap_create)(void *dev_data, struct gm_as *as, void **pmap);
	int (*pmap_destroy)(void *pmap);
	int (*pmap_enter)(void *pmap, const struct gm_op *op);	 /* GM_OP_MAP */
	int (*pmap_release)(void *pmap, const struct gm_op *op); /* GM_OP_UNMAP */
	int (*pmap_protect)(void *pmap, const struct gm_op *op); /* GM_OP_PROTECT */
	int (*peer_hmemcpy)(void *pmap, const struct gm_op *op); /* GM_OP_COPY_IN, _OUT, _ZERO */
	int (*tlb_invl)(void *pmap, uint64_t va, uint64_t len);	 /* after releases and protects. Optional */
	/* Takes a whole batch in order instead of the small callbacks. Optional. */
	int (*batch)(void *pmap, const struct gm_op *ops, unsigned n);
	/*
	 * Access counter: sets the bit of each 4 KiB page of [va, va + len) that the device touched since it was
	 * last asked; coarser than a page where the hardware is. Optional.
	 */
	int (*accessed)(void *pmap, uint64_t va, uint64_t len, uint64_t *bitmap);
	/* Accounting: core moved bytes over the link (in: towards the device); a fault was served. Optional.
	 */
	void (*account)(void *pmap, uint64_t bytes_in, uint64_t bytes_out, unsigned faults);
};

int gm_dev_create(const struct gm_mmu *mmu, void *dev_data, uint64_t cap, struct gm_dev **dev);
/* -EBUSY while attached to a space. */
int gm_dev_destroy(struct gm_dev *dev);
/* Gives core the device's physical memory [begin, end) to manage (multiples of 2 MiB): creates its hnode. */
int gm_dev_register_physmem(struct gm_dev *dev, uint64_t begin, uint64_t end);
/* Brings every page home, then removes the hnode. -EINVAL if hnid is not the device's. */
int gm_dev_unregister_physmem(struct gm_dev *dev, int hnid);
int gm_dev_hnid(const struct gm_dev *dev); /* id of its hnode (above the host's NUMA nodes), or -ENODEV */

/* ---- address spaces ---------------------------------------------------------------------------- */

/* Reserves [begin, end) of virtual addresses (multiples of 2 MiB; 0, size: anywhere). -EEXIST if something is
 * there. */
int gm_as_create(uint64_t begin, uint64_t end, struct gm_as **as);
/* -EBUSY while devices are attached; unmaps everything. */
int gm_as_destroy(struct gm_as *as);

/*
 * What a device's touch does: SHARE: the page stays on the host, the device maps it there;
 * COHERENT_EXCLUSIVE: it moves to the device; REPLICATE: readers get copies, a writer becomes exclusive.
 */
enum gm_mmu_mode { GM_MMU_MODE_SHARE, GM_MMU_MODE_COHERENT_EXCLUSIVE, GM_MMU_MODE_REPLICATE };
int gm_as_attach(struct gm_as *as, struct gm_dev *dev, enum gm_mmu_mode mode, int activate,
		 struct gm_ctx **ctx);
/* Brings the device's pages home first. */
int gm_as_detach(struct gm_as *as, struct gm_dev *dev);

/* ---- faults, hints, copies --------------------------------------------------------------------- */

enum gm_hint { GM_HINT_NONE, GM_HINT_READ, GM_HINT_WRITE };
/*
 * The device touched addr and had no right to: makes the page resident (or maps it remotely) and maps it on
 * the device. hint says how it was touched (NONE: as for a write where the program may write, else a read).
 * 0; -EFAULT no such mapping or PROT_NONE; -EPERM write to read-only memory; -EAGAIN try again (locks are
 * busy); -ENOMEM the host has no room. Callable from a driver's fault thread with all signals blocked.
 */
int gm_dev_fault(struct gm_as *as, uint64_t addr, struct gm_dev *dev, enum gm_hint hint);

#define MADV_PREFETCH			 26
#define GM_MADV_PINNED			 0x100
#define GM_MADV_UNPINNED		 0x101
#define GM_MADV_READ_MOSTLY		 0x102
#define GM_MADV_UNSET_READ_MOSTLY	 0x103
#define GM_MADV_PREFERRED_LOCATION	 0x104
#define GM_MADV_UNSET_PREFERRED_LOCATION 0x105
#define GM_MADV_ACCESSED_BY		 0x106
#define GM_MADV_UNSET_ACCESSED_BY	 0x107
#define GM_MADV_DISCARD			 0x108
/* hnid == -1: the host. MADV_PREFETCH rounds outward, MADV_DONTNEED (4) inward. -EINVAL, -EFAULT, -ENODEV. */
int hmadvise(int hnid, void *start, size_t len, int behavior);
/*
 * Copies bytes (memmove: ranges may overlap); the destination's pages end on hnode hnid (-1: the host), the
 * source's stay where they are. Either side may also be ordinary memory outside every space; the destination
 * then only with hnid == -1. 0; -EINVAL null or overflowing; -ENODEV no such node; -EFAULT not mapped; -EPERM
 * destination read-only; -ENOMEM. On an error part of the bytes may have been copied.
 */
int hmemcpy(int hnid, void *dest, const void *src, size_t bytes);

/* Where a page is, for gm_query(). */
enum gm_where { GM_NOMAP, GM_HOST, GM_DEVICE, GM_DUP, GM_REMOTE };
struct gm_page_info {
	uint8_t where;	/* enum gm_where */
	int16_t hnid;	/* hnode of the (first) device that holds or maps it, or -1 */
	uint8_t cpu;	/* GM_PROT_* that the CPU has at this moment */
	uint8_t device; /* GM_PROT_* that that device has */
	uint8_t pinned;
};
/* Fills one entry per 4 KiB page of [start, start+len); faults nothing in. -EINVAL unless page-aligned and
 * inside a space. */
int gm_query(const void *start, size_t len, struct gm_page_info *info);

/* Opt-in allocation for programs that are not preloaded; like mmap(2), in the default space unless as is
 * given. */
#define MAP_PEER_SHARED 0x8000000
void *gm_mmap(struct gm_as *as, void *addr, size_t len, int prot, int flags, int fd, off_t off);
int gm_munmap(void *addr, size_t len);
/* The space that holds addr, or NULL. gm_as_default() makes the process's default space on first use. */
struct gm_as *gm_as_of(const void *addr);
struct gm_as *gm_as_default(void);

const char *gm_version(void);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
