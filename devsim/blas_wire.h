/*
 * blas_wire.h - arguments of the built-in kernel "blas": one BLAS-3 call, in CBLAS terms.
 */
#ifndef GM_DEVSIM_BLAS_WIRE_H
#define GM_DEVSIM_BLAS_WIRE_H

#include <stdint.h>

enum ds_blas_op {
	DS_GEMM, DS_SYMM, DS_HEMM, DS_SYRK, DS_HERK, DS_SYR2K, DS_HER2K, DS_TRMM, DS_TRSM, DS_BLAS_OPS
};
struct ds_blas_args {
	uint8_t op;   /* enum ds_blas_op */
	char type;    /* 's', 'd', 'c', 'z' */
	uint8_t pad[2];
	int32_t layout, side, uplo, transa, transb, diag; /* CBLAS enumerators; those the routine lacks are 0 */
	int32_t m, n, k, lda, ldb, ldc;                   /* in the routine's own meaning; trmm/trsm: B is in/out */
	int32_t threads;                                  /* BLAS threads of the program, 0: leave */
	double alpha[2], beta[2];                         /* real part, imaginary part; beta of herk and her2k is real, alpha of herk too */
	const void *a, *b;
	void *c;                                          /* trmm, trsm: NULL (B is written) */
};

#endif
