/*
 * peer.h - devices that reach each other's memory without the host (gm_dev_link()).
 *
 * What a device has comes to another one by one copy, and stays out of the store. Or it stays, and
 * the other has entries that lead there (gm_block_dev.peer): the page is DEVICE, with one holder,
 * and the link is coherent. Whoever moves, drops or re-protects pages ends such entries first, as
 * with the CPU's (cpu_bus.h). Block locked throughout.
 */
#ifndef GM_CORE_PEER_H
#define GM_CORE_PEER_H

#include "core/page/entries.h"

/* Pages that another device has, and `dev` has a link to that, for all of `how` (GM_PEER_*). */
gm_bm gmc_peer_has(const struct gm_block *b, const struct gm_dev *dev, unsigned how);
/*
 * Their bytes, as steps of `o`, into the frames that ctx has for them; at once where core copies
 * everything else itself. Nobody writes there meanwhile. 0 or the driver's error
 */
int gmc_peer_copy(struct gm_block *b, struct gm_ctx *ctx, gm_bm set, struct gm_ops *o);
/* Pages that stay with the device that has them when this one touches them. */
gm_bm gmc_peer_stays(const struct gm_block *b, const struct gm_ctx *ctx);
/* It gets entries onto those of `set`. Which it has now: for others the page has to come. */
gm_bm gmc_peer_map(struct gm_block *b, struct gm_ctx *ctx, gm_bm set);
/* All devices' entries onto `set` in others' memory go. 0 or a driver's error */
int gmc_peer_unmap(struct gm_block *b, gm_bm set);

#endif
