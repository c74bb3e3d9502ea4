/*
 * sim_chaos.c - GMEM_CHAOS: a thread that keeps taking random pages of the program away, by the
 * ways of every driver: device 0 touches them in its "chaos" kernel and faults, or core is asked
 * to change their place.
 *
 * Paced by the clock, a few milliseconds at a time; what could not be done in time is not made
 * up for.
 */
#include "devsim/mem_wire.h"
#include "devsim/driver/sim_int.h"
#include "core/entry/chaos.h"
#include "core/page/activate.h"
#include "core/sys/at_fork.h"
#include "core/sys/own_thread.h"
#include <errno.h>
#include <time.h>

#define TICK_NS 2000000u

static _Atomic uint32_t running; /* futex */

struct agent {
	struct gm_sim *sim;
	struct gm_as *as;
	uint64_t random;
	struct gm_chaos_map map;
	struct ds_chaos_args args;
	unsigned n, writes; /* accesses in args */
};

static void touch(struct agent *c)
{
	if (!c->n)
		return;
	/* One refused access, of memory that is gone by now, ends the launch. */
	int err = gm_sim_launch(c->sim, 0, "chaos", c->n, &c->args, c->n * sizeof c->args.access[0],
				NULL);
	if (err) {
		GM_COUNT(chaos_refused, 1);
	} else {
		GM_COUNT(chaos_reads, c->n - c->writes);
		GM_COUNT(chaos_writes, c->writes);
	}
	c->n = c->writes = 0;
}

/* Eight ways, as likely as they stand here; TOUCH_* go into the next launch. */
enum { TOUCH_READ = -1, TOUCH_WRITE = -2 };
static const int ways[8] = {TOUCH_READ,	 TOUCH_READ, TOUCH_WRITE, TOUCH_WRITE,
			    TOUCH_WRITE, GM_DEVICE,  GM_DUP,	  GM_REMOTE};

static void change_pages(struct agent *c)
{
	struct gm_chaos_page page;

	if (!gmi_chaos_pick(c->as, &c->map, &c->random, &page))
		return;
	uint64_t r = gmi_chaos_random(&c->random);
	int way = ways[r % 8];
	if (way < 0) {
		bool write = way == TOUCH_WRITE && gmi_opt.chaos_write && page.writable;
		uint64_t word = page.va + (r >> 8) % GM_PAGE_BYTES / 8 * 8;
		c->args.access[c->n++] = word | (write ? DS_CHAOS_WRITE : 0);
		c->writes += write;
		if (c->n == DS_CHAOS_MAX)
			touch(c);
	} else if (gmi_chaos_place(c->as, c->sim->dev, page.va, (enum gm_where)way)) {
		GM_COUNT(chaos_refused, 1);
	} else {
		GM_COUNT(chaos_places, 1);
	}
}

static void *chaos(void *arg)
{
	struct agent *c = arg;
	const struct timespec tick = {.tv_nsec = TICK_NS};
	uint64_t last = gmi_now_ns(), owed = 0; /* changes * 10^9 */

	while (!atomic_load(&gmi_threads_rest)) {
		gm_sys2(SYS_nanosleep, &tick, NULL);
		uint64_t now = gmi_now_ns();
		owed += gm_min(now - last, (uint64_t)4 * TICK_NS) * gmi_opt.chaos_rate;
		last = now;
		if (owed < 1000000000)
			continue;
		gmi_chaos_look(c->as, &c->map, &c->random);
		for (; owed >= 1000000000; owed -= 1000000000)
			change_pages(c);
		touch(c);
	}
	gmi_free(c, sizeof *c);
	atomic_store(&running, false);
	gmi_futex_wake(&running, INT32_MAX);
	return NULL;
}

void sim_chaos_rest(void)
{
	while (atomic_load(&running))
		gmi_futex_wait(&running, true, SIM_TICK_NS);
}

/* The child's only thread calls gmi_chaos_start() when it can; what the parent's agent used
 * stays unused memory. */
static void chaos_forked(void)
{
	atomic_store(&running, false);
}

void gmi_chaos_start(void)
{
	if (!gmi_opt.chaos_rate || atomic_exchange(&running, true))
		return;
	gmi_at_fork_child(chaos_forked);
	struct agent *c = gmi_alloc(sizeof *c);
	struct gm_sim *sim = c ? gmi_sim_default(0) : NULL;
	int err = !c ? -ENOMEM : !sim || sim_up(sim) ? -ENODEV : gmi_activate();
	bool told = err == -ENODEV; /* why there is no device */
	if (!err) {
		uint32_t generation;
		/*
		 * Here, where the program waits: for a moment each new descriptor has the lowest
		 * free number, which a program that runs beside it could see, or miss. If it
		 * fails (said), the agent tries again.
		 */
		told = sim_process_start(sim, &generation);
		c->sim = sim;
		c->as = gm_as_default();
		c->random = gmi_opt.chaos_seed;
		err = gmi_thread_start(chaos, c);
	}
	if (!err)
		return;
	atomic_store(&running, false);
	gm_log(told ? GM_LOG_INFO : GM_LOG_ERROR, "GMEM_CHAOS: no pages are taken away: %s",
	       sim_why(err));
}
