/*
 * sim_service.c - the thread that serves a device's faults. One per device, made at its first
 * launch, signals blocked.
 *
 * It depends on core's locks only; the device's MMU thread never depends on it. After a fault it
 * stays awake for a moment, as faults come in crowds; then it sleeps until the device rings.
 */
#include "devsim/driver/sim_int.h"
#include "core/page/thread.h"
#include "core/sys/own_thread.h"
#include <errno.h>

#define SPIN_NS 50000

static __thread struct {
	struct gm_sim *sim;
	struct sim_reply reply;
} current;

struct sim_reply *sim_current_reply(const struct gm_sim *sim)
{
	return current.sim == sim && current.reply.fault ? &current.reply : NULL;
}

bool sim_is_service_thread(void)
{
	return current.sim != NULL;
}

static struct gm_as *space_of(struct gm_sim *sim, uint64_t va)
{
	for (unsigned i = 0; i < DS_WINDOWS; i++) {
		uint64_t bytes;
		if (sim->space[i].as && va - gm_as_window(sim->space[i].as, &bytes, NULL) < bytes)
			return sim->space[i].as;
	}
	return NULL;
}

static bool turn(struct ds_fault *f, uint32_t from, uint32_t to)
{
	return atomic_compare_exchange_strong(&f->state, &from, to);
}

/* Entries or none: with none the worker looks again. */
static void reply(struct ds_fault *f)
{
	if (!turn(f, DS_FILLED, DS_REPLIED))
		turn(f, DS_BUSY, DS_REPLIED); /* neither: cancelled */
}

/* gm_dev_fault, counted for the kernel whose thread asked. Only this thread serves the device's
 * faults. */
static int serve_page(struct gm_sim *sim, struct gm_as *as, const struct sim_asked *f)
{
	const _Atomic uint64_t *faults = &gmi_stats->dev[sim->dev->index].faults;
	uint64_t before = atomic_load_explicit(faults, memory_order_relaxed),
		 moved = gmi_self()->h2d_bytes, again = gmi_self()->refetched_bytes;
	unsigned slot = f->launch;

	gmc_trace_here.kernel = slot < DS_LAUNCHES ? atomic_load(&sim->kernel_row[slot]) : 0;
	int err = gm_dev_fault(as, f->va, sim->dev, f->write ? GM_HINT_WRITE : GM_HINT_READ);
	if (slot < DS_LAUNCHES) {
		struct gm_kernel_stats *k = &gmi_stats->kernel[atomic_load(&sim->kernel_row[slot])];
		before = atomic_load_explicit(faults, memory_order_relaxed) - before;
		atomic_fetch_add_explicit(&k->faults, before, memory_order_relaxed);
		atomic_fetch_add_explicit(&k->h2d_bytes, gmi_self()->h2d_bytes - moved,
					  memory_order_relaxed);
		atomic_fetch_add_explicit(&k->refetched_bytes, gmi_self()->refetched_bytes - again,
					  memory_order_relaxed);
	}
	return err;
}

int sim_serve(struct gm_sim *sim, struct gm_as *as, struct ds_fault *f,
	      const struct sim_asked *asked)
{
	struct gm_sim *was = current.sim;

	current.sim = sim;
	current.reply = (struct sim_reply){.fault = f, .launch = asked->launch};
	int err = as ? serve_page(sim, as, asked) : sim_outside(sim, &current.reply, asked);
	current.reply.fault = NULL;
	current.sim = was;
	return err;
}

