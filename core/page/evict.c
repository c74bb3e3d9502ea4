/*
 * evict.c - device memory is full: which pages go home.
 *
 * Per device a list of blocks with resident pages, coldest first; a device fault moves its block
 * to the end. Where the policy counts single pages, a second list has the frames in the same
 * order. The victim's lock is only ever tried: whoever evicts holds a block already, and two of
 * them must not wait for each other.
 */
#include "core/page/evict.h"
#include "core/page/adapt.h"
#include "core/page/frame_lru.h"
#include "core/page/guard.h"
#include "core/page/jobs.h"
#include "core/page/plugin.h"
#include "core/page/residence.h"
#include "core/page/spill.h"
#include "core/page/thread.h"
#include "core/sys/inject.h"
#include "core/page/migrate.h"
#include "core/page/driver.h"
#include <errno.h>

/* blocks of which one eviction asks the device whether it uses them (by_access) */
#define ASK_MAX	 8
#define HEAT_MAX 7

static void unlink_lru(struct gm_dev *dev, struct gm_block_dev *bd)
{
	*(bd->lru_prev ? &bd->lru_prev->lru_next : &dev->lru_head) = bd->lru_next;
	*(bd->lru_next ? &bd->lru_next->lru_prev : &dev->lru_tail) = bd->lru_prev;
	bd->lru_prev = bd->lru_next = NULL;
	bd->on_lru = false;
}

static void lru_to_tail(struct gm_dev *dev, struct gm_block_dev *bd)
{
	if (dev->lru_tail == bd)
		return;
	if (bd->on_lru)
		unlink_lru(dev, bd);
	bd->lru_prev = dev->lru_tail;
	*(dev->lru_tail ? &dev->lru_tail->lru_next : &dev->lru_head) = bd;
	dev->lru_tail = bd;
	bd->on_lru = true;
}

void gmc_lru_touch(struct gm_dev *dev, struct gm_block_dev *bd, gm_bm set)
{
	bool by_page = gm_policy_of_dev(dev, GM_POLICY_EVICT).def->by_page;

	gmi_lock(&dev->lock);
	lru_to_tail(dev, bd);
	bd->now = ++dev->clock;
	gm_bm_for_each_leaf (&set, i)
		bd->used[i / GM_LEAF_PAGES] = bd->now;
	if (gm_unlikely(by_page))
		gmc_frame_lru_touch(dev, bd, set);
	gmi_unlock(&dev->lock);
	gmc_plugin_came(dev, bd, set);
}

void gmc_lru_remove(struct gm_dev *dev, struct gm_block_dev *bd)
{
	gmi_lock(&dev->lock);
	if (bd->on_lru)
		unlink_lru(dev, bd);
	gmi_unlock(&dev->lock);
}

/* Who asks for room, and what is offered (first: the services are handed that). */
struct wish {
	struct gm_policy_evict e;
	struct gm_dev *dev;
	struct gm_block *own;	 /* locked by the caller, or NULL */
	gm_bm keep;		 /* its pages that stay */
	bool spares;		 /* and those whose time has not passed (residence.h) */
	enum gm_frame_list list; /* of frames: where to begin */
	bool busy;		 /* a candidate's lock was held */
	/* the candidate, locked unless it is own; NULL: none. may: also where a plug-in cannot
	 * write. */
	struct gm_block_dev *bd;
	gm_bm may;
};
/* This thread's: a plug-in hands in what it likes. */
static __thread struct wish *wish_now;

/* Resident pages that may go: of the own block, whole device pages that hold nothing of `keep`. */
static gm_bm may_go(const struct wish *w, const struct gm_block_dev *bd)
{
	gm_bm set = w->spares ? gm_bm_andnot(bd->valid, gmc_residence_kept(bd)) : bd->valid;

	if (bd->block != w->own)
		return set;
	for (unsigned i = 0; i < GM_PAGES_PER_BLOCK; i += 1u << bd->order) {
		gm_bm page = gm_bm_page_of_order(i, bd->order);
		if (!gm_bm_empty(gm_bm_and(w->keep, page)))
			gm_bm_remove(&set, page);
	}
	return set;
}

