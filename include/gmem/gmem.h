/*
 * gmem.h - Generalized Memory Management in user space: one address space shared by the CPU and
 * accelerators.
 *
 * For two callers: programs that link -lgmem and want unified memory without a preload, and
 * device drivers, which give core their MMU functions (struct gm_mmu) and report faults with
 * gm_dev_fault().
 *
 * Names and semantics follow the GMEM RFC (Linux, 28 Nov 2023, 6 patches). What differs: `struct
 * mm_struct *` is `struct gm_as *`, and every function returns 0 or -errno. Unless said
 * otherwise every function is thread-safe and must not be called from a signal handler; none may
 * be called from inside a gm_mmu callback. All addresses and lengths are bytes. What is created
 * is used by nobody any more when it is destroyed.
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

/* ---- what a driver implements ---- */

#define GM_DEV_CAP_REPLAYABLE 0x1  /* the device can wait for a fault and try again */
#define GM_DEV_CAP_PEER	      0x10 /* the device has memory of its own (an hnode) */
/* what it does to the host's memory over the bus is atomic for the CPU, too (CXL, NVLink-C2C) */
#define GM_DEV_CAP_BUS_ATOMICS 0x20

#define GM_PROT_READ  1
#define GM_PROT_WRITE 2

/* One small step of a page-table change. Core emits them in batches; a driver may take a batch
 * whole (gm_mmu.batch). */
enum gm_op_kind {
	/* va..va+len -> pa of `mem`, with prot and attr, in place of what entry there is */
	GM_OP_MAP,
	GM_OP_UNMAP,	/* va..va+len: after this returns the device cannot reach the pages */
	GM_OP_PROTECT,	/* va..va+len: lower or raise the rights to prot */
	GM_OP_COPY_IN,	/* host -> device physical memory: len bytes from `host` to pa */
	GM_OP_COPY_OUT, /* device physical memory -> host: len bytes from pa to `host` */
	GM_OP_ZERO,	/* device physical memory: len zero bytes at pa */
	/* another device's memory -> this one's, over their link (gm_dev_link()): len bytes from
	 * peer_pa of `peer` to pa; `peer` writes neither */
	GM_OP_COPY_PEER,
};
enum gm_mem { GM_MEM_DEVICE, GM_MEM_HOST, GM_MEM_PEER };
/* MAP: another page was there, which the device cannot reach after this returns */
#define GM_OP_REPLACE 1
struct gm_op {
	uint8_t kind; /* enum gm_op_kind */
	uint8_t prot; /* GM_PROT_* of MAP and PROTECT */
	/* enum gm_mem: what pa counts in; GM_MEM_HOST is the offset in the space's host store,
	 * GM_MEM_PEER the memory of the device `peer` (gm_dev_link()) */
	uint8_t mem;
	uint8_t flags; /* GM_OP_REPLACE */
	/* MAP: entries of this size, of which va, len and pa are multiples. Else 0 */
	uint32_t entry_bytes;
	uint64_t va, len, pa;
	union {
		/* COPY, and MAP of GM_MEM_HOST: the host side, at an address in this process that
		 * never faults */
		void *host;
		/* COPY_PEER, and MAP of GM_MEM_PEER: the other device's dev_data */
		void *peer;
	};
	union {
		/* MAP: what gm_set_attr() said, untouched by core; 0: nothing was said */
		uint64_t attr;
		uint64_t peer_pa; /* COPY_PEER: where, in the other device's memory */
	};
};
struct gm_va_range {
	uint64_t va, len;
};

/*
 * MMU functions of a device, called by core with the block of the pages locked and all signals
 * of the thread blocked. They must not fault on managed memory, must not call back into core,
 * and must not wait for another fault to be served. Each returns 0 or -errno; after an error
 * core leaves the pages where they were, with their data. `pmap` is what pmap_create returned
 * for the (space, device) pair.
 *
 * The RFC's peer_map and peer_unmap, which change the table and copy in one message, are
 * `batch`.
 */
