/*
 * blas.h - offload of BLAS-3: nine routines, and gemm3m, in up to four types, by their Fortran
 * and their CBLAS names.
 *
 *	what  a large call on managed matrices runs on the device, any other on the host
 *	who   the program, by the BLAS names; nothing else of the preload
 *	may   the matrices, read only; the loader (dlsym, dlopen); launches, by devsim/driver/sim.h
 *	must  same library, same bits; a call that fails on the device is made on the host
 *	else  the kernels themselves (devsim/device/dev_kern_blas.c)
 *
 *	blas_args.c  what the arguments mean: one table of the routines' shapes
 *	blas_host.c  which BLAS library the calling object is linked with
 *	blas.c       the hooks: on the device, or by that library with the very same arguments
 *
 * Every entry point has one C type. All arguments of a Fortran call are pointers, followed by
 * the hidden lengths of the character arguments, which callers written in C leave out. Those of
 * a CBLAS call are integers and pointers, and for real scalars up to two floating-point values.
 * The x86-64 ABI counts the two kinds apart, so "two vector registers and fifteen words" holds
 * every call, whatever the order of its arguments; words beyond a call's own are not looked at.
 * What a hook passes on is thus bit for bit what it was given, also to a library with 64-bit
 * integers.
 *
 * Hooks run in program context on any thread, take no lock and keep errno. Not for signal
 * handlers of ours.
 */
#ifndef GMP_BLAS_H
#define GMP_BLAS_H

#include "devsim/blas_wire.h"
#include "preload/ground/ground.h"

typedef uintptr_t gmp_word;
#define GMP_BLAS_WORDS 15
/* clang-format off */
#define GMP_BLAS_PARAMS \
	double x0, double x1, gmp_word w0, gmp_word w1, gmp_word w2, gmp_word w3, gmp_word w4, \
	gmp_word w5, gmp_word w6, gmp_word w7, gmp_word w8, gmp_word w9, gmp_word w10, \
	gmp_word w11, gmp_word w12, gmp_word w13, gmp_word w14
#define GMP_BLAS_ARG_WORDS w0, w1, w2, w3, w4, w5, w6, w7, w8, w9, w10, w11, w12, w13, w14
typedef void gmp_blas_fn(GMP_BLAS_PARAMS);

/* X(op, type, name). The hermitian routines are complex only. */
#define GMP_BLAS_COMPLEX(X, op, name) X(op, 'c', c##name) X(op, 'z', z##name)
#define GMP_BLAS_TYPES(X, op, name) \
	X(op, 's', s##name) X(op, 'd', d##name) GMP_BLAS_COMPLEX(X, op, name)
#define GMP_BLAS_ROUTINES(X) \
	GMP_BLAS_TYPES(X, DS_GEMM, gemm) GMP_BLAS_COMPLEX(X, DS_GEMM3M, gemm3m) \
	GMP_BLAS_TYPES(X, DS_SYMM, symm) GMP_BLAS_COMPLEX(X, DS_HEMM, hemm) \
	GMP_BLAS_TYPES(X, DS_SYRK, syrk) GMP_BLAS_COMPLEX(X, DS_HERK, herk) \
	GMP_BLAS_TYPES(X, DS_SYR2K, syr2k) GMP_BLAS_COMPLEX(X, DS_HER2K, her2k) \
	GMP_BLAS_TYPES(X, DS_TRMM, trmm) GMP_BLAS_TYPES(X, DS_TRSM, trsm)
/* clang-format on */

/* Entry points: routine * 2, + 1 for CBLAS. */
enum gmp_blas_routine {
#define X(op, type, name) GMP_BLAS_##name,
	GMP_BLAS_ROUTINES(X)
#undef X
		GMP_BLAS_NROUTINES,
	GMP_BLAS_SYMBOLS = 2 * GMP_BLAS_NROUTINES
};

/* ---- blas_args.c: constant tables, no state ---- */

/*
 * Reads the arguments of a call: the fields of `out` that the routine has, the others 0. x: the
 * vector registers, for CBLAS. False: they are not all valid, or there is nothing to compute;
 * the library decides.
 */
bool gmp_blas_decode(unsigned symbol, const gmp_word w[], const double x[2],
		     struct ds_blas_args *out);
/*
 * The range of memory that operand i (0: A, 1: B, 2: C) spans, taken as a full matrix. False:
 * the routine has no such operand, or the call does not touch it (A and B with alpha 0).
 */
bool gmp_blas_operand(const struct ds_blas_args *a, int i, const void **at, size_t *bytes);
/* The routine's m*n*k, for GMEM_BLAS_MIN. */
double gmp_blas_work(const struct ds_blas_args *a);

/* ---- blas_host.c ---- */

/* A BLAS library of this process; never unloaded, never freed. */
struct gmp_blas_lib {
	struct gmp_blas_lib *next;
	uintptr_t lo, hi;
	int (*get_threads)(void); /* NULL: it cannot be asked */
	bool usable;		  /* the device can load it and calls it with the right integers */
	char path[256];
};
struct gmp_blas_host {
	gmp_blas_fn *fn;
	struct gmp_blas_lib *lib;
	bool from_within; /* the caller is a part of that library */
};
/*
 * The function that ld.so would have bound the caller's symbol to without us: the first one in
 * the global scope behind us, else one among the caller's own dependencies; at last any that is
 * loaded, and libblas.so.3 (a caller that found the symbol by dlsym). Without any the process
 * ends as it would have, status 127. Remembered by calling object.
 */
struct gmp_blas_host gmp_blas_find(unsigned symbol, const void *caller);
const char *gmp_blas_name(unsigned symbol);

#endif
