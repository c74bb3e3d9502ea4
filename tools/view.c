/* view.c - the counters of a run as plain numbers. */
#include "tools/view.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static uint64_t get(const _Atomic uint64_t *c)
{
	return atomic_load_explicit(c, memory_order_relaxed);
}

static void device(struct view_dev *to, const struct gm_dev_stats *d)
{
	snprintf(to->name, sizeof to->name, "%.*s", (int)sizeof d->name - 1, d->name);
	to->mem_bytes = get(&d->mem_bytes);
	to->page_bytes = get(&d->page_bytes);
	to->kernels = get(&d->kernels);
	to->kernels_failed = get(&d->kernels_failed);
	to->faults = get(&d->faults);
	to->faults_merged = get(&d->faults_merged);
	to->fault_batches = get(&d->fault_batches);
	to->resident_peak_bytes = get(&d->resident_peak_bytes);
	to->evicted_bytes = get(&d->evicted_bytes);
	to->remote_bytes = get(&d->remote_bytes);
	to->restarts = get(&d->restarts);
	to->unmodelled = get(&d->unmodelled);
	to->touched_bytes = get(&d->touched_bytes);
	to->bus_bytes = get(&d->bus_bytes);
	to->cpu_bus_bytes = get(&d->cpu_bus_bytes);
	to->known_s = (double)get(&d->modelled_ns) / 1e9;
	to->kernel_s = (double)get(&d->kernel_ns) / 1e9;
	to->bus_s = (double)get(&d->bus_ns) / 1e9;
	to->fault_s = (double)get(&d->fault_ns) / 1e9;
	to->link_s = (double)get(&d->link_ns) / 1e9;
	to->cpu_bus_s = (double)get(&d->cpu_bus_ns) / 1e9;
	to->modelled_s = to->unmodelled ? NAN : to->known_s;
	to->copies_s = get(&d->unseen) ? NAN : (double)get(&d->copies_ns) / 1e9;
	to->h2d_bytes = get(&d->h2d_bytes);
	to->refetched_bytes = get(&d->refetched_bytes);
}

/* ---- what modelled times are known from ---- */

/* Bytes over the bus that the means of this kernel's launches may be off by, at two standard
 * errors. */
static double error_bytes(const struct gm_kernel_stats *k)
{
	double n = (double)get(&k->samples), mean = n > 0 ? (double)get(&k->remote_pages) / n : 0;
	double var = n > 1 ? ((double)get(&k->remote_pages2) - n * mean * mean) / (n - 1) : 0;
	double error = n > 1 ? 2 * sqrt(fmax(var, 0) / n)
			     : mean; /* of one: anything up to twice as much */

	return (double)get(&k->estimated) * error * 4096;
}

static void basis(char *to, size_t bytes, bool unmodelled, bool estimated, double part)
{
	if (unmodelled)
		snprintf(to, bytes, "not modelled");
	else if (estimated)
		snprintf(to, bytes, "sampled +-%.0f %%", ceil(100 * part));
	else
		snprintf(to, bytes, "counted");
}

static void device_basis(struct view_dev *to, const struct gm_stats *s, unsigned d)
{
	double error = 0;

	for (unsigned i = 0; i < GM_KERNELS; i++)
		if (get(&s->kernel[i].estimated) && get(&s->kernel[i].device) == d)
			error += error_bytes(&s->kernel[i]);
	uint64_t wall = 0, served = get(&s->dev[d].served_ns);
	for (unsigned i = 0; i < GM_KERNELS; i++)
		wall += get(&s->kernel[i].device) == d ? get(&s->kernel[i].wall_ns) : 0;
	to->host_s = wall > served ? (double)(wall - served) / 1e9 : 0;
	double bus = (double)to->bus_bytes, part = bus > 0 ? error / bus * to->bus_s : 0;
	basis(to->basis, sizeof to->basis, to->unmodelled, get(&s->dev[d].estimated),
	      to->known_s > 0 ? part / to->known_s : 0);
}

static uint64_t moved(const struct view_site *s)
{
	return s->h2d_bytes + s->d2h_bytes;
}

static int by_bytes(const void *a, const void *b)
{
	uint64_t x = moved(a), y = moved(b);

	return x < y ? 1 : x > y ? -1 : 0;
}

