/*
 * cg.c - in OpenACC: conjugate gradients for a matrix of five diagonals that is never stored.
 * Sums go by rows, so that their order is the same everywhere.
 */
#include "../openmp/example.h"

static void multiply(int device, int n, const double *p, double *q)
{
	size_t cells = (size_t)n * (size_t)n;

#pragma acc parallel loop collapse(2) if (device) copyin(p[:cells]) copy(q[:cells])
	for (int y = 0; y < n; y++)
		for (int x = 0; x < n; x++) {
			size_t i = (size_t)y * (size_t)n + (size_t)x;
			double v = 4.1 * p[i];
			v -= x > 0 ? p[i - 1] : 0;
			v -= x < n - 1 ? p[i + 1] : 0;
			v -= y > 0 ? p[i - (size_t)n] : 0;
			v -= y < n - 1 ? p[i + (size_t)n] : 0;
			q[i] = v;
		}
}

/* to = factor * from + keep * to */
static void add(int device, size_t cells, double factor, const double *from, double keep,
		double *to)
{
#pragma acc parallel loop if (device) copyin(from[:cells]) copy(to[:cells])
	for (size_t i = 0; i < cells; i++)
		to[i] = factor * from[i] + keep * to[i];
}

static double dot(int device, int n, const double *a, const double *b, double *rows)
{
	size_t cells = (size_t)n * (size_t)n;
	double sum = 0;

#pragma acc parallel loop if (device) copyin(a[:cells], b[:cells]) copyout(rows[:n])
	for (int y = 0; y < n; y++) {
		double row = 0;
		for (int x = 0; x < n; x++)
			row += a[(size_t)y * (size_t)n + (size_t)x] *
			       b[(size_t)y * (size_t)n + (size_t)x];
		rows[y] = row;
	}
	for (int y = 0; y < n; y++)
		sum += rows[y];
	return sum;
}

/* Solves A x = 1 from x = 0; returns the square of the last residual. */
static double solve(int device, int n, double *x, int steps, struct example *e)
{
	size_t cells = (size_t)n * (size_t)n, bytes = cells * sizeof(double);
	double *r = example_alloc(bytes), *p = example_alloc(bytes), *q = example_alloc(bytes),
	       *rows = example_alloc((size_t)n * sizeof *rows);

	for (size_t i = 0; i < cells; i++) {
		x[i] = q[i] = 0;
		r[i] = p[i] = 1;
	}
	double rr = (double)cells;
#pragma acc data if (device) copy(x[:cells], r[:cells], p[:cells]) create(q[:cells])
	for (int step = 0; step < steps; step++) {
		double begin = omp_get_wtime(), old = rr;
		multiply(device, n, p, q);
		double alpha = rr / dot(device, n, p, q, rows);
		add(device, cells, alpha, p, 1, x);
		add(device, cells, -alpha, q, 1, r);
		rr = dot(device, n, r, r, rows);
		add(device, cells, 1, r, rr / old, p);
		if (e)
			example_step(e, omp_get_wtime() - begin);
	}
	free(r);
	free(p);
	free(q);
	free(rows);
	return rr;
}

int main(int argc, char **argv)
{
	struct example e = example_begin("cg", argc, argv, 25);
	int n = (int)sqrt((double)e.bytes / (5 * sizeof(double)));
	size_t bytes = (size_t)n * (size_t)n * sizeof(double);
	double *x = example_alloc(bytes), *want = example_alloc(bytes), rr;

	e.host_s = -omp_get_wtime();
	solve(0, n, want, e.reps, NULL);
	e.host_s += omp_get_wtime();

	e.device_s = -omp_get_wtime();
	rr = solve(1, n, x, e.reps, &e);
	e.device_s += omp_get_wtime();
	return example_end(&e, !memcmp(x, want, bytes) && rr < 1e-3 * n * n);
}
