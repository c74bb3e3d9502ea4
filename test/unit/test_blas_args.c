/*
 * The table of BLAS-3 arguments: what gmp_blas_decode() reads, accepts and refuses, and the
 * memory that operands span, for random calls of every routine by both interfaces, against the
 * definitions written out routine by routine. The source file is built into the test.
 */
#include "preload/blas/blas_args.c"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>

#include "random.h"
#include "test/gemm.h"

/* One call in the words of the definition: letters, and numbers as they are. */
struct given {
	unsigned symbol, op;
	char type;
	bool cblas, row;
	char side, uplo, ta, tb, diag;
	int32_t m, n, k, lda, ldb, ldc;
	double alpha[2], beta[2];
	float alpha_f[2], beta_f[2];
	char *a, *b, *c;
};

/* ---- the definitions ---- */

static bool is_gemm(const struct given *g)
{
	return g->op == DS_GEMM || g->op == DS_GEMM3M;
}

static bool one_of(char letter, const char *set)
{
	return letter && strchr(set, letter & ~0x20);
}
static bool is(char letter, char upper)
{
	return (letter & ~0x20) == upper;
}

static bool want_gemm(const struct given *g)
{
	bool na = is(g->ta, 'N'), nb = is(g->tb, 'N');

	if (!one_of(g->ta, "NTC") || !one_of(g->tb, "NTC") || g->m <= 0 || g->n <= 0 || g->k <= 0)
		return false;
	if (g->row)
		return g->lda >= (na ? g->k : g->m) && g->ldb >= (nb ? g->n : g->k) &&
		       g->ldc >= g->n;
	return g->lda >= (na ? g->m : g->k) && g->ldb >= (nb ? g->k : g->n) && g->ldc >= g->m;
}

static bool want_sided(const struct given *g)
{
	bool tri = g->op == DS_TRMM || g->op == DS_TRSM;
	int32_t line = g->row ? g->n : g->m;

	if (!one_of(g->side, "LR") || !one_of(g->uplo, "UL") || g->m <= 0 || g->n <= 0)
		return false;
	if (tri && (!one_of(g->ta, "NTC") || !one_of(g->diag, "UN")))
		return false;
	return g->lda >= (is(g->side, 'L') ? g->m : g->n) && g->ldb >= line &&
	       (tri || g->ldc >= line);
}

static bool want_rank(const struct given *g)
{
	bool hermitian = g->op == DS_HERK || g->op == DS_HER2K,
	     two = g->op == DS_SYR2K || g->op == DS_HER2K;
	bool real = g->type == 's' || g->type == 'd';
	int32_t line = is(g->ta, 'N') != g->row ? g->n : g->k;

	if (!one_of(g->uplo, "UL") ||
	    !one_of(g->ta, hermitian ? "NC"
			   : real    ? "NTC"
				     : "NT") ||
	    g->n <= 0 || g->k <= 0)
		return false;
	return g->lda >= line && (!two || g->ldb >= line) && g->ldc >= g->n;
}

static bool want_valid(const struct given *g)
{
	switch (g->op) {
	case DS_GEMM:
	case DS_GEMM3M:
		return want_gemm(g);
	case DS_SYRK:
	case DS_HERK:
	case DS_SYR2K:
	case DS_HER2K:
		return want_rank(g);
	default:
		return want_sided(g);
	}
}

/* End of the memory of a matrix of which every element (i, j) is visited, as stored. */
static size_t naive_bytes(const struct given *g, int32_t rows, int32_t cols, int32_t ld)
{
	size_t end = 0, elem = g->type == 's' ? 4 : g->type == 'z' ? 16 : 8;

	for (int32_t i = 0; i < rows; i++)
		for (int32_t j = 0; j < cols; j++) {
			size_t at = (size_t)(g->row ? i * ld + j : i + j * ld) * elem + elem;
			end = at > end ? at : end;
		}
	return end;
}

static void check_operand(const struct given *g, const struct ds_blas_args *a, int i,
			  const char *at, int32_t rows, int32_t cols, int32_t ld)
{
	const void *p = NULL;
	size_t bytes = 0;

	cr_assert(gmp_blas_operand(a, i, &p, &bytes), "%c op %u operand %d", g->type, g->op, i);
	cr_assert_eq(p, (const void *)at);
	cr_assert_eq(bytes, naive_bytes(g, rows, cols, ld), "%c op %u operand %d %s: %zu", g->type,
		     g->op, i, g->row ? "row" : "column", bytes);
}

