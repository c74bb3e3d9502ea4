/*
 * entries.c - devices' page tables: which entries a block has there, and the steps that change
 * them. See entries.h.
 *
 * What is mapped is kept by page (map_r, map_w, remote). Which entries that makes on a device with
 * several sizes is nowhere noted, it follows: a page is covered by the largest entry that the
 * device can have there, that is, whole, uniform in rights, target and attributes, and aligned in
 * va and pa. So every change compares what followed before with what follows now: entries that
 * lose a part are split (the whole goes, or is lowered, and what is left of it is entered anew),
 * and what has become whole is entered as one.
 */
#include "core/page/bytes.h"
#include "core/page/driver.h"
#include "core/page/frame.h"
#include "core/page/hint_mirror.h"
#include "core/page/entries.h"
#include "core/page/store.h"
#include "core/sys/inject.h"
#include <errno.h>

#define ORDERS (GM_BLOCK_SHIFT - GM_PAGE_SHIFT + 1)

/* ---- steps ---- */

static const enum gm_callback small_step[] = {
	[GM_OP_MAP] = GM_CB_MAP,	   [GM_OP_UNMAP] = GM_CB_UNMAP,
	[GM_OP_PROTECT] = GM_CB_PROTECT,   [GM_OP_COPY_IN] = GM_CB_HMEMCPY,
	[GM_OP_COPY_OUT] = GM_CB_HMEMCPY,  [GM_OP_ZERO] = GM_CB_HMEMCPY,
	[GM_OP_COPY_PEER] = GM_CB_HMEMCPY,
};

/* By the small callbacks. What lost rights leaves the TLB too, also when a later step failed. */
static int walk(struct gm_ctx *ctx, const struct gm_op *ops, unsigned count)
{
	struct gm_dev *dev = ctx->dev;
	uintptr_t pmap = (uintptr_t)ctx->pmap;
	struct gm_va_range lost[GM_OPS_MAX];
	unsigned n = 0;
	int err = 0, late = 0;

	for (unsigned i = 0; i < count && !err; i++) {
		const struct gm_op *op = &ops[i];
		err = gmc_driver(dev, small_step[op->kind], pmap, (uintptr_t)op);
		if (err || (op->kind != GM_OP_UNMAP && op->kind != GM_OP_PROTECT &&
			    !(op->flags & GM_OP_REPLACE)))
			continue;
		lost[n++] = (struct gm_va_range){op->va, op->len};
		if (!dev->mmu->tlb_invl_coalesced)
			err = gmc_driver(dev, GM_CB_TLB_INVL, pmap, op->va, op->len);
	}
	if (n)
		late = gmc_driver(dev, GM_CB_TLB_INVL_COALESCED, pmap, (uintptr_t)lost, n);
	return err ? err : late;
}

int gmc_ops_send(struct gm_ctx *ctx, const struct gm_op *ops, unsigned n)
{
	int err = 0;

	if (ctx->dev->mmu->batch)
		return n ? gmc_driver(ctx->dev, GM_CB_BATCH, (uintptr_t)ctx->pmap, (uintptr_t)ops,
				      n)
			 : 0;
	for (unsigned i = 0; i < n && !err; i += GM_OPS_MAX)
		err = walk(ctx, ops + i, gm_min(n - i, GM_OPS_MAX));
	return err;
}

/* Room for twice as many. */
static bool ops_grow(struct gm_ops *o)
{
	unsigned room = gm_max(o->room, GM_OPS_MAX);
	struct gm_op *more = gmi_alloc(2 * room * sizeof *more);

	if (!more)
		return false;
	gm_copy(more, o->more ? o->more : o->op, room * sizeof *more);
	gmi_free(o->more, o->room * sizeof *more);
	o->more = more;
	o->room = 2 * room;
	return true;
}

int gmc_ops_flush(struct gm_ops *o)
{
	int err = gmc_ops_send(o->ctx, o->more ? o->more : o->op, o->n);

	gmi_free(o->more, o->room * sizeof *o->more);
	o->more = NULL;
	o->n = o->room = 0;
	o->err = o->err ? o->err : err;
	return o->err;
}

