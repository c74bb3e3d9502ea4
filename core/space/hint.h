/*
 * hint.h - what the program said about ranges: hints (hmadvise) and a device's PTE attributes
 * (gm_set_attr).
 *
 * The truth is two kinds of range maps of the space, under its region lock: as->hints, and
 * as->attrs by device. A block has a mirror of its part, under the block's lock, so that faults
 * need no other one; mirrors are refreshed under both.
 */
#ifndef GM_CORE_HINT_H
#define GM_CORE_HINT_H

#include "core/page/hint_mirror.h"

/*
 * Sets one of the hints that are kept for [lo, hi) (whole pages). dev: the one that is named,
 * NULL: the host. -ENOENT: `behavior` is no such hint; -EINVAL; -ENODEV dev is not attached;
 * -ENOMEM. No lock held.
 */
int gmc_hint_set(struct gm_as *as, uintptr_t lo, uintptr_t hi, int behavior, struct gm_dev *dev);

/* The others are called with the region lock held. A new block gets its mirror; false: no
 * memory. */
bool gmc_hints_fill(struct gm_block *b);
/* Nothing was said about [lo, hi) any more. */
void gmc_hints_clear(struct gm_as *as, uintptr_t lo, uintptr_t hi);
/* What was said about [from, from + len) holds for `to` as well. */
void gmc_hints_copy(struct gm_as *as, uintptr_t from, uintptr_t to, size_t len);
/* Nobody names device d any more. */
void gmc_hints_forget_device(struct gm_as *as, unsigned d);
/* In a fork child, whose thread holds every lock: nobody names any device. */
void gmc_hints_forked(struct gm_as *as);
/* The space is about to go. */
void gmc_hints_destroy(struct gm_as *as);

#endif
