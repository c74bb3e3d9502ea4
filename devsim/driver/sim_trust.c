/*
 * sim_trust.c - the device is not trusted: a kernel can write into the control page. Whatever
 * stands there, this process neither crashes nor hangs, nor writes where no region asked it to.
 *
 * What the device says is copied out of its reach, checked here, and used from the copy. What the
 * host itself must know (heads, counts, owners) stands in struct gm_sim, where the device cannot
 * write.
 */
#include "devsim/driver/sim_int.h"
#include <errno.h>
#include <signal.h>

/* Also with the cmd lock held, and without. */
void sim_distrust(struct gm_sim *sim, const char *how)
{
	uint32_t now = sim->generation;
	int pid = sim->pid;

	if (!sim->alive || pid <= 0 || atomic_exchange(&sim->distrusted, now) == now)
		return;
	gm_log(GM_LOG_ERROR, "device %u (%s): its process %s: ended", sim->number, sim->model.name,
	       how);
	sim_end_process(sim);
}

uint32_t sim_cmd_tail(struct gm_sim *sim)
{
	uint32_t head = atomic_load(&sim->cmd_head), tail = atomic_load(&sim->ctl->cmd_tail);

	if (gm_likely(head - tail <= DS_CMDS))
		return tail;
	/* One that was published between the two loads. */
	if (atomic_load(&sim->cmd_head) - tail <= DS_CMDS)
		return tail;
	sim_distrust(sim, "has applied commands that there are not");
	return head - DS_CMDS; /* none: who waits finds it gone */
}

void sim_ring_check(struct gm_sim *sim)
{
	gm_sigmask mask = gmi_block_signals();

	gmi_lock(&sim->cmd_lock);
	bool broken = sim->alive && atomic_load(&sim->ctl->cmd_head) != atomic_load(&sim->cmd_head);
	gmi_unlock(&sim->cmd_lock);
	if (broken)
		sim_distrust(sim, "has changed the ring of commands");
	/* Its flags that it sleeps may be wrong as well. */
	gmi_futex_wake(&sim->ctl->cmd_bell, INT32_MAX);
	gmi_futex_wake_bits(&sim->ctl->launch_bell, UINT32_MAX);
	gmi_restore_signals(mask);
}

bool sim_fault_asked(const struct ds_fault *f, struct sim_asked *asked)
{
	const volatile struct ds_fault *slot = f;

	*asked = (struct sim_asked){slot->va, slot->kind, slot->write, slot->bytes, slot->launch};
	return asked->kind <= DS_F_FOREIGN_WRITE && asked->launch <= DS_LAUNCHES &&
	       (asked->kind != DS_F_FOREIGN_WRITE || asked->bytes <= DS_FOREIGN_BYTES);
}

bool sim_launch_state_ok(uint32_t state)
{
	return state == DS_L_QUEUED || state == DS_L_RUNNING || state == DS_L_DONE ||
	       state == DS_L_CALLS;
}

void sim_launch_told(struct gm_sim *sim, unsigned slot)
{
	struct ds_launch *l = &sim->told[slot];

	gm_copy(l, &sim->ctl->launch[slot], sizeof *l);
	int32_t err = atomic_load(&l->error);
	if (err > 0 || err < -4095)
		atomic_store(&l->error, -EIO);
	if (l->flop_type != 's' && l->flop_type != 'c' && l->flop_type != 'z')
		l->flop_type = 'd';
	if (l->end_ns < l->start_ns)
		l->end_ns = l->start_ns;
	if (l->journal_bytes > DS_JOURNAL_SPAN)
		l->journal_bytes = DS_JOURNAL_SPAN;
	if (l->written_bytes > DS_WRITTEN_MAX) {
		l->written_bytes = 0;
		atomic_store(&l->error, -EIO);
	}
}

/* ---- silence ---- */

bool sim_silent(struct gm_sim *sim, uint64_t since_ns)
{
	uint64_t now = gmi_now_ns(), never = 0, first = atomic_load(&sim->silent_ns);

	if (!first && now - since_ns < SIM_SILENCE_NS)
		return false;
	if (!first && atomic_compare_exchange_strong(&sim->silent_ns, &never, since_ns)) {
		first = since_ns;
		gm_log(GM_LOG_WARN,
		       "device %u (%s): no answer for %u s: is gmem-devsim, process %d, stopped? "
		       "%s",
		       sim->number, sim->model.name, (unsigned)(SIM_SILENCE_NS / 1000000000),
		       sim->pid,
		       gmi_opt.watchdog_s ? "" : "(GMEM_WATCHDOG=SECONDS would take it for lost)");
	}
	first = first ? first : never;
	if (gmi_opt.watchdog_s && now - first >= gmi_opt.watchdog_s * (uint64_t)1000000000)
		sim_distrust(sim, "does not answer");
	return true;
}

void sim_answers(struct gm_sim *sim)
{
	if (atomic_exchange(&sim->silent_ns, 0) && sim->alive)
		gm_log(GM_LOG_WARN, "device %u (%s): answers again", sim->number, sim->model.name);
}
