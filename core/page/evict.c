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
#include "core/page/jobs.h"
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
}

void gmc_lru_remove(struct gm_dev *dev, struct gm_block_dev *bd)
{
	gmi_lock(&dev->lock);
	if (bd->on_lru)
		unlink_lru(dev, bd);
	gmi_unlock(&dev->lock);
}

/* Who asks for room. */
struct wish {
	struct gm_dev *dev;
	struct gm_block *own;	 /* locked by the caller, or NULL */
	gm_bm keep;		 /* its pages that stay */
	enum gm_frame_list list; /* of frames: where to begin */
	bool busy;		 /* a candidate's lock was held */
};

/* Resident pages that may go: of the own block, whole device pages that hold nothing of `keep`. */
static gm_bm may_go(const struct wish *w, const struct gm_block_dev *bd)
{
	gm_bm set = bd->valid;

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
static bool take_candidate(struct wish *w, struct gm_block_dev *bd)
{
	if (bd->block == w->own || gmi_trylock(&bd->block->lock))
		return true;
	w->busy = true;
	return false;
}

/* The coldest block whose lock is free; the caller's own when it is the only one. Device locked. */
static struct gm_block_dev *coldest_block(struct wish *w, gm_bm *may)
{
	struct gm_block_dev *bd, *mine = NULL;

	for (bd = w->dev->lru_head; bd; bd = bd->lru_next) {
		if (bd->block == w->own)
			mine = bd;
		else if (take_candidate(w, bd))
			break;
	}
	bd = bd ? bd : w->busy ? NULL : mine;
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
		if (!take_candidate(w, bd))
			continue;
		*may = gm_bm_and(bd->valid, page);
		if (!gm_bm_empty(*may))
			return bd;
		if (bd->block != w->own)
			gmi_unlock(&bd->block->lock);
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
		    take_candidate(w, bd))
			break;
	gmi_unlock(&w->dev->lock);
	if (bd)
		*may = bd->valid;
	return bd;
}

/* Second chances for what is in use; when all have had one, the least used of them goes. */
static struct gm_block_dev *pick_by_access(struct wish *w, gm_bm *may)
{
	uint32_t round = __atomic_add_fetch(&w->dev->evictions, 1, __ATOMIC_RELAXED);
	uint8_t least = HEAT_MAX;

	for (unsigned n = 0; n < ASK_MAX; n++) {
		struct gm_block_dev *bd = pick_victim(w, false, may);
		if (!bd || bd->block == w->own)
			return bd;
		bool again = bd->asked == round;
		bd->asked = round;
		if (!again && !block_in_use(w->dev, bd))
			return bd;
		least = gm_min(least, bd->heat);
		gmi_lock(&w->dev->lock);
		lru_to_tail(w->dev, bd);
		gmi_unlock(&w->dev->lock);
		gmi_unlock(&bd->block->lock);
		if (again)
			break;
	}
	struct gm_block_dev *bd = pick_no_hotter(w, least, may);
	return bd ? bd : pick_victim(w, false, may);
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
static struct gm_block_dev *pick_adaptive(struct wish *w, gm_bm *may)
{
	struct gm_dev *dev = w->dev;

	gmi_lock(&dev->lock);
	bool loops = gm_adapt_loops(dev),
	     full = gmc_frame_lru_count(dev, GM_FRAMES_RECENT) >= gmc_adapt_recent_frames(dev);
	bool recent = loops && full && ++dev->adapt.turn % MAIN_TURN;
	gmi_unlock(&dev->lock);
	for (unsigned n = 0; loops && !recent && n < CHANCES; n++) {
		struct gm_block_dev *bd = pick_victim(w, true, may);
		if (!bd || bd->block == w->own ||
		    !gmc_adapt_in_use(dev, bd, gm_bm_next(may, 0, true)))
			return bd;
		gmi_lock(&dev->lock);
		gmc_frame_lru_touch(dev, bd, *may);
		gmi_unlock(&dev->lock);
		gmi_unlock(&bd->block->lock);
	}
	w->list = loops && full ? GM_FRAMES_RECENT : GM_FRAMES_MAIN;
	struct gm_block_dev *bd = pick_victim(w, true, may);
	if (!bd)
		return NULL;
	gmi_lock(&dev->lock);
	gm_bm row = gmc_frame_lru_row(dev, bd, gm_bm_next(may, 0, true), loops ? ROW_IN_LOOP : ROW);
	gmi_unlock(&dev->lock);
	*may = gm_bm_and(row, may_go(w, bd));
	return bd;
}

/* Of the victim's `may`, what the policy chooses. Block locked. */
static int send_home(const struct wish *w, struct gm_block_dev *bd, gm_bm may, struct gm_choice c)
{
	struct gm_dev *dev = w->dev;
	struct gm_block *b = bd->block;
	uint64_t before = gmi_phys_used_bytes(dev->phys);
	struct gm_victims in = {.may = may,
				.valid = bd->valid,
				.part = gm_bm_or(bd->valid, gm_bm_and(b->prog_r, b->managed)),
				.order = bd->order,
				.percent = c.number,
				.now = bd->now,
				.used = bd->used};
	gm_bm set = c.def->victims(&in);
	uint8_t cause = gm_trace_cause(GM_CAUSE_EVICT);
	uint64_t begin = gm_trace_begin();
	int err = gmc_migrate_home(b, set, true);

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
	if (c.def->adaptive)
		gmc_adapt_evicted(dev, bd, set);
	atomic_fetch_add_explicit(&gmi_stats->dev[dev->index].evicted_bytes,
				  gm_bm_count(set) * GM_PAGE_BYTES, memory_order_relaxed);
	gmc_block_trace(GM_EV_EVICT, b, (int)dev->index, set, begin);
	return 0;
}

static int evict_once(struct gm_dev *dev, struct gm_block *own, gm_bm keep)
{
	struct gm_choice c = gm_policy_of_dev(dev, GM_POLICY_EVICT);
	struct wish w = {.dev = dev, .own = own, .keep = keep};
	gm_bm set;

	if (gm_inject(GM_INJ_BUSY))
		return -EAGAIN;
	if (own)
		gmc_reclaim_pressure(dev);
	struct gm_block_dev *bd = c.def->adaptive    ? pick_adaptive(&w, &set)
				  : c.def->by_access ? pick_by_access(&w, &set)
						     : pick_victim(&w, c.def->by_page, &set);

	if (!bd)
		return w.busy ? -EAGAIN : -ENOSPC;
	struct gm_block *b = bd->block;
	int err = gm_bm_empty(set) ? -ENOSPC : send_home(&w, bd, set, c);
	if (b != own)
		gmi_unlock(&b->lock);
	return err;
}

#define BUSY_MOST_NS 1000000000

/*
 * Callers come again after -EAGAIN, for whoever holds a block lets go of it soon. When nobody has
 * for a second, the device counts as full: no thread tries for ever.
 */
int gmc_evict(struct gm_dev *dev, struct gm_block *own, gm_bm keep)
{
	struct gm_thread *t = gmi_self();
	int err = evict_once(dev, own, keep);

	if (gm_likely(err != -EAGAIN)) {
		t->busy_ns = 0;
		return err;
	}
	uint64_t now = gmi_now_ns();
	if (!t->busy_ns)
		t->busy_ns = now;
	return now - t->busy_ns > BUSY_MOST_NS ? -ENOSPC : -EAGAIN;
}
