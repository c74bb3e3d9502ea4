/*
 * The built-in kernel "blas": every routine, type, order and option gives bit for bit what CBLAS
 * gives on the host, and a call that is lost half-way can be undone from its journal.
 */
#include "device.h"
#include "test/gemm.h"
#include <dlfcn.h>
#include <pthread.h>

static struct gm_sim *sim;
static void *lib;

static void set_up(void)
{
	lib = dlopen("libopenblas.so.0", RTLD_NOW);
	if (!lib)
		lib = dlopen("libblas.so.3", RTLD_NOW);
	cr_assert(lib, "%s", dlerror());
	sim = open_device("pcie4-gpu,mem=64M,workers=2");
}
static void tear_down(void)
{
	cr_expect_eq(gm_sim_close(sim), 0);
}
TestSuite(blas, .init = set_up, .fini = tear_down, .timeout = 120);

static const char *const names[DS_BLAS_OPS] = {
	[DS_GEMM] = "gemm",   [DS_SYMM] = "symm", [DS_HEMM] = "hemm",
	[DS_SYRK] = "syrk",   [DS_HERK] = "herk", [DS_SYR2K] = "syr2k",
	[DS_HER2K] = "her2k", [DS_TRMM] = "trmm", [DS_TRSM] = "trsm",
};

/* One call of each shape with scalars of type S, made by `conv` from the double pair. */
#define CALLS(S, conv, R, rconv)                                                                   \
	typedef S scalar;                                                                          \
	typedef R real_scalar;                                                                     \
	scalar al = conv(alpha), be = conv(beta);                                                  \
	real_scalar ral = rconv(alpha), rbe = rconv(beta);                                         \
	int L = x->layout, n = x->n, k = x->k, m = x->m;                                           \
	(void)ral;                                                                                 \
	switch (x->op) {                                                                           \
	case DS_GEMM:                                                                              \
		((void (*)(int, int, int, int, int, int, S, const void *, int, const void *, int,  \
			   S, void *, int))f)(L, x->transa, x->transb, m, n, k, al, x->a, x->lda,  \
					      x->b, x->ldb, be, x->c, x->ldc);                     \
		break;                                                                             \
	case DS_SYMM:                                                                              \
	case DS_HEMM:                                                                              \
		((void (*)(int, int, int, int, int, S, const void *, int, const void *, int, S,    \
			   void *, int))f)(L, x->side, x->uplo, m, n, al, x->a, x->lda, x->b,      \
					   x->ldb, be, x->c, x->ldc);                              \
		break;                                                                             \
	case DS_SYRK:                                                                              \
		((void (*)(int, int, int, int, int, S, const void *, int, S, void *, int))f)(      \
			L, x->uplo, x->transa, n, k, al, x->a, x->lda, be, x->c, x->ldc);          \
		break;                                                                             \
	case DS_HERK:                                                                              \
		((void (*)(int, int, int, int, int, R, const void *, int, R, void *, int))f)(      \
			L, x->uplo, x->transa, n, k, ral, x->a, x->lda, rbe, x->c, x->ldc);        \
		break;                                                                             \
	case DS_SYR2K:                                                                             \
		((void (*)(int, int, int, int, int, S, const void *, int, const void *, int, S,    \
			   void *, int))f)(L, x->uplo, x->transa, n, k, al, x->a, x->lda, x->b,    \
					   x->ldb, be, x->c, x->ldc);                              \
		break;                                                                             \
	case DS_HER2K:                                                                             \
		((void (*)(int, int, int, int, int, S, const void *, int, const void *, int, R,    \
			   void *, int))f)(L, x->uplo, x->transa, n, k, al, x->a, x->lda, x->b,    \
					   x->ldb, rbe, x->c, x->ldc);                             \
		break;                                                                             \
	default:                                                                                   \
		((void (*)(int, int, int, int, int, int, int, S, const void *, int, void *,        \
			   int))f)(L, x->side, x->uplo, x->transa, x->diag, m, n, al, x->a,        \
				   x->lda, (void *)(uintptr_t)x->b, x->ldb);                       \
	}

#define FLOAT(v)  ((float)(v)[0])
#define DOUBLE(v) ((v)[0])
#define FLOATS(v) ((v##_f))
#define PTR(v)	  ((const void *)(v))

static void call_s(void (*f)(void), const struct ds_blas_args *x, const double *alpha,
		   const double *beta)
{
	CALLS(float, FLOAT, float, FLOAT)
}
static void call_d(void (*f)(void), const struct ds_blas_args *x, const double *alpha,
		   const double *beta)
{
	CALLS(double, DOUBLE, double, DOUBLE)
}
static void call_c(void (*f)(void), const struct ds_blas_args *x, const double *alpha,
		   const double *beta)
{
	float alpha_f[2] = {(float)alpha[0], (float)alpha[1]},
	      beta_f[2] = {(float)beta[0], (float)beta[1]};
	CALLS(const void *, FLOATS, float, FLOAT)
}
static void call_z(void (*f)(void), const struct ds_blas_args *x, const double *alpha,
		   const double *beta)
{
	CALLS(const void *, PTR, double, DOUBLE)
}

