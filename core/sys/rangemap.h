/*
 * rangemap.h - an ordered map of disjoint VA ranges to a small value: region map (program's
 * mappings) and hint map.
 *
 * A balanced tree keyed by start, augmented with the largest gap of each subtree. Neighbours
 * with equal values merge; assigning or clearing part of a range splits it. Nodes come from
 * gmi_alloc. No lock inside: the caller holds the owner's region lock. Nothing here touches
 * managed memory.
 */
#ifndef GM_CORE_RANGEMAP_H
#define GM_CORE_RANGEMAP_H

#include "core/sys/sys.h"

struct gm_range_value { /* compared word by word: always initialise all of it */
	uint64_t v[3];
};
struct gm_range {
	uintptr_t start, end; /* bytes, [start, end) */
	struct gm_range_value val;
};
struct gm_range_node;
struct gm_rangemap {
	struct gm_range_node *root;
	uintptr_t lo, hi; /* every range lies in [lo, hi); gaps are counted within */
	size_t count;	  /* ranges now in the map */
	uint64_t bytes;	  /* sum of their lengths */
};

GM_EXPORT void gmi_rangemap_init(struct gm_rangemap *m, uintptr_t lo, uintptr_t hi);
GM_EXPORT void gmi_rangemap_destroy(struct gm_rangemap *m);
/* Gives [start, end) the value v, replacing what was there. 0, -EINVAL (empty or outside [lo,
 * hi)), -ENOMEM (unchanged). */
GM_EXPORT int gmi_rangemap_assign(struct gm_rangemap *m, uintptr_t start, uintptr_t end,
				  const struct gm_range_value *v);
/* Removes [start, end) from the map, splitting at the edges. 0, -EINVAL, -ENOMEM (unchanged). */
GM_EXPORT int gmi_rangemap_clear(struct gm_rangemap *m, uintptr_t start, uintptr_t end);
/* The range holding addr, or with next the first one that ends above addr. false when there is
 * none. */
GM_EXPORT bool gmi_rangemap_find(const struct gm_rangemap *m, uintptr_t addr, struct gm_range *out);
GM_EXPORT bool gmi_rangemap_next(const struct gm_rangemap *m, uintptr_t addr, struct gm_range *out);
/* Is all of [start, end) in the map without a hole? */
GM_EXPORT bool gmi_rangemap_covers(const struct gm_rangemap *m, uintptr_t start, uintptr_t end);
/* Is none of [start, end) in the map? */
GM_EXPORT bool gmi_rangemap_is_free(const struct gm_rangemap *m, uintptr_t start, uintptr_t end);
/* Lowest gap at or above `from` of size bytes at alignment align (power of two), or 0. O(log n)
 * by the augmentation. */
GM_EXPORT uintptr_t gmi_rangemap_find_gap(const struct gm_rangemap *m, uintptr_t from, size_t size,
					  size_t align);

#endif
