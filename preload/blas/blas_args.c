/*
 * blas_args.c - what the arguments of a BLAS-3 call mean: decoding, validation, extents and
 * work, all from one table that gives each routine's arguments in order and the dimensions of
 * its matrices.
 */
#include "preload/blas/blas.h"

#include <string.h>

/* Both interfaces have the same order; CBLAS begins with the layout. */
enum role {
	END,
	LAYOUT,
	SIDE,
	UPLO,
	TRANSA,
	TRANSB,
	DIAG,
	M,
	N,
	K,
	ALPHA,
	A,
	LDA,
	B,
	LDB,
	BETA,
	C,
	LDC,
	ORDER, /* not an argument but a dimension: that of the matrix that stands at `side` */
};

enum kind { OPTION, NUMBER, SCALAR, POINTER };
static const struct {
	uint8_t kind, at;
	struct {
		char letter;
		uint8_t value;
	} option[3]; /* in Fortran and in CBLAS */
} roles[] = {
/* clang-format off */
#define ROLE(k, field) .kind = (k), .at = offsetof(struct ds_blas_args, field)
	[LAYOUT] = {ROLE(OPTION, layout), .option = {{0, DS_ROW_MAJOR}, {0, DS_COL_MAJOR}}},
	[SIDE]   = {ROLE(OPTION, side),   .option = {{'L', DS_LEFT}, {'R', DS_RIGHT}}},
	[UPLO]   = {ROLE(OPTION, uplo),   .option = {{'U', DS_UPPER}, {'L', DS_LOWER}}},
	[TRANSA] = {ROLE(OPTION, transa),
		    .option = {{'N', DS_NO_TRANS}, {'T', DS_TRANS}, {'C', DS_CONJ_TRANS}}},
	[TRANSB] = {ROLE(OPTION, transb),
		    .option = {{'N', DS_NO_TRANS}, {'T', DS_TRANS}, {'C', DS_CONJ_TRANS}}},
	[DIAG]   = {ROLE(OPTION, diag),   .option = {{'N', DS_NON_UNIT}, {'U', DS_UNIT}}},
	[M]      = {ROLE(NUMBER, m)},
	[N]      = {ROLE(NUMBER, n)},
	[K]      = {ROLE(NUMBER, k)},
	[ALPHA]  = {ROLE(SCALAR, alpha)},
	[A]      = {ROLE(POINTER, a)},
	[LDA]    = {ROLE(NUMBER, lda)},
	[B]      = {ROLE(POINTER, b)},
	[LDB]    = {ROLE(NUMBER, ldb)},
	[BETA]   = {ROLE(SCALAR, beta)},
	[C]      = {ROLE(POINTER, c)},
	[LDC]    = {ROLE(NUMBER, ldc)},
#undef ROLE
	/* clang-format on */
};

struct matrix {
	uint8_t rows, cols; /* dimensions; rows END: the routine has no such matrix */
	uint8_t flip;	    /* the option that exchanges them, or END */
};
struct shape {
	uint8_t arg[16];
	struct matrix matrix[3]; /* A, B, C as they are stored */
	uint8_t work[3];	 /* the product of these */
	bool real_alpha, real_beta;
	uint8_t no_trans; /* this option does not exist for complex types */
};
/* clang-format off */
#define ARGS_SYMM	   .arg = {SIDE, UPLO, M, N, ALPHA, A, LDA, B, LDB, BETA, C, LDC}
#define ARGS_SYRK	   .arg = {UPLO, TRANSA, N, K, ALPHA, A, LDA, BETA, C, LDC}
#define ARGS_SYR2K	   .arg = {UPLO, TRANSA, N, K, ALPHA, A, LDA, B, LDB, BETA, C, LDC}
#define ARGS_TRMM	   .arg = {SIDE, UPLO, TRANSA, DIAG, M, N, ALPHA, A, LDA, B, LDB}
#define SHAPE_GEMM	   .arg = {TRANSA, TRANSB, M, N, K, ALPHA, A, LDA, B, LDB, BETA, C, LDC}, \
			   .matrix = {FLIPPED(M, K, TRANSA), FLIPPED(K, N, TRANSB), DIM(M, N)}, \
			   .work = {M, N, K}