struct gm_mmu {
	const char *name;
	uint64_t page_bytes; /* what its memory is given in: a power of two, 4 KiB .. 2 MiB */
	/* Physical memory that the host can address (aperture): copies are plain memcpy by core.
	 * NULL: COPY ops instead. */
	void *(*aperture)(void *dev_data);
	/*
	 * Same address for every device: reserve va on the device, -EBUSY if something of the
	 * device's own is there. Asked for every new mapping of the space, and at attachment for
	 * each that exists; other errors refuse the mapping, -EBUSY makes core try another
	 * address. Optional. pmap_destroy frees what is still reserved.
	 */
	int (*peer_va_alloc_fixed)(void *pmap, uint64_t va, uint64_t len, int prot);
	/* What was reserved, or a part of it (the program unmapped it). */
	int (*peer_va_free)(void *pmap, uint64_t va, uint64_t len);
	int (*pmap_create)(void *dev_data, struct gm_as *as, void **pmap);
	int (*pmap_destroy)(void *pmap);
	int (*pmap_enter)(void *pmap, const struct gm_op *op);	 /* GM_OP_MAP */
	int (*pmap_release)(void *pmap, const struct gm_op *op); /* GM_OP_UNMAP */
	int (*pmap_protect)(void *pmap, const struct gm_op *op); /* GM_OP_PROTECT */
	int (*peer_hmemcpy)(void *pmap, const struct gm_op *op); /* GM_OP_COPY_IN, _OUT, _ZERO */
	/* After releases, protects, and maps with GM_OP_REPLACE. Optional */
	int (*tlb_invl)(void *pmap, uint64_t va, uint64_t len);
	/* Takes a whole batch in order instead of the small callbacks. Optional. */
	int (*batch)(void *pmap, const struct gm_op *ops, unsigned n);
	/*
	 * Access counter: sets the bit of each 4 KiB page of [va, va + len) that the device
	 * touched since it was last asked; coarser than a page where the hardware is. Optional.
	 */
	int (*accessed)(void *pmap, uint64_t va, uint64_t len, uint64_t *bitmap);
	/*
	 * Accounting: core moved bytes over the link (in: towards the device); a fault was
	 * served. Optional.
	 */
	void (*account)(void *pmap, uint64_t bytes_in, uint64_t bytes_out, unsigned faults);
	/*
	 * For a model of time: the CPU has reached so many bytes of the device's memory in place.
	 * Optional.
	 */
	void (*account_cpu)(void *pmap, uint64_t bytes);
	/*
	 * Instead of tlb_invl: once after the last step of a batch, with all that lost rights in
	 * it. Optional.
	 */
	int (*tlb_invl_coalesced)(void *pmap, const struct gm_va_range *ranges, unsigned n);
	/*
	 * The sizes that an entry of its page table can have, ORed: 0x1000 for 4 KiB, ...
	 * 0x200000; 1 GiB may be named, and is not used. 0: page_bytes alone. MAP, UNMAP and
	 * PROTECT come in multiples of the smallest, aligned in va and pa, and cover whole
	 * entries: where part of a large one goes, the whole goes and the rest comes anew in
	 * smaller ones, all in one batch; where a larger one has become possible it comes in place
	 * of the small ones. Memory of the device is given by whole pages of page_bytes; what
	 * cannot be given so (a hole, a pin in it) stays on the host, and is mapped there in what
	 * size there is.
	 */
	uint64_t page_sizes;
};

/**
 * gm_dev_create - makes a device known
 * @mmu: its MMU functions; must stay valid until gm_dev_destroy()
 * @dev_data: handed to aperture and pmap_create
 * @cap: GM_DEV_CAP_*; without REPLAYABLE only memory that gm_as_map() mapped is sure to be
 * reachable, without PEER the device works on the host's memory
 * @dev: receives the device
 *
 * Return: 0; -EINVAL incomplete MMU functions or unknown capabilities; -ENOSPC too many devices
 * (8); -ENOMEM.
 * Source: RFC patch 4, gm_dev_create.
 */
int gm_dev_create(const struct gm_mmu *mmu, void *dev_data, uint64_t cap, struct gm_dev **dev);

/**
 * gm_dev_destroy - forgets a device
 * @dev: the device
 *
 * Return: 0; -EBUSY while it is attached to a space or has buffer objects (gmem/sparse.h);
 * -EINVAL.
 * Source: RFC gm_dev_destroy (which is empty there).
 */
int gm_dev_destroy(struct gm_dev *dev);

/**
 * gm_dev_register_physmem - gives core the device's memory to manage
 * @dev: a device with GM_DEV_CAP_PEER
 * @begin: first byte, in the device's physical addresses, a multiple of 2 MiB
 * @end: behind the last byte, a multiple of 2 MiB
 *
 * Creates the device's hnode: a NUMA node id above the host's.
 *
 * Return: 0; -EINVAL bad range, no such capability, or memory is registered already; -ENOMEM.
 * Source: RFC gm_dev_register_physmem.
 */
int gm_dev_register_physmem(struct gm_dev *dev, uint64_t begin, uint64_t end);

/**
 * gm_dev_unregister_physmem - takes the device's memory back
 * @dev: the device
 * @hnid: its hnode, gm_dev_hnid()
 *
 * Brings every page home, then removes the hnode. Attached it may stay: it then works on the
 * host's memory.
 *
 * Return: 0; -EINVAL hnid is not the device's; -EBUSY buffer objects lie in it; errors of the
 * copies.
 * Source: RFC gm_dev_unregister_physmem.
 */
int gm_dev_unregister_physmem(struct gm_dev *dev, int hnid);

