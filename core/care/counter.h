/*
 * counter.h - placement `counted`: pages that a device reaches over the bus, and uses often, move
 * to it.
 *
 * As NVIDIA's access counters (uvm_gpu_access_counters.c): a granule whose count reaches the
 * threshold is hot, and those of its 64 KiB that were used move; then it is counted anew. The
 * driver says how often what was used, when it knows: at the end of a launch. Nothing depends on
 * the host's clock.
 */
#ifndef GM_CORE_COUNTER_H
#define GM_CORE_COUNTER_H

#include "core/page/registry.h"

struct gm_counting {
	unsigned threshold;	 /* accesses that make a granule hot */
	unsigned granule_leaves; /* 64 KiB each: 1 .. GM_LEAVES, a power of two */
};
/*
 * The device has reached the 2 MiB at va over the bus: accesses[i] times its i-th 64 KiB. Does
 * nothing where the device follows another placement. No locks held.
 */
GM_EXPORT void gmi_counter_note(uintptr_t va, struct gm_dev *dev,
				const uint16_t accesses[GM_LEAVES], struct gm_counting how);

#endif
