/*
 * sim_driver.c - struct gm_mmu of the simulated device: how core's page-table changes reach the
 * device process.
 *
 * While no kernel runs a change is only queued (50 ns) and applied before the next kernel
 * starts. While one runs, taking rights away waits until the device has done so. Entries that
 * answer a fault travel in the fault's slot instead: the faulting worker maps them itself.
 */
#include "devsim/driver/sim_int.h"
#include "core/page/thread.h"
#include "core/sys/inject.h"
#include <errno.h>

#define SPIN_TURNS 200 /* of waiting for the device before sleeping: a few us */

/* ---- what the model charges ---- */

/*
 * What a fault moves goes in two transfers: first the page that the kernel waits for, then what
 * was prefetched (Ganguly et al., ISCA'19: 4 KiB, then 60 .. 1020 KiB).
 */
static uint64_t fault_transfer_ns(const struct sim_model *m, uint64_t bytes)
{
	uint64_t first = gm_min(bytes, m->page_bytes);

	return sim_transfer_ns(m, first) + sim_transfer_ns(m, bytes - first);
}

static void account_op(void *pmap, uint64_t bytes_in, uint64_t bytes_out, unsigned faults)
{
	struct gm_sim *sim = ((struct sim_space *)pmap)->sim;
	const struct sim_model *m = &sim->model;

	for (unsigned i = 0; i < faults; i++)
		sim_time_fault(sim);
	sim_time_transfer(sim, SIM_TO_DEVICE,
			  sim_is_service_thread() ? fault_transfer_ns(m, bytes_in)
						  : sim_transfer_ns(m, bytes_in));
	sim_time_transfer(sim, SIM_HOME,
			  (uint64_t)((double)sim_transfer_ns(m, bytes_out) * m->home_scale));
}

/* Locks are held: the launch that asked waits for it (GMEM_THROTTLE). */
static void account_cpu(void *pmap, uint64_t bytes)
{
	struct gm_sim *sim = ((struct sim_space *)pmap)->sim;
	struct gm_dev_stats *s = &gmi_stats->dev[sim->dev->index];
	uint64_t ns = sim_remote_ns(&sim->model.cpu, bytes);

	atomic_fetch_add_explicit(&s->cpu_bus_bytes, bytes, memory_order_relaxed);
	atomic_fetch_add_explicit(&s->cpu_bus_ns, ns, memory_order_relaxed);
	sim_time_cpu(sim, ns);
}

/* ---- the ring; cmd lock held ---- */

static uint32_t ring_head(struct gm_sim *sim)
{
	return atomic_load_explicit(&sim->cmd_head, memory_order_relaxed);
}

bool sim_applied(struct gm_sim *sim, uint32_t pos)
{
	return (int32_t)(sim_cmd_tail(sim) - pos) >= 0;
}

/* Nothing to be told to a process that does not exist: it starts without entries. */
static bool nothing_to_tell(struct gm_sim *sim)
{
	return !sim->alive && !sim->has_pending && sim_applied(sim, ring_head(sim));
}

uint32_t sim_publish(struct gm_sim *sim)
{
	struct ds_ctl *ctl = sim->ctl;
	uint32_t head = ring_head(sim);

	if (!sim->has_pending)
		return head;
	ctl->cmd[head % DS_CMDS] = sim->pending;
	sim->has_pending = false;
	atomic_store(&sim->cmd_head, head + 1);
	atomic_store(&ctl->cmd_head, head + 1);
	return head + 1;
}

static bool mergeable(const struct ds_cmd *a, const struct ds_cmd *b)
{
	if (a->kind != b->kind || a->map.va + a->map.len != b->map.va)
		return false;
	if (a->kind == DS_CMD_UNMAP)
		return true;
	return (a->kind == DS_CMD_MAP || a->kind == DS_CMD_REMAP) &&
	       a->map.off + a->map.len == b->map.off && a->map.prot == b->map.prot &&
	       a->map.mem == b->map.mem && a->map.object == b->map.object;
}

