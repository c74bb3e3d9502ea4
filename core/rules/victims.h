/*
 * victims.h - what leaves a device that is full: the built-in policies that need no more than the
 * candidates they are offered (struct gm_policy_evict).
 */
#ifndef GM_CORE_VICTIMS_H
#define GM_CORE_VICTIMS_H

#include "core/rules/policy.h"

gm_evict_pick gmc_pick_block; /* all of the coldest block */
gm_evict_pick gmc_pick_page;  /* the coldest device page */
/* Of the coldest block, what gmc_victims_tree() says. */
gm_evict_pick gmc_pick_tree;

/*
 * The 64 KiB used longest ago; then, from the leaf to the root, all of each subtree in which
 * less than e->number percent of the pages that take part at all (mapped by the program) would
 * remain resident. Whole device pages out of e->may, at least one.
 */
gm_bm gmc_victims_tree(const struct gm_policy_evict *e);

#endif
