/*
 * stats.c - where counts are kept, and how they move without losing one.
 */
#include "core/count/site.h"
#include <errno.h>
#include <gmem/gmem.h>

struct gm_stats gmc_stats_private = {.magic = GM_STATS_MAGIC, .version = GM_STATS_VERSION};
struct gm_stats *gmi_stats = &gmc_stats_private;

static void raise_to(_Atomic uint64_t *peak, uint64_t v)
{
	uint64_t seen = atomic_load_explicit(peak, memory_order_relaxed);

	/* A gauge may dip below zero for a moment while it moves: that is no peak. */
	while ((int64_t)v >= 0 && seen < v &&
	       !atomic_compare_exchange_weak_explicit(peak, &seen, v, memory_order_relaxed,
						      memory_order_relaxed))
		;
}

void gmi_gauge_add(_Atomic uint64_t *gauge, _Atomic uint64_t *peak, int64_t delta)
{
	uint64_t v = atomic_fetch_add_explicit(gauge, (uint64_t)delta, memory_order_relaxed) +
		     (uint64_t)delta;

	raise_to(peak, v);
}

const struct gm_blas_reason *gmi_blas_why(enum gm_blas_why why)
{
	static const struct gm_blas_reason reasons[GM_BLAS_WHYS] = {
		[GM_BLAS_OFF] = {"offload is off", "start it with --offload blas"},
		[GM_BLAS_NOTHING] = {"nothing to compute, or bad arguments",
				     "that is as it should be"},
		[GM_BLAS_SMALL] = {"below GMEM_BLAS_MIN", "try --blas-min 1"},
		[GM_BLAS_OUTSIDE] = {"a matrix lies outside the managed memory",
				     "allocate them with malloc"},
		[GM_BLAS_LIBRARY] = {"the device cannot use this BLAS library",
				     "let it use OpenBLAS"},
		[GM_BLAS_NO_DEVICE] = {"no device that can fault", "try --device pcie4-gpu"},
		[GM_BLAS_LIMIT] = {"--limit was reached", "raise it"},
		[GM_BLAS_FAILED] = {"it failed on the device", "--log info says how"},
	};

	return &reasons[why];
}

/* ---- moving ---- */

static void move_sum(_Atomic uint64_t *to, _Atomic uint64_t *from)
{
	uint64_t v = atomic_exchange_explicit(from, 0, memory_order_relaxed);

	if (v)
		atomic_fetch_add_explicit(to, v, memory_order_relaxed);
}

/* The gauge first: the peak must cover where it has arrived. */
static void move_gauge(_Atomic uint64_t *to, _Atomic uint64_t *from, _Atomic uint64_t *to_peak,
		       _Atomic uint64_t *from_peak)
{
	move_sum(to, from);
	raise_to(to_peak, atomic_exchange_explicit(from_peak, 0, memory_order_relaxed));
	raise_to(to_peak, atomic_load_explicit(to, memory_order_relaxed));
}

/* What is set once, not added up. */
static void move_once(_Atomic uint64_t *to, _Atomic uint64_t *from)
{
	uint64_t none = 0, v = atomic_load_explicit(from, memory_order_relaxed);

	if (v)
		atomic_compare_exchange_strong_explicit(to, &none, v, memory_order_relaxed,
							memory_order_relaxed);
}

static void move_text(char *to, const char *from, size_t bytes)
{
	if (!to[0] && from[0])
		gm_copy(to, from, bytes);
}

/* Counters that are added up: where they are. */
#define AT(field) offsetof(struct gm_stats, field)
static const size_t sums[] = {AT(h2d_bytes),	       AT(d2h_bytes),
			      AT(h2d_pages),	       AT(d2h_pages),
			      AT(prefetched_pages),    AT(zeroed_pages),
			      AT(cpu_faults),	       AT(cpu_faults_spurious),
			      AT(blas_calls),	       AT(blas_device),
			      AT(blas_host),	       AT(syscalls_pinned),
			      AT(syscalls_dispatched), AT(forks),
			      AT(forks_copied_bytes),  AT(thrash_leaves),
			      AT(peer_bytes),	       AT(thrash_throttled),
			      AT(thrash_pins),	       AT(counted_pages),
			      AT(chaos_reads),	       AT(chaos_writes),
			      AT(chaos_places),	       AT(chaos_refused)};
#undef AT
#define AT(field) offsetof(struct gm_dev_stats, field)
static const size_t dev_sums[] = {
	AT(kernels),	    AT(kernels_failed), AT(faults),	     AT(faults_merged),
	AT(fault_batches),  AT(modelled_ns),	AT(evicted_bytes),   AT(restarts),
	AT(remote_bytes),   AT(kernel_ns),	AT(bus_ns),	     AT(fault_ns),
	AT(link_ns),	    AT(cpu_bus_ns),	AT(unmodelled),	     AT(estimated),
	AT(unseen),	    AT(touched_bytes),	AT(bus_bytes),	     AT(cpu_bus_bytes),
	AT(copies_ns),	    AT(h2d_bytes),	AT(refetched_bytes), AT(served_ns),
	AT(given_bytes),    AT(peer_ns),	AT(peer_bytes),	     AT(peer_mapped_bytes),
	AT(peer_used_bytes)};
