/*
 * migrate.c - where a page changes hands. Carries out plans (plan.h) on one locked block:
 * towards the CPU, towards a device.
 *
 * The order within each is what keeps it coherent: first nobody else can write, then the bytes
 * are copied, then the new holder may look. A step that fails leaves the page with a holder that
 * has its bytes.
 */
#include "core/page/migrate.h"
#include "core/count/limit.h"
#include "core/count/record.h"
#include "core/count/site.h"
#include "core/page/adopt.h"
#include "core/page/bytes.h"
#include "core/page/cpu_bus.h"
#include "core/page/evict.h"
#include "core/page/frame.h"
#include "core/page/premap.h"
#include "core/page/hint_mirror.h"
#include "core/page/holders.h"
#include "core/page/jobs.h"
#include "core/page/peer.h"
#include "core/page/plan.h"
#include "core/page/residence.h"
#include "core/page/entries.h"
#include "core/page/rights.h"
#include "core/page/store.h"
#include "core/page/thread.h"
#include <errno.h>

/* ---- towards the CPU ---- */

/*
 * With each page the others of its device page that are in the same place: devices are left whole
 * pages.
 */
static gm_bm whole_there(const struct gm_block *b, gm_bm set)
{
	static const enum gm_where away[] = {GM_DEVICE, GM_DUP};
	struct gm_places at;

	gmc_places(b, &at);
	for (int d = 0; d < GM_MAX_DEV; d++) {
		const struct gm_block_dev *bd = b->dev[d];
		for (unsigned i = 0; bd && bd->order && i < GM_ARRAY_LEN(away); i++) {
			gm_bm its = gm_bm_and(at.in[away[i]], bd->valid);
			set = gm_bm_or(set,
				       gm_bm_and(gm_bm_grow(gm_bm_and(set, its), bd->order), its));
		}
	}
	return set;
}

static int home_once(struct gm_block *b, gm_bm set, bool write)
{
	struct gm_plan p;
	int err;

	gmc_plan(b, -1, set, write, b->pinned, &p);
	err = gmc_bus_unmap(b, set);
	if (!err)
		err = gmc_peer_unmap(b, gm_bm_or(p.revoke, p.protect));
	if (!err)
		err = gmc_fetch_home(b, -1, p.revoke, p.protect, gm_bm_andnot(p.copy, b->host));
	if (err)
		return err;
	gmc_drop_copies(b, -1, p.revoke);
	gmc_retain(b);
	/* Copies stay read-only as long as a device has one too. */
	gm_bm w = gm_bm_andnot(b->prog_w, p.next[GM_DUP]);
	err = gmc_cpu_raise(b, p.map, b->prog_r, w);
	gm_block_check(b);
	return err;
}

static bool has_broken_device(const struct gm_block *b)
{
	bool broken = false;

	gm_for_each_dev (b, d)
		broken |= __atomic_load_n(&b->as->ctx[d]->dev->broken, __ATOMIC_ACQUIRE);
	return broken;
}

/*
 * The bytes are on the device only, and the program has no way on without them: a driver that
 * failed is asked again. Each try begins where the last one came to. -EAGAIN (a silent device) is
 * for the caller to wait for, memory (-ENOMEM) to find; a driver that broke a rule is not asked.
 */
int gmc_migrate_home(struct gm_block *b, gm_bm set, bool write)
{
	int err = -EIO;

	set = whole_there(b, set);
	for (int i = 0; i < GM_HOME_TRIES && err; i++) {
		err = home_once(b, set, write);
		if (err == -EAGAIN || err == -ENOMEM || (err && has_broken_device(b)))
			break;
	}
	return err;
}

/* ---- towards a device ---- */

/*
 * Pages of `copy` still in private anonymous memory that were never touched: zeros, nothing to
 * copy. True for as long as nobody can write there: the CPU has lost that right before.
 */
static gm_bm never_touched(struct gm_block *b, gm_bm copy)
{
	gm_bm anon = gm_bm_and(gm_bm_andnot(copy, b->adopted), b->host), zero = gm_bm_zero();

	gm_bm_for_each_run (&anon, first, end)
		gm_bm_add(&zero, gm_bm_andnot(gm_bm_range(first, end), gmc_touched(b, first, end)));
	return zero;
}

/*
 * What comes of the move into the device's frames, and zeros. Pages still in private anonymous
 * memory are read at their own VA (read-only by now, rule 1). Where the driver copies, the steps
 * wait in `o`.
 */