static void check_no_operand(const struct ds_blas_args *a, int i)
{
	const void *p;
	size_t bytes;

	cr_assert_not(gmp_blas_operand(a, i, &p, &bytes), "op %d operand %d", a->op, i);
}

static void check_gemm_operands(const struct given *g, const struct ds_blas_args *a, bool zero)
{
	bool na = is(g->ta, 'N'), nb = is(g->tb, 'N');

	check_operand(g, a, 2, g->c, g->m, g->n, g->ldc);
	if (zero)
		return;
	check_operand(g, a, 0, g->a, na ? g->m : g->k, na ? g->k : g->m, g->lda);
	check_operand(g, a, 1, g->b, nb ? g->k : g->n, nb ? g->n : g->k, g->ldb);
}

static void check_sided_operands(const struct given *g, const struct ds_blas_args *a, bool zero)
{
	bool tri = g->op == DS_TRMM || g->op == DS_TRSM;
	int32_t order = is(g->side, 'L') ? g->m : g->n;

	if (!zero)
		check_operand(g, a, 0, g->a, order, order, g->lda);
	if (!zero || tri)
		check_operand(g, a, 1, g->b, g->m, g->n, g->ldb);
	if (tri)
		check_no_operand(a, 2);
	else
		check_operand(g, a, 2, g->c, g->m, g->n, g->ldc);
}

static void check_rank_operands(const struct given *g, const struct ds_blas_args *a, bool zero)
{
	bool n = is(g->ta, 'N'), two = g->op == DS_SYR2K || g->op == DS_HER2K;
	int32_t rows = n ? g->n : g->k, cols = n ? g->k : g->n;

	check_operand(g, a, 2, g->c, g->n, g->n, g->ldc);
	if (!zero)
		check_operand(g, a, 0, g->a, rows, cols, g->lda);
	if (!two)
		check_no_operand(a, 1);
	else if (!zero)
		check_operand(g, a, 1, g->b, rows, cols, g->ldb);
}

/* What is multiplied by 0 is not read. */
static void check_operands(const struct given *g, const struct ds_blas_args *a)
{
	bool zero = a->alpha[0] == 0 && a->alpha[1] == 0, gemm = is_gemm(g);
	bool rank = g->op >= DS_SYRK && g->op <= DS_HER2K;

	for (int i = 0; i < 2 && zero; i++)
		if (i == 0 || (g->op != DS_TRMM && g->op != DS_TRSM))
			check_no_operand(a, i);
	(gemm	? check_gemm_operands
	 : rank ? check_rank_operands
		: check_sided_operands)(g, a, zero);
}

static double want_work(const struct given *g)
{
	if (is_gemm(g))
		return (double)g->m * g->n * g->k;
	if (g->op >= DS_SYRK && g->op <= DS_HER2K)
		return (double)g->n * g->n * g->k;
	return (double)g->m * g->n * (is(g->side, 'L') ? g->m : g->n);
}

/* ---- the words of a call, as a caller passes them ---- */

static int32_t code(char letter, const char *letters, int32_t first)
{
	const char *p = letter ? strchr(letters, letter & ~0x20) : NULL;

	return p ? first + (int32_t)(p - letters) : 7;
}

struct words {
	gmp_word w[GMP_BLAS_WORDS];
	double x[2];
	unsigned nw, nx;
	bool cblas;
};

/* Integers leave the upper half of their word undefined. */
static void put_number(struct words *o, const int32_t *v)
{
	o->w[o->nw++] = o->cblas ? (uint32_t)*v | 0xabcd000000000000 : (gmp_word)v;
}
static void put_option(struct words *o, const char *letter, const char *letters, int32_t first)
{
	int32_t v = code(*letter, letters, first);

	if (o->cblas)
		put_number(o, &v);
	else
		o->w[o->nw++] = (gmp_word)letter;
}
static void put_pointer(struct words *o, const void *p)
{
	o->w[o->nw++] = (gmp_word)p;
}
static void put_scalar(struct words *o, const struct given *g, const double *d, const float *f,
		       bool real_even_so)
{
	bool single = g->type == 's' || g->type == 'c',
	     real = g->type == 's' || g->type == 'd' || real_even_so;

	if (!o->cblas || !real) {
		put_pointer(o, single ? (const void *)f : d);
		return;
	}
	o->x[o->nx] = NAN; /* whatever the upper half holds */
	memcpy(&o->x[o->nx++], single ? (const void *)f : d, single ? sizeof(*f) : sizeof(*d));
}

