/*
 * triad.c - STREAM's triad: a = b + s * c, on arrays that stay on the device for all repetitions
 * (target data).
 */
#include "example.h"

static void triad(int device, double *a, const double *b, const double *c, size_t n)
{
#pragma omp target teams distribute parallel for simd device(device) map(to                        \
									 : b[:n], c                \
									 [:n]) map(from            \
										   : a[:n])
	for (size_t i = 0; i < n; i++)
		a[i] = b[i] + 3 * c[i];
}

int main(int argc, char **argv)
{
	struct example e = example_begin("triad", argc, argv, 10);
	size_t n = e.bytes / (3 * sizeof(double));
	double *a = example_alloc(n * sizeof *a), *b = example_alloc(n * sizeof *b);
	double *c = example_alloc(n * sizeof *c), *want = example_alloc(n * sizeof *want);
	uint64_t seed = 1;

	for (size_t i = 0; i < n; i++) {
		a[i] = -1;
		b[i] = example_uniform(&seed);
		c[i] = example_uniform(&seed);
	}

	e.host_s = -omp_get_wtime();
	triad(omp_get_initial_device(), want, b, c, n);
	e.host_s += omp_get_wtime();

	e.device_s = -omp_get_wtime();
#pragma omp target data map(to : b[:n], c[:n]) map(from : a[:n])
	for (int r = 0; r < e.reps; r++) {
		double start = omp_get_wtime();
		triad(omp_get_default_device(), a, b, c, n);
		example_step(&e, omp_get_wtime() - start);
	}
	e.device_s += omp_get_wtime();
	return example_end(&e, !memcmp(a, want, n * sizeof *a));
}
