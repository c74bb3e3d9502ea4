/*
 * An MPI program: each rank multiplies matrices of 2 MiB on a device of its own, rank r r + 1 times
 * as often as rank 0; the sum of what they got goes to all.
 */
#include <cblas.h>
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>

#define N 512

__attribute__((noinline)) static double *make_part(double value)
{
	double *m = aligned_alloc(2 << 20, N * N * sizeof *m);

	if (!m)
		exit(1);
	for (int i = 0; i < N * N; i++)
		m[i] = value;
	return m;
}

int main(int argc, char **argv)
{
	int rank;
	double sum;

	MPI_Init(&argc, &argv);
	MPI_Comm_rank(MPI_COMM_WORLD, &rank);
	double *a = make_part(1), *b = make_part(rank + 1), *c = make_part(0);
	for (int i = 0; i < 2 * (rank + 1); i++)
		cblas_dgemm(CblasColMajor, CblasNoTrans, CblasNoTrans, N, N, N, 1, a, N, b, N, 0, c,
			    N);
	MPI_Allreduce(&c[7], &sum, 1, MPI_DOUBLE, MPI_SUM, MPI_COMM_WORLD);
	if (!rank)
		printf("%g\n", sum);
	MPI_Finalize();
	return 0;
}
