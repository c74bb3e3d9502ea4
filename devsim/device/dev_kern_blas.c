/*
 * dev_kern_blas.c - the built-in kernel "blas": one BLAS-3 call by the BLAS library that the
 * program itself uses.
 *
 * Only the Fortran entry points are called: every BLAS has them. A row-major matrix is its
 * transpose in column-major order, so a row-major call becomes a column-major one with sides,
 * triangles and transpositions exchanged, which is what CBLAS itself does. One call at a time:
 * the library's threads belong to it alone.
 */
#include "devsim/device/dev.h"
#include "devsim/blas_wire.h"
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

typedef const char *opt;
typedef const int32_t *num;
typedef const void *in;
/* The lengths of the character arguments follow hidden, as gfortran passes them. */
typedef void gemm_fn(opt, opt, num, num, num, in, in, num, in, num, in, void *, num, size_t,
		     size_t);
typedef void symm_fn(opt, opt, num, num, in, in, num, in, num, in, void *, num, size_t, size_t);
typedef void syrk_fn(opt, opt, num, num, in, in, num, in, void *, num, size_t, size_t);
typedef void syr2k_fn(opt, opt, num, num, in, in, num, in, num, in, void *, num, size_t, size_t);
typedef void trmm_fn(opt, opt, opt, opt, num, num, in, in, num, void *, num, size_t, size_t, size_t,
		     size_t);
typedef void any_fn(void);

union scalar {
	float f[2];
	double d[2];
};
/* The call in Fortran's terms. */
struct call {
	char side, uplo, transa, transb, diag;
	int32_t m, n, k, lda, ldb, ldc;
	const void *a;
	void *b, *c;
	union scalar alpha, beta;
};

static void call_gemm(any_fn *fn, const struct call *f)
{
	((gemm_fn *)fn)(&f->transa, &f->transb, &f->m, &f->n, &f->k, &f->alpha, f->a, &f->lda, f->b,
			&f->ldb, &f->beta, f->c, &f->ldc, 1, 1);
}
static void call_symm(any_fn *fn, const struct call *f)
{
	((symm_fn *)fn)(&f->side, &f->uplo, &f->m, &f->n, &f->alpha, f->a, &f->lda, f->b, &f->ldb,
			&f->beta, f->c, &f->ldc, 1, 1);
}
static void call_syrk(any_fn *fn, const struct call *f)
{
	((syrk_fn *)fn)(&f->uplo, &f->transa, &f->n, &f->k, &f->alpha, f->a, &f->lda, &f->beta,
			f->c, &f->ldc, 1, 1);
}
static void call_syr2k(any_fn *fn, const struct call *f)
{
	((syr2k_fn *)fn)(&f->uplo, &f->transa, &f->n, &f->k, &f->alpha, f->a, &f->lda, f->b,
			 &f->ldb, &f->beta, f->c, &f->ldc, 1, 1);
}
static void call_trmm(any_fn *fn, const struct call *f)
{
	((trmm_fn *)fn)(&f->side, &f->uplo, &f->transa, &f->diag, &f->m, &f->n, &f->alpha, f->a,
			&f->lda, f->b, &f->ldb, 1, 1, 1, 1);
}

/* ---- from row-major to column-major ---- */

static void swap32(int32_t *a, int32_t *b)
{
	int32_t t = *a;

	*a = *b;
	*b = t;
}
static int32_t other_side(int32_t side)
{
	return side == DS_LEFT ? DS_RIGHT : DS_LEFT;
}
static int32_t other_uplo(int32_t uplo)
{
	return uplo == DS_UPPER ? DS_LOWER : DS_UPPER;
}

static void turn_gemm(struct ds_blas_args *a)
{
	const void *t = a->a;

	a->a = a->b;
	a->b = t;
	swap32(&a->lda, &a->ldb);
	swap32(&a->transa, &a->transb);
	swap32(&a->m, &a->n);
}
static void turn_sided(struct ds_blas_args *a)
{
	a->side = other_side(a->side);
	a->uplo = other_uplo(a->uplo);
	swap32(&a->m, &a->n);
}
static void turn_rank(struct ds_blas_args *a)
{
	bool hermitian = a->op == DS_HERK || a->op == DS_HER2K;

	a->uplo = other_uplo(a->uplo);
	if (a->transa != DS_NO_TRANS)
		a->transa = DS_NO_TRANS;
	else
		a->transa = hermitian ? DS_CONJ_TRANS : DS_TRANS;
	if (a->op == DS_HER2K)
		a->alpha[1] = -a->alpha[1];
}

