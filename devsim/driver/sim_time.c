/*
 * sim_time.c - the device's virtual time: who waits for what, and what runs beside what
 * (docs/model.md).
 *
 * Lines of time: the program's own (`host`), one for each stream, one for each launch from its
 * submission on, and the background's. Whoever moves bytes queues for the link: a transfer begins
 * when both its line and the link (in its direction, in both where the link is not duplex) are
 * free. Kernels queue for the compute units when they end. So what one thread does is one thing
 * after another, and lines run beside each other as far as link and compute units allow. The
 * device's time (`modelled_ns` of its counts) is where the latest of all has come to.
 *
 * Lock: sim->time.lock, innermost, signals blocked.
 */
#include "devsim/driver/sim_int.h"
#include "core/care/background.h"

static __thread uint64_t owed_ns; /* of the service thread: paid when no lock is held */
static __thread struct {
	const struct gm_sim *sim;
	uint64_t *line;
} stream;			  /* whose thread this is */
static __thread unsigned batched; /* service thread: faults of this look that have been charged */

/* Signals blocked. */
static void enter_line(struct sim_time *t)
{
	gm_assert(gmi_signals_blocked());
	gmi_lock(&t->lock);
}

/* The device's time is that of the latest line. */
static void leave_line(struct gm_sim *sim, uint64_t line)
{
	struct sim_time *t = &sim->time;
	uint64_t before = t->latest;

	t->latest = gm_max(t->latest, line);
	if (t->latest != before)
		atomic_fetch_add_explicit(&gmi_stats->dev[sim->dev->index].modelled_ns,
					  t->latest - before, memory_order_relaxed);
	gmi_unlock(&t->lock);
}

/* Of the launch whose fault is being served, of the stream whose thread calls, of the
 * background, or the program's. */
static uint64_t *line_of(struct gm_sim *sim)
{
	struct sim_time *t = &sim->time;
	const struct sim_reply *served = sim_current_reply(sim);

	if (served && served->launch < DS_LAUNCHES)
		return &t->launch[served->launch];
	if (stream.sim == sim)
		return stream.line;
	if (!gmi_in_background())
		return &t->host;
	t->background = gm_max(t->background, t->host);
	return &t->background;
}

static void wait_really(uint64_t ns)
{
	if (!gmi_opt.throttle || gmi_in_background())
		return;
	if (sim_is_service_thread())
		owed_ns += ns;
	else
		sim_wait_ns(ns);
}

void sim_pay(uint64_t since_ns)
{
	uint64_t spent = gmi_now_ns() - since_ns, owed = owed_ns;

	owed_ns = 0;
	if (owed > spent)
		sim_wait_ns(owed - spent);
}

void sim_time_faults_seen(void)
{
	batched = 0;
}

/* Faults that one look found share its latency, so many as the profile says; each other is one
 * of its own. */
void sim_time_fault(struct gm_sim *sim)
{
	bool shared = sim_is_service_thread() && batched++ % sim->model.fault_batch;
	uint64_t ns = shared ? 0 : (uint64_t)sim->model.fault_ns;

	enter_line(&sim->time);
	uint64_t *line = line_of(sim);
	*line += ns;
	leave_line(sim, *line);
	atomic_fetch_add_explicit(&gmi_stats->dev[sim->dev->index].fault_ns, ns,
				  memory_order_relaxed);
	wait_really(ns);
}

void sim_time_transfer(struct gm_sim *sim, enum sim_way way, uint64_t ns)
{
	struct sim_time *t = &sim->time;

	if (!ns)
		return;
	enter_line(t);
	uint64_t *line = line_of(sim), began = *line;
	*line = gm_max(*line, t->link[way]) + ns;
	t->link[way] = *line;
	if (!sim->model.duplex && way != SIM_FROM_PEER)
		t->link[!way] = *line;
	uint64_t waited = *line - began;
	leave_line(sim, *line);
	struct gm_dev_stats *s = &gmi_stats->dev[sim->dev->index];
	atomic_fetch_add_explicit(way == SIM_FROM_PEER ? &s->peer_ns : &s->link_ns, ns,
				  memory_order_relaxed);
	wait_really(waited);
}

void sim_time_cpu(struct gm_sim *sim, uint64_t ns)
{
	enter_line(&sim->time);
	uint64_t *line = line_of(sim);

	*line += ns;
	leave_line(sim, *line);
}

void sim_time_launch(struct gm_sim *sim, unsigned slot)
{
	enter_line(&sim->time);
	sim->time.launch[slot] = *line_of(sim);
	leave_line(sim, 0);
}

void sim_time_launched(struct gm_sim *sim, unsigned slot, uint64_t ns)
{
	struct sim_time *t = &sim->time;

	enter_line(t);
	uint64_t *line = line_of(sim), end = gm_max(t->launch[slot], t->compute) + ns;
	*line = gm_max(*line, end);
	if (ns)
		t->compute = end;
	leave_line(sim, *line);
}

/* ---- streams ---- */

uint64_t sim_time_now(struct gm_sim *sim)
{
	gm_sigmask mask = gmi_block_signals();

	enter_line(&sim->time);
	uint64_t now = *line_of(sim);
	leave_line(sim, 0);
	gmi_restore_signals(mask);
	return now;
}

void sim_time_join(struct gm_sim *sim, uint64_t when)
{
	gm_sigmask mask = gmi_block_signals();

	enter_line(&sim->time);
	uint64_t *line = line_of(sim);
	*line = gm_max(*line, when);
	leave_line(sim, 0);
	gmi_restore_signals(mask);
}

void sim_time_stream(const struct gm_sim *sim, uint64_t *line)
{
	stream.sim = sim;
	stream.line = line;
}
