/*
 * cg.c - a mini conjugate gradient: the seven-point Laplace operator on a cube, without a stored
 * matrix. All vectors stay on the device; only the two dot products of an iteration come back.
 * Sums depend on the order of their terms, so the results are compared with a tolerance; and the
 * residual must really have become small.
 */
#include "example.h"

struct cube {
	int n; /* points along an edge */
	size_t points;
};

/* y = A x; returns x . y */
static double apply(int device, struct cube c, const double *x, double *y)
{
	int n = c.n;
	size_t points = c.points, row = (size_t)n, plane = row * row;
	double dot = 0;

#pragma omp target teams distribute parallel for collapse(2) device(device) map(to : x[:points]) \
	map(from : y[:points]) map(tofrom : dot) reduction(+ : dot)
	for (int k = 0; k < n; k++)
		for (int j = 0; j < n; j++)
			for (int i = 0; i < n; i++) {
				size_t at = ((size_t)k * row + (size_t)j) * row + (size_t)i;
				double v = 6.5 * x[at];
				v -= i > 0 ? x[at - 1] : 0;
				v -= i < n - 1 ? x[at + 1] : 0;
				v -= j > 0 ? x[at - row] : 0;
				v -= j < n - 1 ? x[at + row] : 0;
				v -= k > 0 ? x[at - plane] : 0;
				v -= k < n - 1 ? x[at + plane] : 0;
				y[at] = v;
				dot += x[at] * v;
			}
	return dot;
}

/* x += alpha p, r -= alpha q; returns r . r */
static double advance(int device, size_t n, double alpha, double *x, const double *p, double *r,
		      const double *q)
{
	double dot = 0;

#pragma omp target teams distribute parallel for device(device) \
	map(to : p[:n], q[:n]) map(tofrom : x[:n], r[:n]) map(tofrom : dot) reduction(+ : dot)
	for (size_t i = 0; i < n; i++) {
		x[i] += alpha * p[i];
		r[i] -= alpha * q[i];
		dot += r[i] * r[i];
	}
	return dot;
}

static void direct(int device, size_t n, double beta, double *p, const double *r)
{
#pragma omp target teams distribute parallel for simd device(device) map(to                        \
									 : r[:n]) map(tofrom       \
										      : p[:n])
	for (size_t i = 0; i < n; i++)
		p[i] = r[i] + beta * p[i];
}

/* Solves A x = 1 from x = 0; returns the square of the last residual. */
static double solve(int device, struct cube c, double *x, int iterations, struct example *e)
{
	size_t n = c.points, bytes = n * sizeof(double);
	double *r = example_alloc(bytes), *p = example_alloc(bytes), *q = example_alloc(bytes),
	       rr = (double)n;

	for (size_t i = 0; i < n; i++) {
		x[i] = 0;
		r[i] = p[i] = 1;
	}
#pragma omp target data device(device) map(tofrom : x[:n]) map(to : r[:n], p[:n]) map(alloc : q[:n])
	for (int it = 0; it < iterations; it++) {
		double begin = omp_get_wtime(), old = rr;
		double alpha = rr / apply(device, c, p, q);
		rr = advance(device, n, alpha, x, p, r, q);
		direct(device, n, rr / old, p, r);
		if (e)
			example_step(e, omp_get_wtime() - begin);
	}
	free(r);
	free(p);
	free(q);
	return rr;
}

int main(int argc, char **argv)
{
	struct example e = example_begin("cg", argc, argv, 25);
	int n = (int)cbrt((double)e.bytes / (4 * sizeof(double)));
	struct cube c = {n, (size_t)n * (size_t)n * (size_t)n};
	double *x = example_alloc(c.points * sizeof *x),
	       *want = example_alloc(c.points * sizeof *want);

	e.host_s = -omp_get_wtime();
	double host_rr = solve(omp_get_initial_device(), c, want, e.reps, NULL);
	e.host_s += omp_get_wtime();
	e.device_s = -omp_get_wtime();
	double rr = solve(omp_get_default_device(), c, x, e.reps, &e);
	e.device_s += omp_get_wtime();

	int equal = rr < (double)c.points * 1e-4 && fabs(rr - host_rr) <= 1e-6 * host_rr;
	for (size_t i = 0; i < c.points; i++)
		equal &= fabs(x[i] - want[i]) <= 1e-9 * fabs(want[i]) + 1e-12;
	return example_end(&e, equal);
}
