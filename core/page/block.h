/*
 * block.h - the logical page table: blocks of 2 MiB, per-4-KiB bitmaps, who holds each page and
 * who may touch it.
 *
 * A block exists once a device, a pin or a hint took interest in it; before that all of its
 * pages are plain host memory and cost nothing. Blocks are private memory, never freed, found
 * through a flat table of pointers (gm_as.table). The block's lock protects everything in it.
 * Read without it, a word at a time: cpu_r, cpu_w, prog, managed, adopted and pinned (pins and a
 * CPU fault look first, and look again), dev[] (has a device any of it?) and frame[] (frame_lru.c).
 *
 *   where a page's bytes are    host | dev[d]->valid bit sets; neither: NOMAP (zeros). Both: DUP,
 *                               all read-only.
 *   what the program asked for  prog_r, prog_w (kept equal to the region map by vm.c)
 *   what the CPU's PTEs allow   cpu_r, cpu_w: a subset of prog; rights.c changes them with
 *                               the mprotect
 *   how the VA is backed        adopted: the host store, MAP_SHARED. Clear: private anonymous.
 *   REMOTE                      dev[d]->remote: d maps the host store there; cpu_bus: the CPU maps
 *                               device memory; dev[d]->peer: d maps that of the one that has it
 */
#ifndef GM_CORE_BLOCK_H
#define GM_CORE_BLOCK_H

#include "core/sys/bitmap.h"
#include "core/rules/opt.h"
#include "core/count/trace.h"

struct gm_as;
struct gm_ctx;
struct gm_hints;

#define GM_NO_FRAME UINT32_MAX

/* What few devices need, by 64 KiB. */
struct gm_block_rare {
	uint32_t until_us[GM_LEAVES]; /* it stays until then (residence.h) */
	uint16_t hits[GM_LEAVES];     /* access counters of pages over the bus (counter.c) */
};
struct gm_block_dev {
	gm_bm valid; /* the device's memory holds the current bytes */
	/* rights that the device was last given; it may have forgotten (a PTE cache) */
	gm_bm map_r, map_w;
	gm_bm evicted;		  /* sent home to make room, and not back since */
	gm_bm remote;		  /* its PTE points into the host store */
	gm_bm peer;		  /* its PTE points into another device's memory (peer.h) */
	struct gm_premap *premap; /* NULL: gm_as_map has mapped nothing of it */
	struct gm_block *block;
	struct gm_block_dev *lru_prev, *lru_next; /* device's LRU list; under the device's lock */
	bool on_lru;
	bool unsure;   /* its driver failed: which entries it has is not known (entries.c) */
	uint8_t order; /* frames are 4 KiB << order */
	/* how often the device was found using it; counts down again (evict.c) */
	uint8_t heat;
	uint32_t asked; /* dev->adapt.clock when it was last asked about its use */
	/* dev->clock when the device last asked for a page of it; device's lock */
	uint32_t now;
	/* adapt.h: when each 64 KiB was evicted, 0: it was not; which may stay, and which were in
	 * use when last asked */
	uint16_t gone[GM_LEAVES];
	uint32_t promoted, lately;
	struct gm_block_rare *rare; /* NULL: nothing of it was needed yet */
	uint32_t used[GM_LEAVES];   /* the same for each 64 KiB */
	/*
	 * Where the device pages lie, by 16 of them. 0: nowhere. Odd: those of the mask (from bit
	 * 48 on) side by side, as if the first were at the number from bit 1 on. Else a pointer to
	 * 16 numbers. gm_frame_at() reads it, gmc_frame_put() changes it.
	 */
	uint64_t row[];
};
#define GM_ROW_PAGES	  16u
#define GM_ROWS(order)	  (((GM_PAGES_PER_BLOCK >> (order)) + GM_ROW_PAGES - 1) / GM_ROW_PAGES)
#define GM_ROW_MASK_SHIFT 48
/* Physical page number (4 KiB units) of device page n, or GM_NO_FRAME. A page that has one may be
 * asked for without the block's lock. */
