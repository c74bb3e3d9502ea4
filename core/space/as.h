/*
 * as.h - internals of address spaces, devices and their attachments. Only core includes this.
 *
 * Lock order: region (as->region_lock) < block (one at a time; eviction only trylocks a second)
 * < device (dev->lock) < phys (inside phys.c). The as, dev and ctx tables change under
 * gmc_registry_lock, taken before all of them.
 */
#ifndef GM_CORE_AS_H
#define GM_CORE_AS_H

#include <gmem/gmem.h>
#include <errno.h>
#include "core/page/block.h"
#include "core/sys/phys.h"
#include "core/rules/policy.h"
#include "core/sys/rangemap.h"
#include "core/count/stats.h"
#include "core/page/thread.h"

#define GM_MAX_AS 16

struct gm_store {
	int fd;	     /* raised; -1 before the first device */
	char *alias; /* whole store, read-write, outside the window */
	/* whole store, PROT_NONE: mremap(mold + off, 0, ...) clones a VMA without needing fd */
	char *mold;
	char *room; /* the reservation that alias and mold lie in */
	size_t room_bytes;
};
struct gm_as {
	uintptr_t base;
	size_t bytes;
	unsigned slot; /* index in the table of spaces */
	struct gm_lock region_lock;
	struct gm_rangemap regions;		     /* value: see vm.c */
	struct gm_rangemap hints, attrs[GM_MAX_DEV]; /* hint.h */
	struct gm_block *_Atomic *table;	     /* bytes / 2 MiB pointers, reserved lazily */
	struct gm_block *_Atomic blocks;	     /* list of all */
	struct gm_store store;
	/* by device index; changes under the region lock too */
	struct gm_ctx *_Atomic ctx[GM_MAX_DEV];
	/* their memory: late readers of a pointer find it there for ever */
	struct gm_ctx *ctx_room[GM_MAX_DEV];
	struct gm_lock retain_lock;
	struct gm_block *retain_head, *retain_tail;
	_Atomic int64_t retained_bytes;
	_Atomic long vma_estimate;
	struct gm_lock sparse_lock; /* rank block */
	struct gm_sparse *sparse;   /* sparse.h; the list changes under the registry lock too */
};

/* NULL: all pages plain. */
static inline struct gm_block *gm_block_find(struct gm_as *as, uintptr_t va)
{
	return atomic_load_explicit(&as->table[(va - as->base) >> GM_BLOCK_SHIFT],
				    memory_order_acquire);
}
struct gm_dev {
	unsigned index; /* 0..GM_MAX_DEV-1: gm_block.dev[], gmi_stats->dev[] */
	const struct gm_mmu *mmu;
	void *data;
	uint64_t cap;
	int hnid; /* -1: no memory registered */
	struct gm_phys *phys;
	uint64_t phys_begin;
	char *aperture; /* NULL: copies go through the driver */
	/* a bit per device page of it that the host has given memory for; atomic */
	uint64_t *backed;
	unsigned page_order;			  /* log2(page_bytes / 4 KiB) */
	struct gm_lock lock;			  /* LRU list */
	struct gm_block_dev *lru_head, *lru_tail; /* head: coldest */
	uint32_t evictions;			  /* counts them; atomic */
	uint32_t clock;				  /* counts uses: gm_block_dev.used */
	bool pressed;				  /* it had to evict; atomic */
	bool reclaiming;			  /* until the high watermark; background thread */
	/* how long it is taken to need more; background thread */
	uint64_t pressed_until_ns;
	struct gm_frames *frames;		  /* NULL: no policy has counted single pages */
	struct gm_choice choice[GM_POLICY_KINDS]; /* policies: atomic */
	unsigned attached, nbos;		  /* registry lock */
	bool broken; /* its driver broke a rule (driver.h): out of use; atomic */
	bool patient; /* our own simulated one: its functions wait for its process as long as it takes */
};
struct gm_ctx {
	struct gm_as *as;
	struct gm_dev *dev;
	void *pmap;
	enum gm_mmu_mode mode;
	_Atomic int
		refuse; /* the device is being detached (-EAGAIN) or is no longer attached (-ENODEV); else 0 */
	struct gm_choice choice[GM_POLICY_KINDS]; /* before the device's own: atomic */
	/* ranges of the device in the space; registry lock */
	unsigned nsparse;
};

/*
 * May the device get anything there? 0, -EAGAIN, -ENODEV, -EIO. Whoever asks holds the block's
 * lock.
 */
