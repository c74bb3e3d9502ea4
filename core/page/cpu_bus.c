/* The CPU's mappings of device memory. See cpu_bus.h. */
#include "core/page/cpu_bus.h"
#include "core/page/cpu_mmu.h"
#include "core/page/rights.h"

/* The device that has page i to itself, and keeps it; NULL: none. */
static struct gm_dev *keeper(const struct gm_block *b, unsigned i)
{
	for (int d = 0; d < GM_MAX_DEV; d++) {
		if (!b->dev[d] || !gm_bm_test(&b->dev[d]->valid, i))
			continue;
		const struct gm_ctx *ctx = b->as->ctx[d];
		bool stays =
			ctx->dev->aperture && gmc_policy_of(ctx, GM_POLICY_PLACEMENT).def->stays;
		return stays && !gm_bm_test(&b->host, i) ? ctx->dev : NULL;
	}
	return NULL;
}

static int map_run(struct gm_block *b, struct gm_dev *dev, unsigned first, unsigned end)
{
	uint64_t pa = dev->phys_begin + gm_frame_of(b->dev[dev->index], first) * GM_PAGE_BYTES;

	return gmc_store_clone(dev->aperture + pa, b->va + first * GM_PAGE_BYTES,
			       (end - first) * GM_PAGE_BYTES);
}

bool gmc_bus_map(struct gm_block *b, unsigned i, gm_bm around)
{
	struct gm_dev *dev = keeper(b, i);
	gm_bm done = gm_bm_zero();

	if (!dev)
		return false;
	struct gm_block_dev *bd = b->dev[dev->index];
	around = gm_bm_and(gm_bm_andnot(around, gm_bm_or(b->host, b->cpu_bus)),
			   gm_bm_and(bd->valid, b->adopted));
	gm_bm_for_each_run (&around, first, end)
		for (unsigned j = first, k; j < end; j = k) {
			for (k = j + 1;
			     k < end && gm_frame_of(bd, k) == gm_frame_of(bd, j) + (k - j); k++)
				;
			if (map_run(b, dev, j, k))
				break;
			done = gm_bm_or(done, gm_bm_range(j, k));
		}
	b->cpu_bus = gm_bm_or(b->cpu_bus, done);
	if (gmc_protect_runs(b, done, b->prog_r, b->prog_w))
		gmc_bus_unmap(b, done);
	gmc_cpu_note(b, gm_bm_zero(), gm_bm_zero(), gm_bm_zero());
	return gm_bm_test(&b->cpu_bus, i);
}

int gmc_bus_unmap(struct gm_block *b, gm_bm set)
{
	set = gm_bm_and(set, b->cpu_bus);
	gm_bm_for_each_run (&set, first, end) {
		int err = gmc_cpu->adopt(b, first, end, false);
		if (err)
			return err;
		b->cpu_bus = gm_bm_andnot(b->cpu_bus, gm_bm_range(first, end));
	}
	if (!gm_bm_empty(set))
		gmc_cpu_note(b, gm_bm_zero(), gm_bm_zero(), gm_bm_zero());
	return 0;
}