static int copy_in(const struct gm_move *m, struct gm_ops *o)
{
	struct gm_block *b = m->b;
	struct gm_ctx *ctx = m->ctx;
	gm_bm copy = gm_bm_andnot(m->moved, m->peer);
	gm_bm anon = gm_bm_and(gm_bm_andnot(copy, b->adopted), b->host);
	int err = gmc_copy_set(b, ctx, GM_OP_COPY_IN, anon, true, o);

	if (!err)
		err = gmc_copy_set(b, ctx, GM_OP_COPY_IN, gm_bm_andnot(copy, anon), false, o);
	if (!err)
		err = gmc_peer_copy(b, ctx, m->peer, o);
	if (!err)
		err = gmc_copy_set(b, ctx, GM_OP_ZERO, m->zero, false, o);
	return err;
}

/*
 * The CPU loses `set` for good. Store pages: rights. Anonymous pages: the store's VMA comes in
 * their place, absent. After an error *left says which have gone all the same: their bytes are
 * only where they were copied to.
 */
static int leave_cpu(struct gm_block *b, gm_bm set, gm_bm *left)
{
	gm_bm anon = gm_bm_andnot(set, b->adopted);

	int err = 0;

	gm_bm_for_each_run (&anon, first, end)
		err = err ? err : gmc_cpu_adopt(b, first, end, false);
	*left = err ? gm_bm_and(anon, b->adopted) : set;
	gm_bm_store(&b->host, gm_bm_andnot(b->host, *left));
	gmc_cpu_note(b, *left, gm_bm_zero(), gm_bm_zero());
	return err;
}

static int to_remote(struct gm_block *b, struct gm_ctx *ctx, const struct gm_plan *p,
		     struct gm_ops *o)
{
	int d = (int)ctx->dev->index;
	gm_bm taken = gm_bm_and(p->map_remote, p->revoke);

	if (gm_bm_empty(p->map_remote))
		return 0;
	int err = gmc_fetch_home(b, -1, taken, gm_bm_zero(), gm_bm_andnot(p->fetch, b->host));
	if (err)
		return err;
	gmc_drop_copies(b, -1, taken);
	err = gmc_adopt_on_host(b, p->map_remote);
	if (!err)
		err = gmc_cpu_raise(b, taken, b->prog_r, b->prog_w);
	if (!err)
		err = gmc_dev_enter(b, ctx, p->map_remote,
				    gm_bm_andnot(b->prog_w, gmc_premap_readonly(b, ctx)),
				    GM_MEM_HOST, o);
	if (!err)
		atomic_fetch_add_explicit(&gmi_stats->dev[d].remote_bytes,
					  gm_bytes_of(gm_bm_count(p->map_remote)),
					  memory_order_relaxed);
	if (!err)
		gmc_block_trace(GM_EV_BUS, b, d, p->map_remote, 0);
	return err;
}

/* What came over a link between devices is the driver's own to account: it copied. */
static void count_arrival(const struct gm_move *m)
{
	struct gm_block *b = m->b;
	unsigned d = m->ctx->dev->index;
	struct gm_dev_stats *s = &gmi_stats->dev[d];
	struct gm_block_dev *bd = b->dev[d];
	uint64_t bytes = gm_bytes_of(gm_bm_count(m->moved)),
		 peer = gm_bytes_of(gm_bm_count(m->peer)),
		 again = gm_bytes_of(gm_bm_count(gm_bm_and(m->moved, bd->evicted)));

	gmc_account(m->ctx, bytes - peer, 0);
	atomic_fetch_add_explicit(&s->refetched_bytes, again, memory_order_relaxed);
	atomic_fetch_add_explicit(&s->h2d_bytes, bytes, memory_order_relaxed);
	atomic_fetch_add_explicit(&s->peer_bytes, peer, memory_order_relaxed);
	gm_bm_remove(&bd->evicted, gm_bm_or(m->moved, m->zero));
	GM_COUNT(h2d_bytes, bytes - peer);
	GM_COUNT(peer_bytes, peer);
	gmi_self()->h2d_bytes += bytes;
	gmi_self()->refetched_bytes += again;
	GM_COUNT(h2d_pages, (bytes - peer) / GM_PAGE_BYTES);
	GM_COUNT_SITE(b->site, h2d_bytes, bytes);
	GM_COUNT_SITE(b->site, refetched_bytes, again);
	GM_COUNT(zeroed_pages, gm_bm_count(m->zero));
}

/*
 * The CPU and other devices have no more of `p` than they may keep; the bytes are where copies
 * take them from. Steps of the device itself wait in `o` where its driver copies: it does so in
 * the same batch.
 */