#undef AT
#define AT(field) offsetof(struct gm_site_stats, field)
static const size_t site_sums[] = {AT(h2d_bytes),  AT(refetched_bytes), AT(d2h_bytes),
				   AT(cpu_faults), AT(device_faults),	AT(bounced)};
#undef AT
#define AT(field) offsetof(struct gm_kernel_stats, field)
static const size_t kernel_sums[] = {
	AT(launches),	     AT(failed),       AT(wall_ns),	  AT(modelled_ns), AT(samples),
	AT(touched_pages),   AT(remote_pages), AT(remote_pages2), AT(sample_ns),   AT(unmodelled),
	AT(estimated),	     AT(bus_ns),       AT(bus_bytes),	  AT(faults),	   AT(h2d_bytes),
	AT(refetched_bytes), AT(running)};
#undef AT

static void move_at(void *to, void *from, const size_t *offsets, size_t n)
{
	for (size_t i = 0; i < n; i++)
		move_sum((_Atomic uint64_t *)((char *)to + offsets[i]),
			 (_Atomic uint64_t *)((char *)from + offsets[i]));
}

static void move_device(struct gm_dev_stats *to, struct gm_dev_stats *from)
{
	move_text(to->name, from->name, sizeof to->name);
	move_once(&to->mem_bytes, &from->mem_bytes);
	move_once(&to->page_bytes, &from->page_bytes);
	move_once(&to->needs_bytes, &from->needs_bytes);
	move_at(to, from, dev_sums, GM_ARRAY_LEN(dev_sums));
	move_gauge(&to->resident_bytes, &from->resident_bytes, &to->resident_peak_bytes,
		   &from->resident_peak_bytes);
}

static void move_site(struct gm_site_stats *to, struct gm_site_stats *from)
{
	for (unsigned i = 0; i < GM_SITE_FRAMES; i++)
		move_once(&to->frame[i], &from->frame[i]);
	move_at(to, from, site_sums, GM_ARRAY_LEN(site_sums));
}

static void move_kernel(struct gm_kernel_stats *to, struct gm_kernel_stats *from)
{
	move_text(to->name, from->name, sizeof to->name);
	move_once(&to->device, &from->device);
	move_once(&to->since_ns, &from->since_ns);
	move_at(to, from, kernel_sums, GM_ARRAY_LEN(kernel_sums));
}

void gmi_region_refused(const char *name, const char *why)
{
	static _Atomic unsigned used;
	unsigned i = atomic_fetch_add(&used, 1);

	if (i >= GM_REFUSED)
		return;
	gmi_snprintf(gmi_stats->refused[i].why, sizeof gmi_stats->refused[i].why, "%s", why);
	gmi_snprintf(gmi_stats->refused[i].name, sizeof gmi_stats->refused[i].name, "%s", name);
}

/* Rows that begin with their name, of NAME_BYTES; [0] has none. */
#define NAME_BYTES 80
_Static_assert(!offsetof(struct gm_kernel_stats, name) && !offsetof(struct gm_object_stats, name) &&
		       sizeof((struct gm_kernel_stats *)0)->name == NAME_BYTES &&
		       sizeof((struct gm_object_stats *)0)->name == NAME_BYTES,
	       "rows of both kinds are found by one function");
struct rows {
	char *first;
	size_t bytes;
	unsigned n;
	bool by_device; /* kernels: rows of one name and several devices */
};

static _Atomic uint64_t *device_of(char *row)
{
	return &((struct gm_kernel_stats *)row)->device;
}

static bool is_row_of(const struct rows *r, char *row, unsigned d, const char *name)
{
	size_t n = 0;

	for (; n < NAME_BYTES - 1 && name[n]; n++)
		if (row[n] != name[n])
			return false;
	return !row[n] &&
	       (!r->by_device || atomic_load_explicit(device_of(row), memory_order_relaxed) == d);
}

/* Its row; 0: it has none, and *end is the first free one or r->n. A row's first letter is written
 * last: a row that has one is whole. */
static unsigned find_row(const struct rows *r, unsigned d, const char *name, unsigned *end)
{
	unsigned i = 1;

	for (; i < r->n; i++) {
		char *row = r->first + i * r->bytes;
		if (!__atomic_load_n(row, __ATOMIC_ACQUIRE))
			break;
		if (is_row_of(r, row, d, name))
			return i;
	}
	*end = i;
	return 0;
}