#define DIM(r, c)	   {.rows = (r), .cols = (c)}
#define FLIPPED(r, c, o)   {.rows = (r), .cols = (c), .flip = (o)}
#define NO_MATRIX	   {.rows = END}
static const struct shape shapes[DS_BLAS_OPS] = {
	[DS_GEMM]  = {SHAPE_GEMM},
	[DS_GEMM3M] = {SHAPE_GEMM},
	[DS_SYMM]  = {ARGS_SYMM, .matrix = {DIM(ORDER, ORDER), DIM(M, N), DIM(M, N)},
		      .work = {M, N, ORDER}},
	[DS_HEMM]  = {ARGS_SYMM, .matrix = {DIM(ORDER, ORDER), DIM(M, N), DIM(M, N)},
		      .work = {M, N, ORDER}},
	[DS_SYRK]  = {ARGS_SYRK, .matrix = {FLIPPED(N, K, TRANSA), NO_MATRIX, DIM(N, N)},
		      .work = {N, N, K}, .no_trans = DS_CONJ_TRANS},
	[DS_HERK]  = {ARGS_SYRK, .matrix = {FLIPPED(N, K, TRANSA), NO_MATRIX, DIM(N, N)},
		      .work = {N, N, K}, .no_trans = DS_TRANS,
		      .real_alpha = true, .real_beta = true},
	[DS_SYR2K] = {ARGS_SYR2K,
		      .matrix = {FLIPPED(N, K, TRANSA), FLIPPED(N, K, TRANSA), DIM(N, N)},
		      .work = {N, N, K}, .no_trans = DS_CONJ_TRANS},
	[DS_HER2K] = {ARGS_SYR2K,
		      .matrix = {FLIPPED(N, K, TRANSA), FLIPPED(N, K, TRANSA), DIM(N, N)},
		      .work = {N, N, K}, .no_trans = DS_TRANS, .real_beta = true},
	[DS_TRMM]  = {ARGS_TRMM, .matrix = {DIM(ORDER, ORDER), DIM(M, N)}, .work = {M, N, ORDER}},
	[DS_TRSM]  = {ARGS_TRMM, .matrix = {DIM(ORDER, ORDER), DIM(M, N)}, .work = {M, N, ORDER}},
};
/* clang-format on */

static const struct {
	uint8_t op;
	char type;
} routines[GMP_BLAS_NROUTINES] = {
#define X(op, type, name) {op, type},
	GMP_BLAS_ROUTINES(X)
#undef X
};

static void *field(struct ds_blas_args *a, unsigned role)
{
	return (char *)a + roles[role].at;
}

static int32_t value_of_word(const struct ds_blas_args *a, unsigned role)
{
	if (role == ORDER)
		role = a->side == DS_LEFT ? M : N;
	return *(const int32_t *)field((struct ds_blas_args *)a, role);
}

static bool is_complex(const struct ds_blas_args *a)
{
	return a->type == 'c' || a->type == 'z';
}

/* ---- decoding ---- */

static bool read_option(unsigned role, bool cblas, gmp_word w, int32_t *out)
{
	char letter = cblas ? 0 : *(const char *)w & ~0x20; /* upper case */

	for (unsigned i = 0; i < GM_ARRAY_LEN(roles[role].option); i++) {
		int32_t v = roles[role].option[i].value;
		if (v && (cblas ? (int32_t)w == v : letter == roles[role].option[i].letter)) {
			*out = v;
			return true;
		}
	}
	return false;
}

static void read_scalar(const struct ds_blas_args *a, bool real, const void *at, double *out)
{
	bool single = a->type == 's' || a->type == 'c';

	for (int i = 0; i < (real ? 1 : 2); i++)
		out[i] = single ? (double)((const float *)at)[i] : ((const double *)at)[i];
}

/* Fortran passes everything by address; CBLAS passes real scalars in vector registers (single
 * precision in the low half). */