static int quiet_all(const struct gm_move *m, struct gm_ops *o)
{
	struct gm_block *b = m->b;
	struct gm_ctx *ctx = m->ctx;
	const struct gm_plan *p = &m->plan;
	gm_bm down = gm_bm_or(p->revoke, p->protect), gets = gm_bm_or(p->copy, p->zero);
	bool at_va = ctx->dev->aperture;
	int err = 0;

	/* A driver that copies and maps in one batch needs that nobody else reads any more. */
	if (!at_va)
		err = gmc_adopt_on_host(b, gm_bm_and(down, b->host));
	/* Store pages go dark at once (their bytes are read through the alias); anonymous ones
	 * stay readable for the copy. */
	if (!err)
		err = gmc_cpu_lower(b, gm_bm_and(down, b->host),
				    gm_bm_or(p->protect, gm_bm_andnot(p->revoke, b->adopted)));
	if (!err) /* what only another device has, and no link to it, goes through the host store */
		err = gmc_fetch_home(b, (int)ctx->dev->index, p->revoke, p->protect,
				     gm_bm_andnot(p->copy, gm_bm_or(b->host, m->peer)));
	/* what it has had over the bus: its other threads write there */
	gm_bm remote = gm_bm_and(b->dev[ctx->dev->index]->remote, gets);
	if (!err)
		err = at_va ? gmc_dev_unmap(b, ctx, remote)
			    : gmc_dev_unmap_first(b, ctx, remote, o);
	return err;
}

/* For a recording: what of private anonymous memory is no zeros any more. */
static void record_present(const struct gm_block *b, gm_bm set)
{
	if (gm_recording())
		gm_bm_for_each_run (&set, first, end)
			GM_RECORD(GM_RECORD_PRESENT, .addr = gm_va_of(b, first), .a = end - first);
}

/* The bytes have arrived: nobody else has what the plan takes away. */
static int depart(struct gm_move *m)
{
	struct gm_block *b = m->b;
	struct gm_ctx *ctx = m->ctx;
	int d = (int)ctx->dev->index;
	struct gm_block_dev *bd = b->dev[d];
	const struct gm_plan *p = &m->plan;
	gm_bm gets = gm_bm_or(p->copy, p->zero), down = gm_bm_or(p->revoke, p->protect), left;

	int err = leave_cpu(b, p->revoke, &left);
	if (err) { /* what has left must have arrived; the device will ask for the rest again */
		gmc_drop_copies(b, d, left);
		gmc_set_valid(b, ctx, gm_bm_or(bd->valid, gm_bm_and(gets, left)));
		gmc_cpu_give_back(b, gm_bm_andnot(down, left));
		return err;
	}
	gmc_drop_copies(b, d, p->revoke);
	gmc_set_valid(b, ctx, gm_bm_or(bd->valid, gets));
	gmc_residence_begin(bd, ctx, gets);
	count_arrival(m);
	gmc_block_trace(GM_EV_TO_DEVICE, b, d, gm_bm_andnot(m->moved, m->peer), m->begin_ns);
	gmc_block_trace(GM_EV_PEER_COPY, b, d, m->peer, m->begin_ns);
	gmc_block_trace(GM_EV_ZERO, b, d, m->zero, 0);
	gmc_retain(b);
	/* else all that it has is mapped over the bus: nothing to evict there */
	if (!gm_bm_empty(bd->valid))
		gmc_lru_touch(ctx->dev, bd, gm_bm_or(p->map, gets));
	return 0;
}

/*
 * Where core copies, pages have come when this returns, and their entries wait in `o`; where the
 * driver does, copies and entries wait there, and to_local_sent() does the rest.
 */
static int to_local(struct gm_move *m, struct gm_ops *o)
{
	struct gm_block *b = m->b;
	const struct gm_plan *p = &m->plan;
	bool at_va = m->ctx->dev->aperture;
	gm_bm w = gm_bm_andnot(b->prog_w, p->next[GM_DUP]);

	m->begin_ns = gm_trace_begin();
	/* What quiet_all() takes into the store is seen there afterwards: by what it lacks. */
	gm_bm zero = at_va ? gm_bm_zero() : never_touched(b, p->copy);
	m->peer = gm_bm_and(p->copy, gmc_peer_has(b, m->ctx->dev, GM_PEER_COPY));
	int err = quiet_all(m, o);
	zero = at_va ? never_touched(b, p->copy) : gmc_store_holes(b, zero);
	m->moved = gm_bm_andnot(p->copy, zero);
	m->peer = gm_bm_and(m->peer, m->moved);
	m->zero = gm_bm_or(zero, p->zero);
	record_present(b, gm_bm_andnot(gm_bm_and(m->moved, b->host), b->adopted));
	if (!err)
		err = copy_in(m, o);
	if (!err && !at_va)
		err = gmc_dev_enter(b, m->ctx, p->map, w, GM_MEM_DEVICE, o);
	if (err)
		gmc_cpu_give_back(b, gm_bm_or(p->revoke, p->protect));
	else if (at_va)
		err = depart(m);
	if (!err && at_va)
		err = gmc_dev_enter(b, m->ctx, p->map, w, GM_MEM_DEVICE, o);
	return err;
}

