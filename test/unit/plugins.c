/*
 * plugins.c - policies for test_plugin.c, each a shared object of its own (plugins.mk): a good one
 * that writes down what it sees, and one for each way of being broken.
 */
#include "plugins.h"
#include <stdlib.h>

static void put(struct page_set_log *log, uint64_t va)
{
	if (log->n < LOG_MAX)
		log->va[log->n++] = va;
}

/* ---- good: the page, all of its block's, or what the state says ---- */

static void good_fault(const struct gm_policy_view *v, void *state, struct gm_policy_fault *f)
{
	struct plugin_log *log = state;

	plugin_log = log;
	put(&log->fault, f->va);
	log->pages = v->pages;
	log->page_bytes = v->page_bytes;
	log->used_pages = v->used_pages;
	if (plugin_ask.all)
		f->come = f->possible;
	for (unsigned i = 0; i < plugin_ask.naheads; i++) {
		f->ahead[i].va = plugin_ask.ahead[i];
		f->ahead[i].bytes = v->page_bytes;
	}
	f->naheads = plugin_ask.naheads;
	plugin_ask.naheads = 0;
}

static void good_touch(const struct gm_policy_view *v, void *state, uint64_t va)
{
	put(&((struct plugin_log *)state)->touch, va);
}

/* The page that came last: nobody built in does that. */
static int good_pick(const struct gm_policy_view *v, void *state, struct gm_policy_evict *e)
{
	struct plugin_log *log = state;
	const struct gm_policy_page *last = 0;

	for (unsigned i = 0; i < v->pages; i++)
		if (v->page[i].va && (!last || v->page[i].came_ns > last->came_ns))
			last = &v->page[i];
	if (!last || !e->at(e, last->va))
		return -1;
	unsigned i = (unsigned)((last->va - e->block_va) / 4096), end = i + v->page_bytes / 4096;
	for (; i < end; i++)
		e->go.w[i / 64] |= e->may.w[i / 64] & (uint64_t)1 << i % 64;
	put(&log->evict, last->va);
	return 0;
}

static void good_launch(const struct gm_policy_view *v, void *state, const char *kernel)
{
	struct plugin_log *log = state;

	plugin_log = log;
	log->launches++;
	for (unsigned i = 0; i + 1 < sizeof log->kernel && kernel[i]; i++)
		log->kernel[i] = kernel[i];
}

static void good_tick(const struct gm_policy_view *v, void *state)
{
	((struct plugin_log *)state)->ticks++;
}

/* ---- broken ---- */

static void no_fault(const struct gm_policy_view *v, void *state, struct gm_policy_fault *f)
{
}
static void crash_fault(const struct gm_policy_view *v, void *state, struct gm_policy_fault *f)
{
	*(volatile int *)16 = 1;
}
static int divide_pick(const struct gm_policy_view *v, void *state, struct gm_policy_evict *e)
{
	volatile int zero = 0;

	e->coldest(e, GM_POLICY_BY_PAGE);
	return 1000 / zero; /* (the compiler knows what 1 / zero is) */
}
static void trap_fault(const struct gm_policy_view *v, void *state, struct gm_policy_fault *f)
{
	__asm__ volatile("ud2");
}
static int abort_pick(const struct gm_policy_view *v, void *state, struct gm_policy_evict *e)
{
	e->coldest(e, GM_POLICY_BY_PAGE);
	abort();
}
static int crash_pick(const struct gm_policy_view *v, void *state, struct gm_policy_evict *e)
{
	e->coldest(e, GM_POLICY_BY_PAGE); /* its block stays locked meanwhile */
	return *(volatile int *)32;
}
static int touch_pick(const struct gm_policy_view *v, void *state, struct gm_policy_evict *e)
{
	e->coldest(e, GM_POLICY_BY_BLOCK);
	return *(volatile char *)(uintptr_t)e->block_va; /* the program's memory: it is away */
}
static void hang_fault(const struct gm_policy_view *v, void *state, struct gm_policy_fault *f)
{
	for (volatile unsigned long i = 0;; i++)
		;
}
static void call_fault(const struct gm_policy_view *v, void *state, struct gm_policy_fault *f)
{
	plugin_call_back();
}
static int outside_pick(const struct gm_policy_view *v, void *state, struct gm_policy_evict *e)
{
	e->coldest(e, GM_POLICY_BY_PAGE);
	for (unsigned i = 0; i < 8; i++)
		e->may.w[i] = e->go.w[i] = ~(uint64_t)0; /* as if that changed anything */
	return 0;
}
static int part_pick(const struct gm_policy_view *v, void *state, struct gm_policy_evict *e)
{
	e->coldest(e, GM_POLICY_BY_PAGE);
	for (unsigned i = 0; i < 8 && !e->go.w[i]; i++)
		e->go.w[i] = e->may.w[i] & -e->may.w[i]; /* 4 KiB of a larger page */
	return 0;
}
static int nothing_pick(const struct gm_policy_view *v, void *state, struct gm_policy_evict *e)
{
	return 0;
}
static int never_pick(const struct gm_policy_view *v, void *state, struct gm_policy_evict *e)
{
	return -1;
}
static void ahead_fault(const struct gm_policy_view *v, void *state, struct gm_policy_fault *f)
{
	f->naheads = GM_POLICY_AHEAD + 1;
}

struct plugin_ask plugin_ask;
struct plugin_log *plugin_log;
void (*plugin_call_back)(void);

#define POLICY	    const struct gm_policy_plugin gm_policy
#define STATE_BYTES sizeof(struct plugin_log)
#define V	    .version = GM_POLICY_VERSION, .name = "test", .state_bytes = STATE_BYTES

#if defined PLUGIN_good
POLICY = {V, good_fault, good_touch, good_pick, good_launch, good_tick};
#elif defined PLUGIN_absent
const int something_else = 1;
#elif defined PLUGIN_version
POLICY = {.version = GM_POLICY_VERSION + 1, .name = "test", .on_fault = no_fault};
#elif defined PLUGIN_empty
POLICY = {V};
#elif defined PLUGIN_nameless
POLICY = {.version = GM_POLICY_VERSION, .on_fault = no_fault};
#elif defined PLUGIN_huge
POLICY = {.version = GM_POLICY_VERSION,
	  .name = "test",
	  .state_bytes = GM_POLICY_STATE_MAX + 1ull,
	  .on_fault = no_fault};
#else /* one function: -DFIELD=on_fault -DFUNCTION=crash_fault */
POLICY = {V, .FIELD = FUNCTION};
#endif