#define GM_PEER_COPY 0x1 /* bytes come over it */
#define GM_PEER_MAP  0x2 /* entries may lead to the other's memory */
/**
 * gm_dev_link - says that a device reaches another one's memory without the host
 * @dev: the device
 * @peer: the other one; the way back is a link of its own
 * @how: GM_PEER_COPY, or GM_PEER_COPY | GM_PEER_MAP
 *
 * From now on, until one of them is destroyed, what only `peer` has comes to `dev` by one copy
 * (GM_OP_COPY_PEER, to the driver of `dev`, whether or not there are apertures), not through the
 * host's store. With GM_PEER_MAP pages stay with `peer` when `dev` touches them, which gets entries
 * (GM_MEM_PEER), if hints or placement say so: they are GM_MADV_ACCESSED_BY `dev`; `peer` is their
 * GM_MADV_PREFERRED_LOCATION; or `dev` is attached with GM_MMU_MODE_SHARE or leaves pages where
 * they are by its placement. Such entries go before the page does.
 *
 * Return: 0; -EINVAL bad arguments, `dev` has no memory (GM_DEV_CAP_PEER), its driver has neither
 * batch nor peer_hmemcpy, or GM_PEER_MAP where its smallest entry is larger than a page of `peer`.
 * Source: ours; as dma_buf and drm_pagemap's interconnects, which ask the drivers of both.
 */
int gm_dev_link(struct gm_dev *dev, struct gm_dev *peer, unsigned how);

/**
 * gm_dev_spill - says which memory lies below a device's own
 * @dev: the device
 * @to: the device whose memory that is; NULL: none any more, the host's is next
 *
 * For hardware with several memories (HBM and a larger, slower one; another tile's): each is a
 * gm_dev of its driver with an hnode of its own, those beside the first with GM_DEV_CAP_PEER alone,
 * attached to the same spaces; gm_dev_link() says that they reach each other. What eviction takes
 * from `dev` then goes to `to`, where it takes the place of what was used longest ago, and home
 * only where there is no further memory, `to` is not attached, or readers have copies. From there
 * it comes back at the next touch of `dev`, or is used in place, as links, hints and placement
 * say. Hints and prefetch name either hnode.
 *
 * Return: 0; -EINVAL bad arguments, one of them has no memory (GM_DEV_CAP_PEER), a page of `to` is
 * larger than one of `dev`, or `dev` lies below `to` already.
 * Source: ours; as memory tiers of the kernel, and drm_pagemap, where each memory of a device is a
 * pagemap of its own.
 */
int gm_dev_spill(struct gm_dev *dev, struct gm_dev *to);

/**
 * gm_dev_hnid - the hnode of a device
 * @dev: the device
 *
 * Return: its id (above the host's NUMA nodes); -ENODEV it has no memory registered.
 * Source: RFC hnode helpers (alloc_hnode_id).
 */
int gm_dev_hnid(const struct gm_dev *dev);

/**
 * gm_is_hnode - is this the id of a device's memory?
 * @hnid: any number
 *
 * Return: 1 or 0.
 * Source: RFC is_hnode.
 */
int gm_is_hnode(int hnid);

/**
 * gm_get_hnode - the device behind an hnode
 * @hnid: the id
 *
 * Return: the device, or NULL.
 * Source: RFC get_hnode.
 */
struct gm_dev *gm_get_hnode(int hnid);

/* ---- address spaces ---- */

/**
 * gm_as_create - makes an address space
 * @begin: first address, a multiple of 2 MiB; 0: anywhere
 * @end: behind the last address (with begin 0: its size), a multiple of 2 MiB
 * @as: receives the space
 *
 * Reserves the addresses; gm_mmap() fills them. Spaces are independent: devices are attached to
 * each of them.
 *
 * Return: 0; -EINVAL; -EEXIST something is there; -ENOSPC too many spaces (16); -ENOMEM.
 * Source: RFC gm_as_create; several in one process because the RFC's critics asked for them.
 */
int gm_as_create(uint64_t begin, uint64_t end, struct gm_as **as);

/**
 * gm_as_destroy - unmaps everything in a space and forgets it
 * @as: the space; not the default one
 *
 * Return: 0; -EBUSY while devices are attached; -EINVAL.
 * Source: RFC gm_as_destroy.
 */
int gm_as_destroy(struct gm_as *as);

/**
 * gm_as_window - what a driver needs to know of a space
 * @as: the space
 * @bytes: receives the length of its window of addresses; may be NULL
 * @store_fd: receives the descriptor of its host store, which GM_MEM_HOST counts in (offset =
 * address - first address), for devices in other processes to map; it stays core's. -1: no
 * device is attached or about to be. May be NULL
 *
 * Also from pmap_create and the other gm_mmu callbacks, and from signal handlers.
 *
 * Return: the first address; 0 when as is NULL.
 * Source: ours; a driver in the kernel has mm_struct and struct page.
 */
