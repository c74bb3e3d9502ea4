/* view.c - the counters of a run as plain numbers. */
#include "tools/view.h"
#include "core/count/limit.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static void fill_device(struct view_dev *to, const struct gm_dev_stats *d)
{
	snprintf(to->name, sizeof to->name, "%.*s", (int)sizeof d->name - 1, d->name);
	to->mem_bytes = gm_counted(&d->mem_bytes);
	to->page_bytes = gm_counted(&d->page_bytes);
	to->kernels = gm_counted(&d->kernels);
	to->kernels_failed = gm_counted(&d->kernels_failed);
	to->faults = gm_counted(&d->faults);
	to->faults_merged = gm_counted(&d->faults_merged);
	to->fault_batches = gm_counted(&d->fault_batches);
	to->resident_peak_bytes = gm_counted(&d->resident_peak_bytes);
	to->evicted_bytes = gm_counted(&d->evicted_bytes);
	to->given_bytes = gm_counted(&d->given_bytes);
	to->remote_bytes = gm_counted(&d->remote_bytes);
	to->restarts = gm_counted(&d->restarts);
	to->unmodelled = gm_counted(&d->unmodelled);
	to->touched_bytes = gm_counted(&d->touched_bytes);
	to->bus_bytes = gm_counted(&d->bus_bytes);
	to->cpu_bus_bytes = gm_counted(&d->cpu_bus_bytes);
	to->known_s = (double)gm_counted(&d->modelled_ns) / 1e9;
	to->kernel_s = (double)gm_counted(&d->kernel_ns) / 1e9;
	to->bus_s = (double)gm_counted(&d->bus_ns) / 1e9;
	to->fault_s = (double)gm_counted(&d->fault_ns) / 1e9;
	to->link_s = (double)gm_counted(&d->link_ns) / 1e9;
	to->cpu_bus_s = (double)gm_counted(&d->cpu_bus_ns) / 1e9;
	to->modelled_s = to->unmodelled ? NAN : to->known_s;
	to->copies_s = gm_counted(&d->unseen) ? NAN : (double)gm_counted(&d->copies_ns) / 1e9;
	to->h2d_bytes = gm_counted(&d->h2d_bytes);
	to->peer_s = (double)gm_counted(&d->peer_ns) / 1e9;
	to->peer_bytes = gm_counted(&d->peer_bytes);
	to->peer_mapped_bytes = gm_counted(&d->peer_mapped_bytes);
	to->peer_used_bytes = gm_counted(&d->peer_used_bytes);
	to->refetched_bytes = gm_counted(&d->refetched_bytes);
	to->needs_bytes = gm_counted(&d->needs_bytes);
}

/* ---- what modelled times are known from ---- */

/* Bytes over the bus that the means of this kernel's launches may be off by, at two standard
 * errors. */
static double error_bytes(const struct gm_kernel_stats *k)
{
	double n = (double)gm_counted(&k->samples),
	       mean = n > 0 ? (double)gm_counted(&k->remote_pages) / n : 0;
	double var =
		n > 1 ? ((double)gm_counted(&k->remote_pages2) - n * mean * mean) / (n - 1) : 0;
	double error = n > 1 ? 2 * sqrt(fmax(var, 0) / n)
			     : mean; /* of one: anything up to twice as much */

	return (double)gm_counted(&k->estimated) * error * 4096;
}

/* The same in seconds: of what its way over the bus was charged. */
static double error_s(const struct gm_kernel_stats *k)
{
	double bus = (double)gm_counted(&k->bus_bytes);

	return bus > 0 ? error_bytes(k) / bus * (double)gm_counted(&k->bus_ns) / 1e9 : 0;
}

/* error: seconds of the time `of`, for a kernel as for a device */
static void basis(char *to, size_t bytes, bool unmodelled, bool estimated, double error, double of)
{
	if (unmodelled)
		snprintf(to, bytes, "not modelled");
	else if (estimated)
		snprintf(to, bytes, "sampled +-%.0f %%", of > 0 ? ceil(100 * error / of) : 0);
	else
		snprintf(to, bytes, "counted");
}

