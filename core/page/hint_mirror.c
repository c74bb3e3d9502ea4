/* What faults know of hints and attributes. See hint_mirror.h. */
#include "core/page/hint_mirror.h"
#include "core/page/cpu_bus.h"
#include "core/page/migrate.h"
#include "core/page/plan.h"
#include "core/page/entries.h"
#include "core/page/peer.h"
#include <errno.h>

static struct gm_hints *mirror_of(struct gm_block *b)
{
	if (!b->hints)
		b->hints = gmi_alloc(sizeof *b->hints);
	return b->hints;
}

void gmc_mirror_blank(struct gm_block *b, gm_bm set)
{
	struct gm_hints *h = b->hints;

	gm_bm_remove(&b->read_mostly, set);
	if (!h)
		return;
	gm_bm_remove(&h->prefer_host, set);
	gm_bm_remove(&h->accessed_by_cpu, set);
	gm_bm_remove(&h->system_only, set);
	for (unsigned a = 0; a < GM_ARRAY_LEN(h->atomic); a++)
		gm_bm_remove(&h->atomic[a], set);
	for (unsigned d = 0; d < GM_MAX_DEV; d++) {
		gm_bm_remove(&h->prefer_dev[d], set);
		gm_bm_remove(&h->accessed_by[d], set);
		for (unsigned i = gm_bm_next(&set, 0, true); h->attr[d] && i < GM_PAGES_PER_BLOCK;
		     i = gm_bm_next(&set, i + 1, true))
			h->attr[d][i] = 0;
	}
}

int gmc_mirror_note(struct gm_block *b, gm_bm set, const struct gm_range_value *v)
{
	enum gm_atomic atomic = gm_said_atomic(v);

	if (v->v[GM_SAID_FLAGS] & GM_SAID_READ_MOSTLY)
		gm_bm_add(&b->read_mostly, set);
	if (!v->v[GM_SAID_PREFERRED] && !v->v[GM_SAID_ACCESSED_BY] && !atomic)
		return 0;
	struct gm_hints *h = mirror_of(b);
	if (!h)
		return -ENOMEM;
	if (atomic)
		gm_bm_add(&h->atomic[atomic], set);
	uint64_t preferred = v->v[GM_SAID_PREFERRED] & ~GM_SAID_SYSTEM;
	if (preferred == GM_SAID_HOST)
		gm_bm_add(&h->prefer_host, set);
	if (v->v[GM_SAID_PREFERRED] & GM_SAID_SYSTEM)
		gm_bm_add(&h->system_only, set);
	if (v->v[GM_SAID_ACCESSED_BY] & GM_SAID_BY(-1))
		gm_bm_add(&h->accessed_by_cpu, set);
	for (unsigned d = 0; d < GM_MAX_DEV; d++) {
		if (preferred == GM_SAID_DEVICE(d))
			gm_bm_add(&h->prefer_dev[d], set);
		if (v->v[GM_SAID_ACCESSED_BY] & GM_SAID_BY((int)d))
			gm_bm_add(&h->accessed_by[d], set);
	}
	return 0;
}

int gmc_mirror_note_attr(struct gm_block *b, unsigned d, gm_bm set, uint64_t attr)
{
	struct gm_hints *h = mirror_of(b);

	if (h && !h->attr[d])
		h->attr[d] = gmi_alloc(GM_PAGES_PER_BLOCK * sizeof *h->attr[d]);
	if (!h || !h->attr[d])
		return -ENOMEM;
	for (unsigned i = gm_bm_next(&set, 0, true); i < GM_PAGES_PER_BLOCK;
	     i = gm_bm_next(&set, i + 1, true))
		h->attr[d][i] = attr;
	return 0;
}

void gmc_mirror_free(struct gm_block *b)
{
	for (unsigned d = 0; b->hints && d < GM_MAX_DEV; d++)
		gmi_free(b->hints->attr[d], GM_PAGES_PER_BLOCK * sizeof *b->hints->attr[d]);
	gmi_free(b->hints, sizeof *b->hints);
	b->hints = NULL;
}

/* Pages that other devices alone have. */
static gm_bm peers_alone(const struct gm_block *b, unsigned d)
{
	gm_bm set = gm_bm_zero();

	gm_for_each_dev (b, other)
		if (other != (int)d)
			gm_bm_add(&set, b->dev[other]->valid);
	return gm_bm_andnot(set, b->dev[d] ? gm_bm_or(b->host, b->dev[d]->valid) : b->host);
}

/*
 * Whose atomics hold, and what it takes where the bus has none: a device's touch moves the page to
 * it, or leaves it on the host; the CPU's touch brings it home.
 */
enum { DEVICE_MOVES = 1, DEVICE_STAYS = 2, CPU_MOVES = 4 };
static const uint8_t atomic_rules[] = {
	[GM_ATOMIC_DEVICE] = DEVICE_MOVES,
	[GM_ATOMIC_GLOBAL] = DEVICE_MOVES | CPU_MOVES,
	[GM_ATOMIC_CPU] = DEVICE_STAYS | CPU_MOVES,
};

