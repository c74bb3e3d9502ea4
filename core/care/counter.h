/*
 * counter.h - placement `counted`: pages that a device reaches over the bus, and uses often,
 * move to it.
 *
 * NVIDIA counts single accesses in hardware (uvm_gpu_access_counters.c: 64 KiB granules,
 * threshold 256). Here the driver says which pages were touched since it was last asked
 * (gm_mmu.accessed, emulated accessed bits), so a granule's counter is the number of looks, 5 ms
 * apart, in a row in which it was found touched.
 */
#ifndef GM_CORE_COUNTER_H
#define GM_CORE_COUNTER_H

#include "core/page/registry.h"

#define GM_COUNTER_HOT 3 /* looks in a row */

/* Reads the block's counters, moves what is hot. Block locked; for the background thread. True:
 * to be read again. */
bool gmc_counter_read(struct gm_block *b);

#endif