uint64_t gm_as_window(const struct gm_as *as, uint64_t *bytes, int *store_fd);

/*
 * The RFC names the modes by what becomes of page-table entries, and ignores them: SHARE: the
 * device walks the CPU's table; COHERENT_EXCLUSIVE: an entry is in one of the two; REPLICATE:
 * entries are the same in both. Here the first two are that. What REPLICATE gives are copies of
 * pages, as entries of the same page in both need no mode: GM_MADV_ACCESSED_BY makes them ahead of
 * the touch and again after each change (proactive), GM_MADV_PREFERRED_LOCATION -1 at the touch.
 *
 * What a device's touch does: SHARE: as with one page table for both (ATS): no fault, the page
 * stays where it is, either side reaches it there, and access counters move what is used often
 * (placement `counted`); COHERENT_EXCLUSIVE: it moves to the device; REPLICATE: readers get
 * copies, a writer becomes exclusive. */
enum gm_mmu_mode { GM_MMU_MODE_SHARE, GM_MMU_MODE_COHERENT_EXCLUSIVE, GM_MMU_MODE_REPLICATE };
/**
 * gm_as_attach - lets a device work on a space
 * @as: the space
 * @dev: the device; it may be attached to several spaces
 * @mode: what its touches do
 * @activate: ignored: spaces are always active (it selects a context on hardware that switches
 * them)
 * @ctx: receives the attachment; may be NULL
 *
 * Return: 0; -EEXIST attached already; -EBUSY the device has something else at an address that
 * the space has mapped (peer_va_alloc_fixed); -EINVAL; -ENOMEM; what pmap_create returned.
 * Source: RFC gm_as_attach, whose mode is ignored there.
 */
int gm_as_attach(struct gm_as *as, struct gm_dev *dev, enum gm_mmu_mode mode, int activate,
		 struct gm_ctx **ctx);

/**
 * gm_as_detach - ends a device's work on a space
 * @as: the space
 * @dev: the device
 *
 * Brings the device's pages home first. It may still be in use: faults that come meanwhile are
 * answered with -EAGAIN, later ones with -EINVAL. Hints and attributes that name the device are
 * forgotten.
 *
 * Return: 0; -ENOENT not attached; -EBUSY it has sparse ranges in the space; -EINVAL; errors of
 * the copies, for example -ENOMEM: then it stays attached, and nothing is lost.
 * Source: missing in the RFC.
 */
int gm_as_detach(struct gm_as *as, struct gm_dev *dev);

/**
 * gm_as_map - maps memory on a device before it asks
 * @as: the space
 * @dev: a device attached to it
 * @addr: first byte
 * @len: bytes
 * @prot: GM_PROT_READ, or GM_PROT_READ | GM_PROT_WRITE
 *
 * As dma_map_*(): the pages come to the host if they are elsewhere, are pinned there, and the
 * device gets entries onto them. They stay until munmap, or until gm_as_unmap() has been called as
 * often as this: buffers may share pages, which are counted, and the device reaches the whole of a
 * page of which a byte is mapped, with the right to write if any of its mappings has it. mprotect
 * and fork() keep them, unless the program takes rights away. For devices that cannot fault (no
 * GM_DEV_CAP_REPLAYABLE); others may use it to be spared the faults.
 *
 * Return: 0; -EINVAL bad arguments or not attached; -EFAULT not all of it is mapped; -EPERM write
 * to read-only memory; -ENOSPC a page is mapped 65,536 times; -ENOMEM; errors of the driver. After
 * an error none of the range is mapped so.
 * Source: DMA API; "proactive mapping" was asked for in the RFC's thread.
 */
int gm_as_map(struct gm_as *as, struct gm_dev *dev, void *addr, size_t len, int prot);

/**
 * gm_as_unmap - takes back what gm_as_map() mapped
 * @as: the space
 * @dev: the device
 * @addr: first byte, as it was mapped
 * @len: bytes; parts that are not mapped are skipped
 *
 * When it returns the device cannot reach the pages any more that no other mapping has. Pins that
 * hmadvise(GM_MADV_PINNED) made stay.
 *
 * Return: 0; -EINVAL; errors of the driver.
 * Source: DMA API.
 */
int gm_as_unmap(struct gm_as *as, struct gm_dev *dev, void *addr, size_t len);

/**
 * gm_set_attr - gives a range attributes of a device's page table
 * @as: the space
 * @dev: a device attached to it
 * @addr: address, a multiple of the page
 * @len: bytes, a multiple of the page
 * @attr: opaque to core: caching, compression, ...; 0: none
 *
 * Every GM_OP_MAP of these pages carries attr from now on, wherever they migrate; entries that
 * the device has are made anew. Attributes are kept by range: they survive mprotect, split and
 * merge, travel with mremap, and end with munmap, with detachment, and in a fork child (which
 * has no device; it sets its own).
 *
 * Return: 0; -EINVAL bad arguments or not attached; -EFAULT not all of it is mapped; -ENOMEM
 * (part of the range may have it); errors of the driver.
 * Source: the RFC's thread: opaque PTE attributes per mapping.
 */
