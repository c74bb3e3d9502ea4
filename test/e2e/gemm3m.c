/* gemm3m, which not every BLAS has: the product's bits, in both interfaces and layouts. */
#include <complex.h>
#include <stdio.h>
#include <stdlib.h>

void zgemm3m_(const char *ta, const char *tb, const int *m, const int *n, const int *k,
	      const void *alpha, const void *a, const int *lda, const void *b, const int *ldb,
	      const void *beta, void *c, const int *ldc, size_t la, size_t lb);
void cblas_cgemm3m(int layout, int ta, int tb, int m, int n, int k, const void *alpha,
		   const void *a, int lda, const void *b, int ldb, const void *beta, void *c,
		   int ldc);

static void print_bits(const char *what, const void *p, size_t bytes)
{
	const unsigned char *c = p;
	unsigned long sum = 14695981039346656037ul;

	for (size_t i = 0; i < bytes; i++)
		sum = (sum ^ c[i]) * 1099511628211ul;
	printf("%s %lx\n", what, sum);
}

int main(void)
{
	int n = 300;
	size_t nn = (size_t)n * (size_t)n;
	double complex *a = malloc(nn * sizeof *a), *b = malloc(nn * sizeof *b),
		       *c = calloc(nn, sizeof *c), one = 1 - 0.5 * I, half = 0.5 + I;
	float complex *x = malloc(nn * sizeof *x), *y = malloc(nn * sizeof *y),
		      *z = calloc(nn, sizeof *z), fone = 1 + I, zero = 0;

	for (size_t i = 0; i < nn; i++) {
		a[i] = (double)(i % 17) / 3 - (double)(i % 5) * I;
		b[i] = (double)(i % 11) - (double)(i % 7) / 7 * I;
		x[i] = (float complex)a[i];
		y[i] = (float complex)b[i];
	}
	zgemm3m_("N", "T", &n, &n, &n, &one, a, &n, b, &n, &half, c, &n, 1, 1);
	zgemm3m_("C", "N", &n, &n, &n, &half, a, &n, b, &n, &one, c, &n, 1, 1);
	print_bits("zgemm3m", c, nn * sizeof *c);
	for (int layout = 101; layout <= 102; layout++) {
		cblas_cgemm3m(layout, 111, 112, n, n, n, &fone, x, n, y, n, &zero, z, n);
		print_bits(layout == 101 ? "cgemm3m row" : "cgemm3m col", z, nn * sizeof *z);
	}
	return 0;
}
