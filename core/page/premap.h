/*
 * premap.h - what gm_as_map mapped to a device ahead of its touch, to stay; and whose pins are
 * whose.
 *
 * Premapped pages are pinned on the host and mapped remotely. Block locked throughout.
 */
#ifndef GM_CORE_PREMAP_H
#define GM_CORE_PREMAP_H

#include "core/page/registry.h"

/* What one device holds of a block: made by the first gm_as_map there. */
struct gm_premap {
	gm_bm r, w; /* what it must be able to reach; w: write, too */
	gm_bm pins; /* pinned only because of that */
	/* which the last mapping gave the right to write. A later one of another thread changes
	 * it: what both wanted to write is then not of it, and keeps the right */
	gm_bm fresh_w;
	/* by page: how often more than once it is mapped; NULL: no page is */
	uint16_t *more;
};

/* The program pins or unpins `set`. Pages that a device holds stay pinned until it lets go. */
void gmc_block_pin(struct gm_block *b, gm_bm set, bool pin);
/* Pages that some device holds. */
gm_bm gmc_premapped(const struct gm_block *b);
/* The mapping of `set` is gone: nobody holds it. */
void gmc_premap_drop(struct gm_block *b, gm_bm set);
/* Device d's part of the block goes. */
void gmc_premap_forget(struct gm_block *b, unsigned d);
/* Entries of held pages that were taken away (fork, rights, dropped contents) come back, as far
 * as rights allow. */
int gmc_premap_restore(struct gm_block *b, gm_bm set);
/* What the device may only read although the program may write: held so by one that cannot fault
 * to be given more. */
gm_bm gmc_premap_readonly(const struct gm_block *b, const struct gm_ctx *ctx);
/* A device that cannot wait for faults misses the entry of page i: it gets what it holds.
 * -EFAULT: nothing; -EPERM: only the right to read. */
int gmc_premap_walk(struct gm_block *b, struct gm_ctx *ctx, unsigned i, bool write);

/*
 * The device holds `set` once more, and has its entries: with the right to write if any of the
 * mappings gave it. 0, -ENOSPC (65536 times), -EFAULT (not mapped, or nothing that
 * can be pinned), -EPERM, -ENOMEM, -EAGAIN, the driver's error.
 */
int gmc_premap_add(struct gm_block *b, struct gm_ctx *ctx, gm_bm set, bool write);
/*
 * It holds `set` once less, and loses the entries of what it does not hold any more. 0 or the
 * driver's error
 */
int gmc_premap_remove(struct gm_block *b, struct gm_ctx *ctx, gm_bm set);
/* The same for an add that was part of a mapping that failed elsewhere. */
int gmc_premap_undo(struct gm_block *b, struct gm_ctx *ctx, gm_bm set, bool write);

#endif
