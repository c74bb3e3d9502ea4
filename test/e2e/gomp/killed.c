/*
 * Kills its device's process, between regions or in one (argument "inside"), and goes on: what a
 * region did before is in the program's own memory. Prints what came out.
 */
#include "test/e2e/kill_device.h"
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv)
{
	enum { N = 100000 };
	double *a = malloc(N * sizeof *a), sum = 0;
	int killed = 0, rounds = 5;

	for (int i = 0; i < N; i++)
		a[i] = 1;
	if (argc > 1) { /* until somebody ends it */
#pragma omp parallel num_threads(2)
		if (omp_get_thread_num() == 0) {
#pragma omp target
			for (;;)
				((volatile double *)a)[1] += 1;
		} else {
			while (((volatile double *)a)[1] == 1) /* until the region runs */
				usleep(1000);
			kill_device();
		}
		puts("went on");
		return 0;
	}
	for (int r = 0; r < rounds; r++) {
#pragma omp target teams distribute parallel for
		for (int i = 0; i < N; i++)
			a[i] = 2 * a[i];
		killed += kill_device();
	}
#pragma omp target map(tofrom : sum)
	for (int i = 0; i < N; i++)
		sum += a[i];
	fprintf(stderr, "killed %d\n", killed);
	printf("sum %.0f\n", sum);
	return sum != 32.0 * N;
}
