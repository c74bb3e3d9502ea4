/* Conjugate gradients on a sparse matrix in static arrays, as NPB's CG has them. */
#include <math.h>
#include <stdio.h>

#define N    4000
#define EACH 7
static int column[N][EACH];
static double value[N][EACH], x[N], z[N], p[N], q[N], r[N];

static void make(void)
{
	unsigned seed = 1;

#pragma omp parallel for
	for (int i = 0; i < N; i++) {
		x[i] = 1;
		column[i][0] = i;
		value[i][0] = 20;
	}
	for (int k = 1; k < EACH; k++)
		for (int i = 0; i < N; i += 2) {
			seed = seed * 1103515245 + 12345;
			int at = (int)(seed >> 8) % (N / 2) * 2 + 1;
			column[i][k] = at;
			value[i][k] = value[at][k] = -1;
			column[at][k] = i;
		}
}

static double solve(void)
{
	double rho = 0;

#pragma omp parallel for reduction(+ : rho)
	for (int i = 0; i < N; i++) {
		z[i] = 0;
		r[i] = p[i] = x[i];
		rho += r[i] * r[i];
	}
	for (int n = 0; n < 15; n++) {
		double d = 0, rho0 = rho;
		rho = 0;
#pragma omp parallel
		{
#pragma omp for reduction(+ : d)
			for (int i = 0; i < N; i++) {
				double s = 0;
				for (int k = 0; k < EACH; k++)
					s += value[i][k] * p[column[i][k]];
				q[i] = s;
				d += p[i] * s;
			}
#pragma omp for reduction(+ : rho)
			for (int i = 0; i < N; i++) {
				z[i] += rho0 / d * p[i];
				r[i] -= rho0 / d * q[i];
				rho += r[i] * r[i];
			}
#pragma omp for nowait
			for (int i = 0; i < N; i++)
				p[i] = r[i] + rho / rho0 * p[i];
		}
	}
	return sqrt(rho);
}

int main(void)
{
	double norm = 0;

	make();
	double rest = solve();
#pragma omp parallel for reduction(+ : norm)
	for (int i = 0; i < N; i++)
		norm += z[i] * z[i];
	printf("residual below 1e-3: %d, norm %.8e\n", rest < 1e-3, sqrt(norm));
	return 0;
}
