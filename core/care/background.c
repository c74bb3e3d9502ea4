/* The background thread. See background.h. */
#include "core/care/background.h"
#include "core/page/evict.h"
#include "core/sys/at_fork.h"
#include "core/sys/own_thread.h"
#include "core/care/notice.h"
#include "core/care/spare.h"
#include "core/care/thrash.h"
#include "core/count/limit.h"
#include "core/page/jobs.h"
#include "core/page/migrate.h"
#include "core/page/share.h"
#include "core/page/driver.h"
#include <errno.h>

#define PRESSURE_NS 100000000u	       /* how long a device that evicted is taken to need more */
#define TICK_NS	    ((int64_t)5000000) /* while there are pins to look after */

#define WATCH_NS ((int64_t)1000000000) /* between two looks at who is in a driver */

static _Atomic uint32_t started; /* futex */
static struct gm_lock start_lock;
static __thread bool in_background;

bool gmi_in_background(void)
{
	return in_background;
}

/* ---- reclaim ---- */

static bool free_below(const struct gm_dev *dev, unsigned percent_x2)
{
	uint64_t total = gmi_phys_total_bytes(dev->phys), used = gmi_phys_used_bytes(dev->phys);

	return (total - used) * 200 < total * percent_x2;
}

/* One eviction for each device that needs it, under the registry lock, so that devices stay.
 * False: none did. */
static bool reclaim_some(uint64_t now, bool *pressed)
{
	bool any = false;

	*pressed = false;
	for (int d = 0; d < GM_MAX_DEV; d++) {
		struct gm_dev *dev = gmc_devs[d];
		if (!dev || !dev->phys)
			continue;
		if (__atomic_exchange_n(&dev->pressed, false, __ATOMIC_ACQUIRE))
			dev->pressed_until_ns = now + PRESSURE_NS;
		/* what has begun goes on to its end */
		if (now > dev->pressed_until_ns && !dev->reclaiming)
			continue;
		*pressed = true;
		if (!dev->reclaiming && !free_below(dev, gmi_opt.reclaim_percent))
			continue;
		int err = -ENOSPC;
		if (free_below(dev, gmi_opt.reclaim_percent * 2))
			err = gmc_evict_ahead(dev);
		dev->reclaiming = err != -ENOSPC; /* locked, or it failed: again at the next tick */
		any |= !err;
	}
	return any;
}

/* True: to be looked at again soon. */
static bool reclaim(void)
{
	bool any, pressed;

	do {
		gmi_lock(&gmc_registry_lock);
		any = reclaim_some(gmi_now_ns(), &pressed);
		gmi_unlock(&gmc_registry_lock);
	} while (any);
	return pressed;
}

/* ---- blocks ---- */

/* For every block of every space, locked. Whoever holds one is left alone until the next time. */
static bool each_block_locked(bool (*fn)(struct gm_block *b))
{
	bool more = false;

	gmi_lock(&gmc_registry_lock);
	gm_for_each_space (as) {
		struct gm_block *b;
		gm_for_each_block (as, b) {
			if (!gmi_trylock(&b->lock)) {
				more = true;
				continue;
			}
			more |= fn(b);
			gmi_unlock(&b->lock);
		}
	}
	gmi_unlock(&gmc_registry_lock);
	return more;
}

/* A limit was reached. */
static bool block_goes_home(struct gm_block *b)
{
	int err = 0;

	gm_for_each_dev (b, d)
		if (!err)
			err = gmc_migrate_home(b, b->dev[d]->valid, true);
	if (err && err != -EAGAIN)
		gm_log(GM_LOG_ERROR, "pages at %p do not come home: error %d", (void *)b->va, -err);
	return err == -EAGAIN;
}

static const struct job {
	enum gm_job bit;
	bool (*fn)(struct gm_block *b);
} block_jobs[] = {
	{GM_JOB_UNPARK, gmc_thrash_unpark_due},
	{GM_JOB_HOME, block_goes_home},
};

uint32_t gmc_background_turn(uint32_t todo)
{
	uint32_t again = 0;
	bool was = in_background;
	gm_sigmask mask = gmi_block_signals();

	in_background = true;
	todo |= gmc_jobs_take();
	if (todo & GM_JOB_RECLAIM && reclaim())
		again |= GM_JOB_RECLAIM;
	for (unsigned i = 0; i < GM_ARRAY_LEN(block_jobs); i++)
		if (todo & block_jobs[i].bit && each_block_locked(block_jobs[i].fn))
			again |= block_jobs[i].bit;
	if (todo & GM_JOB_HOME && !(again & GM_JOB_HOME))
		gmc_limit_tell();
	if (todo & GM_JOB_NOTICE)
		gmc_notice_tell();
	if (todo & GM_JOB_SHARE && gmc_share_serve())
		again |= GM_JOB_SHARE;
	gmc_spare_look(todo & GM_JOB_SPARE);
	in_background = was;
	gmi_restore_signals(mask);
	return again;
}

/* Of two times to wait, -1 is for ever. */
static int64_t sooner(int64_t a, int64_t b)
{
	return a < 0 || (b >= 0 && b < a) ? b : a;
}

static void *background(void *arg)
{
	uint32_t todo = 0;

	in_background = true;
	while (!atomic_load(&gmi_threads_rest)) {
		if (gmi_opt.limit_ns && gmc_limit_look())
			todo |= GM_JOB_HOME;
		todo = gmc_background_turn(todo);
		int64_t wait = gmc_driver_watch() ? gm_min(gmc_guard_limit_ns / 4, WATCH_NS) : -1;
		wait = todo ? TICK_NS : wait;
		gmc_jobs_wait(sooner(sooner(wait, gmc_limit_in_ns()), gmc_spare_in_ns()));
	}
	atomic_store(&started, false);
	gmi_futex_wake(&started, INT32_MAX);
	return arg;
}

static void background_forked(void)
{
	started = false;
	start_lock = (struct gm_lock){0};
	gmc_jobs_forked();
}

void gmc_background_rest(void)
{
	gmc_job_wanted(GM_JOB_REST);
	while (atomic_load(&started))
		gmi_futex_wait(&started, true, -1);
}

void gmc_background_start(void)
{
	gm_sigmask mask = gmi_block_signals();

	gmi_lock(&start_lock);
	if (!started) {
		gmc_spare_begin();
		atomic_store(&started, true);
		int err = gmi_thread_start(background, NULL);
		if (err) {
			atomic_store(&started, false);
			gm_log(GM_LOG_WARN,
			       "no background thread: %s: frames are freed, and pins end, late",
			       gmi_limit_behind(err) ? gmi_limit_behind(err) : "error");
		}
		gmi_at_fork_child(background_forked);
	}
	gmi_unlock(&start_lock);
	gmi_restore_signals(mask);
}
