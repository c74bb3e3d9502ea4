/*
 * prefetch.h - which pages of a 2 MiB block to migrate when one of them faults. Pure functions,
 * no state, no lock.
 *
 * tree is NVIDIA's rule as published (Ganguly et al., ISCA'19; UVM's uvm_perf_prefetch.c): grow
 * the faulted page to its 64 KiB leaf, then take the largest subtree of the block in which,
 * counting the pages that are resident on the device or about to be, count * 100 > pages *
 * percent.
 */
#ifndef GM_CORE_PREFETCH_H
#define GM_CORE_PREFETCH_H

#include "core/sys/bitmap.h"
#include "core/rules/opt.h"

/*
 * fault: the pages that must move. resident: pages that the device already has. possible: pages
 * that may move at all (mapped with enough rights, not pinned). Returns fault | what should come
 * along, all within possible. page_bytes is the device's page size: the result is grown to whole
 * device pages within `possible` first.
 */
GM_EXPORT gm_bm gmi_prefetch(enum gm_prefetch_kind kind, unsigned percent, size_t page_bytes,
			     gm_bm fault, gm_bm resident, gm_bm possible);

#endif
