/* gemm.h - the arguments of a product of square matrices, for tests. */
#ifndef GM_TEST_GEMM_H
#define GM_TEST_GEMM_H

#include "devsim/blas_wire.h"

static inline struct ds_blas_args square_gemm(char type, int layout, int32_t n)
{
	struct ds_blas_args a = {.op = DS_GEMM, .type = type, .layout = layout, .alpha = {1}};

	a.transa = a.transb = DS_NO_TRANS;
	a.m = a.n = a.k = a.lda = a.ldb = a.ldc = n;
	return a;
}

#endif
