/*
 * sim_cost.c - what a launch takes on the modelled device, and what that is known from
 * (docs/model.md).
 *
 * Computing: what the kernel counted itself (BLAS, built-in kernels, modules that fill in gm_kctx).
 * A kernel that counts nothing - every OpenMP region - leaves it unknown, and then no total is
 * given. The bus: the host's pages that the launch touched (dev_touch.c), once over it each; of
 * launches that were not looked at, what those of the same kernel touched in the mean.
 */
#include "devsim/driver/sim_int.h"
#include "core/care/counter.h"
#include "core/count/limit.h"
#include <errno.h>

#define SAMPLE_SHARE                                                                               \
	50 /* looking may take 1/50 of a kernel's time; its first launch is always looked at */
#define RETOUCH_NS 400 /* what a page costs that was dropped and is touched again */

#define ADD(counter, n) ((void)atomic_fetch_add_explicit(&(counter), (n), memory_order_relaxed))

static bool counts_accesses(const struct gm_sim *sim)
{
	return gm_policy_of_dev(sim->dev, GM_POLICY_PLACEMENT).def->counted;
}

/* What the device has mapped in others' memory. */
static uint64_t mapped_there(const struct gm_sim *sim)
{
	const struct gm_dev_stats *s = &gmi_stats->dev[sim->dev->index];

	return gm_counted(&s->remote_bytes) + gm_counted(&s->peer_mapped_bytes);
}

/* What was seen before the device came to map more over the bus tells nothing any more. */
bool sim_cost_sample(struct gm_sim *sim, unsigned row)
{
	const struct gm_kernel_stats *k = &gmi_stats->kernel[row];
	struct sim_seen *seen = &sim->seen[row];
	uint64_t spent = gm_counted(&k->sample_ns) + gm_counted(&k->touched_pages) * RETOUCH_NS;
	bool changed = gm_counted(&seen->mapped) != mapped_there(sim) + 1;

	if (changed)
		atomic_store(&seen->samples, 0);
	return gmi_opt.sample && (sim_recording(sim) || counts_accesses(sim) || changed ||
				  spent * SAMPLE_SHARE <= gm_counted(&k->wall_ns));
}

/* What the device found touched over the bus: outside the windows for the report, else for the
 * access counters, where a page counts as read whole. */
static void feed_counters(struct gm_sim *sim)
{
	const struct sim_model *m = &sim->model;
	struct gm_counting how = {
		m->counter_threshold,
		(unsigned)(m->counter_granule_bytes / (GM_LEAF_PAGES * GM_PAGE_BYTES))};
	unsigned each = GM_PAGE_BYTES / gm_min(m->remote.sector, (unsigned)GM_PAGE_BYTES);
	struct ds_ctl *ctl = sim->ctl;

	for (uint32_t at = atomic_load(&ctl->touched_tail);
	     at != atomic_load(&ctl->touched_head);) {
		struct ds_touched e = ctl->touched[at % DS_TOUCHED];
		uint16_t accesses[DS_LEAVES];
		if (!atomic_compare_exchange_strong(&ctl->touched_tail, &at, at + 1))
			continue; /* another launch took it; `at` is where it is now */
		at++;
		if (!gm_as_of((void *)e.va)) {
			sim_outside_touched(e.va, e.pages);
			continue;
		}
		for (unsigned i = 0; i < DS_LEAVES; i++)
			accesses[i] = (uint16_t)((unsigned)__builtin_popcountll(
							 e.pages[i / 4] >> i % 4 * 16 & 0xffff) *
						 each);
		gmi_counter_note(e.va, sim->dev, accesses, how);
	}
}

static bool maps_over_bus(struct gm_sim *sim)
{
	return mapped_there(sim) || atomic_load(&sim->outside_mapped);
}

