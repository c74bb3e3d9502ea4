/* Access counters of pages over the bus. See counter.h. */
#include "core/care/counter.h"
#include "core/page/driver.h"
#include "core/page/migrate.h"
#include <errno.h>

/* Of the granules that were touched: those hot enough to move. */
static gm_bm count(struct gm_block_dev *bd, gm_bm touched)
{
	gm_bm hot = gm_bm_zero();

	for (unsigned i = 0; i < GM_LEAVES; i++) {
		gm_bm leaf = gm_bm_range(i * GM_LEAF_PAGES, (i + 1) * GM_LEAF_PAGES);
		if (gm_bm_empty(gm_bm_and(touched, leaf)))
			bd->hits[i] = 0;
		else if (++bd->hits[i] >= GM_COUNTER_HOT)
			hot = gm_bm_or(hot, leaf);
	}
	return gm_bm_and(hot, bd->remote);
}

/* False: nothing of the block is over this bus, or nobody can tell. */
static bool read_one(struct gm_block *b, struct gm_block_dev *bd, struct gm_ctx *ctx)
{
	const struct gm_mmu *mmu = ctx->dev->mmu;
	gm_bm touched = gm_bm_zero();

	if (gm_bm_empty(bd->remote) || !mmu->accessed ||
	    !gm_policy_of(ctx, GM_POLICY_PLACEMENT).def->counted)
		return false;
	if (gmc_driver(ctx->dev, GM_CB_ACCESSED, (uintptr_t)ctx->pmap, b->va, GM_BLOCK_BYTES,
		       (uintptr_t)touched.w))
		return true;
	gm_bm hot = gm_bm_andnot(count(bd, gm_bm_and(touched, bd->remote)), b->pinned);
	if (gm_bm_empty(hot))
		return true;
	gm_bm rw = gm_bm_and(hot, b->prog_w), ro = gm_bm_andnot(hot, rw);
	/* Refused (no frame, no memory): they stay where they are, and hot. */
	if (!gmc_migrate_asked(b, ctx, rw, true) && !gmc_migrate_asked(b, ctx, ro, false))
		GM_COUNT(counted_pages, gm_bm_count(hot));
	return true;
}

bool gmc_counter_read(struct gm_block *b)
{
	bool again = false;

	for (int d = 0; d < GM_MAX_DEV; d++)
		if (b->dev[d])
			again |= read_one(b, b->dev[d], b->as->ctx[d]);
	return again;
}
