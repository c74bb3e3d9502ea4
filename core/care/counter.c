/* Access counters of pages over the bus. See counter.h. */
#include "core/care/counter.h"
#include "core/page/migrate.h"
#include "core/page/registry.h"

/* Counts; the used leaves of the granules that are hot now. */
static gm_bm count_used(struct gm_block_dev *bd, const uint16_t *accesses, struct gm_counting how)
{
	struct gm_block_rare *rare = gmc_block_rare(bd);
	gm_bm hot = gm_bm_zero();

	if (!rare) /* no memory: nothing is counted */
		return hot;
	for (unsigned g = 0; g < GM_LEAVES; g += how.granule_leaves) {
		unsigned sum = 0;
		for (unsigned i = g; i < g + how.granule_leaves; i++) {
			rare->hits[i] = (uint16_t)gm_min(rare->hits[i] + accesses[i], UINT16_MAX);
			sum += rare->hits[i];
		}
		for (unsigned i = g; sum >= how.threshold && i < g + how.granule_leaves; i++) {
			if (rare->hits[i])
				gm_bm_add(&hot,
					  gm_bm_range(i * GM_LEAF_PAGES, (i + 1) * GM_LEAF_PAGES));
			rare->hits[i] = 0;
		}
	}
	return gm_bm_and(hot, bd->remote);
}

/* Block locked. What is refused (no frame, no memory) stays where it is. */
static void counter_add(struct gm_block *b, struct gm_ctx *ctx, const uint16_t *accesses,
			struct gm_counting how)
{
	struct gm_block_dev *bd = b->dev[ctx->dev->index];

	if (!bd || !gm_policy_of(ctx, GM_POLICY_PLACEMENT).def->counted)
		return;
	gm_bm hot = gm_bm_andnot(count_used(bd, accesses, how), b->pinned), had = bd->valid;
	gm_bm rw = gm_bm_and(hot, b->prog_w), ro = gm_bm_andnot(hot, rw);
	if (gm_bm_empty(hot))
		return;
	if (!gmc_migrate_asked(b, ctx, rw, true))
		gmc_migrate_asked(b, ctx, ro, false);
	GM_COUNT(counted_pages, gm_bm_count(gm_bm_andnot(bd->valid, had)));
}

void gmi_counter_note(uintptr_t va, struct gm_dev *dev, const uint16_t accesses[GM_LEAVES],
		      struct gm_counting how)
{
	struct gm_as *as = gmc_as_find(va);
	struct gm_block *b = as ? gm_block_find(as, va) : NULL;
	struct gm_ctx *ctx = b ? as->ctx[dev->index] : NULL;

	if (!ctx)
		return;
	gm_sigmask mask = gmi_block_signals();
	gmi_lock(&b->lock);
	counter_add(b, ctx, accesses, how);
	gmi_unlock(&b->lock);
	gmi_restore_signals(mask);
}
