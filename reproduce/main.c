/*
 * Runs one program of kernels.h on a simulated device, checks its results against the CPU's, and
 * prints one line: far faults | modelled ms | modelled ms of the kernels alone | MiB to the
 * device | MiB home | pages of 4 KiB and units of 64 KiB that its arrays cover.
 *
 * usage: reproduce PROGRAM [PERCENT [DEVICE]]; PERCENT: footprint over device memory (100: there
 * is plenty). Policies come from the environment (GMEM_PREFETCH, GMEM_EVICT). Every number is
 * core's or the driver's own count (core/count/stats.h); the time is the device's virtual time
 * during launches.
 */
#include "reproduce.h"
#include "core/page/registry.h"
#include <gmem/device.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define BLOCK	  ((size_t)2 << 20)
#define PAGE	  ((size_t)4096)
#define MIB(n)	  ((double)(n) / (1 << 20))
#define UNIT	  ((size_t)65536)
#define PLENTIFUL ((size_t)64 << 20)

struct run {
	struct gm_sim *sim;
	struct gm_dev_stats *stats;
	int module;
	size_t footprint_bytes, units; /* units of 64 KiB */
	char *room, *next;	       /* a reservation that arrays are mapped into */
	uint64_t random;
	uint64_t modelled_ns, kernel_ns;
};

__attribute__((noreturn, format(printf, 1, 2))) static void die(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fputs("reproduce: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	exit(1);
}
static void check(int err, const char *what)
{
	if (err < 0)
		die("%s: %s", what, strerror(-err));
}

/* ---- what programs use ---- */

static void *map_at(void *at, size_t bytes, int prot, int flags)
{
	void *p = gm_mmap(NULL, at, bytes, prot, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);

	if (p == MAP_FAILED)
		die("no managed memory for %zu bytes", bytes);
	return p;
}

void *run_array(struct run *r, size_t bytes)
{
	size_t pages = (bytes + PAGE - 1) / PAGE;

	if (!r->room) {
		r->room = map_at(NULL, 64 * BLOCK, PROT_NONE, 0);
		r->next = (char *)(((uintptr_t)r->room + BLOCK - 1) & ~(BLOCK - 1));
	}
	char *p = map_at(r->next, pages * PAGE, PROT_READ | PROT_WRITE, MAP_FIXED);
	r->next += (bytes + BLOCK - 1) / BLOCK * BLOCK;
	if (r->next > r->room + 63 * BLOCK)
		die("more arrays than were reserved for");
	r->footprint_bytes += pages * PAGE;
	r->units += (bytes + UNIT - 1) / UNIT;
	return memset(p, 0, pages * PAGE);
}

void *run_flag(struct run *r)
{
	void *p = map_at(NULL, PAGE, PROT_READ | PROT_WRITE, 0);

	(void)r;
	memset(p, 0, PAGE);
	check(hmadvise(-1, p, PAGE, GM_MADV_PINNED), "pin");
	return p;
}

void run_launch(struct run *r, const char *kernel, uint32_t nblocks, const void *args, size_t bytes)
{
	struct gm_launch_result result;
	uint64_t before = atomic_load(&r->stats->modelled_ns);

	check(gm_sim_launch(r->sim, r->module, kernel, nblocks, args, bytes, &result), kernel);
	r->modelled_ns += atomic_load(&r->stats->modelled_ns) - before;
	r->kernel_ns += result.modelled_ns;
}

uint32_t run_random(struct run *r) /* splitmix64 */
{
	uint64_t z = r->random += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return (uint32_t)((z ^ z >> 31) >> 32);
}
float run_random_float(struct run *r)
{
	return (float)(run_random(r) >> 8) / (1 << 24);
}

/* ---- the device ---- */

/* Memory comes in pieces of 2 MiB; what is too much of the last one is taken out of use. */
static void take_away(struct gm_dev *dev, size_t bytes)
{
	gm_sigmask mask = gmi_block_signals();

	for (size_t i = 0; i < bytes / PAGE; i++)
		if (gmi_phys_alloc(dev->phys, 0, GM_PHYS_NONE) == GM_PHYS_NONE)
			die("cannot take %zu bytes out of use", bytes);
	gmi_restore_signals(mask);
}

static void module_path(char *path, size_t bytes)
{
	ssize_t n = readlink("/proc/self/exe", path, bytes - 32);

	if (n <= 0)
		die("cannot find the program's own folder");
	path[n] = 0;
	strcpy(strrchr(path, '/') + 1, "kernels.so");
}

static void open_device(struct run *r, const char *profile, unsigned percent)
{
	size_t want = percent > 100 ? r->footprint_bytes * 100 / percent / PAGE * PAGE : PLENTIFUL;
	size_t mem = (want + BLOCK - 1) / BLOCK * BLOCK;
	char spec[256], path[4096];

	snprintf(spec, sizeof spec, "%s,mem=%zuM", profile, mem / BLOCK * 2);
	check(gm_sim_open(spec, &r->sim), spec);
	check(gm_sim_attach(r->sim, gm_as_default()), "attach");
	module_path(path, sizeof path);
	check(gm_sim_load(r->sim, path, &r->module), path);
	take_away(gm_sim_dev(r->sim), mem - want);
	r->stats = &gmi_stats->dev[gm_sim_dev(r->sim)->index];
}

static const struct workload *const workloads[] = {&hotspot_workload, &fdtd_workload,
						   &backprop_workload, &bfs_workload};

static const struct workload *find(const char *name)
{
	for (size_t i = 0; i < sizeof workloads / sizeof workloads[0]; i++)
		if (!strcmp(workloads[i]->name, name))
			return workloads[i];
	die("no program '%s'; there are hotspot, fdtd, backprop, bfs", name);
}

int main(int argc, char **argv)
{
	const struct workload *w = find(argc > 1 ? argv[1] : "");
	unsigned percent = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 100;
	struct run r = {.random = 1};

	w->make(&r);
	open_device(&r, argc > 3 ? argv[3] : "pascal-pcie3,page=4K,workers=1", percent);
	uint64_t faults = atomic_load(&r.stats->faults), in = atomic_load(&gmi_stats->h2d_bytes);
	uint64_t out = atomic_load(&gmi_stats->d2h_bytes);
	w->compute(&r);
	faults = atomic_load(&r.stats->faults) - faults;
	in = atomic_load(&gmi_stats->h2d_bytes) - in;
	out = atomic_load(&gmi_stats->d2h_bytes) - out;
	size_t wrong = w->wrong(&r);
	if (wrong)
		die("%s: %zu results differ from the CPU's", w->name, wrong);
	check(gm_sim_close(r.sim), "close");
	printf("%lu %.3f %.3f %.2f %.2f %zu %zu\n", (unsigned long)faults,
	       (double)r.modelled_ns * 1e-6, (double)r.kernel_ns * 1e-6, MIB(in), MIB(out),
	       r.footprint_bytes / PAGE, r.units);
	return 0;
}
