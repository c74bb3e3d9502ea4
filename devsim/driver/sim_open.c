/*
 * sim_open.c - opening and closing devices, those of GMEM_DEVICE, and what becomes of them in a
 * fork child.
 */
#include "devsim/driver/sim_int.h"
#include "core/entry/leave.h"
#include "core/page/registry.h"
#include "core/page/share.h"
#include "core/sys/at_fork.h"
#include "core/sys/own_thread.h"
#include "core/page/driver.h"
#include "core/entry/outside.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>

static struct gm_lock sims_lock;
static struct gm_sim *sims[GM_MAX_DEV];
static struct gm_sim *defaults[GM_MAX_DEV];
static bool default_failed[GM_MAX_DEV];

/* ---- what a device consists of; sims lock held ---- */

static void release_memory(struct gm_sim *sim)
{
	if (sim->aperture_room)
		gm_sys_munmap(sim->aperture_room, sim->model.mem_bytes + GM_BLOCK_BYTES);
	if (sim->ctl)
		gm_sys_munmap(sim->ctl, sizeof *sim->ctl);
	gmi_fd_close(sim->ctl_fd);
	gmi_fd_close(sim->mem_fd);
	gmi_fd_close(sim->journal_fd);
	gmi_fd_close(sim->sock);
	gmi_free(sim->message, DS_FOREIGN_BYTES);
	sim->message = NULL;
	sim->aperture = sim->aperture_room = NULL;
	sim->ctl = NULL;
	sim->ctl_fd = sim->mem_fd = sim->journal_fd = sim->sock = -1;
}