int gm_set_attr(struct gm_as *as, struct gm_dev *dev, void *addr, size_t len, uint64_t attr);

/**
 * gm_get_attr - the attributes of a page
 * @as: the space
 * @dev: the device
 * @addr: any address in it
 * @attr: receives them
 *
 * Return: 0; -EINVAL.
 * Source: ours.
 */
int gm_get_attr(struct gm_as *as, struct gm_dev *dev, const void *addr, uint64_t *attr);

/* ---- faults, hints, copies ---- */

enum gm_hint { GM_HINT_NONE, GM_HINT_READ, GM_HINT_WRITE };
/**
 * gm_dev_fault - a device touched a page and had no right to
 * @as: the space
 * @addr: the address, anywhere in the page
 * @dev: the device
 * @hint: how it was touched; NONE: as for a write where the program may write, else as for a
 * read
 *
 * Makes the page resident (or maps it remotely) and maps it on the device. For drivers; callable
 * from a fault thread with all signals blocked.
 *
 * Return: 0 mapped, the access may be tried again; -EFAULT no such mapping, PROT_NONE, or a
 * device without GM_DEV_CAP_REPLAYABLE has no entry there; -EPERM write to read-only memory;
 * -EAGAIN try again (locks are busy); -ENOMEM the host has no room; -ENOSPC the device has none
 * for what must not be mapped over the bus (GM_MADV_ATOMIC_DEVICE); -EINVAL not attached;
 * -EOPNOTSUPP the device has no entry as small as what may be mapped there (gm_mmu.page_sizes);
 * -EIO its driver broke a rule; errors of the driver: the page is where it was, with its data.
 * Source: RFC gm_dev_fault.
 */
int gm_dev_fault(struct gm_as *as, uint64_t addr, struct gm_dev *dev, enum gm_hint hint);

