/*
 * sim_launch.c - kernels: launching, waiting, modules, the journal of in-place kernels.
 *
 * The launching thread sleeps with its signals open and holds no lock: its handlers run, its
 * other threads fault and are served. If it leaves by longjmp its slot is taken back later. They
 * are blocked from the submission to the end of a kernel that is done before the thread would
 * sleep: two calls of rt_sigprocmask a launch instead of eight, and no signal waits longer than
 * SPIN_NS.
 */
#include "devsim/driver/sim_int.h"
#include "core/page/activate.h"
#include "core/page/cpu_bus.h"
#include "core/page/plugin.h"
#include "core/page/thread.h"
#include "core/space/attach.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>

#define SPIN_NS	       10000 /* for very short kernels; longer ones are waited for asleep */
#define MAX_RESUBMITS  3
#define JOURNAL_RETAIN ((uint64_t)64 << 20) /* of each slot's journal, kept for the next launch */

struct request {
	int module;
	const char *kernel;
	uint32_t nblocks;
	const void *args;
	size_t args_bytes;
	const char *label;	 /* NULL: the kernel's name */
	bool sample;		 /* which pages it touches is to be found out */
	bool region;		 /* it may reach memory outside the windows */
	bool keep;		 /* the slot stays claimed when it is done */
	void (*serve)(void *of); /* what the kernel may ask of this thread; NULL: nothing */
	void *of;
	uint64_t reply; /* out */
	bool blocked;	/* are signals? */
	gm_sigmask mask;
};

/* Both may be called twice. While they are blocked nothing of the program is touched: its memory
 * may be away. */
static void block_signals(struct request *r)
{
	if (!r->blocked)
		r->mask = gmi_block_signals();
	r->blocked = true;
}

static void open_signals(struct request *r)
{
	if (r->blocked)
		gmi_restore_signals(r->mask);
	r->blocked = false;
}

/* ---- slots ---- */

/* Signals blocked. */
static void free_slot(struct gm_sim *sim, unsigned slot)
{
	struct ds_launch *l = &sim->ctl->launch[slot];

	gm_assert(gmi_signals_blocked());
	gmi_lock(&sim->cmd_lock);
	if (sim->submitted[slot])
		sim->active--;
	sim->submitted[slot] = false;
	if (sim->region[slot])
		atomic_fetch_sub(&sim->regions, 1);
	sim->region[slot] = false;
	atomic_store(&l->state, DS_L_FREE);
	atomic_store(&sim->owner[slot], SIM_OWNER_NONE);
	gmi_unlock(&sim->cmd_lock);
	atomic_fetch_add(&sim->slot_freed, 1);
	if (atomic_load(&sim->slot_waiters))
		gmi_futex_wake(&sim->slot_freed, 1);
}

static void release_slot(struct gm_sim *sim, unsigned slot)
{
	gm_sigmask mask = gmi_block_signals();

	free_slot(sim, slot);
	gmi_restore_signals(mask);
}

/* Slots of launches that this thread left by longjmp, and of those that others left and are
 * done. */
static void reclaim_slot(struct gm_sim *sim, int32_t tid)
{
	for (unsigned i = 0; i < DS_LAUNCHES; i++) {
		int32_t mine = tid, gone = SIM_OWNER_GONE;
		atomic_compare_exchange_strong(&sim->owner[i], &mine, SIM_OWNER_GONE);
		uint32_t state = atomic_load(&sim->ctl->launch[i].state);
		if ((state == DS_L_DONE || state == DS_L_FILLING) &&
		    atomic_compare_exchange_strong(&sim->owner[i], &gone, tid))
			release_slot(sim, i);
	}
}

static unsigned claim_slot(struct gm_sim *sim)
{
	int32_t tid = atomic_load(&gmi_self()->tid);

	tid = tid ? tid : gmi_gettid(); /* no memory for a record of its own */
	reclaim_slot(sim, tid);
	for (;;) {
		uint32_t seen = atomic_load(&sim->slot_freed);
		for (unsigned i = 0; i < DS_LAUNCHES; i++) {
			int32_t none = SIM_OWNER_NONE;
			if (!atomic_compare_exchange_strong(&sim->owner[i], &none, tid))
				continue;
			atomic_store(&sim->ctl->launch[i].state, DS_L_FILLING);
			return i;
		}
		atomic_fetch_add(&sim->slot_waiters, 1); /* who frees one later sees it, or
							  * slot_freed is not `seen` any more */
		gmi_futex_wait(&sim->slot_freed, seen, SIM_TICK_NS);
		atomic_fetch_sub(&sim->slot_waiters, 1);
		reclaim_slot(sim, tid);
	}
}