/* The aperture is aligned to 2 MiB, so that the device's memory can be huge pages on both sides. */
static int map_aperture(struct gm_sim *sim)
{
	uint64_t bytes = sim->model.mem_bytes;
	if (!bytes)
		return 0;
	char *room = gm_sys_mmap(NULL, bytes + GM_BLOCK_BYTES, PROT_NONE,
				 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (gm_is_err(room))
		return gm_err(room);
	sim->aperture_room = room;
	sim->aperture = (char *)gm_align_up((uintptr_t)room, GM_BLOCK_BYTES);
	void *p = gm_sys_mmap(sim->aperture, bytes, PROT_NONE,
			      MAP_SHARED | MAP_NORESERVE | MAP_FIXED, sim->mem_fd, 0);
	if (gm_is_err(p))
		return gm_err(p);
	/* as the store: never locked */
	gm_sys2(SYS_munlock, sim->aperture, bytes);
	int err = gm_sys_mprotect(sim->aperture, bytes, PROT_READ | PROT_WRITE);
	if (err)
		return err;
	/* where the kernel allows it for shared memory */
	gm_sys3(SYS_madvise, sim->aperture, bytes, MADV_HUGEPAGE);
	gm_sys3(SYS_madvise, sim->aperture, bytes, MADV_DONTDUMP);
	return 0;
}

static int make_ctl(struct gm_sim *sim)
{
	struct ds_ctl *ctl =
		gm_sys_mmap(NULL, sizeof *ctl, PROT_READ | PROT_WRITE, MAP_SHARED, sim->ctl_fd, 0);

	if (gm_is_err(ctl))
		return gm_err(ctl);
	sim->ctl = ctl;
	return 0;
}

static int make_memory(struct gm_sim *sim)
{
	int err;

	sim->sock = -1;
	sim->ctl_fd = gmi_memfd("gmem-ctl", gm_align_up(sizeof *sim->ctl, GM_PAGE_BYTES));
	sim->mem_fd = gmi_memfd("gmem-device", sim->model.mem_bytes);
	sim->journal_fd = gmi_memfd("gmem-journal", DS_LAUNCHES * DS_JOURNAL_SPAN);
	err = gm_min(gm_min(sim->ctl_fd, sim->mem_fd), sim->journal_fd);
	err = err < 0 ? err : map_aperture(sim);
	err = err ? err : make_ctl(sim);
	if (err)
		release_memory(sim);
	return err;
}

static void publish_stats(const struct gm_sim *sim)
{
	struct gm_dev_stats *s = &gmi_stats->dev[sim->dev->index];
	uint32_t n = atomic_load(&gmi_stats->ndev);

	gmi_snprintf(s->name, sizeof s->name, "%s", sim->model.name);
	atomic_store(&s->mem_bytes, sim->model.mem_bytes);
	atomic_store(&s->page_bytes, sim->model.page_bytes);
	while (n <= sim->dev->index &&
	       !atomic_compare_exchange_weak(&gmi_stats->ndev, &n, sim->dev->index + 1))
		;
}

/* Its own, or its part of what several processes have. */
static int meet_memory(struct gm_sim *sim, struct gm_dev *dev)
{
	if (!sim->model.mem_bytes)
		return 0;
	int err = gm_dev_register_physmem(dev, 0, sim->model.mem_bytes);
	return err || !gmi_opt.share[0] ? err : gmc_share_join(dev, sim->number);
}

static int meet_core(struct gm_sim *sim)
{
	struct gm_dev *dev;

	sim->mmu = sim_mmu;
	sim->mmu.page_bytes = sim->model.page_bytes;
	sim->mmu.page_sizes =
		4096; /* its table is the kernel's: any pages side by side are one mapping */
	uint64_t cap = sim->model.cannot_fault ? 0 : GM_DEV_CAP_REPLAYABLE;
	if (sim->model.mem_bytes)
		cap |= GM_DEV_CAP_PEER;
	else
		sim->mmu.aperture = NULL;
	if (!sim->model.reserve_bytes)
		sim->mmu.peer_va_alloc_fixed = NULL;
	int err = gm_dev_create(&sim->mmu, sim, cap, &dev);

	if (!err)
		gmc_dev_patient(dev);
	if (err)
		return err;
	err = meet_memory(sim, dev);
	if (err) {
		gm_dev_destroy(dev);
		return err;
	}
	for (unsigned k = 0; k < GM_POLICY_KINDS; k++)
		if (sim->model.policy[k][0])
			gm_policy_set(NULL, dev, k, sim->model.policy[k]);
	if (sim->model.shared_table && !sim->model.policy[GM_POLICY_PLACEMENT][0] &&
	    gmi_opt.placement ==
		    GM_PLACE_MIGRATE) /* nothing faults: counters are what moves pages */
		gm_policy_set(NULL, dev, GM_POLICY_PLACEMENT, "counted");
	__atomic_store_n(&sim->dev, dev, __ATOMIC_RELEASE);
	publish_stats(sim);
	return 0;
}

static enum gm_mmu_mode mode_of(const struct gm_sim *sim)
{
	return sim->model.shared_table ? GM_MMU_MODE_SHARE : GM_MMU_MODE_COHERENT_EXCLUSIVE;
}

static int bring_up(struct gm_sim *sim)
{
	int err = make_memory(sim);

	if (!err) {
		err = meet_core(sim);
		if (err)
			release_memory(sim);
	}
	for (unsigned i = 0; i < GM_MAX_DEV && !err; i++)
		if (sims[i])
			sim_peers_meet(sim, sims[i]);
	for (unsigned i = 0; i < DS_WINDOWS && !err; i++) {
		struct gm_as *as = sim->again[i].as;
		sim->again[i].as = NULL;
		if (as)
			err = gm_as_attach(as, sim->dev, sim->again[i].mode, 1, NULL);
	}
	return err;
}

int sim_up(struct gm_sim *sim)
{
	int err = 0;

	if (__atomic_load_n(&sim->dev, __ATOMIC_ACQUIRE))
		return 0;
	gm_sigmask mask = gmi_block_signals();
	gmi_lock(&sims_lock);
	if (!sim->dev)
		err = bring_up(sim);
	gmi_unlock(&sims_lock);
	gmi_restore_signals(mask);
	return err;
}

/* ---- fork: the child has no device; it makes its own when it uses one ---- */

static void forget_sim(struct gm_sim *sim)
{
	unsigned n = 0;

	release_memory(sim);
	for (unsigned i = 0; i < DS_WINDOWS; i++) {
		struct gm_as *as = sim->space[i].as;
		if (!as || as->iova) /* a table of device addresses is not made again */
			continue;
		sim->again[n].as = as;
		sim->again[n++].mode = as->ctx_room[sim->dev->index]->mode;
	}
	gm_zero(sim->space, sizeof sim->space);
	gm_zero(sim->peer, sizeof sim->peer);
	gm_zero(sim->owner, sizeof sim->owner);
	gm_zero(sim->journal_at, sizeof sim->journal_at);
	gm_zero(sim->submitted, sizeof sim->submitted);
	gm_zero(sim->region, sizeof sim->region);
	atomic_store(&sim->regions, 0);
	atomic_store(&sim->silent_ns, 0);
	atomic_store(&sim->cmd_head, 0);
	sim->process_lock = sim->cmd_lock = sim->spaces_lock = sim->accessed_lock =
		(struct gm_lock){0};
	sim->dev = NULL;
	sim->alive = sim->has_pending = false;
	sim->active = 0;
	sim->pid = 0;
	atomic_store(&sim->service, SIM_THREAD_NONE);
	sim->time = (struct sim_time){0};
}

static void fork_child(void)
{
	sims_lock = (struct gm_lock){0};
	sim_record_forked();
	atomic_store(&gmi_outside_live, false);
	atomic_store(&gmi_threads_rest, false); /* the parent's */
	for (int i = 0; i < GM_MAX_DEV; i++) {
		if (sims[i])
			sims[i]->rests = false;
		if (sims[i])
			sim_streams_forked(sims[i]);
		if (sims[i] && sims[i]->dev)
			forget_sim(sims[i]);
	}
}

void sim_each(void (*fn)(struct gm_sim *sim, void *arg), void *arg)
{
	gmi_lock(&sims_lock);
	for (int i = 0; i < GM_MAX_DEV; i++)
		if (sims[i] && sims[i]->dev)
			fn(sims[i], arg);
	gmi_unlock(&sims_lock);
}

/* ---- rest ---- */

static void end_process(struct gm_sim *sim)
{
	gmi_lock(&sim->process_lock);
	sim->rests = true;
	gmi_unlock(&sim->process_lock);
	gmi_sim_kill(sim);
}

static void let_start(struct gm_sim *sim)
{
	gmi_lock(&sim->process_lock);
	sim->rests = false;
	gmi_unlock(&sim->process_lock);
}

static void each_sim(void (*fn)(struct gm_sim *sim))
{
	for (int i = 0; i < GM_MAX_DEV; i++)
		if (sims[i])
			fn(sims[i]);
}

/* Processes first: then nothing that a thread of ours waits for takes long. */
void gmi_sims_rest(void)
{
	gm_sigmask mask = gmi_block_signals();

	gmi_lock(&sims_lock);
	atomic_store(&gmi_threads_rest, true);
	each_sim(end_process);
	atomic_store(&gmi_outside_live, false); /* no process is left that has any */
	sim_chaos_rest();
	each_sim(sim_streams_rest);
	gmi_devices_rest();
	each_sim(sim_service_stop);
	gmi_unlock(&sims_lock);
	gmi_restore_signals(mask);
}

void gmi_sims_return(void)
{
	gm_sigmask mask = gmi_block_signals();

	gmi_lock(&sims_lock);
	atomic_store(&gmi_threads_rest, false);
	each_sim(let_start);
	gmi_devices_return();
	gmi_unlock(&sims_lock);
	gmi_restore_signals(mask);
}

/* ---- the public functions ---- */

int gm_checkpoint(void)
{
	if (gmc_called_back(__func__))
		return -EDEADLK;
	if (!gmi_memory_loose())
		return -EBUSY;
	gmi_sims_rest();
	bool all = gmi_memory_private();
	gmi_sims_return();
	gmi_chaos_start();
	return all ? 0 : -EBUSY;
}

static int sim_new(const struct sim_model *model, struct gm_sim **out)
{
	unsigned i = 0;

	while (i < GM_MAX_DEV && sims[i])
		i++;
	struct gm_sim *sim = i < GM_MAX_DEV ? gmi_alloc(sizeof *sim) : NULL;
	if (!sim)
		return i < GM_MAX_DEV ? -ENOMEM : -ENOSPC;
	sim->number = i;
	sim->model = *model;
	int err = bring_up(sim);
	if (err) {
		gmi_free(sim, sizeof *sim);
		return err;
	}
	gmi_at_fork_child(fork_child);
	sims[i] = *out = sim;
	return 0;
}

static int open_locked(const char *spec, struct gm_sim **sim)
{
	struct sim_model model;
	char line[512];

	if (sim_model_parse(spec, &model, line, sizeof line)) {
		gm_log(GM_LOG_ERROR, "%s", line);
		return -EINVAL;
	}
	int err = sim_new(&model, sim);
	if (err)
		gm_log(GM_LOG_ERROR, "cannot open device %s: %s (error %d)", spec, sim_why(err),
		       -err);
	return err;
}

int gm_sim_open(const char *spec, struct gm_sim **sim)
{
	if (!spec || !sim)
		return -EINVAL;
	if (atomic_load(&gmi_threads_rest))
		return -ENODEV;
	gmi_report_start(); /* whatever it says, the device works without it */
	gm_sigmask mask = gmi_block_signals();
	gmi_lock(&sims_lock);
	int err = open_locked(spec, sim);
	gmi_unlock(&sims_lock);
	gmi_restore_signals(mask);
	return err;
}

static int detach_all(struct gm_sim *sim)
{
	int err = 0;

	for (unsigned i = 0; i < DS_WINDOWS && !err; i++)
		if (sim->space[i].as)
			err = gm_as_detach(sim->space[i].as, sim->dev);
	return err;
}

/* Buffer objects or sparse ranges? */
static bool is_sim_in_use(const struct gm_dev *dev)
{
	gm_sigmask mask = gmc_registry_enter();

	bool busy = dev->nbos;
	gm_for_each_space (each)
		if (each->ctx[dev->index])
			busy |= each->ctx[dev->index]->nsparse != 0;
	gmc_registry_leave(mask);
	return busy;
}

int gm_sim_close(struct gm_sim *sim)
{
	if (!sim)
		return -EINVAL;
	if (sim->streams || (sim->dev && is_sim_in_use(sim->dev)))
		return -EBUSY;
	int err = sim->dev ? detach_all(sim) : 0;
	if (err)
		return err;
	gm_sigmask mask = gmi_block_signals();
	gmi_lock(&sims_lock);
	if (sim->dev) {
		for (int i = 0; i < GM_MAX_DEV; i++)
			if (sims[i])
				sim_peers_part(sim, sims[i]);
		sim_service_stop(sim);
		gm_dev_unregister_physmem(sim->dev, gm_dev_hnid(sim->dev));
		gm_dev_destroy(sim->dev);
		release_memory(sim); /* the socket too: the process ends */
	}
	for (int i = 0; i < GM_MAX_DEV; i++) {
		sims[i] = sims[i] == sim ? NULL : sims[i];
		defaults[i] = defaults[i] == sim ? NULL : defaults[i];
	}
	gmi_unlock(&sims_lock);
	gmi_restore_signals(mask);
	gmi_free(sim, sizeof *sim);
	return 0;
}

struct gm_dev *gm_sim_dev(struct gm_sim *sim)
{
	return sim && !sim_up(sim) ? sim->dev : NULL;
}

bool gmi_sim_can_fault(const struct gm_sim *sim)
{
	return !sim->model.cannot_fault;
}

int gm_sim_attach(struct gm_sim *sim, struct gm_as *as)
{
	if (!sim || !as)
		return -EINVAL;
	int err = sim_up(sim);

	err = err ? err : gm_as_attach(as, sim->dev, mode_of(sim), 1, NULL);
	if (!err)
		sim_record_start(sim, as);
	return err;
}

/* sims lock held. NULL: it failed, and that was said. */
static struct gm_sim *open_default(int i, struct gm_as *as)
{
	struct gm_sim *sim;

	if (open_locked(gmi_opt.device[i], &sim))
		return NULL;
	int err = gm_as_attach(as, sim->dev, mode_of(sim), 1, NULL);
	if (!err)
		return sim_record_start(sim, as), sim;
	gm_log(GM_LOG_ERROR, "cannot attach device %s: %s (error %d)", gmi_opt.device[i],
	       err == -EBUSY ? "the program uses addresses that the device keeps for itself"
			     : sim_why(err),
	       -err);
	return NULL;
}

struct gm_sim *gmi_sim_default(int i)
{
	struct gm_as *as = gm_as_default();

	if (i < 0 || i >= gmi_opt.ndev || !as)
		return NULL;
	if (atomic_load(&gmi_threads_rest))
		return NULL;
	if (__atomic_load_n(&defaults[i], __ATOMIC_ACQUIRE))
		return defaults[i];
	gmi_report_start();
	gm_sigmask mask = gmi_block_signals();
	gmi_lock(&sims_lock);
	struct gm_sim *sim = defaults[i];
	if (!sim && !default_failed[i] && !atomic_load(&gmi_threads_rest)) {
		sim = open_default(i, as);
		default_failed[i] = !sim; /* said once */
		__atomic_store_n(&defaults[i], sim, __ATOMIC_RELEASE);
	}
	gmi_unlock(&sims_lock);
	gmi_restore_signals(mask);
	return sim;
}