/* Locked, if it is not the caller's own. */
static bool take_block(struct wish *w, struct gm_block *b)
{
	if (b == w->own || gmi_trylock(&b->lock))
		return true;
	w->busy = true;
	return false;
}

/* One that is in a list of the device, which is locked: it stays. */
static bool take_candidate(struct wish *w, struct gm_block_dev *bd)
{
	return take_block(w, bd->block);
}

static void give_block_back(struct wish *w, struct gm_block *b)
{
	if (b != w->own)
		gmi_unlock(&b->lock);
}

/* May some of it go that lies in `within`? Its block is locked then. The device is. */
static bool offer_within(struct wish *w, struct gm_block_dev *bd, gm_bm within, gm_bm *may)
{
	if (!take_candidate(w, bd))
		return false;
	*may = gm_bm_and(may_go(w, bd), within);
	if (!gm_bm_empty(*may))
		return true;
	give_block_back(w, bd->block);
	return false;
}

/* The coldest block whose lock is free and of which something may go; the caller's own when it is
 * the only one. Device locked. */
static struct gm_block_dev *coldest_block(struct wish *w, gm_bm *may)
{
	struct gm_block_dev *bd, *mine = NULL;

	for (bd = w->dev->lru_head; bd; bd = bd->lru_next) {
		if (bd->block == w->own) {
			mine = bd;
			continue;
		}
		if (offer_within(w, bd, gm_bm_all(), may))
			return bd;
	}
	bd = w->busy ? NULL : mine;
	*may = bd ? may_go(w, bd) : gm_bm_zero();
	return bd;
}

/* The coldest device page. Device locked. */
static struct gm_block_dev *coldest_page(struct wish *w, gm_bm *may)
{
	unsigned n;

	for (struct gm_block_dev *bd = gmc_frame_lru_first(w->dev, w->list, &n); bd;
	     bd = gmc_frame_lru_next(w->dev, &n)) {
		unsigned first = n << bd->order;
		gm_bm page = gm_bm_page_of_order(first, bd->order);
		if (bd->block == w->own && !gm_bm_empty(gm_bm_and(w->keep, page)))
			continue;
		if (offer_within(w, bd, page, may))
			return bd;
	}
	return NULL;
}

static struct gm_block_dev *pick_victim(struct wish *w, bool by_page, gm_bm *may)
{
	gmi_lock(&w->dev->lock);
	w->busy = false;
	struct gm_block_dev *bd = by_page ? coldest_page(w, may) : NULL;
	if (!bd)
		bd = coldest_block(w, may);
	gmi_unlock(&w->dev->lock);
	return bd;
}

/* ---- the candidate ---- */

static void release_candidate(struct wish *w)
{
	if (w->bd)
		give_block_back(w, w->bd->block);
	w->bd = NULL;
}

/* bd NULL: there is none. */
static bool offer(struct wish *w, struct gm_block_dev *bd, gm_bm may)
{
	if (!bd)
		return false;
	const struct gm_block *b = bd->block;
	w->bd = bd;
	w->may = may;
	w->e.block_va = b->va;
	w->e.page_bytes = GM_PAGE_BYTES << bd->order;
	w->e.may = may;
	w->e.resident = bd->valid;
	w->e.mapped = gm_bm_or(bd->valid, gm_bm_and(b->prog_r, b->managed));
	w->e.now = bd->now;
	w->e.used = bd->used;
	w->e.go = gm_bm_zero();
	return true;
}

static bool offer_coldest(struct wish *w, bool by_page)
{
	gm_bm may;

	release_candidate(w);
	struct gm_block_dev *bd = pick_victim(w, by_page, &may);
	if (offer(w, bd, may) && !gm_bm_empty(may))
		return true;
	release_candidate(w);
	return false;
}