static void put_options(struct words *o, const struct given *g, bool rank, bool tri)
{
	if (!is_gemm(g) && !rank)
		put_option(o, &g->side, "LR", DS_LEFT);
	if (!is_gemm(g))
		put_option(o, &g->uplo, "UL", DS_UPPER);
	if (is_gemm(g) || rank || tri)
		put_option(o, &g->ta, "NTC", DS_NO_TRANS);
	if (is_gemm(g))
		put_option(o, &g->tb, "NTC", DS_NO_TRANS);
	if (tri)
		put_option(o, &g->diag, "NU", DS_NON_UNIT);
}

static struct words words_of(const struct given *g)
{
	struct words o = {.cblas = g->cblas};
	int32_t layout = g->row ? DS_ROW_MAJOR : DS_COL_MAJOR;
	bool rank = g->op >= DS_SYRK && g->op <= DS_HER2K,
	     tri = g->op == DS_TRMM || g->op == DS_TRSM;
	bool two = g->op != DS_SYRK && g->op != DS_HERK;

	if (g->cblas)
		put_number(&o, &layout);
	put_options(&o, g, rank, tri);
	if (!rank)
		put_number(&o, &g->m);
	put_number(&o, &g->n);
	if (is_gemm(g) || rank)
		put_number(&o, &g->k);
	put_scalar(&o, g, g->alpha, g->alpha_f, g->op == DS_HERK);
	put_pointer(&o, g->a);
	put_number(&o, &g->lda);
	if (two) {
		put_pointer(&o, g->b);
		put_number(&o, &g->ldb);
	}
	if (!tri) {
		put_scalar(&o, g, g->beta, g->beta_f, g->op == DS_HERK || g->op == DS_HER2K);
		put_pointer(&o, g->c);
		put_number(&o, &g->ldc);
	}
	return o;
}

/* ---- random calls ---- */

static int32_t pick(int32_t lo, int32_t hi)
{
	return lo + (int32_t)rng_below((unsigned)(hi - lo + 1));
}
static char letter_of(const char *set)
{
	return set[pick(0, (int32_t)strlen(set) - 1)];
}

static struct given random_call(unsigned symbol)
{
	struct given g = {
		.symbol = symbol,
		.op = routines[symbol / 2].op,
		.type = routines[symbol / 2].type,
		.cblas = symbol & 1,
		.row = (symbol & 1) && pick(0, 1),
		.side = letter_of("LRLRlrX"),
		.uplo = letter_of("ULULulN"),
		.ta = letter_of("NTCNTCntcR"),
		.tb = letter_of("NTCNTCntcR"),
		.diag = letter_of("NUNUnuT"),
		.m = pick(-1, 9),
		.n = pick(-1, 9),
		.k = pick(-1, 9),
		.lda = pick(3, 14),
		.ldb = pick(3, 14),
		.ldc = pick(3, 14),
		.a = (char *)0x1000,
		.b = (char *)0x2000,
		.c = (char *)0x3000,
	};
	for (int i = 0; i < 2; i++) {
		g.alpha_f[i] = (float)(g.alpha[i] = pick(-1, 1) * 0.5);
		g.beta_f[i] = (float)(g.beta[i] = pick(-1, 1) * 0.25);
	}
	return g;
}

/* Those that the routine has. */
static void check_options(const struct given *g, const struct ds_blas_args *a)
{
	if (a->uplo)
		cr_assert_eq(a->uplo, is(g->uplo, 'U') ? DS_UPPER : DS_LOWER);
	if (a->side)
		cr_assert_eq(a->side, is(g->side, 'L') ? DS_LEFT : DS_RIGHT);
	if (a->diag)
		cr_assert_eq(a->diag, is(g->diag, 'U') ? DS_UNIT : DS_NON_UNIT);
	if (a->transa)
		cr_assert_eq(a->transa, code(g->ta, "NTC", DS_NO_TRANS));
	if (a->transb)
		cr_assert_eq(a->transb, code(g->tb, "NTC", DS_NO_TRANS));
}

