/* The state table applied to sets of pages. See plan.h. */
#include "core/page/plan.h"

void gmc_places(const struct gm_block *b, struct gm_places *out)
{
	gm_bm any = gm_bm_zero(), several = gm_bm_zero(), remote = gm_bm_zero();

	gm_for_each_dev (b, d) {
		const struct gm_block_dev *bd = b->dev[d];
		gm_bm_add(&several, gm_bm_and(any, bd->valid));
		gm_bm_add(&any, bd->valid);
		gm_bm_add(&remote, bd->remote);
	}
	gm_bm_remove(&remote, any);
	out->in[GM_DUP] = gm_bm_or(several, gm_bm_and(b->host, any));
	out->in[GM_DEVICE] = gm_bm_andnot(any, out->in[GM_DUP]);
	out->in[GM_REMOTE] = remote;
	out->in[GM_HOST] = gm_bm_andnot(gm_bm_andnot(b->host, any), remote);
	out->in[GM_NOMAP] = gm_bm_not(gm_bm_or(b->host, any));
}

static void apply(struct gm_plan *p, struct gm_transition t, gm_bm s)
{
	gm_bm *const by_action[] = {&p->revoke, &p->protect, &p->copy,	    &p->zero,
				    &p->fetch,	&p->map,     &p->map_remote};

	for (unsigned i = 0; i < GM_ARRAY_LEN(by_action); i++)
		if (t.act >> i & 1)
			gm_bm_add(by_action[i], s);
	gm_bm_add(&p->next[t.next], s);
}

static bool replicates(const struct gm_ctx *ctx)
{
	return ctx->mode == GM_MMU_MODE_REPLICATE ||
	       gm_policy_of(ctx, GM_POLICY_PLACEMENT).def->touch == GM_WANT_DUPLICATE;
}

/* Pages whose readers get copies: by hint, or because a device is attached in the mode that
 * replicates. */
static gm_bm duplicated(const struct gm_block *b, int dev)
{
	gm_bm dup = b->read_mostly;

	gm_for_each_dev (b, d)
		if (replicates(b->as->ctx[d]))
			gm_bm_add(&dup, d == dev ? gm_bm_all() : b->dev[d]->valid);
	return dup;
}

void gmc_plan(const struct gm_block *b, int dev, gm_bm set, bool write, gm_bm pinned,
	      struct gm_plan *plan)
{
	enum gm_actor actor = dev < 0 ? GM_ACTOR_CPU : GM_ACTOR_DEVICE;
	gm_bm held = dev < 0 ? b->host : b->dev[dev]->valid;
	gm_bm wanted[GM_WANTS];
	struct gm_places at;

	*plan = (struct gm_plan){0};
	gmc_places(b, &at);
	wanted[GM_WANT_REMOTE] = pinned;
	gm_bm dup = duplicated(b, dev);
	wanted[GM_WANT_DUPLICATE] = gm_bm_andnot(dup, pinned);
	wanted[GM_WANT_MIGRATE] = gm_bm_not(gm_bm_or(dup, pinned));
	for (int w = 0; w < GM_STATES; w++) {
		gm_bm here = gm_bm_and(set, at.in[w]);
		if (gm_bm_empty(here))
			continue;
		for (int holds = 0; holds < 2; holds++) {
			gm_bm h = holds ? gm_bm_and(here, held) : gm_bm_andnot(here, held);
			for (int want = 0; want < GM_WANTS; want++) {
				gm_bm s = gm_bm_and(h, wanted[want]);
				if (!gm_bm_empty(s))
					apply(plan, gmc_next_state(w, actor, holds, write, want),
					      s);
			}
		}
	}
}