/* Pages that the launch touched: seen, or the kernel's mean. False: nobody looked at any. */
struct touched {
	double pages, remote, peer; /* all; over the bus; over links to other devices */
};
static bool touched(struct gm_sim *sim, const struct ds_launch *l, unsigned row, struct touched *t)
{
	struct gm_kernel_stats *k = &gmi_stats->kernel[row];
	struct sim_seen *seen = &sim->seen[row];
	uint64_t all = l->local_pages + l->remote_pages + l->peer_pages;
	uint64_t n = gm_counted(&seen->samples);

	if (!l->sample) {
		*t = (struct touched){0};
		if (n)
			*t = (struct touched){(double)gm_counted(&seen->pages) / (double)n,
					      (double)gm_counted(&seen->remote) / (double)n,
					      (double)gm_counted(&seen->peer) / (double)n};
		return n;
	}
	*t = (struct touched){(double)all, (double)l->remote_pages, (double)l->peer_pages};
	if (!n) {
		atomic_store(&seen->peer, 0);
		atomic_store(&seen->pages, 0);
		atomic_store(&seen->remote, 0);
	}
	ADD(seen->samples, 1);
	ADD(seen->pages, all);
	ADD(seen->remote, l->remote_pages);
	ADD(seen->peer, l->peer_pages);
	atomic_store(&seen->mapped, mapped_there(sim) + 1);
	ADD(k->samples, 1);
	ADD(k->touched_pages, all);
	ADD(k->remote_pages, l->remote_pages);
	ADD(k->remote_pages2, l->remote_pages * l->remote_pages);
	ADD(k->sample_ns, l->sample_ns);
	return true;
}

/* What the bus moves at most for the accesses that the kernel counted: whole sectors for each. One
 * that says nothing of their size may have made one for each byte. */
static double sectors_bytes(const struct ds_launch *l, unsigned sector)
{
	unsigned each = l->access_bytes ? l->access_bytes : 1;
	double accesses = (double)l->bytes / each;

	return accesses * (double)gm_align_up((uint64_t)each, (uint64_t)sector);
}

/* Of so many pages that it touched in another memory. */
static uint64_t in_place_bytes(const struct ds_launch *l, double pages, bool counted,
			       const struct sim_remote *way)
{
	double bytes = pages * GM_PAGE_BYTES;

	return (uint64_t)(counted && l->bytes && bytes > 0
				  ? gm_min(bytes, sectors_bytes(l, way->sector))
				  : bytes);
}

/* Explicit copies instead: all that the launch touches in before it, and back after it. */
static uint64_t copies_ns(const struct sim_model *m, double pages)
{
	return (uint64_t)((double)sim_transfer_ns(m, (uint64_t)(pages * GM_PAGE_BYTES)) *
			  (1 + m->home_scale));
}

uint64_t sim_cost(struct gm_sim *sim, const struct ds_launch *l, unsigned row,
		  enum gm_time_basis *basis)
{
	struct gm_dev_stats *s = &gmi_stats->dev[sim->dev->index];
	struct gm_kernel_stats *k = &gmi_stats->kernel[row];
	struct touched t;
	bool seen = touched(sim, l, row, &t);
	bool counted = l->flops || l->bytes, bus_known = seen || !maps_over_bus(sim);
	uint64_t over = in_place_bytes(l, t.remote, counted, &sim->model.remote);
	uint64_t via = in_place_bytes(l, t.peer, counted, &sim->model.peer);
	uint64_t work = sim_kernel_ns(&sim->model, l->flop_type, l->flops, l->bytes);
	uint64_t bus = sim_remote_ns(&sim->model.remote, over);
	uint64_t peer = sim_remote_ns(&sim->model.peer, via);
	uint64_t launch = (uint64_t)sim->model.launch_ns, ns = gm_max(work, launch + bus + peer);
	/* beyond what it computes meanwhile: whose that is */
	uint64_t by_peer =
		peer ? (uint64_t)((double)(ns - work) * (double)peer / (double)(bus + peer)) : 0;

	*basis = !counted || !bus_known || gm_limit_reached() ? GM_TIME_NOT_MODELLED
		 : t.remote + t.peer > 0 && !l->sample	      ? GM_TIME_SAMPLED
							      : GM_TIME_COUNTED;
	ADD(s->kernel_ns, work);
	ADD(s->bus_ns, ns - work - by_peer);
	ADD(s->bus_bytes, over);
	ADD(s->peer_ns, by_peer);
	ADD(s->peer_used_bytes, via);
	ADD(s->unmodelled, *basis == GM_TIME_NOT_MODELLED);
	ADD(s->estimated, *basis == GM_TIME_SAMPLED);
	ADD(s->touched_bytes, (uint64_t)(t.pages * GM_PAGE_BYTES));
	ADD(s->unseen, !seen);
	ADD(s->copies_ns, copies_ns(&sim->model, t.pages) + work);
	ADD(k->unmodelled, *basis == GM_TIME_NOT_MODELLED);
	ADD(k->estimated, *basis == GM_TIME_SAMPLED);
	ADD(k->bus_ns, ns - work - by_peer);
	ADD(k->bus_bytes, over);
	if (l->sample && l->remote_pages)
		feed_counters(sim);
	return ns;
}