#define MADV_PREFETCH			  26
#define GM_MADV_PINNED			  0x100
#define GM_MADV_UNPINNED		  0x101
#define GM_MADV_READ_MOSTLY		  0x102
#define GM_MADV_UNSET_READ_MOSTLY	  0x103
#define GM_MADV_PREFERRED_LOCATION	  0x104
#define GM_MADV_UNSET_PREFERRED_LOCATION  0x105
#define GM_MADV_ACCESSED_BY		  0x106
#define GM_MADV_UNSET_ACCESSED_BY	  0x107
#define GM_MADV_DISCARD			  0x108
#define GM_MADV_DISCARD_PREFETCH	  0x109
#define GM_MADV_PREFERRED_LOCATION_SYSTEM 0x10a
#define GM_MADV_ATOMIC_DEVICE		  0x10c
#define GM_MADV_ATOMIC_GLOBAL		  0x10d
#define GM_MADV_ATOMIC_CPU		  0x10e
#define GM_MADV_UNSET_ATOMIC		  0x10f
/**
 * hmadvise - says what will happen to a range, and where
 * @hnid: the hnode that is meant; -1: the host; ignored where the hint names none
 * @start: address; rounded down to a page, for MADV_DONTNEED and DISCARD up
 * @len: bytes; the end is rounded up, for MADV_DONTNEED and DISCARD down
 * @behavior: one of the following
 *
 * MADV_PREFETCH: the pages move to hnid now, whatever placement and other hints say, and are
 * mapped there; returns when they are there. Pinned ones, and those that a system call uses at
 * this moment, stay: -EBUSY says that some did, gm_query() which. What the program may not read,
 * and what never migrates (executable, MADV_DONTFORK), is passed over.
 *
 * MADV_DONTNEED (4), GM_MADV_DISCARD: the contents are dropped wherever they are; later reads
 * see zeros.
 *
 * GM_MADV_DISCARD_PREFETCH: both, as one wish: the pages are at hnid afterwards, as zeros, and
 * nothing is copied. For memory that a kernel is about to write. Of a page of which only a part
 * lies in the range the contents stay.
 *
 * GM_MADV_PINNED, _UNPINNED: the pages come to the host and stay; devices work on them over the
 * bus.
 *
 * GM_MADV_READ_MOSTLY, UNSET_: readers get copies; a write makes the writer the only holder.
 *
 * GM_MADV_PREFERRED_LOCATION, UNSET_: -1: a device's touch leaves the page on the host and maps
 * it over the bus. A device's hnode: that device's touch moves the page to it whatever the
 * placement policy says; once it is there, devices with a link to it (gm_dev_link()) work on it in
 * place; the touches of others move it as usual.
 *
 * GM_MADV_PREFERRED_LOCATION_SYSTEM: the same, but only pages of the host's memory move to hnid.
 * One that another device alone has comes home at that device's touch, which maps it there over
 * the bus; it is a page of the host from then on (with a link to the other device it stays, and is
 * used there). UNSET_PREFERRED_LOCATION takes it back.
 *
 * GM_MADV_ACCESSED_BY, UNSET_: the device has entries onto these pages before it asks, and again
 * after they came home by a touch of the CPU: over the bus, unless the device is their preferred
 * location too, when they move at its touch. Onto pages that another device has: over the link
 * to that, if there is one. -1, the CPU: pages that move to a device whose memory
 * the host can address stay there when the CPU touches them, over the bus.
 *
 * GM_MADV_ATOMIC_DEVICE, _GLOBAL, _CPU, UNSET_: whose atomic operations on these pages are to hold.
 * An entry, once made, allows them without a fault, so each touch is taken for one. DEVICE: at its
 * touch the page moves to the device, and is never mapped there over the bus, whatever other
 * hints, the placement policy and thrashing say; the touch fails (-ENOSPC, -ENOMEM) where there is
 * no room at all. GLOBAL: the same, and the CPU's touch brings the page home, never reaching it in
 * place: each has it alone while it works on it. CPU: the pages come home now and stay; devices
 * reach them over the bus, and what a prefetch moves all the same comes home at the CPU's touch.
 * Pins, pages that a system call uses at this moment, and --limit come before all that. Devices
 * with GM_DEV_CAP_BUS_ATOMICS, or attached by GM_MMU_MODE_SHARE, need no move: for them DEVICE and
 * GLOBAL say nothing.
 *
 * Memory outside the spaces that kernels use in place (docs/outside.md) stays on the host, mapped
 * by who touches it: PREFETCH to a device says -EBUSY, DONTNEED and DISCARD -EINVAL (madvise(2) is
 * for that), everything else holds already and changes nothing. What kernels cannot reach:
 * -EFAULT.
 *
 * What UNPINNED and UNSET_ take back is gone for good: entries over the bus that only it kept are
 * taken away, and the next touch places the page as if nothing had been said.
 *
 * Hints are kept by range: the last one set holds for each page, they survive mprotect, split
 * and merge, travel with mremap (pins do not), and end with munmap or when the device is
 * detached. A fork child keeps those that name no device.
 *
 * Return: 0; -EINVAL bad arguments or behavior; -EFAULT not all of it is mapped; -ENODEV no such
 * node, or its device is not attached; -ENOMEM (part of it may be done); -ENOSPC the device's
 * memory is full of what must stay; -EBUSY PREFETCH moved all but some pages; errors of the
 * driver.
 * Source: RFC hmadvise; the hints beyond it follow CUDA's cudaMemAdvise; _SYSTEM is the migration
 * policy, ATOMIC the attribute of DRM_IOCTL_XE_MADVISE (DRM_XE_MIGRATE_ONLY_SYSTEM_PAGES,
 * DRM_XE_MEM_RANGE_ATTR_ATOMIC).
 */
int hmadvise(int hnid, void *start, size_t len, int behavior);

/**
 * hmemcpy - copies bytes and says where they are to be
 * @hnid: the node that the destination's pages are on afterwards; -1: the host
 * @dest: destination
 * @src: source; its pages stay where they are
 * @bytes: length; the ranges may overlap, as for memmove
 *
 * Host and devices in all combinations. Either side may also be ordinary memory outside every
 * space; the destination then only with hnid -1.
 *
 * Return: 0; -EINVAL null or overflowing; -ENODEV no such node, or not attached; -EFAULT not
 * mapped; -EPERM destination read-only; -ENOMEM. On an error part of the bytes may have been
 * copied.
 * Source: RFC hmemcpy (unimplemented there).
 */
int hmemcpy(int hnid, void *dest, const void *src, size_t bytes);

/* ---- questions ---- */

/* Where a page is, for gm_query(). */
enum gm_where { GM_NOMAP, GM_HOST, GM_DEVICE, GM_DUP, GM_REMOTE };
/* What a page is, and so what a device's touch does. Outside the spaces (docs/outside.md) pages
 * stay on the host. */
