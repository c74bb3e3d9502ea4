/*
 * jobs.h - what may happen a little later: asked for here, done by the background thread (care/).
 */
#ifndef GM_CORE_JOBS_H
#define GM_CORE_JOBS_H

#include "core/page/registry.h"

enum gm_job {
	GM_JOB_RECLAIM = 1, /* a device had to evict to serve a fault */
	GM_JOB_UNPARK = 2,  /* a page was parked for a while */
	GM_JOB_REST = 4,    /* gmi_threads_rest was raised */
	GM_JOB_NOTICE = 16, /* there is something to be said about how the run goes (notice.h) */
	GM_JOB_HOME = 32,   /* a limit was reached: all pages go home (limit.h) */
	GM_JOB_SPARE = 64,  /* memory is kept for speed, and limited (page/spare.h) */
	GM_JOB_SHARE = 128, /* another process wants frames (page/share.h) */
	GM_JOB_WATCH = 8,   /* a device is attached whose driver may hang (driver.h) */
};
/* From anywhere, also signal handlers and with locks held. */
void gmc_job_wanted(enum gm_job job);

/*
 * Reclaim: of GMEM_RECLAIM percent of a device's memory, half is the low and all of it the high
 * watermark. Only a device that has had to evict within the last 100 ms is looked at: one whose
 * memory is merely full is left alone.
 */
void gmc_reclaim_pressure(struct gm_dev *dev);

/* For the background thread: what is wanted now, which is wanted no longer; sleeps until
 * something is, or so long (< 0: for ever). */
uint32_t gmc_jobs_take(void);
void gmc_jobs_wait(int64_t timeout_ns);
void gmc_jobs_forked(void);
/* They are asked for in that word from now on, which other processes may share; NULL: as before. */
void gmc_jobs_from(_Atomic uint32_t *word);

#endif
