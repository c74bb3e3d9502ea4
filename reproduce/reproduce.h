/*
 * reproduce.h - one run of one program on a simulated device: memory, launches, and what they
 * cost.
 */
#ifndef GM_REPRODUCE_H
#define GM_REPRODUCE_H

#include "kernels.h"
#include <stddef.h>
#include <stdint.h>

#define REPRODUCE_ARRAYS 8

struct run;
struct workload {
	const char *name;
	void (*make)(struct run *r);	/* allocates the arrays and fills them */
	void (*compute)(struct run *r); /* the launches, and what the CPU does between them */
	size_t (*wrong)(struct run *r); /* how many results differ from the CPU's own */
};
extern const struct workload hotspot_workload, fdtd_workload, backprop_workload, bfs_workload;

/*
 * Managed memory from a boundary of 2 MiB on, exactly so many bytes, every page touched by the
 * CPU. Ends the program on failure, as all of these do.
 */
void *run_array(struct run *r, size_t bytes);
/* One small page that is pinned to the host: kernels reach it over the bus (cudaMalloc and
 * cudaMemcpy there). */
void *run_flag(struct run *r);
void run_launch(struct run *r, const char *kernel, uint32_t nblocks, const void *args,
		size_t bytes);

/* The same sequence in every run. */
uint32_t run_random(struct run *r);
float run_random_float(struct run *r); /* 0..1 */

#endif
