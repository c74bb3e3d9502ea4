/*
 * evict.h - a device's memory is full: which pages go home. No device locked by the caller.
 */
#ifndef GM_CORE_EVICT_H
#define GM_CORE_EVICT_H

#include "core/page/registry.h"

/* Frees device memory by sending a cold block home. `own`: the block that the caller has locked;
 * `keep`: its pages that must stay. 0 freed something; -EAGAIN every candidate was locked;
 * -ENOSPC nothing to evict. Pages that may stay for a while yet (residence.h) go last. */
int gmc_evict(struct gm_dev *dev, struct gm_block *own, gm_bm keep);
/*
 * Takes the memory of a buffer object that is not needed (space/purge.c offers it before main). 0,
 * -EAGAIN somebody holds what it takes, -ENOSPC there is none, errors of the driver.
 */
extern int (*gmc_purge)(struct gm_dev *dev);
/* Ahead of need: those stay. */
int gmc_evict_ahead(struct gm_dev *dev);
/* The device asked for `set` of the block just now. */
void gmc_lru_touch(struct gm_dev *dev, struct gm_block_dev *bd, gm_bm set);
void gmc_lru_remove(struct gm_dev *dev, struct gm_block_dev *bd);

#endif