int gmc_ops_add(struct gm_ops *o, struct gm_op op)
{
	if (o->n == gm_max(o->room, GM_OPS_MAX) && (!o->ctx->dev->mmu->batch || !ops_grow(o)))
		gmc_ops_flush(o);
	*(o->more ? &o->more[o->n] : &o->op[o->n]) = op;
	o->n++;
	return o->err;
}

/* ---- which entries ---- */

/* Where an entry for a page leads. */
struct target {
	enum gm_mem mem;
	const struct gm_dev *in; /* whose memory; the host's: NULL */
	uint64_t page;		 /* of it; of the store */
};

static int holder_but(const struct gm_block *b, unsigned self, unsigned i)
{
	gm_for_each_dev (b, d)
		if (d != (int)self && gm_bm_test(&b->dev[d]->valid, i))
			return d;
	gm_assert(false);
	return (int)self;
}

static struct target target_of(const struct gm_block *b, const struct gm_dev *dev, unsigned i)
{
	const struct gm_block_dev *bd = b->dev[dev->index];

	if (gm_bm_test(&bd->remote, i))
		return (struct target){GM_MEM_HOST, NULL,
				       (gm_va_of(b, i) - b->as->base) / GM_PAGE_BYTES};
	if (gm_likely(!gm_bm_test(&bd->peer, i)))
		return (struct target){GM_MEM_DEVICE, dev, gm_frame_of(bd, i)};
	int d = holder_but(b, dev->index, i);
	return (struct target){GM_MEM_PEER, b->as->ctx[d]->dev, gm_frame_of(b->dev[d], i)};
}

static bool continues(struct target t, const struct gm_block *b, const struct gm_dev *dev,
		      unsigned i, unsigned after)
{
	struct target n = target_of(b, dev, i);

	return n.mem == t.mem && n.in == t.in && n.page == t.page + after;
}

/* Pages by the size of the entry that covers them: of[o] by one of 4 KiB << o. */
struct entries {
	gm_bm of[ORDERS];
};

/*
 * Groups of `set` that a single entry of 4 KiB << order can cover as far as attributes and frames
 * go.
 */
static gm_bm one_target(const struct gm_block *b, const struct gm_dev *dev, gm_bm set,
			unsigned order)
{
	const struct gm_block_dev *bd = b->dev[dev->index];
	bool frames = order > bd->order || !gm_bm_empty(bd->peer);
	bool attrs = b->hints && b->hints->attr[dev->index];

	for (unsigned i = 0; (frames || attrs) && i < GM_PAGES_PER_BLOCK; i += 1u << order) {
		if (!gm_bm_test(&set, i))
			continue;
		struct target t = {0};
		if (frames)
			t = target_of(b, dev, i);
		bool one = !(t.page & ((1u << order) - 1));
		for (unsigned k = 1; one && k < 1u << order; k++)
			one = gm_attr_of(b, dev->index, i + k) == gm_attr_of(b, dev->index, i) &&
			      (!frames || continues(t, b, dev, i + k, k));
		if (!one)
			set = gm_bm_andnot(set, gm_bm_range(i, i + (1u << order)));
	}
	return set;
}

static gm_bm uniform(gm_bm all, gm_bm part, unsigned order)
{
	return gm_bm_or(gm_bm_whole(gm_bm_and(all, part), order),
			gm_bm_whole(gm_bm_andnot(all, part), order));
}

/* What follows from the bitmaps as they are now. */
static void entries_of(const struct gm_block *b, const struct gm_dev *dev, struct entries *e)
{
	const struct gm_block_dev *bd = b->dev[dev->index];
	gm_bm left = bd->map_r;

	*e = (struct entries){0};
	for (unsigned order = ORDERS - 1; order > dev->min_order; order--) {
		if (!(dev->orders >> order & 1))
			continue;
		gm_bm fit = gm_bm_and(uniform(left, bd->map_w, order),
				      uniform(left, bd->remote, order));
		e->of[order] = one_target(b, dev, fit, order);
		left = gm_bm_andnot(left, e->of[order]);
	}
	e->of[dev->min_order] = left;
}