static void fill(struct ds_launch *l, const struct request *r)
{
	atomic_store(&l->waiting, 0);
	l->module = (uint32_t)r->module;
	l->nblocks = r->nblocks;
	l->args_bytes = (uint32_t)r->args_bytes;
	gmi_snprintf(l->kernel, sizeof l->kernel, "%s", r->kernel);
	gm_copy(l->args, r->args, r->args_bytes); /* managed memory, perhaps: no lock is held */
	atomic_store(&l->next_block, 0);
	atomic_store(&l->blocks_done, 0);
	atomic_store(&l->error, 0);
	l->kernel_code = 0;
	l->fault_addr = l->start_ns = l->end_ns = l->journal_bytes = 0;
	atomic_store(&l->flops, 0);
	atomic_store(&l->bytes, 0);
	l->flop_type = 'd';
	l->access_bytes = 0;
	l->reply = 0;
	l->written_bytes = 0;
	l->sample = r->sample;
	l->local_pages = l->remote_pages = l->peer_pages = l->sample_ns = 0;
	atomic_store(&l->journal_valid, 0);
}

unsigned sim_launches_lost(struct gm_sim *sim)
{
	unsigned begun = 0;

	for (unsigned i = 0; i < DS_LAUNCHES; i++) {
		struct ds_launch *l = &sim->ctl->launch[i];
		uint32_t state = atomic_load(&l->state);
		int32_t none = 0;
		if (!sim->submitted[i] || state == DS_L_DONE)
			continue;
		begun += state == DS_L_RUNNING;
		/* What had not begun is simply tried again. */
		atomic_compare_exchange_strong(&l->error, &none,
					       state == DS_L_QUEUED ? -EAGAIN : -EIO);
		atomic_store(&l->state, DS_L_DONE);
		gmi_futex_wake(&l->state, INT32_MAX);
	}
	return begun;
}

/* ---- one launch ---- */

/* The commit point: under the cmd lock, so that every page-table change is either applied before
 * it or waited for. */
static bool submit(struct gm_sim *sim, struct ds_launch *l, struct request *r, uint32_t generation)
{
	struct ds_ctl *ctl = sim->ctl;

	block_signals(r);
	sim_time_launch(sim, (unsigned)(l - ctl->launch));
	gmi_lock(&sim->cmd_lock);
	bool ok = sim->alive && sim->generation == generation;
	if (ok) {
		l->after_cmd = sim_publish(sim);
		l->seq = sim->next_seq++;
		sim->active++;
		sim->submitted[l - ctl->launch] = true;
		atomic_store(&l->state, DS_L_QUEUED);
	}
	gmi_unlock(&sim->cmd_lock);
	if (!ok)
		return false;
	sim_maybe_kill(sim);
	uint32_t bits = ds_call_workers(ctl, 1);
	if (bits)
		gmi_futex_wake_bits(&ctl->launch_bell, bits);
	return true;
}

static bool is_busy(struct ds_launch *l)
{
	uint32_t s = atomic_load_explicit(&l->state, memory_order_acquire);

	return s != DS_L_DONE && s != DS_L_CALLS;
}

/* It asks for something (DS_L_CALLS), or takes longer: false. */
static bool is_done_soon(struct ds_launch *l)
{
	uint64_t end = gmi_now_ns() + SPIN_NS;

	while (is_busy(l) && gmi_now_ns() < end)
		__builtin_ia32_pause();
	return atomic_load(&l->state) == DS_L_DONE;
}

/* Its process may end meanwhile: then it is done. */
static void serve_kernel(struct ds_launch *l, const struct request *r)
{
	uint32_t calls = DS_L_CALLS;

	r->serve(r->of);
	if (atomic_compare_exchange_strong(&l->state, &calls, DS_L_RUNNING))
		gmi_futex_wake(&l->state, INT32_MAX);
}

/*
 * Signals blocked; opened before it sleeps. A kernel may take its time: at intervals the device
 * is asked for a sign of life. What no device does is told once; then the process is gone, and
 * what it ran is done.
 */
