/* Products of matrices of 2 MiB, one after the other, the same five again and again: with less
 * than five a device thrashes. */
#include <cblas.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define N	 512 /* 2 MiB a matrix */
#define MATRICES 5

__attribute__((noinline)) static double *make_matrix(void)
{
	double *m = aligned_alloc(2 << 20, N * N * sizeof *m);

	if (!m)
		exit(1);
	for (int i = 0; i < N * N; i++)
		m[i] = i % 7 - 3;
	return m;
}

static double read_all(double **m)
{
	double sum = 0;

	for (int i = 0; i < MATRICES; i++)
		for (int k = 0; k < N * N; k += 512)
			sum += m[i][k];
	return sum;
}

int main(int argc, char **argv)
{
	double *m[MATRICES];

	for (int i = 0; i < MATRICES; i++)
		m[i] = make_matrix();
	for (int i = 0; i < (argc > 1 ? atoi(argv[1]) : 12); i++)
		cblas_dgemm(CblasColMajor, CblasNoTrans, CblasNoTrans, N, N, N, 1, m[i % MATRICES],
			    N, m[(i + 1) % MATRICES], N, 0, m[(i + 2) % MATRICES], N);
	printf("%g\n", m[0][0]);
	if (argc > 3) /* all of it by the CPU, and a child that does so, too */
		printf("%g %d\n", read_all(m), fork() ? wait(NULL) > 0 : read_all(m) > 0);
	if (argc > 2) /* so long, or for ever */
		sleep((unsigned)atoi(argv[2]));
	return 0;
}
