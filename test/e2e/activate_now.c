/*
 * activate_now.c - a second preload for tests: switches dispatch on before main, in every process, so that a whole program
 * runs with each of its system calls coming through the SIGSYS handler although no page ever leaves the CPU.
 *
 * Linked against libgmem_preload.so, whose constructor therefore runs first. Use: LD_PRELOAD=libgmem_preload.so:this.so
 */
#include "../../core/cpu.h"
#include "../../core/stats.h"

#include <stdlib.h>
#include <stdio.h>

static void activate(void)
{
	if (gmi_opt.ndev && !gmi_opt.disable)
		gmi_activate();
}

__attribute__((constructor)) static void begin(void)
{
	activate();
}

__attribute__((destructor)) static void end(void)
{
	if (getenv("ACTIVATE_VERBOSE"))
		fprintf(stderr, "dispatched %lu pinned %lu\n", (unsigned long)gmi_stats->syscalls_dispatched,
			(unsigned long)gmi_stats->syscalls_pinned);
}