static void sites(struct view *v, const struct gm_stats *s)
{
	for (unsigned i = 0; i < GM_SITES; i++) {
		const struct gm_site_stats *from = &s->site[i];
		struct view_site *to = &v->site[v->nsites];
		to->h2d_bytes = get(&from->h2d_bytes);
		to->d2h_bytes = get(&from->d2h_bytes);
		to->cpu_faults = get(&from->cpu_faults);
		to->device_faults = get(&from->device_faults);
		if (!moved(to) && !to->cpu_faults && !to->device_faults)
			continue;
		if (i)
			symbol_name(from->module, get(&from->offset), to->where, sizeof to->where);
		else
			snprintf(to->where, sizeof to->where, "other");
		v->nsites++;
	}
	qsort(v->site, v->nsites, sizeof v->site[0], by_bytes);
}

static int by_time(const void *a, const void *b)
{
	const struct view_kernel *x = a, *y = b;

	return x->wall_s < y->wall_s ? 1 : x->wall_s > y->wall_s ? -1 : 0;
}

static void kernels(struct view *v, const struct gm_stats *s)
{
	for (unsigned i = 0; i < GM_KERNELS; i++) {
		const struct gm_kernel_stats *from = &s->kernel[i];
		struct view_kernel *to = &v->kernel[v->nkernels];
		to->launches = get(&from->launches);
		to->failed = get(&from->failed);
		if (!to->launches && !to->failed)
			continue;
		snprintf(to->name, sizeof to->name, "%.*s", (int)sizeof from->name - 1,
			 i ? from->name : "other");
		to->device = get(&from->device);
		to->faults = get(&from->faults);
		to->h2d_bytes = get(&from->h2d_bytes);
		to->wall_s = (double)get(&from->wall_ns) / 1e9;
		to->modelled_s =
			get(&from->unmodelled) ? NAN : (double)get(&from->modelled_ns) / 1e9;
		double over = (double)get(&from->estimated) * (double)get(&from->remote_pages) *
			      4096 / fmax((double)get(&from->samples), 1);
		basis(to->basis, sizeof to->basis, get(&from->unmodelled), get(&from->estimated),
		      over > 0 ? error_bytes(from) / over : 0);
		v->nkernels++;
	}
	qsort(v->kernel, v->nkernels, sizeof v->kernel[0], by_time);
}

void view_from_stats(struct view *v, const struct gm_stats *s)
{
	uint64_t start = get(&s->start_ns), end = get(&s->end_ns);
	uint64_t ndev = atomic_load(&s->ndev);

	snprintf(v->program, sizeof v->program, "%.*s", (int)sizeof s->program - 1, s->program);
	snprintf(v->command, sizeof v->command, "%.*s", (int)sizeof s->command - 1, s->command);
	v->pid = (uint64_t)atomic_load(&s->pid);
	v->wall_s = end > start ? (double)(end - start) / 1e9 : 0;
	v->ndev = gm_min(ndev, (uint64_t)GM_MAX_DEV);
	for (unsigned d = 0; d < v->ndev; d++) {
		device(&v->dev[d], &s->dev[d]);
		device_basis(&v->dev[d], s, d);
	}
	v->h2d_bytes = get(&s->h2d_bytes);
	v->d2h_bytes = get(&s->d2h_bytes);
	v->h2d_pages = get(&s->h2d_pages);
	v->d2h_pages = get(&s->d2h_pages);
	v->prefetched_pages = get(&s->prefetched_pages);
	v->zeroed_pages = get(&s->zeroed_pages);
	v->counted_pages = get(&s->counted_pages);
	v->thrash_granules = get(&s->thrash_granules);
	v->thrash_throttled = get(&s->thrash_throttled);
	v->thrash_pins = get(&s->thrash_pins);
	v->cpu_faults = get(&s->cpu_faults);
	v->cpu_faults_spurious = get(&s->cpu_faults_spurious);
	v->p50_ns = gm_hist_quantile(&s->cpu_fault_ns, 0.5);
	v->p99_ns = gm_hist_quantile(&s->cpu_fault_ns, 0.99);
	v->managed_peak_bytes = get(&s->managed_peak_bytes);
	v->metadata_bytes = get(&s->metadata_peak_bytes);
	v->blas_calls = get(&s->blas_calls);
	v->blas_device = get(&s->blas_device);
	v->blas_host = get(&s->blas_host);
	v->syscalls_pinned = get(&s->syscalls_pinned);
	v->syscalls_dispatched = get(&s->syscalls_dispatched);
	v->forks = get(&s->forks);
	v->forks_copied_bytes = get(&s->forks_copied_bytes);
	v->chaos_reads = get(&s->chaos_reads);
	v->chaos_writes = get(&s->chaos_writes);
	v->chaos_places = get(&s->chaos_places);
	v->chaos_refused = get(&s->chaos_refused);
	sites(v, s);
	kernels(v, s);
	view_verdicts(v);
}
