/*
 * chaos.h - GMEM_CHAOS, the test mode that all the time takes pages of the program away: which
 * page is next, and how it changes its place.
 *
 * The driver's thread (devsim/driver/sim_chaos.c) calls these; what the device reads and writes
 * itself comes by its faults, as always. No locks held by the caller, all signals blocked.
 */
#ifndef GM_CORE_CHAOS_H
#define GM_CORE_CHAOS_H

#include "core/page/registry.h"

#define GM_CHAOS_REGIONS 512u

/* What can migrate now: the space's managed regions, or a random sample of them. */
struct gm_chaos_map {
	unsigned n;
	uint64_t bytes;
	struct gm_chaos_region {
		uintptr_t lo, hi;
		bool writable;
	} r[GM_CHAOS_REGIONS];
};
struct gm_chaos_page {
	uintptr_t va;
	bool writable;
};

/* splitmix64: the whole sequence of picks follows from the first state. */
GM_EXPORT uint64_t gmi_chaos_random(uint64_t *state);
GM_EXPORT void gmi_chaos_look(struct gm_as *as, struct gm_chaos_map *map, uint64_t *random);
/*
 * A random page of the map: half of the time of a region chosen by its size, else of any region.
 * Pages that the program has used, and rarely one that nobody ever touched. False: none was
 * found where we looked.
 */
GM_EXPORT bool gmi_chaos_pick(struct gm_as *as, const struct gm_chaos_map *map, uint64_t *random,
			      struct gm_chaos_page *page);
/*
 * The page becomes DEVICE, DUP or REMOTE (enum gm_where), whatever policies and hints say; pins
 * hold. 0, or as gm_dev_fault().
 */
GM_EXPORT int gmi_chaos_place(struct gm_as *as, struct gm_dev *dev, uintptr_t va,
			      enum gm_where where);

#endif