static void ring_bell(struct gm_sim *sim)
{
	struct ds_ctl *ctl = sim->ctl;

	atomic_fetch_add(&ctl->cmd_bell, 1);
	if (atomic_load(&ctl->mmu_sleeping))
		gmi_futex_wake(&ctl->cmd_bell, 1);
}

/*
 * Until the device has applied everything before pos; or has gone, and its entries with it. No
 * lock of ours held. -EAGAIN: it is silent, and the caller, a CPU fault, can try again: with its
 * signals open in between.
 */
static int await_command(struct gm_sim *sim, uint32_t pos, uint32_t generation, bool can_retry)
{
	struct ds_ctl *ctl = sim->ctl;
	uint64_t since_ns = 0;
	int err = 0;

	/* also tells workers that wait for a fault to lend a hand */
	atomic_fetch_add(&sim->waiters, 1);
	atomic_fetch_add(&ctl->cmd_waiting, 1);
	ring_bell(sim);
	for (int i = 0; i < SPIN_TURNS && !sim_applied(sim, pos); i++)
		__builtin_ia32_pause();
	while (!err && !sim_applied(sim, pos)) {
		uint32_t seen = atomic_load(&ctl->cmd_tail);
		if (sim_applied(sim, pos) ||
		    gmi_futex_wait(&ctl->cmd_tail, seen, SIM_TICK_NS) != -ETIMEDOUT)
			continue;
		if (sim_lost(sim, generation))
			break;
		sim_ring_check(sim);
		since_ns = since_ns ? since_ns : gmi_now_ns() - SIM_TICK_NS;
		if (sim_silent(sim, since_ns) && can_retry)
			err = -EAGAIN;
	}
	atomic_fetch_sub(&ctl->cmd_waiting, 1);
	atomic_fetch_sub(&sim->waiters, 1);
	if (!err && gm_unlikely(atomic_load_explicit(&sim->silent_ns, memory_order_relaxed)))
		sim_answers(sim);
	return err;
}

#define FULL_MOST 1000 /* looks, each after half of the ring was read */

/* Room for one more command, which a pending one then keeps. May drop the lock for a while, and
 * then says false: look again. */
static bool make_ring_room(struct gm_sim *sim, unsigned tries)
{
	struct ds_ctl *ctl = sim->ctl;
	uint32_t head = ring_head(sim), generation = sim->generation;

	if (head - sim_cmd_tail(sim) < DS_CMDS && !gm_inject(GM_INJ_RING))
		return true;
	if (!sim->alive) { /* only unmaps of nothing, and maps, which may be forgotten */
		atomic_store(&ctl->cmd_tail, head);
		sim->has_pending = false;
		return true;
	}
	gmi_unlock(&sim->cmd_lock);
	await_command(sim, head - DS_CMDS / 2, generation, false);
	if (tries == FULL_MOST) { /* it reads, and there is no room: it is of no use */
		gm_log(GM_LOG_ERROR, "device %u (%s): its command ring stays full", sim->number,
		       sim->model.name);
		gmi_sim_kill(sim);
	}
	gmi_lock(&sim->cmd_lock);
	return false;
}

static void push_command(struct gm_sim *sim, const struct ds_cmd *cmd)
{
	unsigned tries = 0;
	do {
		if (sim->has_pending && mergeable(&sim->pending, cmd)) {
			sim->pending.map.len += cmd->map.len;
			return;
		}
		sim_publish(sim);
	} while (!make_ring_room(sim, tries++));
	sim->pending = *cmd;
	sim->has_pending = true;
}

/* After the pushes: unlocks, and does what a running kernel requires. A fault's reply alone
 * wakes nobody. */
static int settle_commands(struct gm_sim *sim, bool wait)
{
	bool running = sim->alive && sim->active && sim->has_pending;
	uint32_t pos = running ? sim_publish(sim) : 0, generation = sim->generation;

	gmi_unlock(&sim->cmd_lock);
	if (running && wait)
		return await_command(sim, pos, generation, gmi_self()->can_retry);
	if (running)
		ring_bell(sim);
	return 0;
}