static inline uint32_t gm_frame_at(const struct gm_block_dev *bd, unsigned n)
{
	uint64_t row = __atomic_load_n(&bd->row[n / GM_ROW_PAGES], __ATOMIC_ACQUIRE);
	unsigned k = n % GM_ROW_PAGES;

	if (row & 1)
		return row >> (GM_ROW_MASK_SHIFT + k) & 1 ? (uint32_t)(row >> 1) + (k << bd->order)
							  : GM_NO_FRAME;
	return row ? __atomic_load_n(&((const uint32_t *)row)[k], __ATOMIC_RELAXED) : GM_NO_FRAME;
}

struct gm_block {
	struct gm_lock lock;
	struct gm_as *as;
	struct gm_block *next; /* as->blocks */
	uintptr_t va;
	gm_bm prog_r, prog_w;
	/* pages of a migratable region (anonymous, private); others are never taken */
	gm_bm managed;
	gm_bm cpu_r, cpu_w;
	gm_bm host, adopted;
	gm_bm backed; /* the host store has memory there (maybe stale: retained for ping-pong) */
	gm_bm pinned; /* MADV_PINNED, altstacks, stacks in the window */
	gm_bm read_mostly;
	struct gm_thrash *thrash; /* NULL: nothing has come back yet (thrash.c) */
	gm_bm cpu_bus;		  /* the VA maps the device's own memory (cpu_bus.h) */
	/* back end uffd: adopted pages that it could not register (cpu_uffd.c) */
	gm_bm unwatched;
	struct gm_hints *hints; /* the other hints, and attributes (hint.h); NULL: none */
	struct gm_block_dev *dev[GM_MAX_DEV];
	struct gm_block *retain_next; /* as->retain list */
	uint16_t retained_pages;      /* backed but stale */
	bool on_retain;
	_Atomic uint8_t site; /* call site of most of its pages (site.h) */
	uint32_t splits;      /* VMA boundaries inside the block, part of as->vma_estimate */
};

/* The next device from d on that knows the block; GM_MAX_DEV: none. */
static inline int gm_next_dev(const struct gm_block *b, int d)
{
	while (d < GM_MAX_DEV && !b->dev[d])
		d++;
	return d;
}
/* Each device that knows the block, by its index. */
#define gm_for_each_dev(b, d)                                                                      \
	for (int d = gm_next_dev((b), 0); d < GM_MAX_DEV; d = gm_next_dev((b), d + 1))
/* The block's pages that [lo, hi) touches; none when it lies elsewhere. */
static inline gm_bm gm_block_pages(const struct gm_block *b, uintptr_t lo, uintptr_t hi)
{
	return gm_bm_of_range(b->va, lo, hi);
}
#define gm_bytes_of(pages) ((size_t)(pages)*GM_PAGE_BYTES)
static inline uintptr_t gm_va_of(const struct gm_block *b, unsigned i)
{
	return b->va + gm_bytes_of(i);
}
/* Block locked, and the device was not refused (gm_ctx_refuses). NULL: no memory. */
struct gm_block_dev *gmc_block_dev_get(struct gm_block *b, struct gm_ctx *ctx);
/* Made at its first use. NULL: no memory. */
struct gm_block_rare *gmc_block_rare(struct gm_block_dev *bd);
/* Device d's part of the block goes; it has no frames. */
void gmc_block_dev_free(struct gm_block *b, unsigned d);
/* So do those of other devices than `self` that have nothing any more. */
void gmc_block_dev_sweep(struct gm_block *b, unsigned self);
/* Debug: every invariant above, for every page of the block. Called after each transition. */
#ifdef GM_DEBUG
void gm_block_check(struct gm_block *b);
#else
#define gm_block_check(b) ((void)(b))
#endif

/* For the trace: what happened to `set`; nothing if that is empty. d < 0: not a device's doing. */
void gmc_block_trace_set(enum gm_event_kind kind, const struct gm_block *b, int d, gm_bm set,
			 uint64_t begin_ns);
static inline void gmc_block_trace(enum gm_event_kind kind, const struct gm_block *b, int d,
				   gm_bm set, uint64_t begin_ns)
{
	if (gm_tracing())
		gmc_block_trace_set(kind, b, d, set, begin_ns);
}

#endif