static bool has_sizes(const struct gm_dev *dev)
{
	return dev->orders >> dev->min_order > 1;
}

/* All pages of the entries that `set` takes a part of. */
static gm_bm torn(const struct gm_dev *dev, const struct entries *e, gm_bm set)
{
	gm_bm all = gm_bm_zero();

	for (unsigned order = dev->min_order + 1; order < ORDERS; order++) {
		gm_bm its = gm_bm_and(e->of[order], set);
		all = gm_bm_or(all, gm_bm_andnot(gm_bm_grow(its, order), gm_bm_whole(its, order)));
	}
	return all;
}

/* All pages of the entries that have a page in `set`. */
static gm_bm touched_by(const struct gm_dev *dev, const struct entries *e, gm_bm set)
{
	for (unsigned order = dev->min_order + 1; order < ORDERS; order++)
		set = gm_bm_or(set, gm_bm_grow(gm_bm_and(e->of[order], set), order));
	return set;
}

/* Entries that were, with a page in `set`, and are parts now: their pages. */
static gm_bm smaller_now(const struct gm_dev *dev, const struct entries *was,
			 const struct entries *now, gm_bm set)
{
	gm_bm all = gm_bm_zero(), large = gm_bm_zero();

	for (unsigned order = ORDERS - 1; order > dev->min_order; order--) {
		large = gm_bm_or(large, now->of[order]);
		gm_bm its = gm_bm_grow(gm_bm_and(was->of[order], set), order);
		all = gm_bm_or(all, gm_bm_grow(gm_bm_andnot(its, large), order));
	}
	return all;
}

/* ---- emitting ---- */

static void emit_runs(struct gm_ops *o, const struct gm_block *b, gm_bm set, struct gm_op op)
{
	gm_bm_for_each_run (&set, first, end) {
		op.va = b->va + first * GM_PAGE_BYTES;
		op.len = (end - first) * GM_PAGE_BYTES;
		gmc_ops_add(o, op);
	}
}

/* One step: entries of one size, whose rights are uniform and whose targets lie side by side. */
static unsigned map_run(const struct gm_block *b, const struct gm_dev *dev, const gm_bm *set,
			unsigned order, unsigned i, struct target t)
{
	unsigned d = dev->index, j = i + (1u << order);
	const struct gm_block_dev *bd = b->dev[d];

	while (j < GM_PAGES_PER_BLOCK && gm_bm_test(set, j) &&
	       gm_bm_test(&bd->map_w, j) == gm_bm_test(&bd->map_w, i) &&
	       (!b->hints || gm_attr_of(b, d, j) == gm_attr_of(b, d, i)) &&
	       continues(t, b, dev, j, j - i))
		j += 1u << order;
	return j;
}

/* As one: its entries are of one size. */
static struct gm_op map_op(const struct gm_block *b, const struct gm_dev *dev, unsigned i,
			   struct target t)
{
	bool w = gm_bm_test(&b->dev[dev->index]->map_w, i);
	struct gm_op op = {
		.kind = GM_OP_MAP,
		.prot = GM_PROT_READ | (w ? GM_PROT_WRITE : 0),
		.mem = (uint8_t)t.mem,
		.va = gm_va_of(b, i),
		.pa = (t.in ? t.in->phys_begin : 0) + gm_bytes_of(t.page),
		.attr = gm_attr_of(b, dev->index, i),
	};

	if (t.mem == GM_MEM_HOST)
		op.host = gm_alias(b->as, op.va);
	else if (t.mem == GM_MEM_PEER)
		op.peer = t.in->data;
	return op;
}

