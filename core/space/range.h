/*
 * range.h - from addresses to blocks: making them, and walking those of a range.
 */
#ifndef GM_CORE_RANGE_H
#define GM_CORE_RANGE_H

#include "core/page/registry.h"

/* The block at va, made when there is none yet. NULL: out of memory. Region lock not held. */
struct gm_block *gmc_block_get(struct gm_as *as, uintptr_t va);
/*
 * fn for each block of [start, end), locked, with its managed pages of the range; again
 * while it says -EAGAIN. create: also where there is no block yet. The first error ends it.
 */
int gmc_each_block(struct gm_as *as, uintptr_t start, uintptr_t end, bool create,
		   int (*fn)(struct gm_block *, gm_bm, void *), void *arg);
/* The space of a whole range, with every page mapped. 0, -EINVAL, -EFAULT */
int gmc_check_range(const void *start, size_t len, struct gm_as **as);

#endif
