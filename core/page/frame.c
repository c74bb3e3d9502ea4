/* A device's frames under a block's pages. See frame.h. */
#include "core/page/frame.h"
#include "core/page/evict.h"
#include "core/page/spare.h"
#include "core/page/share.h"
#include "core/page/store.h"
#include "core/sys/inject.h"
#include "core/page/frame_lru.h"
#include "core/page/plugin.h"
#include "core/count/trace.h"
#include <errno.h>
#include <sys/mman.h>

static void count_resident(struct gm_dev *dev, int64_t pages)
{
	struct gm_dev_stats *s = &gmi_stats->dev[dev->index];
	if (!pages)
		return;
	gmi_gauge_add(&s->resident_bytes, &s->resident_peak_bytes, pages * (int64_t)GM_PAGE_BYTES);
	GM_TRACE(GM_EV_RESIDENT, .device = (uint8_t)dev->index,
		 .pages = (uint32_t)(atomic_load(&s->resident_bytes) / GM_PAGE_BYTES));
}

/* ---- rows of frames: see block.h ---- */

#define ROW_TABLE_BYTES (GM_ROW_PAGES * sizeof(uint32_t))

static void row_store(struct gm_block_dev *bd, unsigned n, uint64_t row)
{
	__atomic_store_n(&bd->row[n / GM_ROW_PAGES], row, __ATOMIC_RELEASE);
}

/* The row as a table, which it becomes if it is none. NULL: no memory */
static uint32_t *row_table(struct gm_block_dev *bd, unsigned n)
{
	uint64_t row = bd->row[n / GM_ROW_PAGES];

	if (row && !(row & 1))
		return (uint32_t *)row;
	uint32_t *t = gmi_alloc(ROW_TABLE_BYTES);
	for (unsigned k = 0; t && k < GM_ROW_PAGES; k++)
		t[k] = gm_frame_at(bd, n / GM_ROW_PAGES * GM_ROW_PAGES + k);
	if (t)
		row_store(bd, n, (uint64_t)t);
	return t;
}

static bool frame_put(struct gm_block_dev *bd, unsigned n, uint32_t f)
{
	unsigned k = n % GM_ROW_PAGES;
	uint64_t was = bd->row[n / GM_ROW_PAGES], mask = was >> GM_ROW_MASK_SHIFT;
	uint32_t ahead = k << bd->order;

	if (f >= ahead && (!was || ((was & 1) && (uint32_t)(was >> 1) == f - ahead))) {
		row_store(bd, n,
			  1 | (uint64_t)(f - ahead) << 1 | (mask | 1u << k) << GM_ROW_MASK_SHIFT);
		return true;
	}
	uint32_t *t = row_table(bd, n);
	if (t)
		__atomic_store_n(&t[k], f, __ATOMIC_RELAXED);
	return t;
}

/* true: the table that its row is holds nothing any more. */
static bool frame_clear(struct gm_block_dev *bd, unsigned n)
{
	uint64_t row = bd->row[n / GM_ROW_PAGES],
		 bit = 1ull << (GM_ROW_MASK_SHIFT + n % GM_ROW_PAGES);

	if (row & 1) {
		row &= ~bit;
		row_store(bd, n, row >> GM_ROW_MASK_SHIFT ? row : 0);
		return false;
	}
	uint32_t *t = (uint32_t *)row;
	unsigned k = 0;
	__atomic_store_n(&t[n % GM_ROW_PAGES], GM_NO_FRAME, __ATOMIC_RELAXED);
	while (k < GM_ROW_PAGES && t[k] == GM_NO_FRAME)
		k++;
	return k == GM_ROW_PAGES;
}

/* Who looks for the page of a frame reads all rows of its owner, whose lock it has not: the
 * device's is held. */
static void row_free(struct gm_block_dev *bd, unsigned n)
{
	uint32_t *t = (uint32_t *)bd->row[n / GM_ROW_PAGES];

	row_store(bd, n, 0);
	gmi_free(t, ROW_TABLE_BYTES);
}

