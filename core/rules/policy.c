/*
 * policy.c - the tables of policies, and who follows which. What each rule does: prefetch.c,
 * victims.c, state.c, thrash.c.
 */
#include "core/rules/policy.h"
#include "core/sys/text.h"
#include "core/rules/prefetch.h"
#include "core/rules/victims.h"
#include <errno.h>

static void along(enum gm_prefetch_kind kind, struct gm_policy_fault *f)
{
	f->come = gmi_prefetch(kind, f->number, f->page_bytes, f->must, f->resident, f->possible);
}
static void along_none(const struct gm_policy_view *v, void *state, struct gm_policy_fault *f)
{
	along(GM_PREFETCH_NONE, f);
}
static void along_seq64k(const struct gm_policy_view *v, void *state, struct gm_policy_fault *f)
{
	along(GM_PREFETCH_SEQ64K, f);
}
static void along_tree(const struct gm_policy_view *v, void *state, struct gm_policy_fault *f)
{
	along(GM_PREFETCH_TREE, f);
}

static void along_adaptive(const struct gm_policy_view *v, void *state, struct gm_policy_fault *f)
{
	unsigned first = gm_bm_next(&f->must, 0, true) & ~(GM_LEAF_PAGES - 1);
	unsigned end = gm_min(first + GM_LEAF_PAGES * f->run, (unsigned)GM_PAGES_PER_BLOCK);

	along(f->run ? GM_PREFETCH_SEQ64K : GM_PREFETCH_TREE, f);
	if (f->run > 1)
		gm_bm_add(&f->come, gm_bm_andnot(gm_bm_and(gm_bm_range(first, end), f->possible),
						 f->resident));
}

/* ---- those that need a device's own lists ---- */

gm_evict_pick *gmc_pick_by_access, *gmc_pick_adaptive;

static int pick_by_access(const struct gm_policy_view *v, void *state, struct gm_policy_evict *e)
{
	return gmc_pick_by_access(v, state, e);
}
static int pick_adaptive(const struct gm_policy_view *v, void *state, struct gm_policy_evict *e)
{
	return gmc_pick_adaptive(v, state, e);
}

#define ISCA "Ganguly et al., ISCA'19"
#define UVM  "NVIDIA open-gpu-kernel-modules, "
#define SCI  "Li et al., SCILIB-Accel, PEARC'24"