static bool read_args(struct ds_blas_args *a, bool cblas, const gmp_word w[], const double x[2])
{
	const struct shape *s = &shapes[a->op];

	a->layout = DS_COL_MAJOR;
	if (cblas && !read_option(LAYOUT, true, *w++, &a->layout))
		return false;
	for (const uint8_t *role = s->arg; *role; role++) {
		bool real = !is_complex(a) || (*role == ALPHA ? s->real_alpha : s->real_beta);
		void *to = field(a, *role);

		if (roles[*role].kind == SCALAR && real && cblas) {
			read_scalar(a, true, x++, to);
			continue;
		}
		gmp_word word = *w++;
		switch ((enum kind)roles[*role].kind) {
		case OPTION:
			if (!read_option(*role, cblas, word, to))
				return false;
			break;
		case NUMBER:
			*(int32_t *)to = cblas ? (int32_t)word : *(const int32_t *)word;
			break;
		case SCALAR:
			read_scalar(a, real, (const void *)word, to);
			break;
		case POINTER:
			memcpy(to, &word, sizeof(word));
			break;
		}
	}
	return true;
}

/* ---- the matrices ---- */

static const uint8_t leading[3] = {LDA, LDB, LDC};

/* Lines of a matrix as they lie in memory (columns, or rows in row-major order), and elements in
 * each. */
static void lines_of(const struct ds_blas_args *a, const struct matrix *x, int32_t *lines,
		     int32_t *len)
{
	int32_t rows = value_of_word(a, x->rows), cols = value_of_word(a, x->cols);
	bool flipped = x->flip && value_of_word(a, x->flip) != DS_NO_TRANS;
	bool by_rows = a->layout == DS_ROW_MAJOR;

	*lines = by_rows != flipped ? rows : cols;
	*len = by_rows != flipped ? cols : rows;
}

static bool is_valid_call(const struct ds_blas_args *a)
{
	const struct shape *s = &shapes[a->op];

	if (is_complex(a) && s->no_trans && a->transa == s->no_trans)
		return false;
	for (unsigned i = 0; i < GM_ARRAY_LEN(s->work); i++)
		if (value_of_word(a, s->work[i]) <= 0)
			return false;
	for (unsigned i = 0; i < GM_ARRAY_LEN(s->matrix); i++) {
		int32_t lines, len;
		if (!s->matrix[i].rows)
			continue;
		lines_of(a, &s->matrix[i], &lines, &len);
		if (value_of_word(a, leading[i]) < len)
			return false;
	}
	return true;
}

bool gmp_blas_decode(unsigned symbol, const gmp_word w[], const double x[2],
		     struct ds_blas_args *out)
{
	*out = (struct ds_blas_args){.op = routines[symbol / 2].op,
				     .type = routines[symbol / 2].type};
	return read_args(out, symbol & 1, w, x) && is_valid_call(out);
}

bool gmp_blas_operand(const struct ds_blas_args *a, int i, const void **at, size_t *bytes)
{
	const struct matrix *x = &shapes[a->op].matrix[i];
	bool written = i == (shapes[a->op].matrix[2].rows ? 2 : 1);
	int32_t lines, len;
	const void *const matrix[3] = {a->a, a->b, a->c};

	if (!x->rows || (!written && a->alpha[0] == 0 && a->alpha[1] == 0))
		return false;
	lines_of(a, x, &lines, &len);
	/* Below 2^66; what does not fit is no memory that anybody has. */
	unsigned __int128 size =
		(unsigned __int128)(lines - 1) * (unsigned)value_of_word(a, leading[i]) +
		(unsigned)len;
	size *= ds_blas_elem_bytes(a->type);
	*at = matrix[i];
	*bytes = size > SIZE_MAX ? SIZE_MAX : (size_t)size;
	return true;
}

double gmp_blas_work(const struct ds_blas_args *a)
{
	const uint8_t *d = shapes[a->op].work;

	return (double)value_of_word(a, d[0]) * value_of_word(a, d[1]) * value_of_word(a, d[2]);
}