static int to_local_sent(struct gm_move *m, int err)
{
	if (m->ctx->dev->aperture)
		return err;
	if (!err)
		return depart(m);
	gmc_cpu_give_back(m->b, gm_bm_or(m->plan.revoke, m->plan.protect));
	return err;
}

/*
 * What the device can be given of `set`: whole pages of its memory, of which nothing is pinned and
 * all is managed and readable; and on the host (*stay), whole entries. Where a page of its memory
 * cannot be given, all of it stays.
 */
static gm_bm givable(const struct gm_block *b, const struct gm_ctx *ctx, gm_bm set, gm_bm *stay)
{
	unsigned order = b->dev[ctx->dev->index]->order;
	gm_bm may = gm_bm_and(b->managed, b->prog_r);

	*stay = gm_bm_or(gm_bm_grow(*stay, order), gm_bm_not(gm_bm_whole(may, order)));
	gm_bm local = gm_bm_grow(gm_bm_andnot(set, *stay), order);
	gm_bm there = gm_bm_grow(gm_bm_and(set, *stay), ctx->dev->min_order);
	return gm_bm_or(local, gm_bm_whole(gm_bm_and(there, may), ctx->dev->min_order));
}

/* After an error nothing is on its way, but for steps in `o` that hold by themselves. `pinned`:
 * pages that do not migrate. */
static int move_begin(struct gm_move *m, gm_bm set, bool write, gm_bm pinned, struct gm_ops *o)
{
	struct gm_block *b = m->b;
	struct gm_ctx *ctx = m->ctx;
	int d = (int)ctx->dev->index;
	gm_bm asked = set, stay = pinned;
	struct gm_plan *p = &m->plan;

	set = givable(b, ctx, asked, &stay);
	m->tried = set;
	gmc_plan(b, d, set, write, stay, p);
	/* pages that it has stay: p maps them */
	int err = gmc_frames_take(b, ctx, gm_bm_or(p->copy, p->zero), set);
	if (err) {
		gmc_frames_drop(b, ctx->dev, set);
		return err;
	}
	gm_bm busy = gmc_claim(b, gm_bm_and(p->revoke, b->host), gm_bm_and(p->protect, b->host));
	if (!gm_bm_empty(busy)) { /* system calls are using these: the device comes to them */
		stay = gm_bm_or(pinned, busy);
		set = givable(b, ctx, asked, &stay);
		gmc_cpu_give_back(b, gm_bm_andnot(gm_bm_and(m->tried, stay), busy));
		gmc_plan(b, d, set, write, stay, p);
	}
	err = gmc_bus_unmap(b, gm_bm_or(p->revoke, p->protect));
	if (!err)
		err = gmc_peer_unmap(b, gm_bm_or(p->revoke, p->protect));
	if (!err)
		err = to_remote(b, ctx, p, o);
	/* those are on the host now, and stay */
	p->revoke = gm_bm_andnot(p->revoke, p->map_remote);
	if (err)
		gmc_cpu_give_back(b, set);
	else
		err = to_local(m, o);
	if (err)
		gmc_frames_drop(b, ctx->dev, m->tried); /* those that nothing went into */
	m->open = !err;
	m->changed = !gm_bm_empty(busy);
	return err;
}

int gmc_migrate_end(struct gm_move *m, int sent)
{
	if (!m->b->dev[m->ctx->dev->index])
		return sent;
	int err = gmc_dev_sent(m->b, m->ctx, sent);
	if (m->open)
		err = to_local_sent(m, err);
	if (err || m->changed)
		gmc_frames_drop(m->b, m->ctx->dev, m->tried); /* those that nothing went into */
	gmc_block_dev_sweep(m->b, m->ctx->dev->index);
	gm_block_check(m->b);
	return err;
}