/* Entries for `set`, which the bitmaps have; whole entries of `e`. */
static void emit_maps(struct gm_ops *o, struct gm_block *b, const struct gm_dev *dev,
		      const struct entries *e, gm_bm set)
{
	for (unsigned order = dev->min_order; order < ORDERS; order++) {
		gm_bm its = gm_bm_and(set, e->of[order]);
		for (unsigned i = gm_bm_next(&its, 0, true), j; i < GM_PAGES_PER_BLOCK;
		     i = gm_bm_next(&its, j, true)) {
			struct target t = target_of(b, dev, i);
			struct gm_op op = map_op(b, dev, i, t);
			j = map_run(b, dev, &its, order, i, t);
			op.entry_bytes = (uint32_t)GM_PAGE_BYTES << order;
			op.len = gm_bytes_of(j - i);
			gmc_ops_add(o, op);
		}
	}
}

/* ---- changes ---- */

/*
 * After an error nobody knows which entries there are: all of the block's go. 0: they are gone,
 * and will be asked for again.
 */
static int start_again(struct gm_block *b, struct gm_ctx *ctx)
{
	struct gm_block_dev *bd = b->dev[ctx->dev->index];
	struct gm_op op = {.kind = GM_OP_UNMAP, .va = b->va, .len = GM_BLOCK_BYTES};
	int err = gmc_ops_send(ctx, &op, 1);

	bd->unsure = err;
	if (!err)
		bd->map_r = bd->map_w = bd->remote = bd->peer = gm_bm_zero();
	return err;
}

/*
 * `gone` loses its entries, `readonly` the right to write. The bitmaps say so; entries of which a
 * part is concerned go whole, and what is left of them is entered anew in smaller ones.
 */
static void emit_lower(struct gm_block *b, const struct gm_dev *dev, gm_bm gone, gm_bm readonly,
		       struct gm_ops *o)
{
	struct gm_block_dev *bd = b->dev[dev->index];
	gm_bm none = gm_bm_grow(gm_bm_and(gone, bd->map_r), dev->min_order),
	      less = gm_bm_andnot(gm_bm_grow(gm_bm_and(readonly, bd->map_w), dev->min_order), none),
	      lost = gm_bm_or(none, less), parts = gm_bm_zero();
	struct entries was, now;

	if (has_sizes(dev) && !gm_bm_empty(lost)) {
		entries_of(b, dev, &was);
		parts = gm_bm_or(torn(dev, &was, none), torn(dev, &was, less));
	}
	gm_bm_remove(&bd->map_r, none);
	gm_bm_remove(&bd->map_w, lost);
	gm_bm_remove(&bd->remote, gm_bm_or(gone, none));
	gm_bm_remove(&bd->peer, none);
	emit_runs(o, b, gm_bm_andnot(none, parts), (struct gm_op){.kind = GM_OP_UNMAP});
	emit_runs(o, b, gm_bm_andnot(less, parts),
		  (struct gm_op){.kind = GM_OP_PROTECT, .prot = GM_PROT_READ});
	if (gm_bm_empty(parts))
		return;
	emit_runs(o, b, parts, (struct gm_op){.kind = GM_OP_UNMAP});
	entries_of(b, dev, &now);
	emit_maps(o, b, dev, &now, gm_bm_and(parts, bd->map_r));
}

/* Bytes of `set` into the store: in one batch with what waits in `o`, which withdraws rights, or
 * after that. */
static int fetch_after(struct gm_block *b, struct gm_ctx *ctx, gm_bm set, struct gm_ops *o)
{
	int err = ctx->dev->aperture ? gmc_ops_flush(o) : 0;

	if (!err && !gm_bm_empty(set))
		err = gmc_copy_set(b, ctx, GM_OP_COPY_OUT, set, false, o);
	int sent = gmc_ops_flush(o);
	return err ? err : sent;
}

