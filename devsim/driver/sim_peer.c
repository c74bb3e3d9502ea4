/*
 * sim_peer.c - links between simulated devices: which there are, and the descriptors that let one
 * device's process map the memory of another.
 *
 * Two devices have a link, both ways, if their profiles name the same one. Each process is given
 * the other's memory when the link comes to be, or at its start: so a descriptor is there before
 * the first entry that needs it. What crosses a link is charged as the profile of the device that
 * gets it says, in its time: devices have a clock each.
 *
 * sim->peer[] is by number of the other device; under the process and the spaces lock.
 */
#include "devsim/driver/sim_int.h"

static bool linked(const struct gm_sim *a, const struct gm_sim *b)
{
	return a->model.peer_name[0] && sim_streq(a->model.peer_name, b->model.peer_name) &&
	       a->model.mem_bytes && b->model.mem_bytes;
}

static void enter_process(struct gm_sim *sim)
{
	gmi_lock(&sim->process_lock);
	gmi_lock(&sim->spaces_lock);
}

static void leave_process(struct gm_sim *sim)
{
	gmi_unlock(&sim->spaces_lock);
	gmi_unlock(&sim->process_lock);
}

/* `other` NULL: what had that number has gone, and nobody maps it any more. */
static void set_peer(struct gm_sim *sim, unsigned number, const struct gm_sim *other)
{
	struct ds_cmd cmd = {.kind = other ? DS_CMD_PEER : DS_CMD_UNPEER, .map.object = number};

	enter_process(sim);
	bool had = sim->peer[number], alive = sim->alive;
	sim->peer[number] = other;
	if (alive && other)
		alive = !sim_send(sim->sock, DS_PEER_INDEX(number), other->mem_fd);
	/* else it is about to be found lost: the next process is given it at its start */
	if (alive && (had || other))
		sim_command(sim, &cmd, false);
	leave_process(sim);
	if (alive && had && !other)
		sim_ping(sim); /* the memory is to be free soon */
}

static void link_to(struct gm_sim *sim, struct gm_sim *other)
{
	unsigned how = GM_PEER_COPY | (sim->model.peer_map ? GM_PEER_MAP : 0);

	set_peer(sim, other->number, other);
	int err = gm_dev_link(sim->dev, other->dev, how);
	if (err)
		gm_log(GM_LOG_WARN, "device %u (%s): no link to device %u: %s", sim->number,
		       sim->model.name, other->number, gm_last_error());
}

void sim_peers_meet(struct gm_sim *sim, struct gm_sim *other)
{
	if (sim == other || !other->dev || !linked(sim, other))
		return;
	link_to(sim, other);
	link_to(other, sim);
}

void sim_peers_part(struct gm_sim *sim, struct gm_sim *other)
{
	if (sim != other && other->dev)
		set_peer(other, sim->number, NULL);
}

int sim_send_peers(struct gm_sim *sim, int sock)
{
	int err = 0;

	for (unsigned i = 0; i < GM_MAX_DEV && !err; i++)
		if (sim->peer[i])
			err = sim_send(sock, DS_PEER_INDEX(i), sim->peer[i]->mem_fd);
	return err;
}

uint64_t sim_peer_copy(struct gm_sim *sim, const struct gm_op *op)
{
	const struct gm_sim *from = op->peer;

	gm_copy(sim->aperture + op->pa, from->aperture + op->peer_pa, op->len);
	return sim_remote_ns(&sim->model.peer, op->len);
}