static void call_host(const struct ds_blas_args *x)
{
	char name[32];
	void (*f)(void);

	snprintf(name, sizeof name, "cblas_%c%s", x->type, names[x->op]);
	*(void **)&f = dlsym(lib, name);
	cr_assert(f, "%s", name);
	(x->type == 's'	  ? call_s
	 : x->type == 'd' ? call_d
	 : x->type == 'c' ? call_c
			  : call_z)(f, x, x->alpha, x->beta);
}

/* ---- matrices: square rooms of LD x LD elements of which the call uses a part ---- */

enum { LD = 83, ROOM = LD * LD * 16 };

static void fill(char *p, char type, unsigned seed)
{
	bool single = type == 's' || type == 'c';

	srand(seed);
	for (size_t i = 0; i < ROOM / (single ? 4 : 8); i++) {
		double v = (double)rand() / RAND_MAX - 0.5;
		if (single)
			((float *)(void *)p)[i] = (float)v;
		else
			((double *)(void *)p)[i] = v;
	}
}

/* trsm with a random triangle overflows: make the diagonal large. */
static void dominate(char *p, char type)
{
	size_t elem = ds_blas_elem_bytes(type);

	for (size_t i = 0; i < LD; i++) {
		char *at = p + i * (LD + 1) * elem;
		if (type == 's' || type == 'c')
			*(float *)(void *)at += 20;
		else
			*(double *)(void *)at += 20;
	}
}

static struct {
	char *a, *b, *c, *want;
} buf;

static void compare(struct ds_blas_args x)
{
	bool inb = x.op == DS_TRMM || x.op == DS_TRSM;
	char *out = inb ? buf.b : buf.c;

	x.lda = x.ldb = x.ldc = LD;
	x.a = buf.a;
	x.b = buf.b;
	x.c = inb ? NULL : buf.c;
	fill(buf.a, x.type, 1);
	dominate(buf.a, x.type);
	fill(buf.b, x.type, 2);
	fill(buf.c, x.type, 3);
	call_host(&x);
	memcpy(buf.want, out, ROOM);
	fill(out, x.type, inb ? 2 : 3);
	cr_assert_eq(gm_sim_launch(sim, 0, "blas", 1, &x, sizeof x, NULL), 0);
	cr_assert_eq(memcmp(out, buf.want, ROOM), 0,
		     "%c%s layout %d side %d uplo %d trans %d %d diag %d beta %g", x.type,
		     names[x.op], x.layout, x.side, x.uplo, x.transa, x.transb, x.diag, x.beta[0]);
}

static void make_buffers(void)
{
	buf.a = managed(ROOM);
	buf.b = managed(ROOM);
	buf.c = managed(ROOM);
	buf.want = malloc(ROOM);
}

static bool exists(int op, char type)
{
	bool complex_type = type == 'c' || type == 'z';

	return complex_type || (op != DS_HEMM && op != DS_HERK && op != DS_HER2K);
}

static const char types[] = "sdcz";
static const int layouts[] = {DS_ROW_MAJOR, DS_COL_MAJOR};

#define each(v, ...) for (const int *v = (const int[]){__VA_ARGS__, -1}; *v >= 0; v++)

Test(blas, gemm)
{
	make_buffers();
	for (const char *t = types; *t; t++)
		each(layout, layouts[0], layouts[1]) each(ta, DS_NO_TRANS, DS_TRANS, DS_CONJ_TRANS)
			each(tb, DS_NO_TRANS, DS_TRANS, DS_CONJ_TRANS) each(beta, 0, 1, 2) compare(
				(struct ds_blas_args){.op = DS_GEMM,
						      .type = *t,
						      .layout = *layout,
						      .transa = *ta,
						      .transb = *tb,
						      .m = 61,
						      .n = 47,
						      .k = 33,
						      .alpha = {1.5, -0.5},
						      .beta = {*beta, *beta == 2 ? 0.25 : 0}});
}

Test(blas, symm_hemm)
{
	make_buffers();
	for (const char *t = types; *t; t++)
		each(op, DS_SYMM, DS_HEMM) each(layout, layouts[0], layouts[1]) each(side, DS_LEFT,
										     DS_RIGHT)
			each(uplo, DS_UPPER, DS_LOWER) each(beta, 0, 2) if (exists(*op, *t))
				compare((struct ds_blas_args){.op = (uint8_t)*op,
							      .type = *t,
							      .layout = *layout,
							      .side = *side,
							      .uplo = *uplo,
							      .m = 61,
							      .n = 47,
							      .alpha = {1.5, -0.5},
							      .beta = {*beta, *beta / 8.0}});
}