enum gm_kind {
	GM_KIND_MANAGED, /* of a space: it migrates */
	GM_KIND_NONE,	 /* outside: nothing is mapped there */
	GM_KIND_SHARED,	 /* a file or shared memory: devices map it in place */
	GM_KIND_ADOPTED, /* private memory that devices map in place by now */
	/* private memory: adopted at the first touch with GMEM_FOREIGN=coherent, or by
	 * gm_register(); else regions of OpenMP and OpenACC work on copies, other kernels end
	 * with -EFAULT */
	GM_KIND_PRIVATE,
	GM_KIND_OTHER, /* code, memory of devices, huge pages, our own: never */
};
struct gm_page_info {
	uint8_t where;	/* enum gm_where */
	int16_t hnid;	/* hnode of the (first) device that holds or maps it, or -1 */
	uint8_t cpu;	/* GM_PROT_* that the CPU has at this moment */
	uint8_t device; /* GM_PROT_* that that device has */
	uint8_t pinned;
	uint8_t kind; /* enum gm_kind */
};
/**
 * gm_query - where is each page of a range, and what is it?
 * @start: address, a multiple of the page
 * @len: bytes, a multiple of the page
 * @info: receives one entry per 4 KiB page
 *
 * Faults nothing in. What it says may be old when it returns, if others work on the range.
 * Outside the spaces `where` is GM_HOST, or GM_NOMAP where nothing is mapped, `cpu` what the
 * program may do, `pinned` 1; which devices have mapped such a page is not kept, so `hnid` is -1
 * and `device` 0.
 *
 * Return: 0; -EINVAL not aligned, or partly inside a space; -ENOMEM; -errno of /proc: what lies
 * outside cannot be told.
 * Source: ours; the kernel's HMM tests have a snapshot like it.
 */
int gm_query(const void *start, size_t len, struct gm_page_info *info);

/* Whose atomic operations are to hold (GM_MADV_ATOMIC_*). */
enum gm_atomic { GM_ATOMIC_NONE, GM_ATOMIC_DEVICE, GM_ATOMIC_GLOBAL, GM_ATOMIC_CPU };
struct gm_hints_info {
	uint8_t read_mostly;
	uint8_t has_preferred; /* 2: by GM_MADV_PREFERRED_LOCATION_SYSTEM */
	uint8_t accessed_by_cpu;
	uint8_t atomic;	      /* enum gm_atomic */
	int preferred;	      /* with has_preferred: hnode, or -1: the host */
	uint32_t accessed_by; /* number of devices, and */
	int accessed_hnid[8]; /* their hnodes */
};
/**
 * gm_query_hints - which hints were given for a page?
 * @addr: any address in it
 * @info: receives them; pins are in gm_query()
 *
 * Return: 0; -EINVAL not inside a space.
 * Source: ours; as cudaMemRangeGetAttribute.
 */
int gm_query_hints(const void *addr, struct gm_hints_info *info);

struct gm_hnode_info {
	/* the device's memory; what pages and buffer objects have */
	uint64_t total_bytes, used_bytes;
	uint64_t page_bytes;
	/* served; and those on pages that had just come for another */
	uint64_t faults, faults_merged;
	uint64_t evicted_bytes; /* sent home, or to the memory below, for want of room */
	uint64_t modelled_ns;	/* virtual time of a simulated device */
	uint32_t attached;	/* spaces */
};
/**
 * gm_query_hnode - the numbers of one device's memory
 * @hnid: its hnode
 * @info: receives them
 *
 * Return: 0; -ENODEV no such node; -EINVAL.
 * Source: RFC hnode helpers; as /sys/devices/system/node.
 */
int gm_query_hnode(int hnid, struct gm_hnode_info *info);

struct gm_counters {
	uint64_t to_device_bytes, to_host_bytes; /* copied over all links */
	/* pages of 4 KiB given to devices as zeros, nothing copied */
	uint64_t zeroed_pages;
	/* that came along with a fault or by MADV_PREFETCH */
	uint64_t prefetched_pages;
	uint64_t cpu_faults;			/* of the CPU on pages that were away */
	uint64_t managed_bytes, metadata_bytes; /* now */
	uint64_t peer_bytes;			/* copied from device to device, without the host */
};
/**
 * gm_query_counters - the numbers of this process since its start
 * @counters: receives them
 * @bytes: sizeof *counters: a program built with an older header gets what it knows
 *
 * Return: 0; -EINVAL.
 * Source: ours; "measure metadata bytes" was asked for in the RFC's thread.
 */
int gm_query_counters(struct gm_counters *counters, size_t bytes);

/* ---- memory ---- */

#define MAP_PEER_SHARED 0x8000000
/**
 * gm_mmap - maps memory that devices may work on
 * @as: the space; NULL: the default one
 * @addr: ignored without MAP_FIXED or MAP_FIXED_NOREPLACE; with them inside the space
 * @len: bytes, rounded up to pages
 * @prot: PROT_*, as for mmap(2)
 * @flags: MAP_PRIVATE | MAP_ANONYMOUS, and MAP_FIXED, MAP_FIXED_NOREPLACE, MAP_NORESERVE;
 * MAP_PEER_SHARED is understood
 * @fd: -1
 * @off: 0
 *
 * For programs that are not preloaded. Every attached device reserves the same addresses; where
 * one of them has something else there, another address is tried, at most ten times. munmap(2)
 * and its kin do not know about spaces: use the calls below.
 *
 * Return: the address, or MAP_FAILED with errno: EINVAL; ENOMEM; EEXIST (MAP_FIXED_NOREPLACE);
 * EBUSY a device has something else at a fixed address, or a sparse range is there.
 * Source: RFC mmap(MAP_PEER_SHARED), patch 5.
 */
