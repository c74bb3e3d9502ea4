/* The CPU's mappings of device memory. See cpu_bus.h. */
#include "core/page/cpu_bus.h"
#include "core/page/cpu_mmu.h"
#include "core/page/migrate.h"
#include "core/page/rights.h"
#include <sys/mman.h>

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

/* ---- what the CPU reached ---- */

static _Atomic bool used; /* has there ever been such a mapping? */

static void settle(struct gm_block *b, gm_bm set)
{
	gm_bm touched = gm_bm_and(gmc_touched(b, 0, GM_PAGES_PER_BLOCK), set);

	for (int d = 0; d < GM_MAX_DEV; d++) {
		struct gm_ctx *ctx = b->dev[d] ? b->as->ctx[d] : NULL;
		gm_bm on = ctx ? gm_bm_and(touched, b->dev[d]->valid) : gm_bm_zero();
		if (!gm_bm_empty(on) && ctx->dev->mmu->account_cpu)
			ctx->dev->mmu->account_cpu(ctx->pmap, gm_bm_count(on) * GM_PAGE_BYTES);
	}
	gm_bm_for_each_run (&touched, first, end)
		gm_sys3(SYS_madvise, b->va + first * GM_PAGE_BYTES, (end - first) * GM_PAGE_BYTES,
			MADV_DONTNEED);
}

void gmi_bus_settle(void)
{
	if (gm_likely(!atomic_load_explicit(&used, memory_order_relaxed)) || !gmi_opt.sample)
		return;
	gm_sigmask mask = gmi_block_signals();
	gmi_lock(&gmc_registry_lock);
	for (int i = 0; i < GM_MAX_AS; i++) {
		struct gm_block *b;
		if (!gmc_spaces[i])
			continue;
		gm_for_each_block (gmc_spaces[i], b) {
			gmi_lock(&b->lock);
			if (!gm_bm_empty(b->cpu_bus))
				settle(b, b->cpu_bus);
			gmi_unlock(&b->lock);
		}
	}
	gmi_unlock(&gmc_registry_lock);
	gmi_restore_signals(mask);
}

/* ---- mappings ---- */

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
	atomic_store_explicit(&used, true, memory_order_relaxed);
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
	if (gmi_opt.sample && !gm_bm_empty(set))
		settle(b, set);
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