static void await_launch(struct gm_sim *sim, struct ds_launch *l, struct request *r,
			 uint32_t generation)
{
	uint64_t end, asked_ns = 0;
	uint32_t ping = 0;

	if (is_done_soon(l))
		return;
	end = gmi_now_ns();
	open_signals(r);
	atomic_store(&l->waiting, 1);
	for (uint32_t s = atomic_load(&l->state); s != DS_L_DONE; s = atomic_load(&l->state)) {
		if (s == DS_L_CALLS && r->serve) {
			serve_kernel(l, r);
			continue;
		}
		if (gmi_futex_wait(&l->state, s, SIM_TICK_NS) != -ETIMEDOUT)
			continue;
		if (sim_lost(sim, generation)) /* then it is done */
			continue;
		/* the service thread, should its flag that it sleeps be lost */
		gmi_futex_wake(&sim->ctl->fault_bell, 1);
		if (!sim_launch_state_ok(s) || *(volatile uint32_t *)&l->nblocks != r->nblocks) {
			sim_distrust(sim, "has changed what it was to do");
			continue;
		}
		bool unanswered = asked_ns && !sim_applied(sim, ping);
		if (s == DS_L_QUEUED || unanswered)
			sim_ring_check(sim);
		if (unanswered) {
			sim_silent(sim, asked_ns);
		} else if (gmi_now_ns() - end > SIM_SILENCE_NS) {
			end = asked_ns = gmi_now_ns();
			ping = sim_ping(sim);
		}
	}
}

/* Submits to a living process and waits. -EIO, -ENOENT and others of the start: it did not run. */
static int run_once(struct gm_sim *sim, unsigned slot, struct request *r)
{
	struct ds_launch *l = &sim->ctl->launch[slot];
	uint32_t generation;

	sim->told[slot] = (struct ds_launch){.flop_type = 'd', .sample = r->sample};
	if (r->region && !sim->region[slot]) {
		sim->region[slot] = true;
		atomic_fetch_add(&sim->regions, 1);
	}
	for (int i = 0; i <= MAX_RESUBMITS; i++) {
		int err = sim_process_start(sim, &generation);
		if (err)
			return err;
		fill(l, r);
		if (!submit(sim, l, r, generation)) {
			open_signals(r);
			continue;
		}
		await_launch(sim, l, r, generation);
		sim_launch_told(sim, slot);
		struct ds_launch *told = &sim->told[slot];
		err = atomic_load(&told->error);
		if (err || !told->written_bytes || !r->region)
			return err;
		open_signals(r);
		return sim_foreign_write(told->written, told->written_bytes, &told->fault_addr);
	}
	return -EIO;
}

void sim_account_launch(struct gm_sim *sim, unsigned slot, int err, struct gm_launch_result *out)
{
	const struct ds_launch *l = &sim->told[slot];
	unsigned row = atomic_load(&sim->kernel_row[slot]);
	enum gm_time_basis basis = GM_TIME_NOT_MODELLED;
	uint64_t ns = err == -EIO ? 0 : sim_cost(sim, l, row, &basis);
	uint64_t wall = l->end_ns ? l->end_ns - l->start_ns : 0;
	struct gm_dev_stats *s = &gmi_stats->dev[sim->dev->index];
	struct gm_kernel_stats *k = &gmi_stats->kernel[row];

	sim_time_launched(sim, slot, ns);
	gmc_launch_done(sim->dev); /* what goes home now goes after the kernel */
	atomic_fetch_add_explicit(err ? &s->kernels_failed : &s->kernels, 1, memory_order_relaxed);
	if (gm_tracing())
		gmi_trace_span(
			(struct gm_event){.kind = GM_EV_LAUNCH,
					  .time_ns = l->start_ns ? l->start_ns : gmi_now_ns(),
					  .kernel = (uint16_t)row,
					  .device = (uint8_t)sim->dev->index,
					  .flags = err ? GM_EV_FAILED : 0},
			wall);
	atomic_fetch_add_explicit(err ? &k->failed : &k->launches, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&k->wall_ns, wall, memory_order_relaxed);
	atomic_fetch_add_explicit(&k->modelled_ns, ns, memory_order_relaxed);
	sim_record_end(sim, slot, l, err);
	if (!out)
		return;
	*out = (struct gm_launch_result){
		.fault_addr = l->fault_addr,
		.kernel_code = l->kernel_code,
		.modelled_ns = ns,
		.wall_ns = wall,
		.basis = basis,
	};
}

