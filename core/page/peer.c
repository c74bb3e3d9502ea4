/* One device at another one's memory. See peer.h. */
#include "core/page/peer.h"
#include "core/page/evict.h"
#include "core/page/frame.h"
#include "core/page/hint_mirror.h"
#include "core/sys/inject.h"

static bool has_link(const struct gm_dev *dev, int to, unsigned how)
{
	return (__atomic_load_n(&dev->peers[to], __ATOMIC_RELAXED) & how) == how;
}

gm_bm gmc_peer_has(const struct gm_block *b, const struct gm_dev *dev, unsigned how)
{
	gm_bm any = gm_bm_zero();

	gm_for_each_dev (b, d)
		if (has_link(dev, d, how))
			gm_bm_add(&any, b->dev[d]->valid);
	return any;
}

/* ---- copies ---- */

static uint64_t pa_of(const struct gm_dev *dev, const struct gm_block_dev *bd, unsigned i)
{
	return dev->phys_begin + gm_bytes_of(gm_frame_of(bd, i));
}

/* One step for each run that lies side by side in both memories. */
static int copy_from(const struct gm_block *b, struct gm_ctx *ctx, const struct gm_dev *from,
		     gm_bm set, struct gm_ops *o)
{
	const struct gm_block_dev *to = b->dev[ctx->dev->index], *at = b->dev[from->index];
	int err = gm_inject(GM_INJ_COPYPEER) ? -EIO : 0;

	gm_bm_for_each_run (&set, first, end)
		for (unsigned i = first, j; i < end && !err; i = j) {
			for (j = i + 1;
			     j < end && gm_frame_of(to, j) == gm_frame_of(to, i) + (j - i) &&
			     gm_frame_of(at, j) == gm_frame_of(at, i) + (j - i);
			     j++)
				;
			err = gmc_ops_add(o, (struct gm_op){.kind = GM_OP_COPY_PEER,
							    .mem = GM_MEM_DEVICE,
							    .len = gm_bytes_of(j - i),
							    .pa = pa_of(ctx->dev, to, i),
							    .peer = from->data,
							    .peer_pa = pa_of(from, at, i)});
		}
	return err;
}

int gmc_peer_copy(struct gm_block *b, struct gm_ctx *ctx, gm_bm set, struct gm_ops *o)
{
	struct gm_ops now = {.ctx = ctx};
	bool at_once = ctx->dev->aperture;
	int err = 0;

	if (gm_bm_empty(set))
		return 0;
	gm_for_each_dev (b, d) {
		gm_bm its = gm_bm_and(set, b->dev[d]->valid);
		if (err || gm_bm_empty(its) || !has_link(ctx->dev, d, GM_PEER_COPY))
			continue;
		err = copy_from(b, ctx, b->as->ctx[d]->dev, its, at_once ? &now : o);
		gm_bm_remove(&set, its);
	}
	int sent = at_once ? gmc_ops_flush(&now) : 0;
	return err ? err : sent;
}

/* ---- entries ---- */

/* Does its touch leave pages where they are, whatever hints say? */
static bool leaves_in_place(const struct gm_ctx *ctx)
{
	return ctx->mode == GM_MMU_MODE_SHARE ||
	       gm_policy_of(ctx, GM_POLICY_PLACEMENT).def->touch == GM_WANT_REMOTE;
}

gm_bm gmc_peer_stays(const struct gm_block *b, const struct gm_ctx *ctx)
{
	const struct gm_hints *h = b->hints;
	unsigned self = ctx->dev->index;
	gm_bm there = gmc_peer_has(b, ctx->dev, GM_PEER_MAP), said, no = b->host, any;

	if (gm_likely(gm_bm_empty(there)))
		return there;
	said = leaves_in_place(ctx) ? gm_bm_all() : gm_bm_zero();
	any = gm_bm_zero();
	gm_for_each_dev (b, d) { /* copies of several holders are for reading */
		gm_bm_add(&no, gm_bm_and(any, b->dev[d]->valid));
		gm_bm_add(&any, b->dev[d]->valid);
		if (h)
			gm_bm_add(&said, gm_bm_and(h->prefer_dev[d], b->dev[d]->valid));
	}
	if (b->dev[self])
		gm_bm_add(&no, b->dev[self]->valid);
	if (h) {
		gm_bm_add(&said, gmc_hint_stays(b, self));
		gm_bm_add(&no, gm_bm_or(h->prefer_host, gmc_hint_comes(b, self)));
	}
	return gm_bm_and(there, gm_bm_andnot(said, no));
}

gm_bm gmc_peer_map(struct gm_block *b, struct gm_ctx *ctx, gm_bm set)
{
	struct gm_dev *dev = ctx->dev;
	uint64_t begin = gm_trace_begin();
	gm_bm may = gm_bm_and(b->managed, b->prog_r);

	set = gm_bm_and(set, gm_bm_and(gmc_peer_stays(b, ctx), may));
	set = gm_bm_whole(set, dev->min_order);
	if (gm_bm_empty(set) || gm_ctx_refuses(ctx) || !gmc_block_dev_get(b, ctx) ||
	    gmc_dev_map(b, ctx, set, b->prog_w, GM_MEM_PEER))
		return gm_bm_zero();
	gm_for_each_dev (b, d) {
		gm_bm its = gm_bm_and(set, b->dev[d]->valid);
		if (!gm_bm_empty(its)) /* it is in use there */
			gmc_lru_touch(b->as->ctx[d]->dev, b->dev[d], its);
	}
	atomic_fetch_add_explicit(&gmi_stats->dev[dev->index].peer_mapped_bytes,
				  gm_bytes_of(gm_bm_count(set)), memory_order_relaxed);
	gmc_block_trace(GM_EV_PEER_MAP, b, (int)dev->index, set, begin);
	gm_block_check(b);
	return set;
}

int gmc_peer_unmap(struct gm_block *b, gm_bm set)
{
	int err = 0;

	gm_for_each_dev (b, d) {
		gm_bm its = gm_bm_and(b->dev[d]->peer, set);
		if (!err && !gm_bm_empty(its))
			err = gmc_dev_unmap(b, b->as->ctx[d], its);
	}
	return err;
}
