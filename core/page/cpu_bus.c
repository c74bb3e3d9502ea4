/* The CPU's mappings of device memory. See cpu_bus.h. */
#include "core/page/cpu_bus.h"
#include "core/page/cpu_mmu.h"
#include "core/page/driver.h"
#include "core/count/report.h"
#include "core/page/frame.h"
#include "core/page/hint_mirror.h"
#include "core/page/rights.h"
#include "core/page/store.h"
#include <sys/mman.h>

gm_bm gmc_bus_stays(const struct gm_block *b)
{
	gm_bm stays = gm_bm_zero(), any = gm_bm_zero(), no = b->host;

	gm_for_each_dev (b, d) {
		const struct gm_block_dev *bd = b->dev[d];
		const struct gm_ctx *ctx = b->as->ctx[d];
		gm_bm_add(&no, gm_bm_and(any, bd->valid));
		gm_bm_add(&any, bd->valid);
		if (!ctx->dev->aperture)
			continue;
		if ((ctx->mode == GM_MMU_MODE_SHARE ||
		     gm_policy_of(ctx, GM_POLICY_PLACEMENT).def->stays))
			gm_bm_add(&stays, bd->valid);
		else if (b->hints)
			gm_bm_add(&stays, gm_bm_and(bd->valid, b->hints->accessed_by_cpu));
		if (b->hints)
			gm_bm_add(&no, gm_bm_and(bd->valid, gmc_hint_alone(b, (unsigned)d)));
	}
	return gm_bm_andnot(stays, no);
}

/* ---- what the CPU reached ---- */

static _Atomic bool used; /* has there ever been such a mapping? */

static void settle_touched(struct gm_block *b, gm_bm set)
{
	gm_bm touched = gm_bm_and(gmc_touched(b, 0, GM_PAGES_PER_BLOCK), set);

	for (int d = 0; d < GM_MAX_DEV; d++) {
		struct gm_ctx *ctx = b->dev[d] ? b->as->ctx[d] : NULL;
		gm_bm on = ctx ? gm_bm_and(touched, b->dev[d]->valid) : gm_bm_zero();
		if (!gm_bm_empty(on))
			gmc_driver(ctx->dev, GM_CB_ACCOUNT_CPU, (uintptr_t)ctx->pmap,
				   gm_bm_count(on) * GM_PAGE_BYTES);
	}
	gm_bm_for_each_run (&touched, first, end)
		gm_sys3(SYS_madvise, b->va + first * GM_PAGE_BYTES, (end - first) * GM_PAGE_BYTES,
			MADV_DONTNEED);
}

static bool settle_block(struct gm_block *b)
{
	if (!gm_bm_empty(b->cpu_bus))
		settle_touched(b, b->cpu_bus);
	return true;
}

void gmi_bus_settle(void)
{
	if (gm_likely(!atomic_load_explicit(&used, memory_order_relaxed)) || !gmi_opt.sample)
		return;
	gmc_all_blocks(settle_block);
}

/* ---- mappings ---- */

/* A run of frames side by side. */
static int bus_map_run(struct gm_block *b, const struct gm_dev *dev, unsigned first, unsigned end)
{
	uint64_t pa = dev->phys_begin + gm_frame_of(b->dev[dev->index], first) * GM_PAGE_BYTES;

	return gmc_store_clone(dev->aperture + pa, b->va + first * GM_PAGE_BYTES,
			       (end - first) * GM_PAGE_BYTES);
}

static gm_bm bus_map_device(struct gm_block *b, const struct gm_dev *dev, gm_bm set)
{
	const struct gm_block_dev *bd = b->dev[dev->index];
	gm_bm done = gm_bm_zero();

	gm_bm_for_each_run (&set, first, end)
		for (unsigned j = first, k; j < end; j = k) {
			for (k = j + 1;
			     k < end && gm_frame_of(bd, k) == gm_frame_of(bd, j) + (k - j); k++)
				;
			if (bus_map_run(b, dev, j, k))
				break;
			gm_bm_add(&done, gm_bm_range(j, k));
		}
	return done;
}

void gmc_bus_map(struct gm_block *b, gm_bm set)
{
	gm_bm done = gm_bm_zero();

	set = gm_bm_and(gm_bm_andnot(set, b->cpu_bus), gm_bm_and(gmc_bus_stays(b), b->adopted));
	gm_for_each_dev (b, d)
		gm_bm_add(&done,
			  bus_map_device(b, b->as->ctx[d]->dev, gm_bm_and(set, b->dev[d]->valid)));
	if (gm_bm_empty(done))
		return;
	atomic_store_explicit(&used, true, memory_order_relaxed);
	gmc_report_collect(gmi_bus_settle);
	gm_bm_add(&b->cpu_bus, done);
	if (gmc_protect_runs(b, done, b->prog_r, b->prog_w))
		gmc_bus_unmap(b, done);
	gmc_cpu_note(b, gm_bm_zero(), gm_bm_zero(), gm_bm_zero());
}

int gmc_bus_unmap(struct gm_block *b, gm_bm set)
{
	set = gm_bm_and(set, b->cpu_bus);
	if (gmi_opt.sample && !gm_bm_empty(set))
		settle_touched(b, set);
	gm_bm_for_each_run (&set, first, end) {
		int err = gmc_cpu->adopt(b, first, end, false);
		if (err)
			return err;
		gm_bm_remove(&b->cpu_bus, gm_bm_range(first, end));
	}
	if (!gm_bm_empty(set))
		gmc_cpu_note(b, gm_bm_zero(), gm_bm_zero(), gm_bm_zero());
	return 0;
}