static inline int gm_ctx_refuses(const struct gm_ctx *ctx)
{
	int refuse = atomic_load_explicit(&ctx->refuse, memory_order_acquire);

	if (gm_unlikely(__atomic_load_n(&ctx->dev->broken, __ATOMIC_ACQUIRE)))
		refuse = refuse ? refuse : -EIO;
	return refuse;
}

extern struct gm_as *_Atomic gmc_spaces[GM_MAX_AS];
extern struct gm_dev *gmc_devs[GM_MAX_DEV];
struct gm_as *gmc_as_find(uintptr_t va); /* lock-free, signal-safe */
struct gm_dev *gmc_dev_by_hnid(int hnid);

/* ---- store.c: how a page's VA is backed. Block locked. ---- */
int gmc_store_open(struct gm_as *as); /* memfd, alias, mold; idempotent, under the registry lock */
void gmc_store_close(struct gm_as *as);
#define gm_alias(as, va) ((as)->store.alias + ((uintptr_t)(va) - (as)->base))
/* Puts the store under [va, va+len) in one step, inaccessible (to a device's memory) or writable
 * (stays on the host). */
int gmc_store_map_none(struct gm_as *as, uintptr_t va, size_t len);
int gmc_store_map_rw(struct gm_as *as, uintptr_t va, size_t len);
/*
 * Memory behind [va, va+len) of the store (or behind p, of any shared mapping of ours) now, so
 * that writing there cannot fail later. 0, or -ENOMEM: the host has none.
 */
int gmc_store_populate(struct gm_as *as, uintptr_t va, size_t len);
int gmc_populate(void *p, size_t len);
/* A second mapping of `len` bytes of ours (the device's aperture) at va, readable and writable.
 * 0 or -errno */
int gmc_store_clone(char *of, uintptr_t va, size_t len);
/* Gives the store's memory there back to the host. */
void gmc_store_punch(struct gm_as *as, uintptr_t va, size_t len);
/* Puts private anonymous memory under [va, va+len): filled from the store (copy) or fresh zeros,
 * with prot. 0 or -errno */
int gmc_store_unmap(struct gm_as *as, uintptr_t va, size_t len, int prot, bool copy);
/* Which pages of an unadopted run the program ever touched (present or swapped). All of them
 * when that cannot be known. */
gm_bm gmc_touched(struct gm_block *b, unsigned first, unsigned end);
/* b's pages moved: stale host copies are retained, the oldest of the space punched beyond
 * GMEM_RETAIN. */
void gmc_retain(struct gm_block *b);

/*
 * For drivers: a kernel has ended on the device. Where placement is `copy` everything that it
 * touched goes home. No locks held, any thread.
 */
void gmc_launch_done(struct gm_dev *dev);

/* window.c: reserves the default space's window (bases, halving). 0 or -ENOMEM. */
int gmc_window_reserve(uintptr_t *base, size_t *bytes);

/* ---- evict.c ---- */
/* Frees device memory by sending a cold block home. `own`: the block that the caller has locked;
 * `keep`: its pages that must stay. 0 freed something; -EAGAIN every candidate was locked;
 * -ENOSPC nothing to evict. */
int gmc_evict(struct gm_dev *dev, struct gm_block *own, gm_bm keep);
/* The device asked for `set` of the block just now. */
void gmc_lru_touch(struct gm_dev *dev, struct gm_block_dev *bd, gm_bm set);
void gmc_lru_remove(struct gm_dev *dev, struct gm_block_dev *bd);

/*
 * api.c: fn for each block of [start, end), locked, with its managed pages of the range; again
 * while it says -EAGAIN. create: also where there is no block yet. The first error ends it.
 */
int gmc_each_block(struct gm_as *as, uintptr_t start, uintptr_t end, bool create,
		   int (*fn)(struct gm_block *, gm_bm, void *), void *arg);
/* The space of a whole range, with every page mapped. 0, -EINVAL, -EFAULT */
int gmc_check_range(const void *start, size_t len, struct gm_as **as);

extern struct gm_lock gmc_registry_lock;
/* Every block that exists, newest first. The list only grows (under the region lock): safe to
 * walk without it. */
#define gm_for_each_block(as, b)                                                                   \
	for ((b) = atomic_load_explicit(&(as)->blocks, memory_order_acquire); (b); (b) = (b)->next)

#endif