static void device_basis(struct view_dev *to, const struct gm_stats *s, unsigned d)
{
	double error = 0;

	for (unsigned i = 0; i < GM_KERNELS; i++)
		if (gm_counted(&s->kernel[i].estimated) && gm_counted(&s->kernel[i].device) == d)
			error += error_s(&s->kernel[i]);
	uint64_t wall = 0, served = gm_counted(&s->dev[d].served_ns);
	for (unsigned i = 0; i < GM_KERNELS; i++)
		wall += gm_counted(&s->kernel[i].device) == d ? gm_counted(&s->kernel[i].wall_ns)
							      : 0;
	to->host_s = wall > served ? (double)(wall - served) / 1e9 : 0;
	basis(to->basis, sizeof to->basis, to->unmodelled, gm_counted(&s->dev[d].estimated), error,
	      to->known_s);
}

static uint64_t fill_moved(const struct view_site *s)
{
	return s->h2d_bytes + s->d2h_bytes;
}

static int by_bytes(const void *a, const void *b)
{
	uint64_t x = fill_moved(a), y = fill_moved(b);

	return x < y ? 1 : x > y ? -1 : 0;
}

/* Functions that only hand on what others ask for: xmalloc, alloc_matrix, operator new. */
static bool is_allocator(const char *function)
{
	size_t n = strcspn(function, " (");

	return memmem(function, n, "alloc", 5) || memmem(function, n, "Alloc", 5) ||
	       memmem(function, n, "ALLOC", 5) || !strncmp(function, "operator new", 12);
}

/* Of a stack with lines of Python the program's own, of these the first that is no allocator;
 * NULL: it has none. */
static const char *name_of_line(const struct symbol *frame, unsigned n)
{
	const char *best = NULL;
	unsigned best_rank = 0;

	for (unsigned i = 0; i < n; i++) {
		const struct gm_site_line *l = frame[i].line;
		unsigned rank =
			!l || !l->line ? 0 : 1 + 2 * !l->installed + !is_allocator(l->function);
		if (rank > best_rank) {
			best = frame[i].name;
			best_rank = rank;
		}
	}
	return best;
}

/* The stack in words, and of it whoever is no allocator: if all are, the innermost. */
static void name_site(struct view_site *to, const struct symbol *frame, unsigned n)
{
	size_t at = 0;

	for (unsigned i = 0; i < n && at < sizeof to->stack; i++)
		at += (size_t)snprintf(to->stack + at, sizeof to->stack - at, "%s%s",
				       i ? " < " : "", frame[i].name);
	const char *who = to->stack, *next, *line = name_of_line(frame, n);
	if (line) {
		snprintf(to->where, sizeof to->where, "%s", line);
		return;
	}
	while (is_allocator(who) && (next = strstr(who, " < ")))
		who = next + 3;
	next = strstr(who, " < ");
	if (!next && is_allocator(who))
		next = strstr(who = to->stack, " < ");
	snprintf(to->where, sizeof to->where, "%.*s", next ? (int)(next - who) : 500, who);
}

/* The frames of a site; how many. */
static unsigned fill_frames(struct symbol *to, const struct gm_stats *s, unsigned row)
{
	unsigned n = 0;
	uint64_t f;

	while (n < GM_SITE_FRAMES && (f = gm_counted(&s->site[row].frame[n]))) {
		unsigned module = (unsigned)(f >> 48);
		uint64_t offset = f & ((1ull << 48) - 1);
		to[n++] = (struct symbol){
			.module = (char *)s->module[module < GM_MODULES ? module : 0],
			.offset = offset,
			.line = module == GM_LINE_MODULE ? &s->site_line[offset % GM_SITE_LINES]
							 : NULL,
		};
	}
	return n;
}

static void name_sites(struct view *v, const struct gm_stats *s)
{
	static struct symbol all[GM_SITES * GM_SITE_FRAMES];
	unsigned first[GM_SITES + 1] = {0};

	for (unsigned i = 0; i < v->nsites; i++)
		first[i + 1] =
			first[i] +
			(v->site[i].row ? fill_frames(&all[first[i]], s, v->site[i].row) : 0);
	symbol_names(all, first[v->nsites]);
	for (unsigned i = 0; i < v->nsites; i++)
		if (first[i + 1] > first[i])
			name_site(&v->site[i], &all[first[i]], first[i + 1] - first[i]);
		else
			snprintf(v->site[i].where, sizeof v->site[i].where, "other");
}

