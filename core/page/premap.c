/*
 * premap.c - see premap.h. What is premapped (struct gm_premap) is the truth; its entries (map_r,
 * map_w) may be taken away and made again.
 */
#include "core/page/premap.h"
#include "core/page/migrate.h"
#include "core/page/entries.h"
#include <errno.h>

static struct gm_premap *premap_of(const struct gm_block *b, unsigned d)
{
	return b->dev[d] ? b->dev[d]->premap : NULL;
}

#define for_each_premap(b, h)                                                                      \
	for (unsigned d_ = 0; d_ < GM_MAX_DEV; d_++)                                               \
		for (struct gm_premap *h = premap_of(b, d_); h; h = NULL)

gm_bm gmc_premapped(const struct gm_block *b)
{
	gm_bm all = gm_bm_zero();

	for_each_premap(b, h) gm_bm_add(&all, h->r);
	return all;
}

void gmc_block_pin(struct gm_block *b, gm_bm set, bool pin)
{
	gm_bm held = gm_bm_zero();

	for_each_premap(b, h)
	{
		if (pin) {
			gm_bm_remove(&h->pins, set);
			continue;
		}
		gm_bm its = gm_bm_andnot(gm_bm_and(set, h->r), held);
		gm_bm_add(&h->pins, its);
		gm_bm_add(&held, its);
	}
	b->pinned =
		pin ? gm_bm_or(b->pinned, set) : gm_bm_andnot(b->pinned, gm_bm_andnot(set, held));
}

/* ---- how often ---- */

#define MORE_BYTES (GM_PAGES_PER_BLOCK * sizeof(uint16_t))

#define for_each_page(set, i)                                                                      \
	for (unsigned i = gm_bm_next((set), 0, true); i < GM_PAGES_PER_BLOCK;                      \
	     i = gm_bm_next((set), i + 1, true))

/* Pages of `set` that are premapped already are so once more. 0, -ENOMEM, -ENOSPC */
static int count_up(struct gm_premap *h, gm_bm set)
{
	set = gm_bm_and(set, h->r);
	if (gm_bm_empty(set))
		return 0;
	if (!h->more && !(h->more = gmi_alloc(MORE_BYTES)))
		return -ENOMEM;
	for_each_page(&set, i) if (h->more[i] == UINT16_MAX) return -ENOSPC;
	for_each_page(&set, i) h->more[i]++;
	return 0;
}

/* Returns those of `set` that are premapped no more. */
static gm_bm count_down(struct gm_premap *h, gm_bm set)
{
	set = gm_bm_and(set, h->r);
	for_each_page(&set, i) if (h->more && h->more[i])
	{
		h->more[i]--;
		gm_bm_remove(&set, gm_bm_range(i, i + 1));
	}
	return set;
}

/* The device holds `set` no longer; what it alone had pinned is free. */
static void let_go(struct gm_block *b, struct gm_premap *h, gm_bm set)
{
	for_each_page(&set, i) if (h->more) h->more[i] = 0;
	gm_bm loose = gm_bm_and(h->pins, set);

	gm_bm_remove(&h->r, set);
	gm_bm_remove(&h->w, set);
	gm_bm_remove(&h->pins, set);
	for_each_premap(b, other)
	{
		gm_bm its = gm_bm_and(loose, other->r);
		gm_bm_add(&other->pins, its);
		gm_bm_remove(&loose, its);
	}
	gm_bm_remove(&b->pinned, loose);
}

void gmc_premap_drop(struct gm_block *b, gm_bm set)
{
	for_each_premap(b, h) let_go(b, h, set);
}

/* Makes the entries of what is premapped of `set`. */
static int premap_enter(struct gm_block *b, struct gm_ctx *ctx, gm_bm set)
{
	const struct gm_premap *h = premap_of(b, ctx->dev->index);
	gm_bm w = gm_bm_and(gm_bm_and(set, h->w), b->prog_w);
	gm_bm r = gm_bm_and(gm_bm_andnot(gm_bm_and(set, h->r), w), b->prog_r);
	int err = gm_bm_empty(w) ? 0 : gmc_map_remote(b, ctx, w, true);

	if (!err && !gm_bm_empty(r))
		err = gmc_map_remote(b, ctx, r, false);
	return err;
}

