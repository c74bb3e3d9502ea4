/* Pages that go back and forth. See thrash.h. */
#include "core/care/thrash.h"
#include "core/care/notice.h"
#include "core/page/jobs.h"
#include "core/page/entries.h"
#include "core/count/site.h"
#include "core/count/trace.h"

struct leaf {
	uint32_t last_us, until_us; /* of the last event; until it is free again */
	uint8_t events;		    /* in a row, each within a lapse */
	uint8_t bounces;	    /* within the epoch */
	int8_t actor;		    /* who took it last */
	bool parked;
};
struct gm_thrash {
	uint32_t nparked;
	struct leaf leaf[GM_LEAVES];
};
static _Atomic uint32_t parked_leaves; /* of all blocks */

static uint32_t now_us(void)
{
	return (uint32_t)(gmi_now_ns() / 1000);
}

/* The policy of the devices that matter here: the strictest of those that know the block. */
static struct gm_choice strictest_policy(const struct gm_block *b)
{
	struct gm_choice strictest = {0};

	gm_for_each_dev (b, d) {
		struct gm_choice one = gm_policy_of(b->as->ctx[d], GM_POLICY_THRASH);
		if (!strictest.def || one.def > strictest.def)
			strictest = one;
	}
	return strictest;
}

static struct leaf *leaf_of(struct gm_block *b, unsigned i)
{
	unsigned order = 0;

	gm_for_each_dev (b, d)
		order = gm_max(order, b->dev[d]->order);
	return &b->thrash->leaf[(i & ~0u << order) / GM_LEAF_PAGES];
}

static bool leaf_kept(const struct leaf *l, uint32_t now, int32_t *left)
{
	*left = (int32_t)(l->until_us - now);
	return l->events >= GM_THRASH_THRESHOLD && *left > 0 &&
	       *left <= GM_THRASH_PARK_LAPSES * GM_THRASH_LAPSE_MOST_US;
}

gm_bm gmc_thrash_kept(struct gm_block *b)
{
	gm_bm set = gm_bm_zero();
	uint32_t now = now_us();
	int32_t left;

	for (unsigned i = 0; i < GM_LEAVES; i++)
		if (leaf_kept(leaf_of(b, i * GM_LEAF_PAGES), now, &left))
			gm_bm_add(&set, gm_bm_range(i * GM_LEAF_PAGES, (i + 1) * GM_LEAF_PAGES));
	return set;
}

enum gm_thrash_answer gmc_thrash_ask(struct gm_block *b, unsigned i, int actor, unsigned *wait_us)
{
	if (gm_likely(!b->thrash))
		return GM_THRASH_GO;
	struct leaf *l = leaf_of(b, i);
	int32_t left;
	if (!leaf_kept(l, now_us(), &left))
		return GM_THRASH_GO;
	if (l->parked)
		return actor == GM_THRASH_CPU ? GM_THRASH_GO : GM_THRASH_STAY;
	*wait_us = (unsigned)left;
	return actor == l->actor ? GM_THRASH_GO : GM_THRASH_WAIT;
}

/* What is done about a leaf of 64 KiB. */
static void trace_leaf(enum gm_event_kind kind, const struct gm_block *b, const struct leaf *l)
{
	unsigned first = (unsigned)(l - b->thrash->leaf) * GM_LEAF_PAGES;

	gmc_block_trace(kind, b, -1, gm_bm_range(first, first + GM_LEAF_PAGES), 0);
}

static void park_leaf(struct gm_block *b, struct leaf *l, uint32_t lapse_us)
{
	l->until_us = l->last_us + GM_THRASH_PARK_LAPSES * lapse_us;
	if (l->parked)
		return;
	l->parked = true;
	b->thrash->nparked++;
	atomic_fetch_add(&parked_leaves, 1);
	GM_COUNT(thrash_pins, 1);
	trace_leaf(GM_EV_PARK, b, l);
	gmc_job_wanted(GM_JOB_UNPARK);
}