int gmc_dev_lower(struct gm_block *b, struct gm_ctx *ctx, gm_bm gone, gm_bm readonly, gm_bm fetch)
{
	struct gm_block_dev *bd = b->dev[ctx->dev->index];
	const gm_bm r = bd->map_r, w = bd->map_w, remote = bd->remote, peer = bd->peer;
	struct gm_ops o = {.ctx = ctx};
	uint64_t begin = gm_trace_begin();
	int err = gm_unlikely(bd->unsure) ? start_again(b, ctx) : 0;

	if (err)
		return err;
	emit_lower(b, ctx->dev, gone, readonly, &o);
	err = fetch_after(b, ctx, fetch, &o);
	if (o.err && start_again(b, ctx)) {
		bd->map_r = r;
		bd->map_w = w;
		bd->remote = remote;
		bd->peer = peer;
		return err;
	}
	if (o.err) { /* no entry is left: only the bytes can be missing */
		o = (struct gm_ops){.ctx = ctx};
		err = fetch_after(b, ctx, fetch, &o);
	}
	gmc_block_trace(GM_EV_REVOKE, b, (int)ctx->dev->index, gm_bm_andnot(r, bd->map_r), begin);
	return err;
}

int gmc_dev_unmap(struct gm_block *b, struct gm_ctx *ctx, gm_bm set)
{
	return gmc_dev_lower(b, ctx, set, gm_bm_zero(), gm_bm_zero());
}

int gmc_dev_write_protect(struct gm_block *b, struct gm_ctx *ctx, gm_bm set)
{
	return gmc_dev_lower(b, ctx, gm_bm_zero(), set, gm_bm_zero());
}

int gmc_dev_unmap_first(struct gm_block *b, struct gm_ctx *ctx, gm_bm set, struct gm_ops *o)
{
	int err = gm_unlikely(b->dev[ctx->dev->index]->unsure) ? start_again(b, ctx) : 0;

	if (!err)
		emit_lower(b, ctx->dev, set, gm_bm_zero(), o);
	return err;
}

int gmc_dev_enter(struct gm_block *b, struct gm_ctx *ctx, gm_bm set, gm_bm w, enum gm_mem mem,
		  struct gm_ops *o)
{
	const struct gm_dev *dev = ctx->dev;
	struct gm_block_dev *bd = b->dev[dev->index];
	struct entries was, now;
	gm_bm all;

	if (gm_inject(GM_INJ_MAP))
		return -EIO;
	if (gm_unlikely(bd->unsure)) {
		int err = start_again(b, ctx);
		if (err)
			return err;
	}
	all = set = gm_bm_whole(set, dev->min_order);
	w = gm_bm_whole(gm_bm_and(w, set), dev->min_order);
	if (has_sizes(dev)) {
		entries_of(b, dev, &was);
		all = gm_bm_or(set, torn(dev, &was, set));
	}
	bd->map_r = gm_bm_or(bd->map_r, set);
	bd->map_w = gm_bm_or(gm_bm_andnot(bd->map_w, set), w);
	gm_bm_assign(&bd->remote, set, mem == GM_MEM_HOST);
	gm_bm_assign(&bd->peer, set, mem == GM_MEM_PEER);
	entries_of(b, dev, &now);
	if (has_sizes(dev)) /* no step takes a part of an entry */
		emit_runs(o, b, smaller_now(dev, &was, &now, all),
			  (struct gm_op){.kind = GM_OP_UNMAP});
	emit_maps(o, b, dev, &now, touched_by(dev, &now, all));
	return 0;
}

int gmc_dev_sent(struct gm_block *b, struct gm_ctx *ctx, int err)
{
	struct gm_block_dev *bd = b->dev[ctx->dev->index];

	if (!err || !start_again(b, ctx))
		return err;
	/* some may be there all the same: it is unsure */
	bd->map_r = gm_bm_and(bd->map_r, gm_bm_or(bd->valid, gm_bm_or(bd->remote, bd->peer)));
	bd->map_w = gm_bm_and(bd->map_w, bd->map_r);
	return err;
}

int gmc_dev_map(struct gm_block *b, struct gm_ctx *ctx, gm_bm set, gm_bm w, enum gm_mem mem)
{
	struct gm_ops o = {.ctx = ctx};
	int err = gmc_dev_enter(b, ctx, set, w, mem, &o);

	return err ? err : gmc_dev_sent(b, ctx, gmc_ops_flush(&o));
}