static int to_device(struct gm_block *b, struct gm_ctx *ctx, gm_bm set, bool write, gm_bm pinned)
{
	struct gm_ops o = {.ctx = ctx};
	struct gm_move m = {.b = b, .ctx = ctx};
	int err = move_begin(&m, set, write, pinned, &o), late;

	late = gmc_migrate_end(&m, gmc_ops_flush(&o));
	return err ? err : late;
}

#define VMA_BUDGET 24000 /* of 65530, in an estimate that counts high */

bool gmc_vmas_short(struct gm_as *as)
{
	return atomic_load_explicit(&as->vma_estimate, memory_order_relaxed) > VMA_BUDGET;
}

/* Pages that the device's touch leaves on the host by its placement policy. */
static gm_bm stays_by_policy(const struct gm_block *b, const struct gm_ctx *ctx)
{
	const struct gm_policy_def *placement = gm_policy_of(ctx, GM_POLICY_PLACEMENT).def;

	if (placement->touch != GM_WANT_REMOTE)
		return gm_bm_zero();
	return gm_bm_not(
		gm_bm_or(gmc_hint_comes(b, ctx->dev->index), b->dev[ctx->dev->index]->valid));
}

/* What may be moved of *set, and what stays (*pinned). 0, or why the device gets nothing */
static int choose_move(struct gm_block *b, struct gm_ctx *ctx, bool asked, gm_bm *set,
		       gm_bm *pinned)
{
	gm_bm may = gm_bm_and(b->managed, b->prog_r);
	int refused = gm_ctx_refuses(ctx);

	*pinned = b->pinned;
	if (refused)
		return refused;
	if (!gmc_block_dev_get(b, ctx))
		return -ENOMEM;
	bool counted = asked && gm_policy_of(ctx, GM_POLICY_PLACEMENT).def->counted;
	if (!ctx->dev->phys ||
	    (ctx->mode == GM_MMU_MODE_SHARE && !counted)) /* works on the host's memory */
		*pinned = gm_bm_all();
	else if (gm_unlikely(gm_limit_reached()))
		gm_bm_add(pinned, gm_bm_not(b->dev[ctx->dev->index]->valid));
	else if (!asked)
		gm_bm_add(pinned, stays_by_policy(b, ctx));
	*set = gm_bm_and(gmc_vmas_short(b->as) ? gm_bm_andnot(may, *pinned) : *set, may);
	return 0;
}

static int migrate_to_dev(struct gm_block *b, struct gm_ctx *ctx, gm_bm set, bool write, bool asked)
{
	gm_bm pinned;
	int err = choose_move(b, ctx, asked, &set, &pinned);

	if (err)
		return err;
	err = to_device(b, ctx, set, write, pinned);
	/* out of VMAs in spite of the budget: a uniform block needs the fewest */
	if (err == -ENOMEM)
		err = to_device(b, ctx, gm_bm_and(b->managed, b->prog_r), write, pinned);
	return err;
}

int gmc_migrate_begin(struct gm_move *m, struct gm_block *b, struct gm_ctx *ctx, gm_bm set,
		      bool write, struct gm_ops *o)
{
	gm_bm pinned;
	int err = choose_move(b, ctx, true, &set, &pinned);

	*m = (struct gm_move){.b = b, .ctx = ctx};
	return err ? err : move_begin(m, set, write, pinned, o);
}

int gmc_migrate_to_dev(struct gm_block *b, struct gm_ctx *ctx, gm_bm set, bool write)
{
	return migrate_to_dev(b, ctx, set, write, false);
}

int gmc_migrate_asked(struct gm_block *b, struct gm_ctx *ctx, gm_bm set, bool write)
{
	return gm_bm_empty(set) ? 0 : migrate_to_dev(b, ctx, set, write, true);
}

int gmc_map_remote(struct gm_block *b, struct gm_ctx *ctx, gm_bm set, bool write)
{
	int refused = gm_ctx_refuses(ctx);

	if (refused)
		return refused;
	struct gm_block_dev *bd = gmc_block_dev_get(b, ctx);
	if (!bd)
		return -ENOMEM;
	set = gm_bm_and(set, gm_bm_and(b->managed, b->prog_r));
	return to_device(b, ctx, set, write, gm_bm_not(bd->valid));
}

int gmc_migrate_dest(struct gm_block *b, gm_bm set, struct gm_dev *dev)
{
	if (!dev)
		return gmc_migrate_home(b, set, true);
	struct gm_ctx *ctx = b->as->ctx[dev->index];
	if (!ctx)
		return -ENODEV;
	int err = gmc_migrate_to_dev(b, ctx, set, true);
	return err == -ENOSPC ? gmc_map_remote(b, ctx, set, true) : err;
}