/* The block of a device page that a plug-in names. */
static bool offer_page(struct wish *w, uint64_t va)
{
	struct gm_as *as = gmc_as_find(va);
	struct gm_block *b = as ? gm_block_find(as, va) : NULL;

	release_candidate(w);
	if (!b || !take_block(w, b))
		return false;
	struct gm_block_dev *bd = b->dev[w->dev->index];
	if (!bd) {
		give_block_back(w, b);
		return false;
	}
	unsigned i = gm_page_index(va) & ~0u << bd->order;
	gm_bm may = may_go(w, bd);
	if (offer(w, bd, may) && !gm_bm_empty(gm_bm_and(may, gm_bm_page_of_order(i, bd->order))))
		return true;
	release_candidate(w);
	return false;
}

static bool wish_coldest(struct gm_policy_evict *e, enum gm_policy_order by)
{
	struct gm_guard core;

	gmc_guard_pause(&core);
	bool found = offer_coldest(wish_now, by == GM_POLICY_BY_PAGE);
	gmc_guard_resume(&core);
	return found;
}

static bool wish_at(struct gm_policy_evict *e, uint64_t va)
{
	struct gm_guard core;

	gmc_guard_pause(&core);
	bool found = offer_page(wish_now, va);
	gmc_guard_resume(&core);
	return found;
}

/* ---- by access ---- */

/* Asks the device whether it has used the block since it was last asked; the block's heat counts
 * how often. */
static bool block_in_use(struct gm_dev *dev, struct gm_block_dev *bd)
{
	struct gm_ctx *ctx = bd->block->as->ctx[dev->index];
	gm_bm touched = gm_bm_zero();

	if (!dev->mmu->accessed || gmc_driver(dev, GM_CB_ACCESSED, (uintptr_t)ctx->pmap,
					      bd->block->va, GM_BLOCK_BYTES, (uintptr_t)touched.w))
		return false;
	bool used = !gm_bm_empty(touched);
	if (used)
		bd->heat = (uint8_t)gm_min(bd->heat + 1, HEAT_MAX);
	else if (bd->heat)
		bd->heat--;
	return used || bd->heat;
}

/* The coldest block that is no hotter than `heat`. */
static struct gm_block_dev *pick_no_hotter(struct wish *w, uint8_t heat, gm_bm *may)
{
	struct gm_block_dev *bd;

	gmi_lock(&w->dev->lock);
	for (bd = w->dev->lru_head; bd; bd = bd->lru_next)
		if (bd->block != w->own && __atomic_load_n(&bd->heat, __ATOMIC_RELAXED) <= heat &&
		    offer_within(w, bd, gm_bm_all(), may))
			break;
	gmi_unlock(&w->dev->lock);
	return bd;
}

static bool wish_in_use(struct gm_policy_evict *e)
{
	struct gm_guard core;

	gmc_guard_pause(&core);
	bool used = wish_now->bd && block_in_use(wish_now->dev, wish_now->bd);
	gmc_guard_resume(&core);
	return used;
}

/* Not now: it goes to the warm end of the list. */
static void spare(struct wish *w)
{
	gmi_lock(&w->dev->lock);
	lru_to_tail(w->dev, w->bd);
	gmi_unlock(&w->dev->lock);
	release_candidate(w);
}

/* Second chances for what is in use; when all have had one, the least used of them goes. */
static int choose_by_access(const struct gm_policy_view *v, void *state, struct gm_policy_evict *e)
{
	struct wish *w = wish_now;
	uint32_t round = __atomic_add_fetch(&w->dev->evictions, 1, __ATOMIC_RELAXED);
	uint8_t least = HEAT_MAX;
	gm_bm may;

	for (unsigned n = 0; n < ASK_MAX; n++) {
		if (!offer_coldest(w, false))
			return -1;
		struct gm_block_dev *bd = w->bd;
		bool again = bd->asked == round;
		if (bd->block == w->own)
			break;
		bd->asked = round;
		if (!again && !block_in_use(w->dev, bd))
			break;
		least = gm_min(least, bd->heat);
		spare(w);
		if (again)
			break;
	}
	if (!w->bd) {
		struct gm_block_dev *bd = pick_no_hotter(w, least, &may);
		if (!offer(w, bd, may) && !offer_coldest(w, false))
			return -1;
	}
	e->go = e->may;
	return 0;
}