/* Indexed by what gmi_opt holds. */
static const struct gm_policy_def prefetchers[] = {
	[GM_PREFETCH_NONE] = {.info = {"none", "the device page alone", ISCA ": on demand"},
			      .call.on_fault = along_none},
	[GM_PREFETCH_SEQ64K] = {.info = {"seq64k", "the aligned 64 KiB around it",
					 ISCA ": sequential-local"},
				.call.on_fault = along_seq64k},
	[GM_PREFETCH_TREE] =
		{.info = {"tree",
			  "the largest subtree of 2 MiB that is fuller than so many percent",
			  ISCA "; " UVM "uvm_perf_prefetch.c"},
		 .number = 51,
		 .most = 100,
		 .call.on_fault = along_tree},
	[GM_PREFETCH_ADAPTIVE] =
		{.info = {"adaptive",
			  "tree; while the device asks back what it had to evict, only what "
			  "streams of faults ask for next",
			  "ours (docs/policies.md)"},
		 .number = 51,
		 .most = 100,
		 .call.on_fault = along_adaptive,
		 .adaptive = true},
};
static const struct gm_policy_def evictors[] = {
	[GM_EVICT_LRU2M] = {.info = {"lru2m",
				     "the 2 MiB block that the device asked for longest ago",
				     UVM
				     "uvm_pmm_gpu.c: root chunks in the order of their last use"},
			    .call.on_evict_pick = gmc_pick_block},
	[GM_EVICT_LRU4K] =
		{.info = {"lru4k",
			  "the device page (4 KiB where it has such) asked for longest ago",
			  ISCA ": LRU of 4 KiB pages"},
		 .call.on_evict_pick = gmc_pick_page,
		 .by_page = true},
	[GM_EVICT_TREE] = {.info = {"tree",
				    "the coldest 64 KiB of the coldest block, and every subtree "
				    "that is then emptier than so many percent",
				    ISCA ": tree-based neighbourhood pre-eviction"},
			   .number = 50,
			   .most = 100,
			   .call.on_evict_pick = gmc_pick_tree},
	[GM_EVICT_ACCESS] = {.info = {"access",
				      "lru2m, but blocks that the device has used since are spared",
				      "second chance by the MMU's access counters (Corbato, 1968)"},
			     .call.on_evict_pick = pick_by_access},
	[GM_EVICT_ADAPTIVE] =
		{.info = {"adaptive",
			  "64 KiB in the order in which they came; while the device asks back what "
			  "it had to evict, those that came last but a few",
			  "2Q, BIP, LIRS; ours (docs/policies.md)"},
		 .call.on_evict_pick = pick_adaptive,
		 .by_page = true,
		 .adaptive = true},
};
static const struct gm_policy_def placements[] = {
	[GM_PLACE_MIGRATE] = {.info = {"migrate", "the page moves to whoever touches it",
				       "GMEM RFC; " UVM "uvm_va_policy.c: default"},
			      .touch = GM_WANT_MIGRATE},
	[GM_PLACE_FIRST_USE] = {{"first-use",
				 "the first touch of the device moves the page for good; the CPU "
				 "reaches it over the bus",
				 SCI ": device first use"},
				.touch = GM_WANT_MIGRATE,
				.stays = true},
	[GM_PLACE_REMOTE] =
		{.info = {"remote",
			  "the page stays on the host; the device reaches it over the bus",
			  "zero copy: CUDA mapped host memory"},
		 .touch = GM_WANT_REMOTE},
	[GM_PLACE_DUPLICATE] = {.info = {"duplicate", "readers get copies, a writer takes the page",
					 "GMEM RFC: GM_MMU_MODE_REPLICATE; " UVM
					 "read duplication"},
				.touch = GM_WANT_DUPLICATE},
	[GM_PLACE_COPY] = {.info = {"copy",
				    "for comparison: every launch copies in what it touches and "
				    "back what it wrote",
				    SCI ": memory copy"},
			   .touch = GM_WANT_DUPLICATE,
			   .home_after_launch = true},
	[GM_PLACE_COUNTED] =
		{.info = {"counted",
			  "remote, until the access counter finds the page hot; then it moves",
			  UVM "uvm_gpu_access_counters.c"},
		 .touch = GM_WANT_REMOTE,
		 .counted = true},
};
static const struct gm_policy_def thrashers[] = {
	[GM_THRASH_NONE] = {.info = {"none", "pages move as often as they are asked for", ""}},
	[GM_THRASH_THROTTLE] = {.info = {"throttle",
					 "a page that thrashes stays a while with whoever has it",
					 UVM "uvm_perf_thrashing.c"},
				.number = GM_THRASH_LAPSE_US,
				.most = GM_THRASH_LAPSE_MOST_US,
				.throttle = true},
	[GM_THRASH_PIN] =
		{.info = {"pin",
			  "throttle; a page that thrashes on is pinned to the host for a while",
			  UVM "uvm_perf_thrashing.c"},
		 .number = GM_THRASH_LAPSE_US,
		 .most = GM_THRASH_LAPSE_MOST_US,
		 .throttle = true,
		 .pin = true},
};

static const struct gm_policy_def residences[] = {
	[GM_RESIDENCE_NONE] = {.info = {"none", "a page goes as soon as somebody else wants it",
					""}},
	[GM_RESIDENCE_KEEP] =
		{.info = {"keep",
			  "a page that has come to the device stays for so many milliseconds: who "
			  "wants it waits, and eviction takes others while there are any",
			  "Linux, drm_pagemap.c: timeslice_ms, which xe gives 5"},
		 .number = GM_RESIDENCE_MS,
		 .most = GM_RESIDENCE_MOST_MS,
		 .keep = true},
};

