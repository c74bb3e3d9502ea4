/*
 * frame_lru.h - a device's frames in the order of their use, for policies that count single device
 * pages (gm_policy_def.by_page). Made when such a policy first counts; 16 bytes a device page.
 * Device locked throughout.
 */
#ifndef GM_CORE_FRAME_LRU_H
#define GM_CORE_FRAME_LRU_H

#include "core/page/registry.h"

/* Two lists: without an adaptive policy everything is in the main one. */
enum gm_frame_list { GM_FRAMES_MAIN, GM_FRAMES_RECENT, GM_FRAME_LISTS };

/* The frames under `set` were used: they come to the end of their list. */
void gmc_frame_lru_touch(struct gm_dev *dev, struct gm_block_dev *bd, gm_bm set);
/* A frame (as in gm_block_dev.frame) is given back. Takes the device's lock itself, if there is
 * anything to do. */
void gmc_frame_lru_gone(struct gm_dev *dev, uint32_t frame);
unsigned gmc_frame_lru_count(const struct gm_dev *dev, enum gm_frame_list l);
/*
 * The walk, coldest first, through the list and then the other one: the block and the number of the
 * device page in it. NULL: no more. The lists must not change meanwhile.
 */
struct gm_block_dev *gmc_frame_lru_first(struct gm_dev *dev, enum gm_frame_list l, unsigned *n);
struct gm_block_dev *gmc_frame_lru_next(struct gm_dev *dev, unsigned *n);
/* The device page at i and those behind it in its list, as long as they are of the same block: up
 * to `most`. */
gm_bm gmc_frame_lru_row(struct gm_dev *dev, const struct gm_block_dev *bd, unsigned i,
			unsigned most);
void gmc_frame_lru_free(struct gm_dev *dev);

#endif
