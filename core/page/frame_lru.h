/*
 * frame_lru.h - a device's frames in the order of their use, for policies that count single device
 * pages (gm_policy_def.by_page). Made when such a policy first counts; 16 bytes a device page.
 * Device locked throughout.
 */
#ifndef GM_CORE_FRAME_LRU_H
#define GM_CORE_FRAME_LRU_H

#include "core/page/registry.h"

/* The frames under `set` were used: they come to the end. */
void gmc_frame_lru_touch(struct gm_dev *dev, struct gm_block_dev *bd, gm_bm set);
/* A frame (as in gm_block_dev.frame) is given back. Takes the device's lock itself, if there is
 * anything to do. */
void gmc_frame_lru_gone(struct gm_dev *dev, uint32_t frame);
/*
 * The walk, coldest first: the block and the number of the device page in it. NULL: no more. The
 * list must not change meanwhile.
 */
struct gm_block_dev *gmc_frame_lru_first(struct gm_dev *dev, unsigned *n);
struct gm_block_dev *gmc_frame_lru_next(struct gm_dev *dev, unsigned *n);
void gmc_frame_lru_free(struct gm_dev *dev);

#endif
