/* From one memory of a device to the next. See spill.h. */
#include "core/page/spill.h"
#include "core/page/migrate.h"
#include "core/page/plan.h"

/* What is refused stays. Not gmc_migrate_asked(): that may take more of the block than `set`. */
static void spill_part(struct gm_block *b, struct gm_ctx *to, gm_bm set, bool write)
{
	struct gm_ops o = {.ctx = to};
	struct gm_move m;

	if (gm_bm_empty(set))
		return;
	gmc_migrate_begin(&m, b, to, set, write, &o);
	gmc_migrate_end(&m, gmc_ops_flush(&o));
}

gm_bm gmc_spill(struct gm_block *b, const struct gm_dev *dev, gm_bm set)
{
	unsigned below = __atomic_load_n(&dev->spill, __ATOMIC_RELAXED);
	struct gm_ctx *to = below ? b->as->ctx[below - 1] : NULL;
	struct gm_block_dev *bd = b->dev[dev->index];
	struct gm_places at;

	if (gm_likely(!to) || !to->dev->phys || gmc_vmas_short(b->as))
		return gm_bm_zero();
	gmc_places(b, &at);
	gm_bm mine = gm_bm_and(gm_bm_and(set, bd->valid), at.in[GM_DEVICE]);
	gm_bm_add(&bd->evicted, mine); /* and so it is still there when nothing is left on it */
	spill_part(b, to, gm_bm_and(mine, b->prog_w), true);
	spill_part(b, to, gm_bm_andnot(mine, b->prog_w), false);
	gm_bm_remove(&bd->evicted, bd->valid);
	return gm_bm_andnot(mine, bd->valid);
}