/* ---- adaptive ---- */

#define MAIN_TURN 16 /* one of so many evictions looks for what has gone out of use */
#define CHANCES	  4  /* that one eviction gives */
/* Device pages of a block that go in one transfer, if they are next anyway */
#define ROW	    16
#define ROW_IN_LOOP 4

/*
 * In a loop: what came last but a few; or, seldom and when something was promoted, main pages out
 * of use.
 */
static int choose_adaptive(const struct gm_policy_view *v, void *state, struct gm_policy_evict *e)
{
	struct wish *w = wish_now;
	struct gm_dev *dev = w->dev;

	gmi_lock(&dev->lock);
	bool loops = gm_adapt_loops(dev),
	     full = gmc_frame_lru_count(dev, GM_FRAMES_RECENT) >= gmc_adapt_recent_frames(dev);
	bool recent = loops && full && ++dev->adapt.turn % MAIN_TURN;
	gmi_unlock(&dev->lock);
	for (unsigned n = 0; loops && !recent && n < CHANCES; n++) {
		if (!offer_coldest(w, true))
			return -1;
		e->go = e->may;
		if (w->bd->block == w->own ||
		    !gmc_adapt_in_use(dev, w->bd, gm_bm_next(&w->may, 0, true)))
			return 0;
		gmi_lock(&dev->lock);
		gmc_frame_lru_touch(dev, w->bd, w->may);
		gmi_unlock(&dev->lock);
	}
	w->list = loops && full ? GM_FRAMES_RECENT : GM_FRAMES_MAIN;
	if (!offer_coldest(w, true))
		return -1;
	gmi_lock(&dev->lock);
	gm_bm row = gmc_frame_lru_row(dev, w->bd, gm_bm_next(&w->may, 0, true),
				      loops ? ROW_IN_LOOP : ROW);
	gmi_unlock(&dev->lock);
	e->go = w->may = gm_bm_and(row, may_go(w, w->bd));
	return 0;
}

__attribute__((constructor)) static void offer_picks(void)
{
	gmc_pick_by_access = choose_by_access;
	gmc_pick_adaptive = choose_adaptive;
}

/* ---- one eviction ---- */

/* Whole device pages, within what may go. */
static bool is_sound(const struct wish *w)
{
	return w->bd && !gm_bm_empty(w->e.go) && gm_bm_empty(gm_bm_andnot(w->e.go, w->may)) &&
	       gm_bm_empty(
		       gm_bm_andnot(gm_bm_and(gm_bm_grow(w->e.go, w->bd->order), w->may), w->e.go));
}

/* A plug-in that is broken, or knows of nothing, leaves it to the order of blocks. */
static void ask_plugin(struct wish *w)
{
	if (w->own && gmc_plugin_look_due(w->dev))
		gmc_plugin_look(w->dev, w->own->as, w->own);
	int r = gmc_plugin_pick(w->dev, &w->e);
	if (!r && is_sound(w))
		return;
	if (!r)
		gmc_plugin_bad_answer(w->dev, "on_evict_pick",
				      w->bd ? "let go what may not, or nothing"
					    : "took no candidate, and said that it had");
	if (offer_coldest(w, false))
		w->e.go = w->may;
}