static void fill_sites(struct view *v, const struct gm_stats *s)
{
	for (unsigned i = 0; i < GM_SITES; i++) {
		const struct gm_site_stats *from = &s->site[i];
		struct view_site *to = &v->site[v->nsites];
		to->row = i;
		to->h2d_bytes = gm_counted(&from->h2d_bytes);
		to->refetched_bytes = gm_counted(&from->refetched_bytes);
		to->d2h_bytes = gm_counted(&from->d2h_bytes);
		to->cpu_faults = gm_counted(&from->cpu_faults);
		to->device_faults = gm_counted(&from->device_faults);
		v->nsites += fill_moved(to) || to->cpu_faults || to->device_faults ||
			     (atomic_load(&s->recorded) && gm_counted(&from->frame[0]));
	}
	name_sites(v, s);
	qsort(v->site, v->nsites, sizeof v->site[0], by_bytes);
}

/* For qsort. */
#define LARGEST_FIRST(name, type, field)                                                           \
	static int name(const void *a, const void *b)                                              \
	{                                                                                          \
		const type *x = a, *y = b;                                                         \
                                                                                                   \
		return x->field < y->field ? 1 : x->field > y->field ? -1 : 0;                     \
	}

/* Row 0 is of all that have no row of their own. */
static void name_counted(char *to, size_t bytes, unsigned i, const char *from, size_t room)
{
	snprintf(to, bytes, "%.*s", (int)room - 1, i ? from : "other");
}

LARGEST_FIRST(by_time, struct view_kernel, wall_s)

static void fill_kernels(struct view *v, const struct gm_stats *s)
{
	for (unsigned i = 0; i < GM_KERNELS; i++) {
		const struct gm_kernel_stats *from = &s->kernel[i];
		struct view_kernel *to = &v->kernel[v->nkernels];
		to->row = i;
		to->launches = gm_counted(&from->launches);
		to->failed = gm_counted(&from->failed);
		to->running = gm_counted(&from->running);
		if (!to->launches && !to->failed && !to->running)
			continue;
		uint64_t since = gm_counted(&from->since_ns), end = gm_counted(&s->end_ns);
		to->running_s = to->running && end > since ? (double)(end - since) / 1e9 : 0;
		name_counted(to->name, sizeof to->name, i, from->name, sizeof from->name);
		to->device = gm_counted(&from->device);
		to->faults = gm_counted(&from->faults);
		to->h2d_bytes = gm_counted(&from->h2d_bytes);
		to->refetched_bytes = gm_counted(&from->refetched_bytes);
		to->wall_s = (double)gm_counted(&from->wall_ns) / 1e9;
		to->modelled_s = gm_counted(&from->unmodelled)
					 ? NAN
					 : (double)gm_counted(&from->modelled_ns) / 1e9;
		basis(to->basis, sizeof to->basis, gm_counted(&from->unmodelled),
		      gm_counted(&from->estimated), error_s(from),
		      (double)gm_counted(&from->modelled_ns) / 1e9);
		v->nkernels++;
	}
	qsort(v->kernel, v->nkernels, sizeof v->kernel[0], by_time);
}

LARGEST_FIRST(by_bus_bytes, struct view_object, bus_bytes)

static void fill_objects(struct view *v, const struct gm_stats *s)
{
	for (unsigned i = 0; i < GM_OBJECTS; i++) {
		const struct gm_object_stats *from = &s->object[i];
		struct view_object *to = &v->object[v->nobjects];
		to->bus_bytes = gm_counted(&from->bus_bytes);
		to->device_faults = gm_counted(&from->device_faults);
		name_counted(to->name, sizeof to->name, i, from->name, sizeof from->name);
		v->nobjects += to->bus_bytes || to->device_faults;
	}
	qsort(v->object, v->nobjects, sizeof v->object[0], by_bus_bytes);
}

