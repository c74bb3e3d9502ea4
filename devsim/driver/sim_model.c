/*
 * sim_model.c - the device's virtual time.
 */
#include "devsim/driver/sim_model.h"
#include <time.h>

#define SPIN_MAX_NS 60000

/* Piecewise linear through the measured points; the outer pieces go on beyond them. */
uint64_t sim_transfer_ns(const struct sim_model *m, uint64_t bytes)
{
	const struct sim_point *p = m->link;
	unsigned i = 0;

	if (!bytes || !m->nlink)
		return 0;
	if (m->nlink == 1)
		return (uint64_t)(p[0].ns / p[0].bytes * (double)bytes);
	while (i + 2 < m->nlink && (double)bytes > p[i + 1].bytes)
		i++;
	double slope = (p[i + 1].ns - p[i].ns) / (p[i + 1].bytes - p[i].bytes);
	double ns = p[i].ns + ((double)bytes - p[i].bytes) * slope;
	return ns > 1 ? (uint64_t)ns : 1;
}

uint64_t sim_kernel_ns(const struct sim_model *m, char type, uint64_t flops, uint64_t bytes)
{
	unsigned t = type == 's' ? 0 : type == 'c' ? 2 : type == 'z' ? 3 : 1;
	double compute = (double)flops / m->gflops[t], memory = (double)bytes / m->mem_bw;

	return (uint64_t)(m->launch_ns + gm_max(compute, memory));
}

uint64_t sim_remote_ns(const struct sim_remote *r, uint64_t bytes)
{
	uint64_t sectors = (bytes + r->sector - 1) / r->sector;

	return bytes ? (uint64_t)(r->latency_ns + (double)(sectors * r->sector) / r->bw) : 0;
}

void sim_wait_ns(uint64_t ns)
{
	uint64_t end = gmi_now_ns() + ns;

	if (ns > SPIN_MAX_NS) {
		struct timespec t = {.tv_sec = (time_t)((ns - SPIN_MAX_NS / 2) / 1000000000),
				     .tv_nsec = (long)((ns - SPIN_MAX_NS / 2) % 1000000000)};
		while (gm_sys4(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, &t, &t) ==
		       -4 /* EINTR: the rest */)
			;
	}
	while (gmi_now_ns() < end)
		__builtin_ia32_pause();
}
