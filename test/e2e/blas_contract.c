/*
 * blas_contract.c - every BLAS-3 routine in every type, through Fortran (with and without hidden
 * lengths) and CBLAS (both orders), with all options, odd leading dimensions, and alpha and beta
 * 0, 1 and other; C is full of NaN when beta is 0, A and B when alpha is 0. Prints checksums of
 * the exact bytes of what was written and all around it. Then every argument wrong in turn, in a
 * child each, for xerbla may end the process.
 *
 * A plain program: the output must be the same under GMEM. Last line: how many calls were worth
 * a device. usage: blas_contract [calls|errors]
 */
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { GEMM, SYMM, HEMM, SYRK, HERK, SYR2K, HER2K, TRMM, TRSM };
enum { FORTRAN, FORTRAN_C /* as C calls it: without lengths */, ROW, COL, FACES };
static const char *const face_name[FACES] = {"fortran", "fortran-c", "row", "col"};

#define TYPES(X, OP, name)                                                                         \
	X(OP, 's', s##name) X(OP, 'd', d##name) X(OP, 'c', c##name) X(OP, 'z', z##name)
#define HTYPES(X, OP, name) X(OP, 'c', c##name) X(OP, 'z', z##name)
#define ROUTINES(X)                                                                                \
	TYPES(X, GEMM, gemm)                                                                       \
	TYPES(X, SYMM, symm)                                                                       \
	HTYPES(X, HEMM, hemm)                                                                      \
	TYPES(X, SYRK, syrk)                                                                       \
	HTYPES(X, HERK, herk)                                                                      \
	TYPES(X, SYR2K, syr2k)                                                                     \
	HTYPES(X, HER2K, her2k)                                                                    \
	TYPES(X, TRMM, trmm)                                                                       \
	TYPES(X, TRSM, trsm)

typedef void fn(void);
#define X(op, type, name) extern fn name##_, cblas_##name;
ROUTINES(X)
#undef X
static const struct routine {
	int op;
	char type;
	const char *name;
	fn *fortran, *cblas;
} routines[] = {
#define X(op, type, name) {op, type, #name, name##_, cblas_##name},
	ROUTINES(X)
#undef X
};

/* One call; options are Fortran's letters. */
struct call {
	const struct routine *r;
	int face;
	char layout_ok, side, uplo, ta, tb, diag;
	int m, n, k, lda, ldb, ldc;
	double alpha[2], beta[2];
	void *a, *b, *c;
};

/* ---- the calls, each by its true prototype ---- */

union num {
	float s[2];
	double d[2];
};

static union num num(char type, const double *v)
{
	union num u;

	if (type == 's' || type == 'c') {
		u.s[0] = (float)v[0];
		u.s[1] = (float)v[1];
	} else {
		u.d[0] = v[0];
		u.d[1] = v[1];
	}
	return u;
}

static int en(char letter, int n, int t, int c)
{
	return letter == 'N' ? n : letter == 'T' ? t : letter == 'C' ? c : 7;
}
static int tr(char l)
{
	return en(l, 111, 112, 113);
}
static int up(char l)
{
	return l == 'U' ? 121 : l == 'L' ? 122 : 7;
}
static int dg(char l)
{
	return l == 'N' ? 131 : l == 'U' ? 132 : 7;
}
static int sd(char l)
{
	return l == 'L' ? 141 : l == 'R' ? 142 : 7;
}

#define P	  const void *
#define TYPES_10  P, P, P, P, P, P, P, P, P, P
#define TYPES_11  TYPES_10, P
#define TYPES_12  TYPES_11, P
#define TYPES_13  TYPES_12, P
#define L2	  size_t, size_t
#define L4	  L2, L2
#define LENGTHS_2 (size_t)1, (size_t)1
#define LENGTHS_4 LENGTHS_2, LENGTHS_2

static void call_fortran(const struct call *x)
{
	union num al = num(x->r->type, x->alpha), be = num(x->r->type, x->beta);
	fn *f = x->r->fortran;
	bool hidden = x->face == FORTRAN;

	switch (x->r->op) {
	case GEMM:
		if (hidden)
			((void (*)(TYPES_13, L2))f)(&x->ta, &x->tb, &x->m, &x->n, &x->k, &al, x->a,
						    &x->lda, x->b, &x->ldb, &be, x->c, &x->ldc,
						    LENGTHS_2);
		else
			((void (*)(TYPES_13))f)(&x->ta, &x->tb, &x->m, &x->n, &x->k, &al, x->a,
						&x->lda, x->b, &x->ldb, &be, x->c, &x->ldc);
		break;
	case SYMM:
	case HEMM:
		if (hidden)
			((void (*)(TYPES_12, L2))f)(&x->side, &x->uplo, &x->m, &x->n, &al, x->a,
						    &x->lda, x->b, &x->ldb, &be, x->c, &x->ldc,
						    LENGTHS_2);
		else
			((void (*)(TYPES_12))f)(&x->side, &x->uplo, &x->m, &x->n, &al, x->a,
						&x->lda, x->b, &x->ldb, &be, x->c, &x->ldc);
		break;
	case SYRK:
	case HERK:
		if (hidden)
			((void (*)(TYPES_10, L2))f)(&x->uplo, &x->ta, &x->n, &x->k, &al, x->a,
						    &x->lda, &be, x->c, &x->ldc, LENGTHS_2);
		else
			((void (*)(TYPES_10))f)(&x->uplo, &x->ta, &x->n, &x->k, &al, x->a, &x->lda,
						&be, x->c, &x->ldc);
		break;
	case SYR2K:
	case HER2K:
		if (hidden)
			((void (*)(TYPES_12, L2))f)(&x->uplo, &x->ta, &x->n, &x->k, &al, x->a,
						    &x->lda, x->b, &x->ldb, &be, x->c, &x->ldc,
						    LENGTHS_2);
		else
			((void (*)(TYPES_12))f)(&x->uplo, &x->ta, &x->n, &x->k, &al, x->a, &x->lda,
						x->b, &x->ldb, &be, x->c, &x->ldc);
		break;
	default:
		if (hidden)
			((void (*)(TYPES_11, L4))f)(&x->side, &x->uplo, &x->ta, &x->diag, &x->m,
						    &x->n, &al, x->a, &x->lda, x->b, &x->ldb,
						    LENGTHS_4);
		else
			((void (*)(TYPES_11))f)(&x->side, &x->uplo, &x->ta, &x->diag, &x->m, &x->n,
						&al, x->a, &x->lda, x->b, &x->ldb);
	}
}

/* S: the type of a scalar, R: of a real one (beta of herk and her2k, alpha of herk). */
#define CBLAS(S, R, alpha, beta, real_alpha, real_beta)                                            \
	do {                                                                                       \
		switch (x->r->op) {                                                                \
		case GEMM:                                                                         \
			((void (*)(int, int, int, int, int, int, S, P, int, P, int, S, P, int))f)( \
				layout, tr(x->ta), tr(x->tb), x->m, x->n, x->k, alpha, x->a,       \
				x->lda, x->b, x->ldb, beta, x->c, x->ldc);                         \
			break;                                                                     \
		case SYMM:                                                                         \
		case HEMM:                                                                         \
			((void (*)(int, int, int, int, int, S, P, int, P, int, S, P, int))f)(      \
				layout, sd(x->side), up(x->uplo), x->m, x->n, alpha, x->a, x->lda, \
				x->b, x->ldb, beta, x->c, x->ldc);                                 \
			break;                                                                     \
		case SYRK:                                                                         \
			((void (*)(int, int, int, int, int, S, P, int, S, P, int))f)(              \
				layout, up(x->uplo), tr(x->ta), x->n, x->k, alpha, x->a, x->lda,   \
				beta, x->c, x->ldc);                                               \
			break;                                                                     \
		case HERK:                                                                         \
			((void (*)(int, int, int, int, int, R, P, int, R, P, int))f)(              \
				layout, up(x->uplo), tr(x->ta), x->n, x->k, real_alpha, x->a,      \
				x->lda, real_beta, x->c, x->ldc);                                  \
			break;                                                                     \
		case SYR2K:                                                                        \
			((void (*)(int, int, int, int, int, S, P, int, P, int, S, P, int))f)(      \
				layout, up(x->uplo), tr(x->ta), x->n, x->k, alpha, x->a, x->lda,   \
				x->b, x->ldb, beta, x->c, x->ldc);                                 \
			break;                                                                     \
		case HER2K:                                                                        \
			((void (*)(int, int, int, int, int, S, P, int, P, int, R, P, int))f)(      \
				layout, up(x->uplo), tr(x->ta), x->n, x->k, alpha, x->a, x->lda,   \
				x->b, x->ldb, real_beta, x->c, x->ldc);                            \
			break;                                                                     \
		default:                                                                           \
			((void (*)(int, int, int, int, int, int, int, S, P, int, P, int))f)(       \
				layout, sd(x->side), up(x->uplo), tr(x->ta), dg(x->diag), x->m,    \
				x->n, alpha, x->a, x->lda, x->b, x->ldb);                          \
		}                                                                                  \
	} while (0)

static void call_cblas(const struct call *x)
{
	union num al = num(x->r->type, x->alpha), be = num(x->r->type, x->beta);
	int layout = !x->layout_ok ? 7 : x->face == ROW ? 101 : 102;
	fn *f = x->r->cblas;

	switch (x->r->type) {
	case 's':
		CBLAS(float, float, al.s[0], be.s[0], al.s[0], be.s[0]);
		break;
	case 'd':
		CBLAS(double, double, al.d[0], be.d[0], al.d[0], be.d[0]);
		break;
	case 'c':
		CBLAS(P, float, &al, &be, al.s[0], be.s[0]);
		break;
	default:
		CBLAS(P, double, &al, &be, al.d[0], be.d[0]);
	}
}

static void make(const struct call *x)
{
	if (x->face == ROW || x->face == COL)
		call_cblas(x);
	else
		call_fortran(x);
}

/* ---- matrices ---- */

enum { BIG = 113, ROOM = (BIG + 40) * (BIG + 40) * 16 };
static char *room[3];
static long calls;

static size_t elem(char type)
{
	return type == 's' ? 4 : type == 'z' ? 16 : 8;
}

/* Numbers that come out the same on every run; nan: the whole room is not a number. */
static void fill(char *p, size_t elements, char type, unsigned seed, bool nan)
{
	bool single = type == 's' || type == 'c';
	size_t n = elements * elem(type) / (single ? 4 : 8);

	for (size_t i = 0; i < n; i++) {
		seed = seed * 1664525 + 1013904223;
		double v = nan ? (double)NAN : (double)(seed >> 8) / (1 << 24) - 0.5;
		if (single)
			((float *)(void *)p)[i] = (float)v;
		else
			((double *)(void *)p)[i] = v;
	}
}

/* A triangle that can be divided by. */
static void dominate(char *p, int n, int ld, char type)
{
	for (int i = 0; i < n; i++) {
		char *at = p + (size_t)i * (size_t)(ld + 1) * elem(type);
		if (type == 's' || type == 'c')
			*(float *)(void *)at += 9;
		else
			*(double *)(void *)at += 9;
	}
}

static uint64_t hash(uint64_t h, const void *p, size_t n)
{
	const unsigned char *c = p;

	for (size_t i = 0; i < n; i++)
		h = (h ^ c[i]) * 0x100000001b3;
	return h;
}

static int max(int a, int b)
{
	return a > b ? a : b;
}

/* Leading dimensions that are enough in any order, and odd. */
static void set_ld(struct call *x)
{
	x->lda = (max(max(x->m, x->n), x->k) + 3) | 1;
	x->ldb = x->lda + 4;
	x->ldc = x->lda + 10;
	x->a = room[0];
	x->b = room[1];
	x->c = room[2];
}

static uint64_t run(struct call x, uint64_t h)
{
	bool in_place = x.r->op == TRMM || x.r->op == TRSM;
	bool zero_alpha = x.alpha[0] == 0 && x.alpha[1] == 0,
	     zero_beta = x.beta[0] == 0 && x.beta[1] == 0;

	set_ld(&x);
	size_t lines = (size_t)max(max(x.m, x.n), x.k), na = lines * (size_t)x.lda,
	       nb = lines * (size_t)x.ldb, nc = lines * (size_t)x.ldc;
	fill(x.a, na, x.r->type, 1, zero_alpha);
	if (!zero_alpha)
		dominate(x.a, (int)lines, x.lda, x.r->type);
	fill(x.b, nb, x.r->type, 2, zero_alpha);
	fill(x.c, nc, x.r->type, 3, zero_beta);
	make(&x);
	bool rank = x.r->op >= SYRK && x.r->op <= HER2K;
	calls += (rank || x.m > 0) && x.n > 0 && (x.k > 0 || (x.r->op != GEMM && !rank));
	return hash(h, in_place ? x.b : x.c, (in_place ? nb : nc) * elem(x.r->type));
}

/* ---- all calls ---- */

static const double scalars[3][2] = {{0, 0}, {1, 0}, {0.75, -0.5}};
static const int sizes[][3] = {{37, 29, 33}, {1, 1, 1}, {5, BIG, 64}, {0, 7, 5}, {9, 4, 0}};

/* All sizes and scalars of a call whose options are set. */
static void vary(struct call x)
{
	bool in_place = x.r->op == TRMM || x.r->op == TRSM;
	uint64_t h = 0xcbf29ce484222325;

	for (unsigned s = 0; s < (x.face == FORTRAN_C ? 1 : sizeof sizes / sizeof *sizes); s++)
		for (int al = 0; al < 3; al++)
			for (int be = 0; be < (in_place ? 1 : 3); be++) {
				x.m = sizes[s][0];
				x.n = sizes[s][1];
				x.k = sizes[s][2];
				memcpy(x.alpha, scalars[al], sizeof x.alpha);
				memcpy(x.beta, scalars[be], sizeof x.beta);
				h = run(x, h);
			}
	printf("%s %s %c%c%c%c%c %016llx\n", x.r->name, face_name[x.face], x.side, x.uplo, x.ta,
	       x.tb, x.diag, (unsigned long long)h);
}

/* The letters that an option of a routine can have; "-": it has none. (16 branches: the letters of
 * BLAS.) */
static const char *letters(const struct routine *r, char option)
{
	bool is_complex = r->type == 'c' || r->type == 'z';
	bool rank = r->op >= SYRK && r->op <= HER2K, tri = r->op >= TRMM,
	     sided = tri || r->op == SYMM || r->op == HEMM;

	const char *ranks = r->op == HERK || r->op == HER2K ? "NC" : is_complex ? "NT" : "NTC";

	switch (option) {
	case 's':
		return sided ? "LR" : "-";
	case 'u':
		return r->op == GEMM ? "-" : "UL";
	case 'a':
		return rank ? ranks : sided && !tri ? "-" : "NTC";
	case 'b':
		return r->op == GEMM ? "NTC" : "-";
	default:
		return tri ? "NU" : "-";
	}
}

static void all_calls(const struct routine *r)
{
	for (int face = 0; face < FACES; face++)
		for (const char *s = letters(r, 's'); *s; s++)
			for (const char *u = letters(r, 'u'); *u; u++)
				for (const char *a = letters(r, 'a'); *a; a++)
					for (const char *b = letters(r, 'b'); *b; b++)
						for (const char *d = letters(r, 'd'); *d; d++)
							vary((struct call){.r = r,
									   .face = face,
									   .layout_ok = 1,
									   .side = *s,
									   .uplo = *u,
									   .ta = *a,
									   .tb = *b,
									   .diag = *d});
}

/* ---- wrong arguments ---- */

static void wrong(struct call x, const char *what)
{
	int status;

	fill(x.c, 64, x.r->type, 3, false);
	printf("%s %s, wrong %s:\n", x.r->name, face_name[x.face], what);
	fflush(stdout);
	pid_t pid = fork();
	if (!pid) {
		make(&x);
		printf("returned, %016llx %016llx\n", (unsigned long long)hash(0, x.b, 256),
		       (unsigned long long)hash(0, x.c, 256));
		fflush(stdout);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	printf("status %x\n", status);
}

static void all_errors(const struct routine *r)
{
	for (int face = 0; face < FACES; face++) {
		struct call good = {.r = r,
				    .face = face,
				    .layout_ok = 1,
				    .side = 'L',
				    .uplo = 'U',
				    .ta = 'N',
				    .tb = 'N',
				    .diag = 'N',
				    .m = 6,
				    .n = 5,
				    .k = 4,
				    .alpha = {1},
				    .beta = {1}},
			    x;
		set_ld(&good);
		fill(good.a, 256, r->type, 1, false);
		fill(good.b, 256, r->type, 2, false);
#define WRONG(what, change)                                                                        \
	x = good;                                                                                  \
	change;                                                                                    \
	wrong(x, what);
		if (face >= ROW) {
			WRONG("layout", x.layout_ok = 0)
		}
		WRONG("side", x.side = 'X')
		WRONG("uplo", x.uplo = 'X')
		WRONG("transa", x.ta = 'X')
		WRONG("transb", x.tb = 'X')
		WRONG("diag", x.diag = 'X')
		WRONG("m", x.m = -1)
		WRONG("n", x.n = -1)
		WRONG("k", x.k = -1)
		WRONG("lda", x.lda = 3)
		WRONG("ldb", x.ldb = 3)
		WRONG("ldc", x.ldc = 3)
		WRONG("everything", x.layout_ok = x.side = x.uplo = x.ta = x.tb = x.diag = 0;
		      x.m = x.n = x.k = -1; x.lda = x.ldb = x.ldc = 0)
		if (r->op >= SYRK && r->op <= HER2K) {
			WRONG("kind of transposition",
			      x.ta = r->op == HERK || r->op == HER2K ? 'T' : 'C')
		}
	}
}

int main(int argc, char **argv)
{
	bool errors = argc > 1 && !strcmp(argv[1], "errors");

	for (int i = 0; i < 3; i++)
		room[i] = aligned_alloc(4096, ROOM + 4096 - ROOM % 4096);
	for (unsigned i = 0; i < sizeof routines / sizeof *routines; i++)
		if (errors)
			all_errors(&routines[i]);
		else
			all_calls(&routines[i]);
	if (!errors)
		printf("calls %ld\n", calls);
	return 0;
}
