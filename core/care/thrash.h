/*
 * thrash.h - pages that go back and forth: noticing them, slowing them down, keeping the worst
 * on the host.
 *
 * Modelled on NVIDIA's uvm_perf_thrashing.c, with its constants: an event is a fault that takes
 * a page from another holder at most 500 us (the lapse: the number of "throttle" and "pin")
 * after the last one or, when it was throttled, after the end of that. From 3 events in a row on
 * the page thrashes, and stays with whoever got it for one lapse (throttle): the CPU waits in
 * its fault, a device is told -EAGAIN. After 10 it is parked on the host for 300 lapses (150 ms):
 * devices reach it over the bus, then it may move again. Without an event for 2000 lapses (1 s) a
 * page starts afresh. Ours counts in 64 KiB, or in the device's pages where those are larger, and
 * also reports pages that come back slower than that, three times within an epoch.
 *
 * Everything is called with the block locked. A block has a record once a page of it has come
 * home by a fault.
 */
#ifndef GM_CORE_THRASH_H
#define GM_CORE_THRASH_H

#include "core/page/registry.h"

#define GM_THRASH_THRESHOLD    3
#define GM_THRASH_PARK_EVENTS  10
#define GM_THRASH_PARK_LAPSES  300
#define GM_THRASH_EPOCH_LAPSES 2000
#define GM_THRASH_CPU	       (-1)

enum gm_thrash_answer {
	GM_THRASH_GO,	/* let it move */
	GM_THRASH_WAIT, /* it has only just come to whoever has it */
	GM_THRASH_STAY, /* it is parked on the host */
};
/* The actor (a device's index, or the CPU) wants to take the leaf of page i. *wait_us: of
 * WAIT. */
enum gm_thrash_answer gmc_thrash_ask(struct gm_block *b, unsigned i, int actor, unsigned *wait_us);
/* Pages of leaves that are throttled or parked: a fault elsewhere does not bring them along. */
gm_bm gmc_thrash_kept(struct gm_block *b);
/* It got `set` from another holder, by a fault. */
void gmc_thrash_moved(struct gm_block *b, gm_bm set, int actor);
/*
 * Lets go of what was parked long enough: devices that map such pages over the bus lose their
 * entries, and fault. For the background thread. False: no block has any left.
 */
bool gmc_thrash_unpark_due(struct gm_block *b);
/* The block goes, or its history. */
void gmc_thrash_free(struct gm_block *b);

#endif
