/*
 * stencil.c - in OpenACC: a five-point Jacobi iteration on a square grid. Two grids change roles;
 * both stay on the device.
 */
#include "../openmp/example.h"

static void sweep(int device, const double *from, double *to, int n)
{
	size_t cells = (size_t)n * (size_t)n;

#pragma acc parallel loop collapse(2) if (device) copyin(from[:cells]) copy(to[:cells])
	for (int y = 1; y < n - 1; y++)
		for (int x = 1; x < n - 1; x++) {
			size_t i = (size_t)y * (size_t)n + (size_t)x;
			to[i] = 0.25 * (from[i - 1] + from[i + 1] + from[i - (size_t)n] +
					from[i + (size_t)n]);
		}
}

/* The rim stays as it is; it is hot on one side. */
static void start(double *a, double *b, int n)
{
	for (size_t i = 0; i < (size_t)n * (size_t)n; i++)
		a[i] = b[i] = i < (size_t)n ? 100 : (double)(i % 7);
}

/* Two sweeps a step, so that the result ends in a. */
static void iterate(int device, double *a, double *b, int n)
{
	sweep(device, a, b, n);
	sweep(device, b, a, n);
}

int main(int argc, char **argv)
{
	struct example e = example_begin("stencil", argc, argv, 10);
	int n = (int)sqrt((double)e.bytes / (2 * sizeof(double)));
	size_t cells = (size_t)n * (size_t)n;
	double *a = example_alloc(cells * sizeof *a), *b = example_alloc(cells * sizeof *b);
	double *want = example_alloc(cells * sizeof *want);

	start(a, b, n);
	e.host_s = -omp_get_wtime();
	for (int r = 0; r < e.reps; r++)
		iterate(0, a, b, n);
	e.host_s += omp_get_wtime();
	memcpy(want, a, cells * sizeof *a);

	start(a, b, n);
	e.device_s = -omp_get_wtime();
#pragma acc data copy(a[:cells]) copyin(b[:cells])
	for (int r = 0; r < e.reps; r++) {
		double begin = omp_get_wtime();
		iterate(1, a, b, n);
		example_step(&e, omp_get_wtime() - begin);
	}
	e.device_s += omp_get_wtime();
	return example_end(&e, !memcmp(a, want, cells * sizeof *a));
}