void gmc_frames_forget(struct gm_block_dev *bd)
{
	for (unsigned n = 0; n < GM_PAGES_PER_BLOCK >> bd->order; n++)
		if (gm_frame_at(bd, n) != GM_NO_FRAME && frame_clear(bd, n))
			row_free(bd, n); /* a fork's child: nobody looks */
}

/* ---- frames of a block ---- */

/* The device pages (first 4 KiB page i, set of pages) that have a page in `set`. */
#define for_each_device_page(set, order, i)                                                        \
	for (unsigned i = gm_bm_next((set), 0, true) & ~0u << (order); i < GM_PAGES_PER_BLOCK;     \
	     i = gm_bm_next((set), i + (1u << (order)), true) & ~0u << (order))

/*
 * A frame beside those of the neighbours, so that the block maps as one run; GM_PHYS_NONE when
 * it has none.
 */
static uint64_t preferred_frame(const struct gm_block_dev *bd, unsigned n)
{
	uint32_t before = n ? gm_frame_at(bd, n - 1) : GM_NO_FRAME,
		 after = n + 1 < GM_PAGES_PER_BLOCK >> bd->order ? gm_frame_at(bd, n + 1)
								 : GM_NO_FRAME;

	if (before != GM_NO_FRAME)
		return gm_bytes_of(before + (1u << bd->order));
	if (after != GM_NO_FRAME && after >= 1u << bd->order)
		return gm_bytes_of(after - (1u << bd->order));
	return GM_PHYS_NONE;
}

static uint64_t any_free_frame(struct gm_dev *dev, uint64_t prefer)
{
	if (gm_inject(GM_INJ_FRAME) || !gmc_share_take(dev))
		return GM_PHYS_NONE;
	uint64_t frame = gmi_phys_alloc(dev->phys, dev->page_order, prefer);
	if (frame == GM_PHYS_NONE)
		gmc_share_give(dev);
	return frame;
}

void gmc_frame_free(struct gm_dev *dev, uint64_t frame)
{
	gmi_phys_free(dev->phys, frame, dev->page_order);
	gmc_share_give(dev);
}

/* The host has memory behind a frame that is used for the first time; false: it has none. */
static bool back_frame(struct gm_dev *dev, uint64_t frame)
{
	uint64_t i = frame >> (GM_PAGE_SHIFT + dev->page_order), bit = (uint64_t)1 << i % 64;

	if (!dev->aperture || __atomic_load_n(&dev->backed[i / 64], __ATOMIC_RELAXED) & bit)
		return true;
	if (gmc_populate(dev->aperture + dev->phys_begin + frame, GM_PAGE_BYTES << dev->page_order))
		return false;
	__atomic_fetch_or(&dev->backed[i / 64], bit, __ATOMIC_RELAXED);
	atomic_fetch_add(&dev->backed_bytes, (int64_t)gm_dev_page_bytes(dev));
	return true;
}

/* ---- frames that nothing is in ---- */

int64_t gmc_frames_spare(const struct gm_dev *dev)
{
	int64_t backed = atomic_load_explicit(&dev->backed_bytes, memory_order_relaxed);

	return backed ? gm_max(backed - (int64_t)gmi_phys_used_bytes(dev->phys), (int64_t)0) : 0;
}

static bool too_many_spare(const struct gm_dev *dev, int64_t more)
{
	return gmc_frames_spare(dev) + more >
	       atomic_load_explicit(&gmc_frames_most, memory_order_relaxed);
}

/* The host has the memory back. The caller has the frame, and nothing is in it. False: it is of a
 * kind that cannot be given back in parts. */
static bool unback_frame(struct gm_dev *dev, uint64_t frame)
{
	uint64_t i = frame >> (GM_PAGE_SHIFT + dev->page_order), bit = (uint64_t)1 << i % 64;

	if (gm_sys3(SYS_madvise, dev->aperture + dev->phys_begin + frame, gm_dev_page_bytes(dev),
		    MADV_REMOVE))
		return false;
	__atomic_fetch_and(&dev->backed[i / 64], ~bit, __ATOMIC_RELAXED);
	atomic_fetch_sub(&dev->backed_bytes, (int64_t)gm_dev_page_bytes(dev));
	return true;
}

