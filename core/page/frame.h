/*
 * frame.h - memory of a device: frames under the pages of a block, taken when a page comes, given
 * back when the last page of one has gone. Block locked throughout.
 */
#ifndef GM_CORE_FRAME_H
#define GM_CORE_FRAME_H

#include "core/page/registry.h"

/*
 * A frame of the device's page size, at `prefer` if that can be, with memory of the host behind
 * it; evicts if it must (see gmc_evict), but not `keep` of `own`. 0, -EAGAIN, -ENOSPC, -ENOMEM
 */
int gmc_frame_take(struct gm_dev *dev, struct gm_block *own, gm_bm keep, uint64_t prefer,
		   uint64_t *frame);
/* A frame that was taken, and that nothing is in. Where too many such frames have memory of the
 * host behind them (spare.h), that goes back, too. */
void gmc_frame_give(struct gm_dev *dev, uint64_t frame);

/* The same, but what is behind it stays. */
void gmc_frame_free(struct gm_dev *dev, uint64_t frame);

/* Every device page with a page in `set` has a frame, evicting if it must, but not `keep`. 0,
 * -EAGAIN, -ENOSPC, -ENOMEM */
int gmc_frames_take(struct gm_block *b, struct gm_ctx *ctx, gm_bm set, gm_bm keep);
/* Frames of `set` in which no page is valid (any more) go back. */
void gmc_frames_drop(struct gm_block *b, struct gm_dev *dev, gm_bm set);
/* In a fork child, which has no device: the block has none, and nobody gets them back. */
void gmc_frames_forget(struct gm_block_dev *bd);
/* The device has `valid` from now on; the frames of what it has lost go back. */
void gmc_set_valid(struct gm_block *b, struct gm_ctx *ctx, gm_bm valid);

/* Physical page number (4 KiB units, from phys_begin) of page i; its device page must have a
 * frame. */
static inline uint64_t gm_frame_of(const struct gm_block_dev *bd, unsigned i)
{
	return (uint64_t)gm_frame_at(bd, i >> bd->order) + (i & ((1u << bd->order) - 1));
}

#endif
