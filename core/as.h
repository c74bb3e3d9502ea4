/*
 * as.h - internals of address spaces, devices and their attachments. Only core includes this.
 *
 * Lock order: region (as->region_lock) < block (one at a time; eviction only trylocks a second) < device (dev->lock)
 * < phys (inside phys.c). The as, dev and ctx tables change under gm_registry_lock, taken before all of them.
 */
#ifndef GM_CORE_AS_H
#define GM_CORE_AS_H

#include "../include/gmem/gmem.h"
#include "block.h"
#include "phys.h"
#include "rangemap.h"
#include "stats.h"
#include "thread.h"

#define GM_MAX_AS 16

struct gm_store {
	int fd;          /* raised; -1 before the first device */
	char *alias;     /* whole store, read-write, outside the window */
	char *mold;      /* whole store, PROT_NONE: mremap(mold + off, 0, ...) clones a VMA without needing fd */
};
struct gm_as {
	uintptr_t base;
	size_t bytes;
	unsigned slot;                     /* index in the table of spaces */
	struct gm_lock region_lock;
	struct gm_rangemap regions;        /* value: see vm.c */
	struct gm_rangemap hints;
	struct gm_block *_Atomic *table;   /* bytes / 2 MiB pointers, reserved lazily */
	struct gm_store store;
	struct gm_ctx *ctx[GM_MAX_DEV];    /* by device index */
	struct gm_lock retain_lock;
	struct gm_block *retain_head, *retain_tail;
	_Atomic uint64_t retained_bytes;
	_Atomic long vma_estimate;
};
struct gm_dev {
	unsigned index;                    /* 0..GM_MAX_DEV-1: gm_block.dev[], gmi_stats->dev[] */
	const struct gm_mmu *mmu;
	void *data;
	uint64_t cap;
	int hnid;                          /* -1: no memory registered */
	struct gm_phys *phys;
	uint64_t phys_begin;
	char *aperture;                    /* NULL: copies go through the driver */
	unsigned page_order;               /* log2(page_bytes / 4 KiB) */
	struct gm_lock lock;               /* LRU list */
	struct gm_block_dev *lru_head, *lru_tail; /* head: coldest */
	unsigned attached;
};
struct gm_ctx {
	struct gm_as *as;
	struct gm_dev *dev;
	void *pmap;
	enum gm_mmu_mode mode;
};

extern struct gm_as *_Atomic gm_spaces[GM_MAX_AS];
extern struct gm_dev *gm_devs[GM_MAX_DEV];
struct gm_as *gm_as_find(uintptr_t va); /* lock-free, signal-safe */
struct gm_dev *gm_dev_by_hnid(int hnid);

/* store.c */
int gm_store_open(struct gm_as *as); /* memfd, alias, mold; idempotent, under the registry lock */
#define gm_alias(as, va) ((as)->store.alias + ((uintptr_t)(va) - (as)->base))

/* state.c, migrate.c, evict.c: see there */

#endif