void *gm_mmap(struct gm_as *as, void *addr, size_t len, int prot, int flags, int fd, off_t off);

/**
 * gm_munmap - unmaps memory of a space
 * @addr: address, a multiple of the page
 * @len: bytes, rounded up to pages; any part of what was mapped
 *
 * Return: 0; -EINVAL; -EBUSY a sparse range is there; -ENOMEM.
 * Source: munmap(2); RFC patch 5 (which forgets the devices).
 */
int gm_munmap(void *addr, size_t len);

/**
 * gm_mprotect - changes what the program may do with memory of a space
 * @addr: address, a multiple of the page
 * @len: bytes, rounded up to pages
 * @prot: PROT_*
 *
 * Holds for devices too, from when it returns.
 *
 * Return: 0; -EINVAL; -ENOMEM a hole in the range; -EBUSY a sparse range is there.
 * Source: mprotect(2).
 */
int gm_mprotect(void *addr, size_t len, int prot);

/**
 * gm_mremap - resizes or moves a mapping of a space
 * @old: address, a multiple of the page
 * @old_len: bytes
 * @new_len: bytes
 * @flags: MREMAP_*
 * @new_addr: with MREMAP_FIXED: where to
 *
 * Its pages come home first.
 *
 * Return: the address, or MAP_FAILED with errno as mremap(2) gives it; EBUSY as for gm_mmap().
 * Source: mremap(2).
 */
void *gm_mremap(void *old, size_t old_len, size_t new_len, int flags, void *new_addr);

/**
 * gm_register - lets devices work in place on private memory outside the spaces
 * @as: a space; NULL: the default one. Devices of all spaces reach the range
 * @addr: a multiple of the page
 * @len: bytes, a multiple of the page
 *
 * For globals, malloc'ed and private file memory of programs that are not preloaded; as
 * cudaHostRegister. The pages are exchanged for shared ones with the same contents at the same
 * addresses, which stay on the host; kernels and the CPU then see each other's stores at once.
 * What is shared (files, shm) needs it not, and is passed over. Nobody but the caller may use the
 * range during the call, nor may it hold the caller's stack. While it is registered its mappings
 * must not be changed (munmap, mprotect, madvise, ...), and a fork child does not have it. A
 * preloaded program needs GMEM_FOREIGN=coherent, where the first touch does the same; there all
 * threads are stopped meanwhile, and forks and changes of mappings put the pages back first.
 *
 * Return: 0; -EINVAL not aligned, empty, overflowing, or the caller's stack; -EEXIST part of it
 * is in a space or registered; -EFAULT not all of it is mapped and readable; -EOPNOTSUPP code,
 * memory of devices, huge pages, our own, the end of a file lies before the end of the range, or
 * GMEM_FOREIGN forbids it; -EAGAIN another thread does not stop; -ENOMEM. After an error nothing
 * of it is registered.
 * Source: ours; as cudaHostRegister.
 */
int gm_register(struct gm_as *as, void *addr, size_t len);

/**
 * gm_unregister - makes registered memory private memory again
 * @addr: as registered
 * @len: as registered
 *
 * Contents, rights and addresses stay. No kernel may work on it, and as above nobody may use it
 * meanwhile.
 *
 * Return: 0; -EINVAL not aligned, empty, overflowing, or the caller's stack; -ENOENT none of it is
 * registered.
 * Source: ours; as cudaHostUnregister.
 */
int gm_unregister(void *addr, size_t len);

/**
 * gm_as_of - the space that holds an address
 * @addr: any address
 *
 * Lock-free; also from signal handlers.
 *
 * Return: the space, or NULL.
 * Source: ours.
 */
struct gm_as *gm_as_of(const void *addr);

/**
 * gm_as_default - the process's default space
 *
 * Made at the first use; under the preload it is the one that malloc and mmap use.
 *
 * Return: the space, or NULL: no room for a window of addresses.
 * Source: ours.
 */
struct gm_as *gm_as_default(void);

/**
 * gm_last_error - what was wrong with a set-up
 *
 * Why gm_dev_create(), gm_dev_register_physmem() or gm_as_attach() failed in this thread the last
 * time, in one line with the value and the valid ones; or which rule of docs/drivers.md a driver's
 * function has broken in it. Valid until the thread's next such failure.
 *
 * Return: the line; "" nothing has failed.
 * Source: ours; as dlerror(3).
 */
const char *gm_last_error(void);

/**
 * gm_version - the version of the library
 *
 * Also from signal handlers.
 *
 * Return: "major.minor.patch".
 * Source: ours.
 */
const char *gm_version(void);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
