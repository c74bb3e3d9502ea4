/*
 * debate.h - what the experiments of docs/debate.md share: a device with this folder's kernels,
 * managed memory, a clock, and lines of the form "key: value unit" that run.sh puts into the
 * document. Only the public interface is used: each is a program that anybody could write.
 */
#ifndef GM_DEBATE_H
#define GM_DEBATE_H

#include <errno.h>
#include <gmem/device.h>
#include <gmem/sparse.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define PAGE ((size_t)4096)
#define MIB  ((size_t)1 << 20)
#define GIB  ((size_t)1 << 30)

/* What the kernels of kernels.c take. */
struct walk {
	char *base;
	uint64_t bytes, step;
	uint64_t *sum; /* NULL: it writes */
};

#define check(call)                                                                                \
	do {                                                                                       \
		int err_ = (call);                                                                 \
		if (err_ < 0) {                                                                    \
			fprintf(stderr, "%s: %s %s\n", #call, strerror(-err_), gm_last_error());   \
			exit(1);                                                                   \
		}                                                                                  \
	} while (0)

static inline double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static inline char *managed(struct gm_as *as, size_t bytes)
{
	char *p = gm_mmap(as, NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			  0);

	if (p == MAP_FAILED)
		check(-errno);
	return p;
}

/* kernels.so lies beside the program. */
static inline int load_kernels(struct gm_sim *sim)
{
	char path[4096];
	ssize_t n = readlink("/proc/self/exe", path, sizeof path - 16);
	int module;

	check(n > 0 ? 0 : -ENOENT);
	path[n] = 0;
	strcpy(strrchr(path, '/') + 1, "kernels.so");
	check(gm_sim_load(sim, path, &module));
	return module;
}

static inline struct gm_sim *open_device(const char *spec, struct gm_as *as, int *module)
{
	struct gm_sim *sim;

	check(gm_sim_open(spec, &sim));
	check(gm_sim_attach(sim, as));
	*module = load_kernels(sim);
	return sim;
}

static inline int walk(struct gm_sim *sim, int module, const char *kernel, void *base, size_t bytes,
		       size_t step, uint64_t *sum, struct gm_launch_result *r)
{
	struct walk a = {base, bytes, step, sum};

	return gm_sim_launch(sim, module, kernel, 1, &a, sizeof a, r);
}

static inline struct gm_hnode_info numbers(struct gm_sim *sim)
{
	struct gm_hnode_info info;

	check(gm_query_hnode(gm_dev_hnid(gm_sim_dev(sim)), &info));
	return info;
}

static inline struct gm_counters counted(void)
{
	struct gm_counters c;

	check(gm_query_counters(&c, sizeof c));
	return c;
}

#endif