static gm_bm atomic_ruled(const struct gm_block *b, unsigned rule)
{
	gm_bm set = gm_bm_zero();

	for (unsigned a = 0; b->hints && a < GM_ARRAY_LEN(atomic_rules); a++)
		if (atomic_rules[a] & rule)
			gm_bm_add(&set, b->hints->atomic[a]);
	return set;
}

static bool bus_is_atomic(const struct gm_block *b, unsigned d)
{
	const struct gm_ctx *ctx = b->as->ctx[d];

	return !ctx || ctx->mode == GM_MMU_MODE_SHARE || (ctx->dev->cap & GM_DEV_CAP_BUS_ATOMICS) ||
	       !ctx->dev->phys;
}

gm_bm gmc_hint_local(const struct gm_block *b, unsigned d)
{
	return bus_is_atomic(b, d) ? gm_bm_zero() : atomic_ruled(b, DEVICE_MOVES);
}

gm_bm gmc_hint_alone(const struct gm_block *b, unsigned d)
{
	return bus_is_atomic(b, d) ? gm_bm_zero() : atomic_ruled(b, CPU_MOVES);
}

/* Those that prefer device d, but what is another's and not to move for that. */
static gm_bm prefers(const struct gm_block *b, unsigned d)
{
	const struct gm_hints *h = b->hints;
	gm_bm few = gm_bm_and(h->prefer_dev[d], h->system_only);

	if (!gm_bm_empty(few))
		few = gm_bm_and(few, peers_alone(b, d));
	return gm_bm_andnot(h->prefer_dev[d], few);
}

gm_bm gmc_hint_comes(const struct gm_block *b, unsigned d)
{
	if (!b->hints)
		return gm_bm_zero();
	return gm_bm_or(gm_bm_andnot(prefers(b, d), atomic_ruled(b, DEVICE_STAYS)),
			gmc_hint_local(b, d));
}

gm_bm gmc_hint_stays(const struct gm_block *b, unsigned d)
{
	const struct gm_hints *h = b->hints;

	if (!h)
		return gm_bm_zero();
	gm_bm left = gm_bm_andnot(h->prefer_dev[d], prefers(b, d));
	gm_bm stays = gm_bm_or(
		left, gm_bm_andnot(gm_bm_or(h->prefer_host, h->accessed_by[d]), h->prefer_dev[d]));
	return gm_bm_andnot(gm_bm_or(stays, atomic_ruled(b, DEVICE_STAYS)), gmc_hint_local(b, d));
}

/* What another device has now, and a link leads there. */
static void follow_to_peers(struct gm_block *b, gm_bm set)
{
	for (unsigned d = 0; d < GM_MAX_DEV; d++) {
		gm_bm want = gm_bm_and(set, b->hints->accessed_by[d]);
		if (b->dev[d])
			gm_bm_remove(&want, b->dev[d]->map_r);
		if (b->as->ctx[d] && !gm_bm_empty(want))
			gmc_peer_map(b, b->as->ctx[d], want);
	}
}

void gmc_hint_follow(struct gm_block *b, gm_bm set)
{
	if (!b->hints)
		return;
	struct gm_places at;
	gmc_places(b, &at);
	gm_bm here =
		gm_bm_and(set, gm_bm_and(b->managed, gm_bm_or(at.in[GM_HOST], at.in[GM_REMOTE])));
	for (unsigned d = 0; d < GM_MAX_DEV; d++) {
		struct gm_ctx *ctx = b->as->ctx[d];
		gm_bm want =
			gm_bm_and(here, gm_bm_and(b->hints->accessed_by[d], gmc_hint_stays(b, d)));
		if (!ctx || gm_bm_empty(want))
			continue;
		if (b->dev[d])
			gm_bm_remove(&want, b->dev[d]->map_r);
		gm_bm w = gm_bm_and(want, b->prog_w),
		      r = gm_bm_and(gm_bm_andnot(want, w), b->prog_r);
		if (!gm_bm_empty(w))
			gmc_map_remote(b, ctx, w, true);
		if (!gm_bm_empty(r))
			gmc_map_remote(b, ctx, r, false);
	}
	follow_to_peers(b, gm_bm_and(set, at.in[GM_DEVICE]));
	gm_bm away = gm_bm_and(set, gm_bm_and(at.in[GM_DEVICE], b->hints->accessed_by_cpu));
	if (!gm_bm_empty(away))
		gmc_bus_map(b, away);
}

int gmc_hint_release(struct gm_block *b, gm_bm set)
{
	int err = gmc_bus_unmap(b, gm_bm_andnot(gm_bm_and(set, b->cpu_bus), gmc_bus_stays(b)));

	gm_bm_remove(&set, b->pinned); /* gm_as_map pins, too */
	for (unsigned d = 0; d < GM_MAX_DEV && !err; d++) {
		const struct gm_block_dev *bd = b->dev[d];
		struct gm_ctx *ctx = b->as->ctx[d];
		if (!bd)
			continue;
		gm_bm remote = gm_bm_andnot(bd->remote, gmc_hint_stays(b, d)),
		      peer = gm_bm_andnot(bd->peer, gmc_peer_stays(b, ctx));
		err = gmc_dev_unmap(b, ctx, gm_bm_and(set, gm_bm_or(remote, peer)));
	}
	return err;
}