static void rank_k(int first_op, int second_op, int trans_second)
{
	make_buffers();
	for (const char *t = types; *t; t++)
		each(op, first_op, second_op) each(layout, layouts[0], layouts[1])
			each(trans, DS_NO_TRANS, trans_second) each(uplo, DS_UPPER, DS_LOWER)
				each(beta, 0, 2) if (exists(*op, *t)) compare(
					(struct ds_blas_args){.op = (uint8_t)*op,
							      .type = *t,
							      .layout = *layout,
							      .uplo = *uplo,
							      .transa = *trans,
							      .n = 59,
							      .k = 31,
							      .alpha = {1.5, -0.5},
							      .beta = {*beta, *beta / 8.0}});
}
Test(blas, syrk_syr2k)
{
	rank_k(DS_SYRK, DS_SYR2K, DS_TRANS);
}
Test(blas, herk_her2k)
{
	rank_k(DS_HERK, DS_HER2K, DS_CONJ_TRANS);
}

Test(blas, trmm_trsm)
{
	make_buffers();
	for (const char *t = types; *t; t++)
		each(op, DS_TRMM, DS_TRSM) each(layout, layouts[0], layouts[1])
			each(side, DS_LEFT, DS_RIGHT) each(uplo, DS_UPPER, DS_LOWER)
				each(trans, DS_NO_TRANS, DS_TRANS,
				     DS_CONJ_TRANS) each(diag, DS_UNIT, DS_NON_UNIT)
					compare((struct ds_blas_args){.op = (uint8_t)*op,
								      .type = *t,
								      .layout = *layout,
								      .side = *side,
								      .uplo = *uplo,
								      .transa = *trans,
								      .diag = *diag,
								      .m = 61,
								      .n = 47,
								      .alpha = {0.75, 0.5}});
}

/* ---- the journal ---- */

static void *kill_soon(void *arg)
{
	usleep(*(useconds_t *)arg);
	kill(gmi_sim_pid(sim), SIGKILL);
	return NULL;
}

Test(blas, a_lost_in_place_call_is_undone)
{
	enum { N = 700 };
	size_t bytes = (size_t)N * N * 8;
	double *a = managed(bytes), *b = managed(bytes), *c = managed(bytes), *was = malloc(bytes);
	struct ds_blas_args x = square_gemm('d', DS_ROW_MAJOR, N);
	x.beta[0] = 1;
	x.a = a, x.b = b, x.c = c;
	int undone = 0;

	for (size_t i = 0; i < (size_t)N * N; i++)
		a[i] = b[i] = c[i] = (double)(i % 97);
	uint64_t start = gmi_now_ns();
	cr_assert_eq(gm_sim_launch(sim, 0, "blas", 1, &x, sizeof x, NULL), 0);
	unsigned call_us = (unsigned)((gmi_now_ns() - start) / 1000);
	srand(3);
	/* Killed at random moments of a call, however long one takes on this machine. */
	for (int turn = 0; turn < 40 || (!undone && turn < 400); turn++) {
		useconds_t after = (useconds_t)rand() % call_us;
		const void *journal;
		int slot;
		pthread_t t;

		memcpy(was, c, bytes);
		cr_assert_eq(gm_sim_launch(sim, 0, "touch_read", 1, &(struct ds_mem_args){0},
					   sizeof(struct ds_mem_args), NULL),
			     0);
		pthread_create(&t, NULL, kill_soon, &after);
		int err = gmi_sim_launch_journalled(sim, "blas", 1, &x, sizeof x, NULL, &slot,
						    &journal);
		pthread_join(t, NULL);
		if (!err)
			continue;
		cr_assert_eq(err, -EIO);
		if (journal) {
			ds_blas_restore(&x, journal);
			gmi_sim_journal_done(sim, slot);
			undone++;
		}
		cr_assert_eq(memcmp(c, was, bytes), 0, "turn %d, journal %d", turn,
			     journal != NULL);
	}
	cr_expect_gt(undone, 0);
}

/* A library must not be left by a jump: the process ends instead, and the launch says why. */
Test(blas, a_bad_operand_fails_the_call)
{
	double *c = managed(64 * 64 * 8);
	struct ds_blas_args x = square_gemm('d', DS_COL_MAJOR, 64);
	x.a = (char *)c + ((size_t)1 << 36), x.b = c, x.c = c;
	struct gm_launch_result r;

	cr_expect_eq(gm_sim_launch(sim, 0, "blas", 1, &x, sizeof x, &r), -EFAULT);
	cr_expect_eq(r.fault_addr & ~(PAGE - 1), (uintptr_t)x.a);
	x.a = c;
	cr_expect_eq(gm_sim_launch(sim, 0, "blas", 1, &x, sizeof x, &r), 0);
}