void sim_command(struct gm_sim *sim, const struct ds_cmd *cmd, bool wait)
{
	gmi_lock(&sim->cmd_lock);
	push_command(sim, cmd);
	uint32_t pos = sim_publish(sim), generation = sim->generation;
	bool alive = sim->alive;
	gmi_unlock(&sim->cmd_lock);
	if (wait && alive)
		await_command(sim, pos, generation, false);
}

void sim_tell(struct gm_sim *sim, const struct ds_cmd *cmd)
{
	gmi_lock(&sim->cmd_lock);
	if (nothing_to_tell(sim)) {
		gmi_unlock(&sim->cmd_lock);
		return;
	}
	push_command(sim, cmd);
	settle_commands(sim, true);
}

uint32_t sim_ping(struct gm_sim *sim)
{
	gm_sigmask mask = gmi_block_signals();

	sim_command(sim, &(struct ds_cmd){.kind = DS_CMD_PING}, false);
	ring_bell(sim);
	gmi_restore_signals(mask);
	return ring_head(sim);
}

/* ---- struct gm_mmu ---- */

static struct ds_map map_of(const struct gm_op *op)
{
	static const uint8_t mem[] = {[GM_MEM_DEVICE] = DS_DEVICE_STORE,
				      [GM_MEM_HOST] = DS_HOST_STORE,
				      [GM_MEM_PEER] = DS_PEER_STORE};
	bool peer = op->kind == GM_OP_MAP && op->mem == GM_MEM_PEER;

	return (struct ds_map){.va = op->va,
			       .len = op->len,
			       .off = op->pa,
			       .prot = op->prot,
			       .mem = mem[op->mem],
			       .object = peer ? ((const struct gm_sim *)op->peer)->number : 0};
}

bool sim_reply_add(struct sim_reply *reply, const struct ds_map *map)
{
	struct ds_fault *f = reply->fault;
	uint32_t n = reply->nmaps, busy = DS_BUSY;
	uint32_t state = atomic_load(&f->state);

	if (state != DS_BUSY && state != DS_FILLED)
		return true; /* cancelled meanwhile: the worker faults again */
	if (n == DS_FAULT_MAPS)
		return false;
	gm_assert(n < DS_FAULT_MAPS);
	f->map[n] = *map;
	atomic_store(&f->nmaps, reply->nmaps = n + 1);
	atomic_compare_exchange_strong(&f->state, &busy, DS_FILLED);
	return true;
}

/* Copies are done at once. What one over a link to another device takes: the others are charged
 * by account_op(). */
static uint64_t copy_command(struct gm_sim *sim, const struct gm_op *op)
{
	if (op->kind == GM_OP_COPY_PEER)
		return sim_peer_copy(sim, op);
	if (op->kind == GM_OP_COPY_IN)
		gm_copy(sim->aperture + op->pa, op->host, op->len);
	else if (op->kind == GM_OP_COPY_OUT)
		gm_copy(op->host, sim->aperture + op->pa, op->len);
	else
		gm_zero(sim->aperture + op->pa, op->len);
	return 0;
}

/* What an operation becomes. Lowering rights is forgetting the entry: the next touch faults and
 * gets the right one. */
static const uint8_t command_of[] = {
	[GM_OP_MAP] = DS_CMD_MAP,	  [GM_OP_UNMAP] = DS_CMD_UNMAP,
	[GM_OP_PROTECT] = DS_CMD_UNMAP,	  [GM_OP_COPY_IN] = DS_CMD_KINDS,
	[GM_OP_COPY_OUT] = DS_CMD_KINDS,  [GM_OP_ZERO] = DS_CMD_KINDS,
	[GM_OP_COPY_PEER] = DS_CMD_KINDS,
};

