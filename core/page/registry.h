/*
 * registry.h - the records that everything hangs from (spaces, devices, their attachments) and
 * the tables of them.
 *
 * Lock order: registry < region (as->region_lock) < block (one at a time; eviction only trylocks a
 * second) < device (dev->lock) < phys (inside phys.c). The tables of spaces, devices and
 * attachments change under the registry's lock.
 *
 * page/: what is true of a page, and how that changes. One block at a time.
 *    here     records of spaces, devices, blocks, threads; plan, rights, bytes, frames, migrate,
 *             evict
 *    come in  care/, space/ and entry/, with the block locked and signals blocked
 *    touch    one block, its store and frames, page tables of CPU and devices; a second block only
 *             by trylock
 *    locks    block < device < phys, the registry's above; no region map: ranges are space/'s
 */
#ifndef GM_CORE_REGISTRY_H
#define GM_CORE_REGISTRY_H

#include <errno.h>
#include <gmem/gmem.h>
#include "core/sys/phys.h"
#include "core/sys/rangemap.h"
#include "core/rules/policy.h"
#include "core/count/stats.h"
#include "core/page/block.h"

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
	_Atomic bool grows;	    /* a mapping that does was there */
	struct gm_lock sparse_lock; /* rank block */
	struct gm_sparse *sparse;   /* sparse.h; the list changes under the registry lock too */
	/* buffer objects on the host, and those of them that are the program's own; region lock */
	unsigned nbos;
	struct gm_bo *user_bos;
	struct gm_iova *iova; /* this is only a table of device addresses (iova.c); else NULL */
};

/* NULL: all pages plain. */
static inline struct gm_block *gm_block_find(struct gm_as *as, uintptr_t va)
{
	return atomic_load_explicit(&as->table[(va - as->base) >> GM_BLOCK_SHIFT],
				    memory_order_acquire);
}
/* What the adaptive policies remember of a device's faults (adapt.h). Under its lock. */
struct gm_adapt {
	uint16_t clock; /* counts 64 KiB evicted, wraps around 0; 0: none ever */
	uint16_t share; /* of faults that ask back what was evicted: the recent mean, of 1024 */
	/* between eviction and that fault, in the clock's terms: the recent mean */
	uint16_t distance;
	bool loops; /* the order of use is a loop longer than memory */
	uint8_t turn;
	uint32_t faults;
	struct {
		uint64_t next; /* where its next fault is expected */
		uint32_t last; /* number of its last fault */
		uint8_t run;   /* 64 KiB that came with it */
	} stream[8];
};
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
	_Atomic int64_t backed_bytes; /* of these; those of no frame in use are spare (spare.h) */
	unsigned page_order;	      /* log2(page_bytes / 4 KiB) */
	/* sizes of entries: bit o for 4 KiB << o; the smallest of them */
	unsigned orders, min_order;
	struct gm_lock lock;			  /* LRU list */
	struct gm_block_dev *lru_head, *lru_tail; /* head: coldest */
	uint32_t evictions;			  /* counts them; atomic */
	uint32_t clock;				  /* counts uses: gm_block_dev.used */
	bool pressed;				  /* it had to evict; atomic */
	bool noticed;				  /* that it thrashes (care/notice.h); atomic */
	bool reclaiming;			  /* until the high watermark; background thread */
	/* how long it is taken to need more; background thread */
	uint64_t pressed_until_ns;
	struct gm_adapt adapt;
	struct gm_frames *frames;		  /* NULL: no policy has counted single pages */
	struct gm_choice choice[GM_POLICY_KINDS]; /* policies: atomic */
	unsigned attached, nbos;		  /* registry lock */
	unsigned spill; /* index + 1 of the memory below (gm_dev_spill()); 0: none. Atomic */
	/* buffer objects that are not needed, and ranges that may have them bound (purge.c) */
	struct gm_lock purge_lock; /* rank block */
	struct gm_bo *purgeable;   /* read without it, too */
	struct gm_sparse *ranges;
	unsigned share; /* its number among processes that share it, plus one (share.h); 0: none */
	uint8_t peers[GM_MAX_DEV]; /* GM_PEER_* of the link to each other; atomic */
	bool broken;		   /* its driver broke a rule (driver.h): out of use; atomic */
	/* our own simulated one: its functions wait for its process as long as it takes */
	bool patient;
	struct gm_plugin_run
		*plugin; /* its policies are a plug-in's (plugin.h); NULL: they are not */
};
struct gm_ctx {
	struct gm_as *as;
	struct gm_dev *dev;
	void *pmap;
	enum gm_mmu_mode mode;
	/* the device is being detached (-EAGAIN) or is no longer attached (-ENODEV); else 0 */
	_Atomic int refuse;
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

static inline size_t gm_dev_page_bytes(const struct gm_dev *dev)
{
	return GM_PAGE_BYTES << dev->page_order;
}
/* What a device follows in the space, or by itself. */
static inline struct gm_choice gm_policy_of_dev(const struct gm_dev *dev, enum gm_policy_kind kind)
{
	return gmc_policy_choose(NULL, dev->choice, kind);
}
static inline struct gm_choice gm_policy_of(const struct gm_ctx *ctx, enum gm_policy_kind kind)
{
	return gmc_policy_choose(ctx->choice, ctx->dev->choice, kind);
}

/* Signals blocked, and the registry's lock: spaces, devices and attachments stay as they are. */
gm_sigmask gmc_registry_enter(void);
void gmc_registry_leave(gm_sigmask mask);
extern struct gm_lock gmc_registry_lock; /* for those who have signals blocked */
extern struct gm_as *_Atomic gmc_spaces[GM_MAX_AS];
extern struct gm_dev *gmc_devs[GM_MAX_DEV];
struct gm_as *gmc_as_find(uintptr_t va); /* lock-free, signal-safe */
struct gm_dev *gmc_dev_by_hnid(int hnid);
/* Registry locked: a free slot, or -1; the space is in the table from now on. */
int gmc_registry_slot(void);
void gmc_registry_add(struct gm_as *as, unsigned slot);

/* The first space in slot `slot` or behind it; NULL: no more. */
struct gm_as *gmc_registry_next(unsigned slot);
/* Each space. Those without the registry's lock must know that none is destroyed meanwhile. */
#define gm_for_each_space(as)                                                                      \
	for (struct gm_as *as = gmc_registry_next(0); (as);                                        \
	     (as) = gmc_registry_next((as)->slot + 1))
/* Every block that exists, newest first. The list only grows (under the region lock): safe to
 * walk without it. */
#define gm_for_each_block(as, b)                                                                   \
	for ((b) = atomic_load_explicit(&(as)->blocks, memory_order_acquire); (b); (b) = (b)->next)
/* fn for every block of every space, each locked, the registry too, all signals blocked. Was it
 * true of all? */
bool gmc_all_blocks(bool (*fn)(struct gm_block *b));

#endif
