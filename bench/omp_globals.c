/*
 * The price of a region that touches globals (docs/outside.md), for clang 14. Prints microseconds,
 * the median. usage: omp_globals first|again
 * first: a page that no region has touched, each time another, 64 KiB apart; again: the same 100.
 */
#include "bench.h"
#include <omp.h>
#include <string.h>

#pragma omp requires unified_shared_memory

enum { PAGE = 4096, RUN = 65536, FIRST = 100, AGAIN = 30, PAGES = 100 };
static char globals[FIRST * RUN] __attribute__((aligned(65536)));

int main(int argc, char **argv)
{
	static double us[FIRST];
	int again = argc == 2 && !strcmp(argv[1], "again"), n = again ? AGAIN : FIRST;
	char *warm = (char *)us;

	memset(globals, 1, sizeof globals);
#pragma omp target
	warm[0]++;
	for (int i = -again; i < n; i++) {
		char *p = again ? globals : globals + (long)i * RUN;
		int pages = again ? PAGES : 1;
		double start = omp_get_wtime();
#pragma omp target
		for (int k = 0; k < pages; k++)
			p[k * PAGE]++;
		if (i >= 0)
			us[i] = (omp_get_wtime() - start) * 1e6;
	}
	printf("%.2f\n", bench_median(us, n));
	return 0;
}
