/*
 * The price of a target region: an empty one with one mapped scalar's worth of arguments, again
 * and again, on the default device. For clang 14 with -fopenmp-targets. Prints microseconds, the
 * median.
 */
#include "bench.h"
#include <omp.h>

#define RUNS 2000

int main(void)
{
	static double us[RUNS];
	long n = 0;

	for (int i = -10; i < RUNS; i++) {
		double start = omp_get_wtime();
#pragma omp target firstprivate(n)
		n++;
		if (i >= 0)
			us[i] = (omp_get_wtime() - start) * 1e6;
	}
	printf("%.2f\n", bench_median(us, RUNS));
	return 0;
}