static bool is_valid_request(const struct request *r)
{
	return r->kernel && r->nblocks && r->args_bytes <= DS_ARGS_MAX &&
	       (!r->args_bytes || r->args) && (unsigned)r->module < DS_MODULES &&
	       sim_strlen(r->kernel) < sizeof((struct ds_launch *)0)->kernel;
}

/* Claims a slot and runs there; in another one when the process was gone before it began. */
static int run_in_slot(struct gm_sim *sim, struct request *r, unsigned row, unsigned *slot)
{
	int err = -EAGAIN;

	for (int i = 0; err == -EAGAIN; i++) {
		*slot = claim_slot(sim);
		if (i > MAX_RESUBMITS)
			return -EIO;
		atomic_store(&sim->kernel_row[*slot], (uint8_t)row);
		if (r->kernel[0])
			sim_record_launch(sim, *slot, row);
		r->sample = r->kernel[0] && sim_cost_sample(sim, row);
		err = run_once(sim, *slot, r);
		if (err == -EAGAIN) {
			open_signals(r);
			release_slot(sim, *slot);
		}
	}
	return err;
}

/* What is left to do when it has run, or could not. The slot is free then, unless it is kept. */
static void end_launch(struct gm_sim *sim, unsigned slot, unsigned row, struct request *r, int err,
		       struct gm_launch_result *result)
{
	block_signals(r);
	if (r->kernel[0]) {
		GM_COUNT(kernel[row].running, (uint64_t)-1);
		sim_account_launch(sim, slot, err, result);
	}
	r->reply = sim->told[slot].reply;
	if (!r->keep)
		free_slot(sim, slot);
	open_signals(r);
}

/* *slot: where it ran, if it was to keep it; DS_LAUNCHES: it did not begin. */
static int launch_any(struct gm_sim *sim, struct request *r, struct gm_launch_result *result,
		      unsigned *slot)
{
	*slot = DS_LAUNCHES;
	if (!sim || !is_valid_request(r))
		return -EINVAL;
	int err = sim_up(sim);
	if (!err)
		err = gmi_activate();
	if (!err)
		err = sim_service_start(sim);
	if (err)
		return err;

	uint64_t wall = gmi_now_ns(), virtual = gmi_opt.throttle ? sim_time_now(sim) : 0;
	gmi_bus_settle();
	sim_outside_begin(sim);
	unsigned row =
		r->kernel[0] ? gmi_kernel_row(sim->dev->index, r->label ? r->label : r->kernel) : 0;
	if (r->kernel[0]) { /* else a module is loaded, no more */
		atomic_store(&gmi_stats->kernel[row].since_ns, wall);
		GM_COUNT(kernel[row].running, 1);
		gmc_plugin_launch(sim->dev, r->label ? r->label : r->kernel);
	}
	err = run_in_slot(sim, r, row, slot);
	end_launch(sim, *slot, row, r, err, result);
	if (!gmi_opt.throttle)
		return err;
	virtual = sim_time_now(sim) - virtual;
	wall = gmi_now_ns() - wall;
	if (virtual > wall)
		sim_wait_ns(virtual - wall);
	return err;
}

static struct request request_of(const char *kernel, uint32_t nblocks, const void *args,
				 size_t args_bytes)
{
	return (struct request){
		.kernel = kernel, .nblocks = nblocks, .args = args, .args_bytes = args_bytes};
}

int gm_sim_launch(struct gm_sim *sim, int module, const char *kernel, uint32_t nblocks,
		  const void *args, size_t args_bytes, struct gm_launch_result *result)
{
	struct request r = request_of(kernel, nblocks, args, args_bytes);
	unsigned slot;

	r.module = module;
	return launch_any(sim, &r, result, &slot);
}

int gmi_sim_launch(struct gm_sim *sim, struct gmi_launch *what, struct gm_launch_result *result)
{
	struct request r = {.module = what->module,
			    .kernel = what->kernel,
			    .nblocks = 1,
			    .args = what->args,
			    .args_bytes = what->args_bytes,
			    .label = what->label,
			    .region = true,
			    .serve = what->serve,
			    .of = what->of};
	unsigned slot;
	int err = launch_any(sim, &r, result, &slot);

	what->reply = r.reply;
	return err;
}

/* ---- journal ---- */

