/*
 * spare.h - memory of the host that is kept for speed only: copies of pages that are on a device
 * (store.h, gmc_retain), and device memory that nothing is in (frame.h). How much of each there may
 * be follows from GMEM_RETAIN and, where a control group limits memory, from what it leaves:
 * care/spare.h looks, here it is held.
 */
#ifndef GM_CORE_PAGE_SPARE_H
#define GM_CORE_PAGE_SPARE_H

#include "core/page/jobs.h"

/* Most bytes that a space may retain, and that a device may keep; GMEM_RETAIN holds besides. */
extern _Atomic int64_t gmc_retain_most, gmc_frames_most;
/* There is a limit, and nobody looks at it now: whoever keeps some asks for that. */
extern _Atomic bool gmc_spare_unwatched;

static inline void gm_spare_grows(void)
{
	if (gm_unlikely(atomic_load_explicit(&gmc_spare_unwatched, memory_order_relaxed)))
		gmc_job_wanted(GM_JOB_SPARE);
}

/* What there is of it now, and giving back what is beyond the limits; registry locked. */
int64_t gmc_frames_spare(const struct gm_dev *dev);
void gmc_retain_trim(struct gm_as *as);
void gmc_frames_trim(struct gm_dev *dev);

#endif
