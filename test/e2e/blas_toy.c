/*
 * A BLAS of one routine; a plugin that uses whichever it is linked with (-DPLUGIN); and a
 * program without a BLAS that loads two such plugins for itself alone (-DPROGRAM). Like the
 * reference CBLAS, cblas_dgemm calls the public dgemm_. Its products are off by 1000, so that
 * nobody takes them for another's.
 */
#if defined PROGRAM

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

enum { N = 64 };
static double *fill(double *x)
{
	for (int i = 0; i < N * N; i++)
		x[i] = (i * 37 % 101) / 101.0;
	return x;
}

int main(void)
{
	static const char *const names[] = {"./toy_plugin.so", "./true_plugin.so"};
	double *a = fill(malloc(sizeof *a * N * N)), *b = fill(malloc(sizeof *b * N * N));
	double *c = fill(malloc(sizeof *c * N * N));

	for (int turn = 0; turn < 2; turn++)
		for (int i = 0; i < 2; i++) {
			void *h = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
			void (*product)(int, const double *, const double *, double *);
			if (!h) {
				puts(dlerror());
				return 1;
			}
			*(void **)&product = dlsym(h, "product");
			product(N, a, b, c);
			printf("%s %a %a\n", names[i], c[0], c[N * N - 1]);
		}
	return 0;
}

#elif defined PLUGIN

void cblas_dgemm(int order, int ta, int tb, int m, int n, int k, double alpha, const double *a,
		 int lda, const double *b, int ldb, double beta, double *c, int ldc);

void product(int n, const double *a, const double *b, double *c)
{
	cblas_dgemm(102, 111, 111, n, n, n, 1, a, n, b, n, 0, c, n);
}

#else

void dgemm_(const char *ta, const char *tb, const int *m, const int *n, const int *k,
	    const double *alpha, const double *a, const int *lda, const double *b, const int *ldb,
	    const double *beta, double *c, const int *ldc)
{
	for (int j = 0; j < *n; j++)
		for (int i = 0; i < *m; i++) {
			double sum = 1000;
			for (int l = 0; l < *k; l++)
				sum += a[i + l * *lda] * b[l + j * *ldb];
			c[i + j * *ldc] = *alpha * sum + (*beta != 0 ? *beta * c[i + j * *ldc] : 0);
		}
}

void cblas_dgemm(int order, int ta, int tb, int m, int n, int k, double alpha, const double *a,
		 int lda, const double *b, int ldb, double beta, double *c, int ldc)
{
	dgemm_("N", "N", &m, &n, &k, &alpha, a, &lda, b, &ldb, &beta, c, &ldc);
}

#endif