void gmc_frames_trim(struct gm_dev *dev)
{
	uint64_t words = gmi_phys_total_bytes(dev->phys) / gm_dev_page_bytes(dev) / 64 + 1;
	bool gone = true;

	for (uint64_t w = 0; w < words && gone && too_many_spare(dev, 0); w++)
		for (uint64_t left = dev->backed[w]; left && gone; left &= left - 1) {
			uint64_t frame = (w * 64 + (uint64_t)__builtin_ctzll(left))
					 << (GM_PAGE_SHIFT + dev->page_order);
			if (!gmi_phys_take(dev->phys, frame, dev->page_order))
				continue;
			gone = unback_frame(dev, frame);
			gmi_phys_free(dev->phys, frame, dev->page_order);
		}
}

void gmc_frame_give(struct gm_dev *dev, uint64_t frame)
{
	if (gm_unlikely(too_many_spare(dev, (int64_t)gm_dev_page_bytes(dev))))
		unback_frame(dev, frame);
	gmc_frame_free(dev, frame);
	gm_spare_grows();
}

int gmc_frame_take(struct gm_dev *dev, struct gm_block *own, gm_bm keep, uint64_t prefer,
		   uint64_t *frame)
{
	while ((*frame = any_free_frame(dev, prefer)) == GM_PHYS_NONE) {
		int err = gmc_share_ask(dev) ? 0 : gmc_evict(dev, own, keep);
		if (err)
			return err;
	}
	if (back_frame(dev, *frame))
		return 0;
	gmc_frame_free(dev, *frame);
	return -ENOMEM;
}

int gmc_frames_take(struct gm_block *b, struct gm_ctx *ctx, gm_bm set, gm_bm keep)
{
	struct gm_dev *dev = ctx->dev;
	struct gm_block_dev *bd = b->dev[dev->index];

	for_each_device_page (&set, bd->order, i) {
		unsigned n = i >> bd->order;
		uint64_t f;
		if (gm_frame_at(bd, n) != GM_NO_FRAME)
			continue;
		int err = gmc_frame_take(dev, b, keep, preferred_frame(bd, n), &f);
		if (err)
			return err;
		if (!frame_put(bd, n, (uint32_t)(f >> GM_PAGE_SHIFT))) {
			gmc_frame_free(dev, f);
			return -ENOMEM;
		}
	}
	return 0;
}

void gmc_frames_drop(struct gm_block *b, struct gm_dev *dev, gm_bm set)
{
	struct gm_block_dev *bd = b->dev[dev->index];

	for_each_device_page (&set, bd->order, i) {
		unsigned n = i >> bd->order;
		uint32_t f = gm_frame_at(bd, n);
		if (f == GM_NO_FRAME ||
		    !gm_bm_empty(gm_bm_and(bd->valid, gm_bm_page_of_order(i, bd->order))))
			continue;
		gmc_frame_lru_gone(dev, f);
		gmc_plugin_gone(dev, f);
		gmc_frame_give(dev, gm_bytes_of(f));
		if (frame_clear(bd, n)) {
			gmi_lock(&dev->lock);
			row_free(bd, n);
			gmi_unlock(&dev->lock);
		}
	}
	if (gm_bm_empty(bd->valid))
		gmc_lru_remove(dev, bd);
}

void gmc_set_valid(struct gm_block *b, struct gm_ctx *ctx, gm_bm valid)
{
	struct gm_block_dev *bd = b->dev[ctx->dev->index];
	int64_t before = gm_bm_count(bd->valid), after = gm_bm_count(valid);

	gm_bm lost = gm_bm_andnot(bd->valid, valid);
	bd->valid = valid;
	count_resident(ctx->dev, after - before);
	if (!gm_bm_empty(lost))
		gmc_frames_drop(b, ctx->dev, lost);
}
