/*
 * replay.h - gmem-replay: a recording (devsim/record.h) put through core's own policies and the
 * simulated device's own time, under one configuration.
 *
 *	main    configurations from standard input, each in a process of its own
 *	replay  what the recording says, told to core and to the driver
 *	world   what is not there: memory, the CPU's page tables, other threads, the time
 *
 * Everything else is the code that runs in programs: the objects of core/ and devsim/driver/ are
 * linked in as they are. world.c stands in for core/page/{store,cpu_mmu,direct}.c and
 * core/sys/vdso.c, whole, and for a few functions by the linker's --wrap.
 */
#ifndef GM_TOOLS_REPLAY_H
#define GM_TOOLS_REPLAY_H

#include "core/page/registry.h"
#include "devsim/record.h"

/* ---- world.c ---- */
void world_begin(uint64_t base, uint64_t bytes);
void *world_sparse(uint64_t bytes); /* zeros, and memory once used */
extern uint64_t world_ns;	    /* what gmi_now_ns() says */
/* Of the recording: pages that hold something while they are private memory. */
void world_present(uint64_t va, unsigned pages, bool present);
/* The CPU has come to it over the bus; at the next gmi_bus_settle() it has not any more. */
void world_cpu_touched(uint64_t va, unsigned pages);
void world_cpu_settled(void);

/* ---- replay.c ---- */
struct recording {
	const struct ds_record_head *head;
	uint64_t n; /* records */
	bool lost;  /* more were made than had room */
};
enum replay_end {
	REPLAY_DONE,
	REPLAY_CUT,   /* over the limit */
	REPLAY_LEAST, /* pages were evicted, and not all that came back to them is recorded */
	REPLAY_FAILED /* said */
};
/* Did several threads of the device touch pages in one launch? */
bool replay_has_threads(const struct recording *r);
/* With the options in gmi_opt; the result is in gmi_stats. */
enum replay_end replay_run(const struct recording *r, double limit_s);

#endif