gm_bm gmc_premap_readonly(const struct gm_block *b, const struct gm_ctx *ctx)
{
	const struct gm_premap *h = premap_of(b, ctx->dev->index);

	return h && !(ctx->dev->cap & GM_DEV_CAP_REPLAYABLE) ? gm_bm_andnot(h->r, h->w)
							     : gm_bm_zero();
}

void gmc_premap_forget(struct gm_block *b, unsigned d)
{
	struct gm_premap *h = premap_of(b, d);

	if (!h)
		return;
	let_go(b, h, h->r);
	b->dev[d]->premap = NULL;
	gmi_free(h->more, MORE_BYTES);
	gmi_free(h, sizeof *h);
}

int gmc_premap_walk(struct gm_block *b, struct gm_ctx *ctx, unsigned i, bool write)
{
	const struct gm_premap *h = premap_of(b, ctx->dev->index);

	if (!h || !gm_bm_test(&h->r, i))
		return -EFAULT;
	if (write && !gm_bm_test(&h->w, i))
		return -EPERM;
	unsigned order = b->dev[ctx->dev->index]->order, first = i >> order << order;
	return premap_enter(b, ctx, gm_bm_page_of_order(first, order));
}

int gmc_premap_restore(struct gm_block *b, gm_bm set)
{
	int err = 0;

	for_each_premap(b, h)
	{
		gm_bm lost = gm_bm_andnot(gm_bm_and(set, h->r), b->dev[d_]->map_r);
		gm_bm_add(&lost, gm_bm_andnot(gm_bm_and(set, h->w), b->dev[d_]->map_w));
		if (!err && !gm_bm_empty(lost))
			err = premap_enter(b, b->as->ctx[d_], lost);
	}
	return err;
}

/* ---- made and ended ---- */

/* A mapping that gave `set` the right to write is undone: what had it before keeps it. */
static void take_write_back(struct gm_block *b, struct gm_ctx *ctx, struct gm_premap *h, gm_bm set)
{
	gm_bm back = gm_bm_and(set, h->fresh_w);

	if (!gm_bm_empty(back) && !gmc_dev_write_protect(b, ctx, back))
		gm_bm_remove(&h->w, back);
}

int gmc_premap_add(struct gm_block *b, struct gm_ctx *ctx, gm_bm set, bool write)
{
	if (!gm_bm_empty(gm_bm_andnot(set, gm_bm_and(b->prog_r, b->managed))))
		return -EFAULT;
	if (write && !gm_bm_empty(gm_bm_andnot(set, b->prog_w)))
		return -EPERM;
	int err = gm_ctx_refuses(ctx);
	struct gm_block_dev *bd = err ? NULL : gmc_block_dev_get(b, ctx);
	if (!bd || (!bd->premap && !(bd->premap = gmi_alloc(sizeof *bd->premap))))
		return err ? err : -ENOMEM;
	err = gmc_migrate_home(b, set, true);
	if (err)
		return err;
	struct gm_premap *h = bd->premap;
	gm_bm fresh = gm_bm_andnot(set, h->r);
	err = count_up(h, set);
	if (err)
		return err;
	gm_bm_add(&h->pins, gm_bm_andnot(set, b->pinned));
	gm_bm_add(&h->r, set);
	h->fresh_w = write ? gm_bm_andnot(set, h->w) : gm_bm_zero();
	gm_bm_add(&h->w, h->fresh_w);
	gm_bm_add(&b->pinned, set);
	err = gmc_dev_write_protect(b, ctx, gm_bm_andnot(set, h->w));
	if (!err)
		err = premap_enter(b, ctx, set);
	if (!err)
		return 0;
	take_write_back(b, ctx, h, set);
	if (!gmc_dev_unmap(b, ctx, fresh)) {
		count_down(h, gm_bm_andnot(set, fresh));
		let_go(b, h, fresh);
	}
	return err;
}

int gmc_premap_undo(struct gm_block *b, struct gm_ctx *ctx, gm_bm set, bool write)
{
	struct gm_premap *h = premap_of(b, ctx->dev->index);

	if (h && write)
		take_write_back(b, ctx, h, set);
	return gmc_premap_remove(b, ctx, set);
}

int gmc_premap_remove(struct gm_block *b, struct gm_ctx *ctx, gm_bm set)
{
	struct gm_premap *h = premap_of(b, ctx->dev->index);

	if (!h)
		return 0;
	set = count_down(h, set);
	int err = gmc_dev_unmap(b, ctx, set);
	if (!err)
		let_go(b, h, set);
	return err;
}
