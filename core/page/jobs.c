/* Jobs for later. See jobs.h. */
#include "core/page/jobs.h"

static _Atomic uint32_t wanted; /* jobs; futex */

void gmc_job_wanted(enum gm_job job)
{
	if (atomic_load_explicit(&wanted, memory_order_relaxed) & job)
		return;
	atomic_fetch_or(&wanted, job);
	gmi_futex_wake(&wanted, 1);
}

void gmc_reclaim_pressure(struct gm_dev *dev)
{
	if (!gmi_opt.reclaim_percent)
		return;
	__atomic_store_n(&dev->pressed, true, __ATOMIC_RELEASE);
	gmc_job_wanted(GM_JOB_RECLAIM);
}

uint32_t gmc_jobs_take(void)
{
	return atomic_exchange(&wanted, 0);
}

void gmc_jobs_wait(int64_t timeout_ns)
{
	if (!atomic_load(&wanted))
		gmi_futex_wait(&wanted, 0, timeout_ns);
}

void gmc_jobs_forked(void)
{
	atomic_store(&wanted, 0);
}
