/*
 * device.h - what the device tests share: a small device attached to the default space, managed
 * memory, launches.
 */
#ifndef GM_TEST_DEVICE_H
#define GM_TEST_DEVICE_H

#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include "core/count/stats.h"
#include "devsim/mem_wire.h"
#include "devsim/driver/sim.h"
#include <gmem/device.h>
#include <gmem/gmem.h>

#define PAGE ((size_t)4096)
#define MIB  ((size_t)1 << 20)

static inline struct gm_sim *open_device(const char *spec)
{
	struct gm_sim *sim;

	gmi_opt.report = GM_REPORT_NONE;
	cr_assert_eq(gm_sim_open(spec, &sim), 0);
	cr_assert_eq(gm_sim_attach(sim, gm_as_default()), 0);
	return sim;
}

static inline void *managed(size_t bytes)
{
	void *p = gm_mmap(NULL, NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			  -1, 0);

	cr_assert_neq(p, MAP_FAILED);
	return p;
}

static inline int launch_mem(struct gm_sim *sim, const char *kernel, uint32_t nblocks,
			     struct ds_mem_args args, struct gm_launch_result *result)
{
	return gm_sim_launch(sim, 0, kernel, nblocks, &args, sizeof args, result);
}

static inline void device_set(struct gm_sim *sim, void *p, int byte, size_t bytes)
{
	struct ds_mem_args a = {.dst = p, .bytes = bytes, .value = (uint64_t)byte};

	cr_assert_eq(launch_mem(sim, "memset", 4, a, NULL), 0);
}

/* The sum of the 64-bit words of [p, p + bytes) as the device sees them. */
static inline uint64_t device_sum(struct gm_sim *sim, const void *p, size_t bytes)
{
	uint64_t *sum = managed(PAGE);
	struct ds_mem_args a = {.src = p, .bytes = bytes, .sum = sum};

	cr_assert_eq(launch_mem(sim, "sum64", 4, a, NULL), 0);
	uint64_t v = *sum;
	gm_munmap(sum, PAGE);
	return v;
}

static inline bool all_bytes(const void *p, int byte, size_t bytes)
{
	const unsigned char *c = p;

	return bytes == 0 || (c[0] == (unsigned char)byte && memcmp(c, c + 1, bytes - 1) == 0);
}

/* How many of the pages are in this place. */
static inline size_t pages_in(const void *p, size_t bytes, enum gm_where where)
{
	size_t n = bytes / PAGE, found = 0;
	struct gm_page_info *info = calloc(n, sizeof *info);

	cr_assert_eq(gm_query(p, bytes, info), 0);
	for (size_t i = 0; i < n; i++)
		found += info[i].where == where;
	free(info);
	return found;
}

static inline uint64_t device_faults(void)
{
	uint64_t n = 0;

	for (int i = 0; i < GM_MAX_DEV; i++)
		n += atomic_load(&gmi_stats->dev[i].faults);
	return n;
}

/* A suite whose tests have a small device, `sim`. */
#define DEVICE_SUITE(name, seconds)                                                                \
	static struct gm_sim *sim;                                                                 \
	static void set_up(void)                                                                   \
	{                                                                                          \
		sim = open_device("pcie4-gpu,mem=64M,workers=2");                                  \
	}                                                                                          \
	static void tear_down(void)                                                                \
	{                                                                                          \
		cr_expect_eq(gm_sim_close(sim), 0);                                                \
	}                                                                                          \
	TestSuite(name, .init = set_up, .fini = tear_down, .timeout = (seconds))

/* The folder of the test's own program, where its kernel modules lie too. */
static inline const char *beside_program(const char *file)
{
	static char path[4096];
	ssize_t n = readlink("/proc/self/exe", path, sizeof path - 64);

	cr_assert_gt(n, 0);
	path[n] = 0;
	strcpy(strrchr(path, '/') + 1, file);
	return path;
}

#endif