/* Block locked. */
static int send_home(const struct wish *w, gm_bm set, bool adaptive)
{
	struct gm_dev *dev = w->dev;
	struct gm_block_dev *bd = w->bd;
	struct gm_block *b = bd->block;
	uint64_t before = gmi_phys_used_bytes(dev->phys);
	uint8_t cause = gm_trace_cause(GM_CAUSE_EVICT);
	uint64_t begin = gm_trace_begin();
	/* whoever evicts is in the middle of his own block */
	gm_bm gone = b == w->own ? gm_bm_zero() : gmc_spill(b, dev, set),
	      left = gm_bm_andnot(set, gone);
	int err = gm_bm_empty(left) ? 0 : gmc_migrate_home(b, left, true);

	gm_trace_cause(cause);
	if (!err && gmi_phys_used_bytes(dev->phys) >= before && b == w->own)
		err = -ENOSPC;
	if (err && b != w->own) { /* others first, the next time */
		gmi_lock(&dev->lock);
		if (bd->on_lru)
			lru_to_tail(dev, bd);
		gmi_unlock(&dev->lock);
	}
	if (err)
		return err;
	gm_bm_add(&bd->evicted, set);
	if (adaptive)
		gmc_adapt_evicted(dev, bd, set);
	atomic_fetch_add_explicit(&gmi_stats->dev[dev->index].evicted_bytes,
				  gm_bm_count(set) * GM_PAGE_BYTES, memory_order_relaxed);
	gmc_block_trace(GM_EV_EVICT, b, (int)dev->index, set, begin);
	return 0;
}

static int evict_once(struct gm_dev *dev, struct gm_block *own, gm_bm keep, bool spares)
{
	struct gm_choice c = gm_policy_of_dev(dev, GM_POLICY_EVICT);
	struct wish w = {.e = {.coldest = wish_coldest,
			       .at = wish_at,
			       .in_use = wish_in_use,
			       .number = c.number},
			 .dev = dev,
			 .own = own,
			 .keep = keep,
			 .spares = spares};

	if (gm_inject(GM_INJ_BUSY))
		return -EAGAIN;
	if (own)
		gmc_reclaim_pressure(dev);
	wish_now = &w;
	if (gm_unlikely(c.def->plugin && dev->plugin))
		ask_plugin(&w);
	else
		c.def->call.on_evict_pick(NULL, NULL, &w.e);
	if (!w.bd)
		return w.busy ? -EAGAIN : -ENOSPC;
	int err = gm_bm_empty(w.e.go) ? -ENOSPC : send_home(&w, w.e.go, c.def->adaptive);
	release_candidate(&w);
	return err;
}

int (*gmc_purge)(struct gm_dev *dev);

/* What nobody needs goes first, and nothing is copied. */
static bool purged(struct gm_dev *dev)
{
	return gm_unlikely(__atomic_load_n(&dev->purgeable, __ATOMIC_RELAXED)) && !gmc_purge(dev);
}

#define BUSY_MOST_NS 1000000000

/*
 * Callers come again after -EAGAIN, for whoever holds a block lets go of it soon. When nobody has
 * for a second, the device counts as full: no thread tries for ever.
 */
int gmc_evict(struct gm_dev *dev, struct gm_block *own, gm_bm keep)
{
	struct gm_thread *t = gmi_self();

	if (purged(dev))
		return 0;
	bool spares = atomic_load_explicit(&gmc_residence_used, memory_order_relaxed);
	int err = evict_once(dev, own, keep, spares);

	if (gm_unlikely(err == -ENOSPC && spares))
		err = evict_once(dev, own, keep, false);
	if (gm_likely(err != -EAGAIN)) {
		t->busy_ns = 0;
		return err;
	}
	uint64_t now = gmi_now_ns();
	if (!t->busy_ns)
		t->busy_ns = now;
	return now - t->busy_ns > BUSY_MOST_NS ? -ENOSPC : -EAGAIN;
}

int gmc_evict_ahead(struct gm_dev *dev)
{
	return purged(dev) ? 0 : evict_once(dev, NULL, gm_bm_zero(), true);
}
