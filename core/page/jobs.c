/* Jobs for later. See jobs.h. */
#include "core/page/jobs.h"

static _Atomic uint32_t own;		    /* jobs; futex */
static _Atomic uint32_t *_Atomic at = &own; /* or where other processes can ask for some, too */

static _Atomic uint32_t *job_word(void)
{
	return atomic_load_explicit(&at, memory_order_acquire);
}

void gmc_jobs_from(_Atomic uint32_t *word)
{
	atomic_store(&at, word ? word : &own);
	if (!word)
		return;
	/* who sleeps on the other one comes here */
	atomic_fetch_or(word, atomic_load(&own));
	atomic_fetch_or(&own, GM_JOB_REST);
	gmi_futex_wake(&own, 1);
}

void gmc_job_wanted(enum gm_job job)
{
	_Atomic uint32_t *w = job_word();

	if (atomic_load_explicit(w, memory_order_relaxed) & job)
		return;
	atomic_fetch_or(w, job);
	gmi_futex_wake(w, 1);
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
	return atomic_exchange(job_word(), 0);
}

void gmc_jobs_wait(int64_t timeout_ns)
{
	_Atomic uint32_t *w = job_word();

	if (!atomic_load(w))
		gmi_futex_wait(w, 0, timeout_ns);
}

void gmc_jobs_forked(void)
{
	atomic_store(&at, &own);
	atomic_store(&own, 0);
}
