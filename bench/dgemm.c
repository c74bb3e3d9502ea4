/*
 * dgemm of 2048 x 2048 on operands that stay where the calls left them. A plain program: run it
 * with and without GMEM; usage: dgemm [device]: fail unless every call ran on the device. Prints
 * milliseconds per call, the first two left out.
 */
#include "core/count/stats.h"
#include "bench.h"
#include <dlfcn.h>

#define N     2048
#define WARM  2
#define CALLS 5

void dgemm_(const char *, const char *, const int *, const int *, const int *, const double *,
	    const double *, const int *, const double *, const int *, const double *, double *,
	    const int *);

/* Calls that ran on a device, as the run itself counts them; this program is not linked with
 * libgmem. */
static uint64_t device_calls(void)
{
	struct gm_stats **stats = dlsym(RTLD_DEFAULT, "gmi_stats");

	return stats ? atomic_load(&(*stats)->blas_device) : 0;
}

static double *operand(void)
{
	double *x = malloc(sizeof *x * N * N);

	if (!x)
		bench_die("no memory");
	for (size_t i = 0; i < (size_t)N * N; i++)
		x[i] = (double)(i % 7) - 3;
	return x;
}

int main(int argc, char **argv)
{
	const int n = N;
	const double alpha = 1, beta = 0.5;
	double *a = operand(), *b = operand(), *c = operand(), ms[CALLS];
	uint64_t want = argc > 1 && !strcmp(argv[1], "device") ? WARM + CALLS : 0;

	for (int i = -WARM; i < CALLS; i++) {
		double start = bench_now();

		dgemm_("N", "N", &n, &n, &n, &alpha, a, &n, b, &n, &beta, c, &n);
		if (i >= 0)
			ms[i] = (bench_now() - start) * 1e3;
	}
	if (device_calls() != want)
		bench_die("%lu of %d calls ran on the device", (unsigned long)device_calls(),
			  WARM + CALLS);
	printf("%.3f\n", bench_median(ms, CALLS));
	return 0;
}