/* ---- work ---- */

static double flops_gemm(const struct ds_blas_args *a)
{
	return 2.0 * a->m * a->n * a->k;
}
static double flops_symm(const struct ds_blas_args *a)
{
	return 2.0 * a->m * a->n * (a->side == DS_LEFT ? a->m : a->n);
}
static double flops_syrk(const struct ds_blas_args *a)
{
	return (double)a->n * (a->n + 1.0) * a->k;
}
static double flops_syr2k(const struct ds_blas_args *a)
{
	return 2 * flops_syrk(a);
}
static double flops_trmm(const struct ds_blas_args *a)
{
	return flops_symm(a) / 2;
}

/* Elements of A, B and C together; what is both read and written counts twice. */
static double elements(const struct ds_blas_args *a)
{
	double m = a->m, n = a->n, k = a->k, ka = a->side == DS_LEFT ? m : n;

	switch (a->op) {
	case DS_GEMM:
	case DS_GEMM3M:
		return m * k + k * n + 2 * m * n;
	case DS_SYMM:
	case DS_HEMM:
		return ka * ka / 2 + 3 * m * n;
	case DS_TRMM:
	case DS_TRSM:
		return ka * ka / 2 + 2 * m * n;
	case DS_SYRK:
	case DS_HERK:
		return n * k + n * n;
	default:
		return 2 * n * k + n * n;
	}
}

static const struct routine {
	const char *name;
	void (*call)(any_fn *fn, const struct call *f);
	void (*turn)(struct ds_blas_args *a);
	double (*flops)(const struct ds_blas_args *a);
} routines[DS_BLAS_OPS] = {
	[DS_GEMM] = {"gemm", call_gemm, turn_gemm, flops_gemm},
	[DS_SYMM] = {"symm", call_symm, turn_sided, flops_symm},
	[DS_HEMM] = {"hemm", call_symm, turn_sided, flops_symm},
	[DS_SYRK] = {"syrk", call_syrk, turn_rank, flops_syrk},
	[DS_HERK] = {"herk", call_syrk, turn_rank, flops_syrk},
	[DS_SYR2K] = {"syr2k", call_syr2k, turn_rank, flops_syr2k},
	[DS_HER2K] = {"her2k", call_syr2k, turn_rank, flops_syr2k},
	[DS_TRMM] = {"trmm", call_trmm, turn_sided, flops_trmm},
	[DS_TRSM] = {"trsm", call_trmm, turn_sided, flops_trmm},
	[DS_GEMM3M] = {"gemm3m", call_gemm, turn_gemm, flops_gemm},
};

/* ---- the library; all under `lock` ---- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static void *library;
static void (*set_threads)(int);
static any_fn *entry[DS_BLAS_OPS][4];
static const char types[] = "sdcz";

static bool open_library(void)
{
	const char *const any[] = {"libopenblas.so.0", "libblas.so.3"};

	/* The program's own, or none: another's results would not be the same bits. */
	if (ctl->blas[0])
		library = dlopen(ctl->blas, RTLD_NOW | RTLD_LOCAL);
	for (unsigned i = 0; i < DEV_ARRAY_LEN(any) && !library && !ctl->blas[0]; i++)
		library = dlopen(any[i], RTLD_NOW | RTLD_LOCAL);
	if (!library)
		dev_say("no BLAS library: %s", dlerror());
	else
		*(void **)&set_threads = dlsym(library, "openblas_set_num_threads");
	return library != NULL;
}

static any_fn *find_entry(int op, char type)
{
	const char *t = type ? strchr(types, type) : NULL;
	char name[16];

	if (!t || (!library && !open_library()))
		return NULL;
	any_fn **e = &entry[op][t - types];
	if (!*e) {
		snprintf(name, sizeof name, "%c%s_", type, routines[op].name);
		*(void **)e = dlsym(library, name);
		if (!*e && op == DS_GEMM3M) /* as the host's: preload/blas/blas_host.c */
			*e = find_entry(DS_GEMM, type);
	}
	return *e;
}

static void use_threads(int n)
{
	if (n > 0 && set_threads) /* each time: builds with OpenMP keep the number by thread */
		set_threads(n);
}

/* ---- the kernel ---- */

static union scalar scalar_of(char type, const double v[2])
{
	union scalar s;

