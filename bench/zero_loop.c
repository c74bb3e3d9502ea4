/*
 * zero_loop.c - what zeroed memory costs: calloc and free of one size, again and again. A plain
 * program: run it under any malloc. usage: zero_loop BYTES touch|leave (every page written, or
 * none). Prints microseconds of CPU time (user and system) per pair.
 */
#include "bench.h"
#include <stdbool.h>
#include <sys/resource.h>

#define WORK (512 * MIB) /* zeroed altogether */

static double cpu_us(void)
{
	struct rusage r;

	getrusage(RUSAGE_SELF, &r);
	return (double)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) * 1e6 +
	       (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec);
}

int main(int argc, char **argv)
{
	size_t bytes = argc > 1 ? strtoul(argv[1], NULL, 0) : 0;
	bool touch = argc > 2 && !strcmp(argv[2], "touch");

	if (!bytes || bytes > WORK)
		bench_die("usage: zero_loop BYTES touch|leave");
	size_t n = WORK / bytes;
	double start = 0;
	for (size_t i = 0; i < n + 4; i++) {
		char *volatile p = calloc(1, bytes);
		if (i == 3)
			start = cpu_us();
		if (!p || p[bytes / 2])
			bench_die("no zeros");
		for (size_t at = 0; touch && at < bytes; at += 4096)
			((char *volatile)p)[at] = 1;
		free(p);
	}
	printf("%.3f\n", (cpu_us() - start) / (double)n);
	return 0;
}
