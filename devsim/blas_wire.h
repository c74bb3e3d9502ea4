/*
 * blas_wire.h - arguments of the built-in kernel "blas": one BLAS-3 call, in CBLAS terms; and
 * what its journal holds.
 */
#ifndef GM_DEVSIM_BLAS_WIRE_H
#define GM_DEVSIM_BLAS_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum ds_blas_op {
	DS_GEMM,
	DS_SYMM,
	DS_HEMM,
	DS_SYRK,
	DS_HERK,
	DS_SYR2K,
	DS_HER2K,
	DS_TRMM,
	DS_TRSM,
	DS_GEMM3M, /* complex gemm by three real products; arguments as gemm's */
	DS_BLAS_OPS
};
/* CBLAS enumerators (all libraries agree on them). */
enum { DS_ROW_MAJOR = 101, DS_COL_MAJOR = 102 };
enum { DS_NO_TRANS = 111, DS_TRANS = 112, DS_CONJ_TRANS = 113, DS_CONJ_NO_TRANS = 114 };
enum {
	DS_UPPER = 121,
	DS_LOWER = 122,
	DS_NON_UNIT = 131,
	DS_UNIT = 132,
	DS_LEFT = 141,
	DS_RIGHT = 142
};

struct ds_blas_args {
	uint8_t op; /* enum ds_blas_op */
	char type;  /* 's', 'd', 'c', 'z' */
	uint8_t pad[2];
	/* those the routine lacks are 0; syrk & co.: transa */
	int32_t layout, side, uplo, transa, transb, diag;
	/* in the routine's own meaning (syrk & co.: n, k); trmm/trsm: B is in/out */
	int32_t m, n, k, lda, ldb, ldc;
	int32_t threads; /* BLAS threads of the program, 0: leave */
	/* real part, imaginary part; beta of herk and her2k is real, alpha of herk too */
	double alpha[2], beta[2];
	const void *a, *b;
	void *c; /* trmm, trsm: NULL (B is written) */
};

static inline size_t ds_blas_elem_bytes(char type)
{
	return type == 's' ? 4 : type == 'z' ? 16 : 8;
}

/* Does the call overwrite what it reads, so that it can only be repeated from a saved copy? */
static inline bool ds_blas_in_place(const struct ds_blas_args *a)
{
	return a->op == DS_TRMM || a->op == DS_TRSM || a->beta[0] != 0 || a->beta[1] != 0;
}

/*
 * The journal: the lines (columns, or rows in row-major order) of the matrix that is written,
 * one after the other, each of the full length; of syrk & co. only the triangle's part of a line
 * is filled in. Line i: `at` points at what is saved, `bytes` of it, and it lies at `off` in the
 * journal. Returns false behind the last line.
 */
static inline bool ds_blas_journal_line(const struct ds_blas_args *a, int32_t i, char **at,
					size_t *bytes, uint64_t *off)
{
	bool row = a->layout == DS_ROW_MAJOR, square = a->op >= DS_SYRK && a->op <= DS_HER2K;
	bool inb = a->op == DS_TRMM || a->op == DS_TRSM;
	size_t elem = ds_blas_elem_bytes(a->type);
	int32_t m = square ? a->n : a->m, len = row ? a->n : m, lines = row ? m : a->n, first = 0,
		end = len;
	char *base = inb ? (char *)(uintptr_t)a->b : (char *)a->c;

	if (i >= lines)
		return false;
	if (square && (a->uplo == DS_UPPER) == row)
		first = i;
	else if (square)
		end = i + 1;
	*at = base + ((size_t)i * (size_t)(inb ? a->ldb : a->ldc) + (size_t)first) * elem;
	*bytes = (size_t)(end - first) * elem;
	*off = ((uint64_t)i * (uint64_t)len + (uint64_t)first) * elem;
	return true;
}

/* The operands as they were when the journal was made. */
static inline void ds_blas_restore(const struct ds_blas_args *a, const char *journal)
{
	uint64_t off;
	size_t bytes;
	char *at;

	for (int32_t i = 0; ds_blas_journal_line(a, i, &at, &bytes, &off); i++)
		memcpy(at, journal + off, bytes);
}

#endif
