/*
 * holders.h - all devices at once: who has a block's pages, and who must let go of them before
 * somebody else gets them. Block locked throughout.
 */
#ifndef GM_CORE_HOLDERS_H
#define GM_CORE_HOLDERS_H

#include "core/page/registry.h"

/* Pages of which some device has the bytes. */
gm_bm gmc_on_devices(const struct gm_block *b);
/* Other holders than `self` (-1: the CPU) lose their entries of `set` (gone), or only the right
 * to write. */
int gmc_quiet_devices(struct gm_block *b, int self, gm_bm gone, gm_bm readonly);
/*
 * The same; then `fetch`, which is adopted and which the CPU cannot write, comes into the store
 * from whichever device has it. One call of each driver that copies.
 */
int gmc_fetch_home(struct gm_block *b, int self, gm_bm gone, gm_bm readonly, gm_bm fetch);
/* Other devices than `self` lose their copies of `set`: they have no entries there any more. */
void gmc_drop_copies(struct gm_block *b, int self, gm_bm set);
/* Undo of a failed move: the CPU gets back what it can have of pages that never left. */
void gmc_cpu_give_back(struct gm_block *b, gm_bm set);

#endif