static void fill_refused(struct view *v, const struct gm_stats *s)
{
	for (unsigned i = 0; i < GM_REFUSED && s->refused[i].name[0]; i++) {
		struct view_refused *to = &v->refused[v->nrefused++];
		snprintf(to->name, sizeof to->name, "%s", s->refused[i].name);
		snprintf(to->why, sizeof to->why, "%s", s->refused[i].why);
	}
}

void view_counters(struct view *v, const struct gm_stats *s)
{
	uint64_t start = gm_counted(&s->start_ns), end = gm_counted(&s->end_ns);
	uint64_t ndev = atomic_load(&s->ndev);

	snprintf(v->program, sizeof v->program, "%.*s", (int)sizeof s->program - 1, s->program);
	snprintf(v->command, sizeof v->command, "%.*s", (int)sizeof s->command - 1, s->command);
	snprintf(v->rank, sizeof v->rank, "%.*s", (int)sizeof s->rank - 1, s->rank);
	v->pid = (uint64_t)atomic_load(&s->pid);
	v->wall_s = end > start ? (double)(end - start) / 1e9 : 0;
	uint64_t left = gm_counted(&s->left_ns);
	v->left_s = left > start ? (double)(left - start) / 1e9 : 0;
	snprintf(v->left, sizeof v->left, "%.*s", (int)sizeof s->left_by - 1, s->left_by);
	uint32_t limit = atomic_load(&s->limit);
	snprintf(v->limit, sizeof v->limit, "%s", limit ? gm_limit_name(limit) : "");
	v->limit_s = limit ? (double)(gm_counted(&s->limit_ns) - start) / 1e9 : 0;
	v->ndev = gm_min(ndev, (uint64_t)GM_MAX_DEV);
	for (unsigned d = 0; d < v->ndev; d++) {
		fill_device(&v->dev[d], &s->dev[d]);
		device_basis(&v->dev[d], s, d);
	}
	v->h2d_bytes = gm_counted(&s->h2d_bytes);
	v->d2h_bytes = gm_counted(&s->d2h_bytes);
	v->peer_bytes = gm_counted(&s->peer_bytes);
	v->h2d_pages = gm_counted(&s->h2d_pages);
	v->d2h_pages = gm_counted(&s->d2h_pages);
	v->prefetched_pages = gm_counted(&s->prefetched_pages);
	v->zeroed_pages = gm_counted(&s->zeroed_pages);
	v->counted_pages = gm_counted(&s->counted_pages);
	v->thrash_leaves = gm_counted(&s->thrash_leaves);
	v->thrash_throttled = gm_counted(&s->thrash_throttled);
	v->thrash_pins = gm_counted(&s->thrash_pins);
	v->cpu_faults = gm_counted(&s->cpu_faults);
	v->cpu_faults_spurious = gm_counted(&s->cpu_faults_spurious);
	v->p50_ns = gm_hist_quantile(&s->cpu_fault_ns, 0.5);
	v->p99_ns = gm_hist_quantile(&s->cpu_fault_ns, 0.99);
	v->managed_peak_bytes = gm_counted(&s->managed_peak_bytes);
	v->metadata_bytes = gm_counted(&s->metadata_peak_bytes);
	v->blas_calls = gm_counted(&s->blas_calls);
	v->blas_device = gm_counted(&s->blas_device);
	v->blas_host = gm_counted(&s->blas_host);
	v->syscalls_pinned = gm_counted(&s->syscalls_pinned);
	v->syscalls_dispatched = gm_counted(&s->syscalls_dispatched);
	v->forks = gm_counted(&s->forks);
	v->forks_copied_bytes = gm_counted(&s->forks_copied_bytes);
	v->chaos_reads = gm_counted(&s->chaos_reads);
	v->chaos_writes = gm_counted(&s->chaos_writes);
	v->chaos_places = gm_counted(&s->chaos_places);
	v->chaos_refused = gm_counted(&s->chaos_refused);
}

void view_from_stats(struct view *v, const struct gm_stats *s)
{
	view_counters(v, s);
	fill_sites(v, s);
	fill_kernels(v, s);
	fill_objects(v, s);
	fill_refused(v, s);
	view_verdicts(v);
}
