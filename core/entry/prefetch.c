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

/* Pages of `set` that are to come: writable ones, read-only ones. */
struct todo {
	gm_bm rw, ro, wanted;
	bool write; /* readers' copies are no use: it shall be the only holder */
};

static struct todo look(const struct gm_block *b, const struct gm_ctx *ctx, gm_bm set)
{
	const struct gm_block_dev *bd = b->dev[ctx->dev->index];
	gm_bm wanted = gm_bm_andnot(gm_bm_and(set, b->prog_r), bd ? bd->valid : gm_bm_zero()),
	      come = gm_bm_andnot(wanted, b->pinned);
	bool copies = !gm_bm_empty(b->read_mostly) || ctx->mode == GM_MMU_MODE_REPLICATE;

	return (struct todo){.rw = gm_bm_and(come, b->prog_w),
			     .ro = gm_bm_andnot(come, b->prog_w),
			     .wanted = wanted,
			     .write = !copies};
}

static void note_came(struct prefetch *q, struct gm_block *b, gm_bm set, const struct todo *t)
{
	const struct gm_ctx *ctx = q->ctx;
	const struct gm_block_dev *bd = b->dev[ctx->dev->index];
	gm_bm left = t->wanted;

	if (bd && ctx->mode == GM_MMU_MODE_SHARE) /* mapped is all that there is */
		gm_bm_remove(&left, bd->remote);
	else if (bd)
		gm_bm_remove(&left, bd->valid);
	q->stayed += gm_bm_count(left);
	gm_bm came = gm_bm_andnot(gm_bm_or(t->rw, t->ro), left);
	GM_COUNT(prefetched_pages, gm_bm_count(came));
	gmc_block_trace(GM_EV_PREFETCH, b, (int)ctx->dev->index, came, 0);
	gmc_hint_follow(b, set);
}

/* ---- one block by itself ---- */

/* What the program may write arrives writable; read-only pages in a second step. */
static int prefetch_block(struct gm_block *b, gm_bm set, void *arg)
{
	struct prefetch *q = arg;
	struct todo t = look(b, q->ctx, set);
	int err = gmc_migrate_asked(b, q->ctx, t.rw, t.write);

	if (!err)
		err = gmc_migrate_asked(b, q->ctx, t.ro, false);
	if (!err)
		note_came(q, b, set, &t);
	return err;
}

/* ---- several in one batch ---- */

#define GROUP 4 /* 8 MiB: by then the link is full whatever a call costs */

/* Blocks that are locked, the first waited for, the others by trylock; their steps wait in ops. */
struct group {
	struct prefetch *q;
	struct gm_ops ops;
	unsigned n;
	struct part {
		struct gm_block *b;
		gm_bm set;
		struct todo todo;
		struct gm_move move;
	} part[GROUP];
};

/* All of them are unlocked. The first error */
static int group_send(struct group *g)
{
	int sent = gmc_ops_flush(&g->ops), first = 0;

	for (unsigned i = 0; i < g->n; i++) {
		struct part *p = &g->part[i];
		int err = gmc_migrate_end(&p->move, sent);
		first = first ? first : err;
		if (!err)
			note_came(g->q, p->b, p->set, &p->todo);
		gmi_unlock(&p->b->lock);
	}
	g->n = 0;
	g->ops = (struct gm_ops){.ctx = g->q->ctx};
	return first;
}

/* Block locked: it joins. -ENOTSUP: rights differ within it; other errors: no room, ... */
static int group_join(struct group *g, struct gm_block *b, gm_bm set)
{
	struct part *p = &g->part[g->n++];

	p->b = b;
	p->set = set;
	p->todo = look(b, g->q->ctx, set);
	p->move = (struct gm_move){.b = b, .ctx = g->q->ctx};
	if (!gm_bm_empty(p->todo.ro))
		return -ENOTSUP;
	return gm_bm_empty(p->todo.rw) ? 0
				       : gmc_migrate_begin(&p->move, b, g->q->ctx, p->todo.rw,
							   p->todo.write, &g->ops);
}

/*
 * As many of the n blocks, from the first on, as can be locked: *done. After trouble of any kind
 * each by itself.
 */
static int prefetch_group(struct group *g, struct gm_block *const *blocks, unsigned n, uintptr_t lo,
			  uintptr_t hi, unsigned *done)
{
	unsigned i = 0, stayed = g->q->stayed;
	int err = 0;
	gm_sigmask mask = gmi_block_signals();

	gmi_lock(&blocks[0]->lock);
	do
		err = group_join(g, blocks[i],
				 gm_bm_and(gm_block_pages(blocks[i], lo, hi), blocks[i]->managed));
	while (++i < n && !err && gmi_trylock(&blocks[i]->lock));
	int sent = group_send(g);
	gmi_restore_signals(mask);
	*done = i;
	if (!err && !sent)
		return 0;
	g->q->stayed = stayed;
	return gmc_each_block(blocks[0]->as, gm_max(lo, blocks[0]->va),
			      gm_min(hi, blocks[i - 1]->va + GM_BLOCK_BYTES), true, prefetch_block,
			      g->q);
}

static int prefetch_all(struct gm_as *as, struct group *g, uintptr_t lo, uintptr_t hi)
{
	struct gm_block *blocks[GROUP];
	unsigned n, done;
	int err = 0;

	for (uintptr_t va = gm_align_down(lo, GM_BLOCK_BYTES); va < hi && !err;
	     va += done * GM_BLOCK_BYTES) {
		gm_sigmask mask = gmi_block_signals();
		for (n = done = 0; n < GROUP && va + n * GM_BLOCK_BYTES < hi && !err; n++) {
			blocks[n] = gmc_block_get(as, va + n * GM_BLOCK_BYTES);
			err = blocks[n] ? 0 : -ENOMEM;
		}
		gmi_restore_signals(mask);
		if (!err)
			err = prefetch_group(g, blocks, n, lo, hi, &done);
	}
	return err;
}

int gmc_prefetch(struct gm_as *as, uintptr_t lo, uintptr_t hi, struct gm_dev *dev)
{
	struct prefetch q = {.ctx = as->ctx[dev->index]};

	if (!q.ctx)
		return -ENODEV;
	int err = gmi_activate();
	struct group *g = err ? NULL : gmi_alloc(sizeof *g);
	if (!err && !g)
		err = -ENOMEM;
	if (!err) {
		g->q = &q;
		g->ops.ctx = q.ctx;
		err = prefetch_all(as, g, lo, hi);
	}
	gmi_free(g, sizeof *g);
	return !err && q.stayed ? -EBUSY : err;
}
