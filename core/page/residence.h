/*
 * residence.h - the least time that a page stays on a device when it has come there (policy
 * `residence`).
 *
 * drm_pagemap's timeslice: it notes for each allocation until when it stays, a CPU fault before
 * that returns without having moved anything and comes again, and eviction does not look. Here the
 * CPU and other devices wait as well, asleep or by -EAGAIN, and eviction takes such pages only when
 * there are no others. Counted in 64 KiB: what comes later keeps its neighbours, too. What the
 * program asks for itself (hints, munmap, fork, detachment) waits for nothing.
 *
 * Block locked throughout.
 */
#ifndef GM_CORE_RESIDENCE_H
#define GM_CORE_RESIDENCE_H

#include "core/page/registry.h"

/* Has any page ever had such a time? */
extern _Atomic bool gmc_residence_used;

/* `set` has come to the device. Without memory for the note it may go at any time. */
void gmc_residence_begin(struct gm_block_dev *bd, const struct gm_ctx *ctx, gm_bm set);
/* Pages of the device whose time has not passed. */
gm_bm gmc_residence_kept(const struct gm_block_dev *bd);
/* Those of all devices but d. */
gm_bm gmc_residence_elsewhere(const struct gm_block *b, int d);
/*
 * Somebody (device d; -1: the CPU) touches page i, which would take it from a device: for so many
 * microseconds he waits. stays: pages that his touch leaves on the host, or that he reaches in
 * place.
 */
unsigned gmc_residence_left_us(const struct gm_block *b, int d, unsigned i, bool write,
			       gm_bm stays);

#endif
