/*
 * gmem.h - our side of the benchmarks: a device with the kernels of kernels.c, managed memory,
 * and the proof that the row measured what it says (how many faults were served, where the pages
 * are).
 *
 * Fault counts come from the run's own counters (core/count/stats.h, what the report prints);
 * all are of one build.
 */
#ifndef GM_BENCH_GMEM_H
#define GM_BENCH_GMEM_H

#include "bench.h"
#include "kernels.h"
#include "core/count/stats.h"
#include <gmem/device.h>
#include <gmem/gmem.h>

struct bench_device {
	struct gm_sim *sim;
	int hnid, module;
};

#define bench_check(call)                                                                          \
	do {                                                                                       \
		int err_ = (call);                                                                 \
		if (err_ < 0)                                                                      \
			bench_die("%s: %s", #call, strerror(-err_));                               \
	} while (0)

/* Opens a device, attaches it to the default space, loads kernels.so from the benchmark's
 * folder. */
static inline struct bench_device bench_open_spec(const char *spec)
{
	struct bench_device d;
	char path[4096];
	ssize_t n = readlink("/proc/self/exe", path, sizeof path - 16);

	if (n <= 0)
		bench_die("cannot find the benchmark's own folder");
	path[n] = 0;
	strcpy(strrchr(path, '/') + 1, "kernels.so");
	bench_check(gm_sim_open(spec, &d.sim));
	bench_check(gm_sim_attach(d.sim, gm_as_default()));
	bench_check(gm_sim_load(d.sim, path, &d.module));
	d.hnid = gm_dev_hnid(gm_sim_dev(d.sim));
	bench_check(d.hnid);
	return d;
}

static inline struct bench_device bench_open_workers(size_t mem, size_t page, unsigned workers)
{
	char spec[128];

	snprintf(spec, sizeof spec, "pcie4-gpu,mem=%zuM,page=%zuK,workers=%u", mem / MIB,
		 page / 1024, workers);
	return bench_open_spec(spec);
}

static inline struct bench_device bench_open(size_t mem, size_t page)
{
	return bench_open_workers(mem, page, 1);
}

/* Managed memory, every page touched by the CPU. */
static inline char *bench_managed(size_t bytes)
{
	char *p = gm_mmap(NULL, NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			  -1, 0);

	if (p == MAP_FAILED)
		bench_die("gm_mmap of %zu bytes: %s", bytes, strerror(errno));
	return memset(p, 1, bytes);
}

static inline void bench_launch(struct bench_device *d, const char *kernel, const void *args,
				size_t bytes, struct gm_launch_result *result)
{
	bench_check(gm_sim_launch(d->sim, d->module, kernel, 1, args, bytes, result));
}

static inline void bench_walk(struct bench_device *d, char *p, size_t bytes, size_t step)
{
	struct walk_args args = {.base = p, .bytes = bytes, .step = step};

	bench_launch(d, "walk", &args, sizeof args, NULL);
}

/*
 * Every page of the range must be there, and nowhere else; `cpu` and `device` are the rights
 * each must have.
 */
static inline void bench_expect(const char *p, size_t bytes, enum gm_where where)
{
	size_t n = bytes / 4096, wrong = 0, first = 0;
	struct gm_page_info *info = malloc(n * sizeof *info);

	if (!info)
		bench_die("no memory for the query");
	bench_check(gm_query(p, bytes, info));
	for (size_t i = n; i-- > 0;)
		if (info[i].where != where) {
			wrong++;
			first = i;
		}
	if (wrong)
		bench_die("%zu of %zu pages are not in state %d; page %zu is in state %d", wrong, n,
			  (int)where, first, (int)info[first].where);
	free(info);
}

static inline uint64_t bench_cpu_faults(void)
{
	return atomic_load(&gmi_stats->cpu_faults);
}

static inline uint64_t bench_device_faults(void)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < GM_MAX_DEV; i++)
		sum += atomic_load(&gmi_stats->dev[i].faults);
	return sum;
}

static inline void bench_expect_count(const char *what, uint64_t got, uint64_t want)
{
	if (got != want)
		bench_die("%lu %s instead of %lu", (unsigned long)got, what, (unsigned long)want);
}

#endif
