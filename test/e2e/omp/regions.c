/* Teams, parallel, simd, worksharing, reductions, math, nested functions: what a region computes is what the host computes. */
#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define N 100000

#pragma omp declare target
static double poly(double x)
{
	return ((x + 2) * x - 3) * x + 0.5;
}
static int fib(int n)
{
	return n < 2 ? n : fib(n - 1) + fib(n - 2);
}
#pragma omp end declare target

struct minmax {
	double lo, hi;
};
static struct minmax join(struct minmax a, struct minmax b)
{
	return (struct minmax){a.lo < b.lo ? a.lo : b.lo, a.hi > b.hi ? a.hi : b.hi};
}
#pragma omp declare reduction(span : struct minmax : omp_out = join(omp_out, omp_in)) initializer(omp_priv = omp_orig)

int main(void)
{
	static double a[N], b[N];
	double sum = 0, top = -1e9;
	long count = 0, ticket = 0, squares = 0;
	struct minmax span = {1e9, -1e9};
	int threads = 0, serial = 0, f = 0;

	for (int i = 0; i < N; i++)
		a[i] = i % 977;
#pragma omp target teams distribute parallel for simd map(to : a) map(from : b)
	for (int i = 0; i < N; i++)
		b[i] = poly(a[i]);
#pragma omp target teams distribute parallel for reduction(+ : sum, count) reduction(max : top) map(to : b)
	for (int i = 0; i < N; i++) {
		sum += b[i];
		count += b[i] > 1000;
		top = b[i] > top ? b[i] : top;
	}
	printf("sum %.3f count %ld top %.3f\n", sum, count, top);
#pragma omp target parallel for reduction(span : span) map(to : b)
	for (int i = 0; i < N; i++)
		span = join(span, (struct minmax){b[i], b[i]});
	printf("span %.3f %.3f\n", span.lo, span.hi);
#pragma omp target map(tofrom : ticket, squares, threads, serial, f)
	{
		serial = omp_get_num_threads();
#pragma omp parallel num_threads(2)
		{
#pragma omp single
			threads = omp_get_num_threads();
#pragma omp for schedule(dynamic, 7)
			for (int i = 0; i < 1000; i++) {
#pragma omp atomic
				ticket++;
#pragma omp critical
				squares += (long)i * i;
			}
		}
		f = fib(15); /* no tasks after teams: LLVM's runtime 14 hangs there, on the host as well (2 threads) */
	}
	printf("serial %d threads %d ticket %ld squares %ld fib %d\n", serial, threads, ticket, squares, f);
	double m = 0;
#pragma omp target map(from : m)
	m = sin(1.0) + cosh(0.5) + pow(2.0, 0.3) + erf(0.1) + sqrt(2.0) + cbrt(3.0);
	printf("math %.12f\n", m);
	int first[4] = {1, 2, 3, 4}, got[4];
#pragma omp target firstprivate(first) map(from : got)
	{
		for (int i = 0; i < 4; i++)
			first[i] *= 10;
		memcpy(got, first, sizeof got);
	}
	printf("firstprivate %d %d, outside %d\n", got[0], got[3], first[3]);
	return 0;
}
