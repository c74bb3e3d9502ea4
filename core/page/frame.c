/* A device's frames under a block's pages. See frame.h. */
#include "core/page/frame.h"
#include "core/page/evict.h"
#include "core/page/store.h"
#include "core/sys/inject.h"
#include "core/page/frame_lru.h"
#include "core/page/plugin.h"
#include "core/count/trace.h"
#include <errno.h>

static void count_resident(struct gm_dev *dev, int64_t pages)
{
	struct gm_dev_stats *s = &gmi_stats->dev[dev->index];
	if (!pages)
		return;
	gmi_gauge_add(&s->resident_bytes, &s->resident_peak_bytes, pages * (int64_t)GM_PAGE_BYTES);
	GM_TRACE(GM_EV_RESIDENT, .device = (uint8_t)dev->index,
		 .pages = (uint32_t)(atomic_load(&s->resident_bytes) / GM_PAGE_BYTES));
}

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
	if (n && bd->frame[n - 1] != GM_NO_FRAME)
		return gm_bytes_of(bd->frame[n - 1] + (1u << bd->order));
	if (n + 1 < GM_PAGES_PER_BLOCK >> bd->order && bd->frame[n + 1] != GM_NO_FRAME &&
	    bd->frame[n + 1] >= 1u << bd->order)
		return gm_bytes_of(bd->frame[n + 1] - (1u << bd->order));
	return GM_PHYS_NONE;
}

static uint64_t free_frame(struct gm_dev *dev, uint64_t prefer)
{
	return gm_inject(GM_INJ_FRAME) ? GM_PHYS_NONE
				       : gmi_phys_alloc(dev->phys, dev->page_order, prefer);
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
	return true;
}

int gmc_frame_take(struct gm_dev *dev, struct gm_block *own, gm_bm keep, uint64_t prefer,
		   uint64_t *frame)
{
	while ((*frame = free_frame(dev, prefer)) == GM_PHYS_NONE) {
		int err = gmc_evict(dev, own, keep);
		if (err)
			return err;
	}
	if (back_frame(dev, *frame))
		return 0;
	gmi_phys_free(dev->phys, *frame, dev->page_order);
	return -ENOMEM;
}

int gmc_frames_take(struct gm_block *b, struct gm_ctx *ctx, gm_bm set, gm_bm keep)
{
	struct gm_dev *dev = ctx->dev;
	struct gm_block_dev *bd = b->dev[dev->index];

	for_each_device_page (&set, bd->order, i) {
		unsigned n = i >> bd->order;
		uint64_t f;
		if (bd->frame[n] != GM_NO_FRAME)
			continue;
		int err = gmc_frame_take(dev, b, keep, preferred_frame(bd, n), &f);
		if (err)
			return err;
		__atomic_store_n(&bd->frame[n], (uint32_t)(f >> GM_PAGE_SHIFT), __ATOMIC_RELAXED);
	}
	return 0;
}

void gmc_frames_drop(struct gm_block *b, struct gm_dev *dev, gm_bm set)
{
	struct gm_block_dev *bd = b->dev[dev->index];

	for_each_device_page (&set, bd->order, i) {
		unsigned n = i >> bd->order;
		if (bd->frame[n] == GM_NO_FRAME ||
		    !gm_bm_empty(gm_bm_and(bd->valid, gm_bm_page_of_order(i, bd->order))))
			continue;
		gmc_frame_lru_gone(dev, bd->frame[n]);
		gmc_plugin_gone(dev, bd->frame[n]);
		gmi_phys_free(dev->phys, gm_bytes_of(bd->frame[n]), bd->order);
		__atomic_store_n(&bd->frame[n], GM_NO_FRAME,
				 __ATOMIC_RELAXED); /* frame_lru.c looks without the lock */
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