	if (type == 's' || type == 'c') {
		s.f[0] = (float)v[0];
		s.f[1] = (float)v[1];
	} else {
		s.d[0] = v[0];
		s.d[1] = v[1];
	}
	return s;
}

static char letter(int32_t value)
{
	static const struct {
		int32_t value;
		char letter;
	} table[] = {
		{DS_NO_TRANS, 'N'}, {DS_TRANS, 'T'}, {DS_CONJ_TRANS, 'C'}, {DS_CONJ_NO_TRANS, 'R'},
		{DS_UPPER, 'U'},    {DS_LOWER, 'L'}, {DS_NON_UNIT, 'N'},   {DS_UNIT, 'U'},
		{DS_LEFT, 'L'},	    {DS_RIGHT, 'R'},
	};

	for (unsigned i = 0; i < DEV_ARRAY_LEN(table); i++)
		if (table[i].value == value)
			return table[i].letter;
	return ' ';
}

static struct call fortran_call(const struct ds_blas_args *a)
{
	return (struct call){
		.side = letter(a->side),
		.uplo = letter(a->uplo),
		.transa = letter(a->transa),
		.transb = letter(a->transb),
		.diag = letter(a->diag),
		.m = a->m,
		.n = a->n,
		.k = a->k,
		.lda = a->lda,
		.ldb = a->ldb,
		.ldc = a->ldc,
		.a = a->a,
		.b = (void *)(uintptr_t)a->b,
		.c = a->c,
		.alpha = scalar_of(a->type, a->alpha),
		.beta = scalar_of(a->type, a->beta),
	};
}

/* Lines without a gap between them are copied as one: memcpy is faster with many bytes at once. */
static void copy_lines(const struct ds_blas_args *a, char *journal)
{
	char *at, *from = NULL;
	size_t bytes, len = 0;
	uint64_t off, to = 0;

	for (int32_t i = 0; ds_blas_journal_line(a, i, &at, &bytes, &off); i++) {
		if (len && at == from + len && off == to + len) {
			len += bytes;
			continue;
		}
		if (len)
			memcpy(journal + to, from, len);
		from = at;
		len = bytes;
		to = off;
	}
	if (len)
		memcpy(journal + to, from, len);
}

/* Saves what the call overwrites, so that the host can repeat it if this process is lost
 * half-way. */
static bool save_journal(const struct ds_blas_args *a)
{
	struct ds_launch *l = dev_this_launch();
	uint64_t off, end = 0;
	size_t bytes;
	char *at;

	for (int32_t i = 0; ds_blas_journal_line(a, i, &at, &bytes, &off); i++)
		end = off + bytes > end ? off + bytes : end;
	char *journal = end ? dev_journal_open(l, end) : NULL;
	if (!journal)
		return !end;
	copy_lines(a, journal);
	dev_journal_close(l);
	l->journal_bytes = end;
	atomic_store(&l->journal_valid, 1);
	return true;
}

static int run_blas(struct gm_kctx *c, struct ds_blas_args *a, any_fn *fn)
{
	const struct routine *r = &routines[a->op];
	double complex_work = a->type == 'c' || a->type == 'z' ? 4 : 1;

	c->flops = (uint64_t)(r->flops(a) * complex_work);
	c->bytes = (uint64_t)(elements(a) * (double)ds_blas_elem_bytes(a->type));
	dev_this_launch()->flop_type = a->type;
	if (ds_blas_in_place(a) && !save_journal(a))
		return ENOMEM;
	if (a->layout == DS_ROW_MAJOR)
		r->turn(a);
	struct call f = fortran_call(a);
	use_threads(a->threads);
	r->call(fn, &f);
	return 0;
}

static int blas(struct gm_kctx *c, const void *args)
{
	struct ds_blas_args a = *(const struct ds_blas_args *)args;
	int code = ENOSYS;

	if (a.op >= DS_BLAS_OPS || c->block)
		return a.op >= DS_BLAS_OPS ? EINVAL : 0;
	pthread_mutex_lock(&lock);
	any_fn *fn = find_entry(a.op, a.type);
	if (fn) {
		dev_kernel_begin_library();
		code = run_blas(c, &a, fn);
		dev_kernel_end_library();
	}
	pthread_mutex_unlock(&lock);
	return code;
}

const struct dev_builtin dev_blas_kernels[] = {
	{"blas", blas},
	{NULL, NULL},
};