static int batch(void *pmap, const struct gm_op *ops, unsigned n)
{
	struct gm_sim *sim = ((struct sim_space *)pmap)->sim;
	struct sim_reply *reply = sim_current_reply(sim);
	uint64_t peer_ns = 0;
	bool wait = false;

	sim_maybe_kill(sim);
	gmi_lock(&sim->cmd_lock);
	for (unsigned i = 0; i < n; i++) {
		struct ds_map map = map_of(&ops[i]);
		uint8_t kind =
			ops[i].flags & GM_OP_REPLACE ? DS_CMD_REMAP : command_of[ops[i].kind];
		if (kind == DS_CMD_KINDS) {
			peer_ns += copy_command(sim, &ops[i]);
			continue;
		}
		if (kind == DS_CMD_MAP ? reply && sim_reply_add(reply, &map) : nothing_to_tell(sim))
			continue;
		push_command(sim, &(struct ds_cmd){.kind = kind, .map = map});
		wait |= kind != DS_CMD_MAP;
	}
	int err = settle_commands(sim, wait);
	sim_time_transfer(sim, SIM_FROM_PEER, peer_ns);
	return err;
}

static void *aperture(void *dev_data)
{
	return ((struct gm_sim *)dev_data)->aperture;
}

static int pmap_create(void *dev_data, struct gm_as *as, void **pmap)
{
	struct gm_sim *sim = dev_data;
	int err = -ENOSPC;

	gmi_lock(&sim->process_lock);
	gmi_lock(&sim->spaces_lock);
	for (unsigned i = 0; i < DS_WINDOWS && err == -ENOSPC; i++) {
		struct sim_space *s = &sim->space[i];
		if (s->as)
			continue;
		*s = (struct sim_space){.sim = sim, .as = as};
		*pmap = s;
		err = sim_window_add(sim, i);
		if (err)
			s->as = NULL;
	}
	gmi_unlock(&sim->spaces_lock);
	gmi_unlock(&sim->process_lock);
	return err;
}

/* With the spaces lock no fault is being served in this space any more. */
static int pmap_destroy(void *pmap)
{
	struct sim_space *s = pmap;
	struct gm_sim *sim = s->sim;

	gmi_lock(&sim->process_lock);
	gmi_lock(&sim->spaces_lock);
	sim_window_remove(sim, (unsigned)(s - sim->space));
	s->as = NULL;
	gmi_unlock(&sim->spaces_lock);
	gmi_unlock(&sim->process_lock);
	return 0;
}

/* Works also while nothing runs: the bits wait in the page table. Without a process there are
 * none. */
static int sim_accessed(void *pmap, uint64_t va, uint64_t len, uint64_t *bitmap)
{
	struct gm_sim *sim = ((struct sim_space *)pmap)->sim;

	gmi_lock(&sim->accessed_lock);
	bool alive = sim->alive;
	if (alive) {
		struct ds_cmd cmd = {.kind = DS_CMD_ACCESSED, .map = {.va = va, .len = len}};
		gm_zero(sim->ctl->accessed, sizeof sim->ctl->accessed);
		sim_command(sim, &cmd, true);
		for (unsigned i = 0; i < len / GM_PAGE_BYTES / 64; i++)
			bitmap[i] |= sim->ctl->accessed[i];
	}
	gmi_unlock(&sim->accessed_lock);
	return alive ? 0 : -ENODEV;
}

/* What the device keeps for itself: nothing of the program can be at these addresses. */
static int peer_va_alloc_fixed(void *pmap, uint64_t va, uint64_t len, int prot)
{
	struct sim_space *s = pmap;

	return va - gm_as_window(s->as, NULL, NULL) < s->sim->model.reserve_bytes ? -EBUSY : 0;
}

const struct gm_mmu sim_mmu = {
	.name = "gmem-devsim",
	.aperture = aperture,
	.peer_va_alloc_fixed = peer_va_alloc_fixed,
	.pmap_create = pmap_create,
	.pmap_destroy = pmap_destroy,
	.batch = batch,
	.account = account_op,
	.account_cpu = account_cpu,
	.accessed = sim_accessed,
};