static void note_beginning(const struct gm_block *b, const struct leaf *l)
{
	if (l->events != GM_THRASH_THRESHOLD)
		return;
	GM_COUNT_SITE(b->site, bounced, 1);
	gmc_notice_bounced();
}

static void leaf_moved(struct gm_block *b, struct leaf *l, int actor, struct gm_choice policy)
{
	uint32_t lapse_us = policy.number ? policy.number : GM_THRASH_LAPSE_US;
	/* The time for which it was throttled does not count. */
	uint32_t now = now_us(),
		 free_us = l->events >= GM_THRASH_THRESHOLD ? l->until_us : l->last_us;
	uint32_t since = (int32_t)(now - free_us) > 0 ? now - free_us : 0;
	if (l->actor == actor && l->last_us)
		return;
	if (!l->last_us || since > GM_THRASH_EPOCH_LAPSES * lapse_us)
		l->events = l->bounces = 0;
	l->events = since <= lapse_us ? (uint8_t)gm_min(l->events + 1, 255) : 0;
	l->bounces = (uint8_t)gm_min(l->bounces + 1, 255);
	l->last_us = now ? now : 1;
	l->until_us = now;
	l->actor = (int8_t)actor;
	if (l->bounces == GM_THRASH_THRESHOLD)
		GM_COUNT(thrash_leaves, 1);
	if (l->events < GM_THRASH_THRESHOLD)
		return;
	note_beginning(b, l);
	if (policy.def->pin && l->events >= GM_THRASH_PARK_EVENTS) {
		park_leaf(b, l, lapse_us);
	} else if (policy.def->throttle) {
		l->until_us = now + lapse_us;
		GM_COUNT(thrash_throttled, 1);
		trace_leaf(GM_EV_THROTTLE, b, l);
	}
}

void gmc_thrash_moved(struct gm_block *b, gm_bm set, int actor)
{
	struct gm_choice choice = {0};
	struct leaf *last = NULL;

	if (!b->thrash && actor == GM_THRASH_CPU) /* the first way to a device is nobody's return */
		b->thrash = gmi_alloc(sizeof *b->thrash);
	if (b->thrash)
		choice = strictest_policy(b);
	if (!choice.def)
		return;
	gm_bm_for_each_leaf (&set, i) {
		struct leaf *l = leaf_of(b, i);
		if (l != last)
			leaf_moved(b, l, actor, choice);
		last = l;
	}
}

/* ---- the end of parking ---- */

/* The leaf's entries over the bus go, so that the device asks again. */
static void unpark_leaf(struct gm_block *b, struct leaf *l)
{
	unsigned n = (unsigned)(l - b->thrash->leaf), end = n + 1;

	while (end < GM_LEAVES && !b->thrash->leaf[end].last_us)
		end++; /* a device page over 64 KiB has its record in its first leaf */
	gm_bm set = gm_bm_andnot(gm_bm_range(n * GM_LEAF_PAGES, end * GM_LEAF_PAGES), b->pinned);
	gm_for_each_dev (b, d)
		if (gmc_dev_unmap(b, b->as->ctx[d], gm_bm_and(set, b->dev[d]->remote)))
			return; /* the next time */
	*l = (struct leaf){0};
	b->thrash->nparked--;
	atomic_fetch_sub(&parked_leaves, 1);
}

bool gmc_thrash_unpark_due(struct gm_block *b)
{
	for (unsigned i = 0; b->thrash && b->thrash->nparked && i < GM_LEAVES; i++) {
		struct leaf *l = &b->thrash->leaf[i];
		if (l->parked && (int32_t)(l->until_us - now_us()) <= 0)
			unpark_leaf(b, l);
	}
	return atomic_load_explicit(&parked_leaves, memory_order_relaxed) != 0;
}

void gmc_thrash_free(struct gm_block *b)
{
	if (!b->thrash)
		return;
	atomic_fetch_sub(&parked_leaves, b->thrash->nparked);
	gmi_free(b->thrash, sizeof *b->thrash);
	b->thrash = NULL;
}
