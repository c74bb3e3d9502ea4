/*
 * victims.h - which pages of a victim block leave the device. Pure functions over a locked
 * block.
 *
 * may: resident pages that may go, not empty, whole device pages. Returns whole device pages out
 * of it, at least one.
 */
#ifndef GM_CORE_VICTIMS_H
#define GM_CORE_VICTIMS_H

#include "core/page/block.h"

gm_bm gmc_victims_all(const struct gm_block_dev *bd, gm_bm may, unsigned percent);
gm_bm gmc_victims_one_page(const struct gm_block_dev *bd, gm_bm may, unsigned percent);
/*
 * The 64 KiB used longest ago; then, from the leaf to the root, all of each subtree in which
 * less than `percent` of the pages that take part at all (mapped by the program) would remain
 * resident.
 */
gm_bm gmc_victims_tree(const struct gm_block_dev *bd, gm_bm may, unsigned percent);

#endif