static void check_fields(const struct given *g, const struct ds_blas_args *a)
{
	bool real = g->type == 's' || g->type == 'd';
	bool tri = g->op == DS_TRMM || g->op == DS_TRSM;

	cr_assert_eq(a->op, g->op);
	cr_assert_eq(a->type, g->type);
	cr_assert_eq(a->layout, g->row ? DS_ROW_MAJOR : DS_COL_MAJOR);
	cr_assert_eq(a->alpha[0], g->alpha[0]);
	cr_assert_eq(a->alpha[1], real || g->op == DS_HERK ? 0 : g->alpha[1]);
	cr_assert_eq(a->beta[0], tri ? 0 : g->beta[0]);
	cr_assert_eq(a->beta[1],
		     tri || real || g->op == DS_HERK || g->op == DS_HER2K ? 0 : g->beta[1]);
	cr_assert_eq(a->a, (const void *)g->a);
	cr_assert_eq(gmp_blas_work(a), want_work(g));
	check_options(g, a);
}

Test(blas_args, random_calls_are_read_checked_and_measured_as_defined)
{
	rng_seed("blas_args");
	for (unsigned symbol = 0; symbol < GMP_BLAS_SYMBOLS; symbol++) {
		unsigned valid = 0;
		for (int i = 0; i < 4000; i++) {
			struct given g = random_call(symbol);
			struct words o = words_of(&g);
			struct ds_blas_args a;
			bool got = gmp_blas_decode(symbol, o.w, o.x, &a);
			cr_assert_eq(got, want_valid(&g),
				     "%c op %u %s: %c%c%c%c%c m %d n %d k %d ld %d %d %d: %d",
				     g.type, g.op,
				     g.row     ? "row"
				     : g.cblas ? "column"
					       : "fortran",
				     g.side, g.uplo, g.ta, g.tb, g.diag, g.m, g.n, g.k, g.lda,
				     g.ldb, g.ldc, got);
			if (!got)
				continue;
			valid++;
			check_fields(&g, &a);
			check_operands(&g, &a);
		}
		cr_assert_gt(valid, 100, "symbol %u", symbol);
	}
}

Test(blas_args, every_routine_has_its_types)
{
	unsigned of_op[DS_BLAS_OPS] = {0};

	for (unsigned i = 0; i < GMP_BLAS_NROUTINES; i++)
		of_op[routines[i].op]++;
	for (unsigned op = 0; op < DS_BLAS_OPS; op++)
		cr_expect_eq(
			of_op[op],
			op == DS_HEMM || op == DS_HERK || op == DS_HER2K || op == DS_GEMM3M ? 2 : 4,
			"op %u", op);
	cr_expect_eq(GMP_BLAS_NROUTINES, 32);
}

/* The largest numbers that the interface can carry neither wrap nor come out small. */
Test(blas_args, sizes_do_not_overflow)
{
	const int32_t big = INT32_MAX;
	struct given g = {.symbol = 2 * GMP_BLAS_zgemm, .op = DS_GEMM, .type = 'z', .alpha = {1}};
	g.ta = g.tb = 'N';
	g.m = g.n = g.k = g.lda = g.ldb = g.ldc = big;
	struct words o = words_of(&g);
	struct ds_blas_args a;
	const void *p;
	size_t bytes;

	cr_assert(gmp_blas_decode(g.symbol, o.w, o.x, &a));
	for (int i = 0; i < 3; i++) {
		cr_assert(gmp_blas_operand(&a, i, &p, &bytes));
		cr_expect_eq(bytes, SIZE_MAX);
	}
	cr_expect_float_eq(cbrt(gmp_blas_work(&a)), (double)big, 1);
}

/* alpha 0 is what counts, not how it is written: -0 too; NaN is not 0. */
Test(blas_args, operands_count_by_alpha)
{
	static const struct {
		double alpha[2];
		bool read;
	} table[] = {{{0, 0}, false}, {{-0.0, 0}, false}, {{NAN, 0}, true}, {{0, 1e-300}, true}};
	const void *p;
	size_t bytes;

	for (unsigned i = 0; i < GM_ARRAY_LEN(table); i++) {
		struct ds_blas_args a = square_gemm('z', DS_COL_MAJOR, 1);
		memcpy(a.alpha, table[i].alpha, sizeof(a.alpha));
		cr_expect_eq(gmp_blas_operand(&a, 0, &p, &bytes), table[i].read, "row %u", i);
		cr_expect_eq(gmp_blas_operand(&a, 1, &p, &bytes), table[i].read, "row %u", i);
		cr_expect(gmp_blas_operand(&a, 2, &p, &bytes));
	}
}
