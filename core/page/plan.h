/*
 * plan.h - what must happen to each page of a set, as bitmaps: state.c's table applied to 512
 * pages at once.
 */
#ifndef GM_CORE_PLAN_H
#define GM_CORE_PLAN_H

#include "core/page/registry.h"
#include "core/rules/state.h"

struct gm_plan {
	gm_bm revoke, protect, copy, zero, fetch, map, map_remote; /* by action, GM_ACT_* */
	gm_bm next[GM_STATES];
};

/* Where each page of the block is now; every page is in exactly one set. */
struct gm_places {
	gm_bm in[GM_STATES];
};
void gmc_places(const struct gm_block *b, struct gm_places *out);
/* dev < 0: the CPU touches. pinned: pages that stay on the host whatever the hints say. */
void gmc_plan(const struct gm_block *b, int dev, gm_bm set, bool write, gm_bm pinned,
	      struct gm_plan *plan);

#endif