/* False: to be tried again later. */
static bool serve_fault(struct gm_sim *sim, struct ds_fault *f)
{
	if (!turn(f, DS_POSTED, DS_BUSY))
		return true;
	uint64_t start = gmi_now_ns();
	sim_maybe_kill(sim);
	atomic_store(&f->nmaps, 0);
	struct sim_asked asked;
	if (!sim_fault_asked(f, &asked)) {
		sim_distrust(sim, "asks for what there is not");
		return true;
	}
	if (asked.kind != DS_F_PAGE) {
		f->error = sim_foreign(sim, f, &asked);
		turn(f, DS_BUSY, f->error ? DS_FAILED : DS_REPLIED);
		if (atomic_load(&f->waiting))
			gmi_futex_wake(&f->state, 1);
		return true;
	}
	int adopted = sim_outside_adopt(&asked);
	gmi_lock(&sim->spaces_lock);
	int err = adopted ? adopted : sim_serve(sim, space_of(sim, asked.va), f, &asked);
	gmi_unlock(&sim->spaces_lock);
	if (err == -EAGAIN && turn(f, DS_BUSY, DS_POSTED))
		return false;
	if (gmi_opt.throttle)
		sim_pay(start);
	f->error = err;
	if (!err || err == -EAGAIN)
		reply(f);
	else if (!turn(f, DS_BUSY, DS_FAILED))
		turn(f, DS_FILLED, DS_FAILED);
	if (atomic_load(&f->waiting))
		gmi_futex_wake(&f->state, 1);
	return true;
}

/* Serves the slots in `bits`; returns those to be tried again. */
static uint64_t serve_all(struct gm_sim *sim, uint64_t bits)
{
	uint64_t again = 0;

	sim_time_faults_seen();
	for (; bits; bits &= bits - 1) {
		unsigned i = (unsigned)__builtin_ctzll(bits);
		if (!serve_fault(sim, &sim->ctl->fault[i]))
			again |= 1ull << i;
	}
	atomic_fetch_add_explicit(&gmi_stats->dev[sim->dev->index].fault_batches, 1,
				  memory_order_relaxed);
	return again;
}

/* Until something is posted; true at once while it is worth staying awake. */
static void idle(struct gm_sim *sim, uint64_t last_ns)
{
	struct ds_ctl *ctl = sim->ctl;
	uint32_t seen = atomic_load(&ctl->fault_bell);

	while (gmi_now_ns() - last_ns < SPIN_NS) {
		for (int i = 0; i < 32; i++) {
			if (atomic_load_explicit(&ctl->posted, memory_order_relaxed))
				return;
			__builtin_ia32_pause();
		}
	}
	atomic_store(&ctl->host_sleeping, 1);
	if (!atomic_load(&ctl->posted) && atomic_load(&sim->service) == SIM_THREAD_RUNS)
		gmi_futex_wait(&ctl->fault_bell, seen, -1);
	atomic_store(&ctl->host_sleeping, 0);
}

static void *service(void *arg)
{
	struct gm_sim *sim = arg;
	uint64_t last_ns = 0, again = 0;

	current.sim = sim;
	while (atomic_load(&sim->service) == SIM_THREAD_RUNS) {
		uint64_t bits = again | atomic_exchange(&sim->ctl->posted, 0);
		if (bits) {
			uint64_t start = gmi_now_ns();
			again = serve_all(sim, bits);
			last_ns = gmi_now_ns();
			atomic_fetch_add_explicit(&gmi_stats->dev[sim->dev->index].served_ns,
						  last_ns - start, memory_order_relaxed);
			if (again == bits)
				gm_sys0(SYS_sched_yield); /* whoever holds the locks must get on */
		} else {
			idle(sim, last_ns);
		}
	}
	atomic_store(&sim->service, SIM_THREAD_NONE);
	gmi_futex_wake(&sim->service, 1);
	return NULL;
}

int sim_start_once(_Atomic uint32_t *state, void *(*fn)(void *), void *arg)
{
	uint32_t none = SIM_THREAD_NONE;

	if (!atomic_compare_exchange_strong(state, &none, SIM_THREAD_RUNS))
		return 0;
	int err = gmi_thread_start(fn, arg);
	if (err)
		atomic_store(state, SIM_THREAD_NONE);
	return err;
}

int sim_service_start(struct gm_sim *sim)
{
	return sim_start_once(&sim->service, service, sim);
}

void sim_service_stop(struct gm_sim *sim)
{
	uint32_t runs = SIM_THREAD_RUNS;

	if (!atomic_compare_exchange_strong(&sim->service, &runs, SIM_THREAD_QUIT))
		return;
	atomic_fetch_add(&sim->ctl->fault_bell, 1);
	gmi_futex_wake(&sim->ctl->fault_bell, 1);
	while (atomic_load(&sim->service) != SIM_THREAD_NONE)
		gmi_futex_wait(&sim->service, SIM_THREAD_QUIT, SIM_TICK_NS);
}
