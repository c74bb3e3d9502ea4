/* Ranges that go to a device before it asks. See prefetch.h. */
#include "core/entry/prefetch.h"
#include "core/page/activate.h"
#include "core/page/hint_mirror.h"
#include "core/page/migrate.h"
#include "core/space/range.h"
#include "core/count/trace.h"
#include <errno.h>

struct prefetch {
	struct gm_ctx *ctx;
	unsigned stayed; /* pages that are not there, though the program may read them */
};

static int do_prefetch(struct gm_block *b, gm_bm set, void *arg)
{
	struct prefetch *q = arg;
	struct gm_ctx *ctx = q->ctx;
	gm_bm old = b->dev[ctx->dev->index] ? b->dev[ctx->dev->index]->valid : gm_bm_zero();
	gm_bm wanted = gm_bm_andnot(gm_bm_and(set, b->prog_r), old),
	      todo = gm_bm_andnot(wanted, b->pinned);
	/* What the program may write arrives writable; read-only pages in a second step. */
	gm_bm rw = gm_bm_and(todo, b->prog_w), ro = gm_bm_andnot(todo, rw);
	bool copies = !gm_bm_empty(b->read_mostly) || ctx->mode == GM_MMU_MODE_REPLICATE;
	int err = gmc_migrate_asked(b, ctx, rw, !copies);

	if (!err)
		err = gmc_migrate_asked(b, ctx, ro, false);
	if (err)
		return err;
	const struct gm_block_dev *bd = b->dev[ctx->dev->index];
	if (bd && ctx->mode == GM_MMU_MODE_SHARE) /* mapped is all that there is */
		gm_bm_remove(&wanted, bd->remote);
	else if (bd)
		gm_bm_remove(&wanted, bd->valid);
	q->stayed += gm_bm_count(wanted);
	gm_bm came = gm_bm_andnot(todo, wanted);
	GM_COUNT(prefetched_pages, gm_bm_count(came));
	gmc_block_trace(GM_EV_PREFETCH, b, (int)ctx->dev->index, came, 0);
	gmc_hint_follow(b, set);
	return 0;
}

int gmc_prefetch(struct gm_as *as, uintptr_t lo, uintptr_t hi, struct gm_dev *dev)
{
	struct prefetch q = {.ctx = as->ctx[dev->index]};

	if (!q.ctx)
		return -ENODEV;
	int err = gmi_activate();
	if (!err)
		err = gmc_each_block(as, lo, hi, true, do_prefetch, &q);
	return !err && q.stayed ? -EBUSY : err;
}
