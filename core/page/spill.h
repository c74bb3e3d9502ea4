/*
 * spill.h - a device's memory is full, and another memory lies below it (gm_dev_spill()): pages go
 * there first, and home only from the last.
 */
#ifndef GM_CORE_SPILL_H
#define GM_CORE_SPILL_H

#include "core/page/registry.h"

/*
 * Pages of `set` that the device alone has go to the memory below, where less used ones make room
 * in the same way. Block locked, which is not the one that room is wanted for. Which have gone:
 * the others are for the host.
 */
gm_bm gmc_spill(struct gm_block *b, const struct gm_dev *dev, gm_bm set);

#endif
