/*
 * victims.h - which pages of a victim block leave the device. Pure functions: each returns whole
 * device pages out of in->may, at least one.
 */
#ifndef GM_CORE_VICTIMS_H
#define GM_CORE_VICTIMS_H

#include "core/rules/policy.h"

gm_bm gmc_victims_all(const struct gm_victims *in);
gm_bm gmc_victims_one_page(const struct gm_victims *in);
/*
 * The 64 KiB used longest ago; then, from the leaf to the root, all of each subtree in which
 * less than `percent` of the pages that take part at all (mapped by the program) would remain
 * resident.
 */
gm_bm gmc_victims_tree(const struct gm_victims *in);

#endif