static unsigned find_or_make_row(const struct rows *r, unsigned d, const char *name)
{
	static struct gm_lock lock;
	unsigned end, i = find_row(r, d, name, &end);

	if (gm_likely(i))
		return i;
	gm_sigmask mask = gm_lock_masked(&lock);
	i = find_row(r, d, name, &end);
	if (!i && end < r->n && name[0]) {
		char *row = r->first + (i = end) * r->bytes;
		if (r->by_device)
			atomic_store_explicit(device_of(row), d, memory_order_relaxed);
		gmi_snprintf(row + 1, NAME_BYTES - 1, "%s", name + 1);
		__atomic_store_n(row, name[0], __ATOMIC_RELEASE);
	}
	gm_unlock_masked(&lock, mask);
	return i;
}

unsigned gmi_kernel_row(unsigned d, const char *name)
{
	const struct rows r = {gmi_stats->kernel[0].name, sizeof gmi_stats->kernel[0], GM_KERNELS,
			       true};

	return find_or_make_row(&r, d, name);
}

unsigned gmi_object_row(const char *name)
{
	const struct rows r = {gmi_stats->object[0].name, sizeof gmi_stats->object[0], GM_OBJECTS,
			       false};

	return find_or_make_row(&r, 0, name);
}

void gmc_stats_move(struct gm_stats *to, struct gm_stats *from)
{
	uint32_t ndev = atomic_exchange(&from->ndev, 0);

	move_text(to->program, from->program, sizeof to->program);
	move_text(to->command, from->command, sizeof to->command);
	move_text(to->left_by, from->left_by, sizeof to->left_by);
	move_once(&to->start_ns, &from->start_ns);
	move_once(&to->left_ns, &from->left_ns);
	for (unsigned d = 0; d < GM_MAX_DEV; d++)
		move_device(&to->dev[d], &from->dev[d]);
	if (ndev > atomic_load(&to->ndev))
		atomic_store(&to->ndev, ndev);
	move_at(to, from, sums, GM_ARRAY_LEN(sums));
	for (unsigned i = 0; i < GM_BLAS_WHYS; i++)
		move_sum(&to->blas_why[i], &from->blas_why[i]);
	for (unsigned i = 0; i < GM_REFUSED; i++) {
		move_text(to->refused[i].why, from->refused[i].why, sizeof to->refused[i].why);
		move_text(to->refused[i].name, from->refused[i].name, sizeof to->refused[i].name);
	}
	for (unsigned i = 0; i < GM_MODULES; i++)
		move_text(to->module[i], from->module[i], sizeof to->module[i]);
	gmc_site_lines_inherit(to, from);
	for (unsigned i = 0; i < GM_SITES; i++)
		move_site(&to->site[i], &from->site[i]);
	for (unsigned i = 0; i < GM_KERNELS; i++)
		move_kernel(&to->kernel[i], &from->kernel[i]);
	for (unsigned i = 0; i < GM_OBJECTS; i++) {
		move_text(to->object[i].name, from->object[i].name, sizeof to->object[i].name);
		move_sum(&to->object[i].bus_bytes, &from->object[i].bus_bytes);
		move_sum(&to->object[i].device_faults, &from->object[i].device_faults);
	}
	for (unsigned i = 0; i < GM_HIST_BUCKETS; i++)
		move_sum(&to->cpu_fault_ns.n[i], &from->cpu_fault_ns.n[i]);
	move_gauge(&to->managed_bytes, &from->managed_bytes, &to->managed_peak_bytes,
		   &from->managed_peak_bytes);
	move_gauge(&to->metadata_bytes, &from->metadata_bytes, &to->metadata_peak_bytes,
		   &from->metadata_peak_bytes);
}

__attribute__((constructor)) static void note_start(void)
{
	atomic_store(&gmc_stats_private.start_ns, gmi_now_ns());
}

/* ---- for programs ---- */

int gm_query_counters(struct gm_counters *counters, size_t bytes)
{
	if (!counters || !bytes)
		return -EINVAL;
	struct gm_counters c = {
		.to_device_bytes = atomic_load(&gmi_stats->h2d_bytes),
		.to_host_bytes = atomic_load(&gmi_stats->d2h_bytes),
		.zeroed_pages = atomic_load(&gmi_stats->zeroed_pages),
		.prefetched_pages = atomic_load(&gmi_stats->prefetched_pages),
		.cpu_faults = atomic_load(&gmi_stats->cpu_faults),
		.managed_bytes = atomic_load(&gmi_stats->managed_bytes),
		.metadata_bytes = gmi_private_bytes(),
		.peer_bytes = atomic_load(&gmi_stats->peer_bytes),
	};
	gm_copy(counters, &c, gm_min(bytes, sizeof c));
	return 0;
}
