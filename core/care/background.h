/*
 * background.h - one thread of our own for what may happen a little later: keeping frames free,
 * ending pins, reading access counters.
 *
 * Made when the first device is attached, with all signals blocked; it sleeps until it is woken,
 * and looks at the time only while there are pins or counters. Nothing waits for it: without it
 * everything is right, only later.
 */
#ifndef GM_CORE_BACKGROUND_H
#define GM_CORE_BACKGROUND_H

#include "core/space/as.h"

enum gm_background_job {
	GM_BACKGROUND_RECLAIM = 1, /* a device had to evict to serve a fault */
	GM_BACKGROUND_UNPIN = 2,   /* a page was pinned for a while */
	GM_BACKGROUND_WATCH = 8,   /* a device is attached whose driver may hang (driver.h) */
	GM_BACKGROUND_COUNT = 4,   /* a device maps pages over the bus whose use is counted */
};
/* Is the calling thread the background? */
GM_EXPORT bool gmi_in_background(void);
void gmc_background_start(void); /* once per process; no locks held */
/* From anywhere, also signal handlers and with locks held. */
void gmc_background_wake(enum gm_background_job job);

/*
 * Reclaim: of GMEM_RECLAIM percent of a device's memory, half is the low and all of it the high
 * watermark. Only a device that has had to evict within the last 100 ms is looked at: one whose
 * memory is merely full is left alone.
 */
void gmc_reclaim_pressure(struct gm_dev *dev);

#endif