static const struct kind {
	const struct gm_policy_def *def;
	unsigned n;
} kinds[GM_POLICY_KINDS] = {
	[GM_POLICY_PREFETCH] = {prefetchers, GM_ARRAY_LEN(prefetchers)},
	[GM_POLICY_EVICT] = {evictors, GM_ARRAY_LEN(evictors)},
	[GM_POLICY_PLACEMENT] = {placements, GM_ARRAY_LEN(placements)},
	[GM_POLICY_THRASH] = {thrashers, GM_ARRAY_LEN(thrashers)},
	[GM_POLICY_RESIDENCE] = {residences, GM_ARRAY_LEN(residences)},
};

/* ---- names ---- */

/* 1 .. most, or 0. */
static unsigned policy_number(const char *s, unsigned most)
{
	unsigned n = 0;

	for (; *s >= '0' && *s <= '9' && n <= most; s++)
		n = n * 10 + (unsigned)(*s - '0');
	return *s || n > most ? 0 : n;
}

int gmi_policy_parse(enum gm_policy_kind kind, const char *text, struct gm_choice *choice)
{
	for (unsigned i = 0; (unsigned)kind < GM_POLICY_KINDS && i < kinds[kind].n; i++) {
		const struct gm_policy_def *def = &kinds[kind].def[i];
		const char *rest = gm_text_after(text, def->info.name);
		if (!rest || (*rest && *rest != ':'))
			continue;
		unsigned n = *rest ? policy_number(rest + 1, def->most) : def->number;
		if (*rest && !n)
			return -EINVAL;
		*choice = (struct gm_choice){def, n};
		return 0;
	}
	return -EINVAL;
}

unsigned gmc_policy_index(enum gm_policy_kind kind, const struct gm_policy_def *def)
{
	return (unsigned)(def - kinds[kind].def);
}

/* ---- who follows what ---- */

static _Atomic bool copies;

struct gm_choice gmc_policy_of_options(enum gm_policy_kind kind)
{
	unsigned i = 0;

	switch (kind) {
	case GM_POLICY_PREFETCH:
		i = gmi_opt.prefetch;
		break;
	case GM_POLICY_EVICT:
		i = gmi_opt.evict;
		break;
	case GM_POLICY_PLACEMENT:
		i = gmi_opt.placement;
		break;
	case GM_POLICY_RESIDENCE:
		i = gmi_opt.residence;
		break;
	default:
		i = gmi_opt.thrash;
	}
	return (struct gm_choice){&kinds[kind].def[i], gmi_opt.policy_number[kind]};
}

/*
 * A choice is read while another thread sets it: the pointer is what counts, the number comes
 * before it.
 */
static struct gm_choice load_choice(const struct gm_choice *c)
{
	struct gm_choice r = {.def = __atomic_load_n(&c->def, __ATOMIC_ACQUIRE)};

	r.number = __atomic_load_n(&c->number, __ATOMIC_RELAXED);
	return r;
}

struct gm_choice gmc_policy_choose(const struct gm_choice *first, const struct gm_choice *then,
				   enum gm_policy_kind kind)
{
	struct gm_choice c = first ? load_choice(&first[kind]) : (struct gm_choice){0};

	c = c.def ? c : load_choice(&then[kind]);
	return c.def ? c : gmc_policy_of_options(kind);
}

void gmc_policy_store(struct gm_choice *c, struct gm_choice v)
{
	if (v.def && v.def->home_after_launch)
		atomic_store(&copies, true);
	__atomic_store_n(&c->number, v.number, __ATOMIC_RELAXED);
	__atomic_store_n(&c->def, v.def, __ATOMIC_RELEASE);
}

bool gmc_policy_copies(void)
{
	return placements[gmi_opt.placement].home_after_launch ||
	       atomic_load_explicit(&copies, memory_order_relaxed);
}

int gm_policy_list(enum gm_policy_kind kind, unsigned i, struct gm_policy_info *info)
{
	if ((unsigned)kind >= GM_POLICY_KINDS || !info)
		return -EINVAL;
	if (i >= kinds[kind].n)
		return -ENOENT;
	*info = kinds[kind].def[i].info;
	return 0;
}