static void journal_trim(struct gm_sim *sim, unsigned slot, uint64_t keep)
{
	uint64_t bytes = sim->told[slot].journal_bytes;

	if (bytes > keep)
		gm_sys4(SYS_fallocate, sim->journal_fd, 3 /* PUNCH_HOLE | KEEP_SIZE */,
			slot * DS_JOURNAL_SPAN + keep, gm_align_up(bytes - keep, GM_PAGE_BYTES));
}

int gmi_sim_launch_journalled(struct gm_sim *sim, const char *kernel, uint32_t nblocks,
			      const void *args, size_t args_bytes, struct gm_launch_result *result,
			      int *slot, const void **journal)
{
	struct request r = request_of(kernel, nblocks, args, args_bytes);
	unsigned s;

	r.keep = true;
	int err = launch_any(sim, &r, result, &s);

	*journal = NULL;
	*slot = -1;
	if (s == DS_LAUNCHES)
		return err;
	struct ds_launch *l = &sim->told[s];
	if (err && atomic_load(&l->journal_valid)) {
		/* All of the slot's part: who restores reads what the call was to write, however
		 * much the device says that it saved. */
		void *p = gm_sys_mmap(NULL, DS_JOURNAL_SPAN, PROT_READ, MAP_SHARED | MAP_NORESERVE,
				      sim->journal_fd, s * DS_JOURNAL_SPAN);
		if (!gm_is_err(p)) {
			*journal = p;
			*slot = (int)s;
			sim->journal_at[s] = p;
			atomic_store(&sim->owner[s], SIM_OWNER_JOURNAL);
			return err;
		}
		gm_log(GM_LOG_ERROR,
		       "device %u (%s): no memory to restore %zu bytes that a lost kernel had "
		       "begun to overwrite",
		       sim->number, sim->model.name, (size_t)l->journal_bytes);
	}
	journal_trim(sim, s, JOURNAL_RETAIN);
	release_slot(sim, s);
	return err;
}

void gmi_sim_journal_done(struct gm_sim *sim, int slot)
{
	if (!sim || slot < 0 || slot >= DS_LAUNCHES ||
	    atomic_load(&sim->owner[slot]) != SIM_OWNER_JOURNAL)
		return;
	gm_sys_munmap(sim->journal_at[slot], DS_JOURNAL_SPAN);
	sim->journal_at[slot] = NULL;
	journal_trim(sim, (unsigned)slot, 0);
	release_slot(sim, (unsigned)slot);
}

/* ---- modules ---- */

/* The device may have another working directory: a path becomes absolute. A bare name is
 * searched like any library's. */
static int absolute(const char *path, char *out, size_t bytes)
{
	bool slash = false;
	size_t at = 0;

	for (const char *c = path; *c && !slash; c++)
		slash = *c == '/';
	if (slash && path[0] != '/') {
		long n = gm_sys2(SYS_getcwd, out, bytes);
		if (n < 0)
			return (int)n;
		at = (size_t)n - 1;
		if (at + 1 < bytes)
			out[at++] = '/';
	}
	return (size_t)gmi_snprintf(out + at, bytes - at, "%s", path) < bytes - at ? 0
										   : -ENAMETOOLONG;
}

/* The index of the path, entered if it is new. */
static int enter_module(struct gm_sim *sim, const char *path, int *module)
{
	int err = -ENOSPC;

	gm_sigmask mask = gmi_block_signals();
	gmi_lock(&sim->cmd_lock);
	for (int i = 1; i < DS_MODULES; i++) {
		if (sim->modules[i][0] && !sim_streq(sim->modules[i], path))
			continue;
		gmi_snprintf(sim->modules[i], DS_NAME_MAX, "%s", path);
		gmi_snprintf(sim->ctl->module[i], DS_NAME_MAX, "%s", path);
		*module = i;
		err = 0;
		break;
	}
	gmi_unlock(&sim->cmd_lock);
	gmi_restore_signals(mask);
	return err;
}

int gm_sim_load(struct gm_sim *sim, const char *path, int *module)
{
	char full[DS_NAME_MAX];

	if (!sim || !path || !path[0] || !module)
		return -EINVAL;
	int err = absolute(path, full, sizeof full), i = 0;
	if (!err)
		err = sim_up(sim);
	if (!err)
		err = enter_module(sim, full, &i);
	if (!err) {
		err = gm_sim_launch(sim, i, "", 1, NULL, 0, NULL);
		if (err == -ENOENT || err == -ENOEXEC)
			sim->modules[i][0] = 0; /* another may have the place */
	}
	*module = err ? -1 : i;
	return err;
}
