/*
 * blas_host.c - finds the BLAS that a caller would use without us.
 *
 * One record for each loaded object that calls (an extension module, an executable), one for
 * each library that it is sent to, in lists that only grow. A lookup that two threads make at
 * once is made twice; both find the same. dlsym and dlopen run in the program's context here,
 * like the first call through a PLT entry.
 */
#include <dlfcn.h>
#include <limits.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "preload/blas/blas.h"

struct object {
	struct object *next;
	uintptr_t lo, hi;
	const char
		*name; /* as the loader knows it; "" for the executable and for code of no object */
	struct {
		gmp_blas_fn *_Atomic fn;
		struct gmp_blas_lib *lib; /* set before fn */
	} host[GMP_BLAS_SYMBOLS];
};
static struct object *_Atomic objects;
static struct gmp_blas_lib *_Atomic libs;

static const char *const names[GMP_BLAS_SYMBOLS] = {
#define X(op, type, name) #name "_", "cblas_" #name,
	GMP_BLAS_ROUTINES(X)
#undef X
};

const char *gmp_blas_name(unsigned symbol)
{
	return names[symbol];
}

#define PUSH(list, e)                                                                              \
	do                                                                                         \
		(e)->next = atomic_load(&(list));                                                  \
	while (!atomic_compare_exchange_weak(&(list), &(e)->next, (e)))

static void *need(void *p)
{
	if (p)
		return p;
	gmi_log(GM_LOG_ERROR, "out of memory for the table of BLAS functions");
	gm_sys1(SYS_exit_group, 127);
	__builtin_unreachable();
}

/* The object that holds an address: its name and bounds. Lock-free in the loader. */
static bool locate(const void *at, const char **name, uintptr_t *lo, uintptr_t *hi)
{
	struct dl_find_object o;

	if (_dl_find_object((void *)at, &o))
		return false;
	*name = o.dlfo_link_map->l_name;
	*lo = (uintptr_t)o.dlfo_map_start;
	*hi = (uintptr_t)o.dlfo_map_end;
	return true;
}

/* ---- libraries ---- */

static bool has_word(const char *s, const char *const words[], size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (s && strstr(s, words[i]))
			return true;
	return false;
}

/* Does the library take 64-bit integers under the plain names? Those calls stay on the host. */
static bool has_wide_integers(const char *path, void *handle)
{
	static const char *const by_name[] = {"ilp64", "64.so", "64_"};
	static const char *const by_config[] = {"USE64BITINT"}, *const by_layer[] = {"ILP64",
										     "ilp64"};
	const char *file = strrchr(path, '/');
	char *(*config)(void);

	*(void **)&config = dlsym(handle, "openblas_get_config");
	return has_word(file, by_name, GM_ARRAY_LEN(by_name)) ||
	       (config && has_word(config(), by_config, GM_ARRAY_LEN(by_config))) ||
	       (has_word(file, (const char *const[]){"mkl_rt"}, 1) &&
		has_word(getenv("MKL_INTERFACE_LAYER"), by_layer, GM_ARRAY_LEN(by_layer)));
}

/* The executable itself (name "") has no file that a device could load. */
static void describe_host(struct gmp_blas_lib *lib, const char *name)
{
	char path[PATH_MAX];
	/* This reference is kept: the functions are called whatever the program unloads. */
	void *handle = *name ? dlopen(name, RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE) : NULL;

	if (!handle || !realpath(name, path) || strlen(path) >= sizeof(lib->path))
		return;
	strcpy(lib->path, path);
	*(void **)&lib->get_threads = dlsym(handle, "openblas_get_num_threads");
	lib->usable = !has_wide_integers(path, handle);
}

static struct gmp_blas_lib *lib_of(gmp_blas_fn *fn)
{
	const char *name = "";
	uintptr_t at = (uintptr_t)fn, lo = at, hi = at + 1;

	for (struct gmp_blas_lib *l = atomic_load(&libs); l; l = l->next)
		if (at >= l->lo && at < l->hi)
			return l;
	locate((void *)at, &name, &lo, &hi);
	struct gmp_blas_lib *l = need(gmi_alloc(sizeof(*l)));
	l->lo = lo;
	l->hi = hi;
	describe_host(l, name);
	PUSH(libs, l);
	return l;
}

/* ---- looking a function up ---- */

/* What a handle or RTLD_NEXT gives, unless it is a hook of ours. */
static gmp_blas_fn *look_at_library(void *handle, const char *symbol)
{
	const char *name;
	uintptr_t lo, hi;
	gmp_blas_fn *fn;

	*(void **)&fn = handle ? dlsym(handle, symbol) : NULL;
	if (fn && locate(names, &name, &lo, &hi) && (uintptr_t)fn >= lo && (uintptr_t)fn < hi)
		return NULL;
	return fn;
}

static gmp_blas_fn *look_in(const char *name, const char *symbol, int flags)
{
	void *handle = name && *name ? dlopen(name, RTLD_LAZY | flags) : NULL;
	gmp_blas_fn *fn = look_at_library(handle, symbol);

	if (fn)
		lib_of(fn); /* now it stays */
	if (handle)
		dlclose(handle);
	return fn;
}

struct nth {
	unsigned left;
	char name[PATH_MAX];
};

static int visit(struct dl_phdr_info *info, size_t bytes, void *arg)
{
	struct nth *n = arg;

	if (n->left--)
		return 0;
	strncpy(n->name, info->dlpi_name, sizeof(n->name) - 1);
	return 1;
}

/* One at a time: nothing may be opened while the loader's list is walked. */
static gmp_blas_fn *look_everywhere(const char *symbol)
{
	gmp_blas_fn *fn = NULL;

	for (unsigned i = 0; !fn; i++) {
		struct nth n = {.left = i};
		if (!dl_iterate_phdr(visit, &n))
			break;
		fn = look_in(n.name, symbol, RTLD_NOLOAD);
	}
	return fn;
}

static void undefined(const struct object *caller, const char *symbol)
{
	gmi_log(GM_LOG_ERROR, "symbol lookup error: %s: undefined symbol: %s",
		*caller->name ? caller->name : program_invocation_name, symbol);
	gm_sys1(SYS_exit_group, 127);
	__builtin_unreachable();
}

static gmp_blas_fn *look_up(const struct object *caller, const char *symbol)
{
	gmp_blas_fn *fn = look_at_library(RTLD_NEXT, symbol);

	if (!fn)
		fn = look_in(caller->name, symbol, RTLD_NOLOAD);
	if (!fn)
		fn = look_everywhere(symbol);
	return fn ? fn : look_in("libblas.so.3", symbol, 0);
}

/* A program that asks whether there is a gemm3m finds ours: where its library has none, gemm does
 * the same. */
static gmp_blas_fn *resolve_blas(const struct object *caller, unsigned symbol)
{
	static const unsigned plain[GMP_BLAS_NROUTINES] = {
		[GMP_BLAS_cgemm3m] = GMP_BLAS_cgemm,
		[GMP_BLAS_zgemm3m] = GMP_BLAS_zgemm,
	};
	gmp_blas_fn *fn = look_up(caller, names[symbol]);

	if (!fn && plain[symbol / 2])
		fn = look_up(caller, names[2 * plain[symbol / 2] + symbol % 2]);
	if (!fn)
		undefined(caller, names[symbol]);
	return fn;
}

/* ---- callers ---- */

static struct object *object_of(const void *caller)
{
	uintptr_t at = (uintptr_t)caller, lo = 0, hi = UINTPTR_MAX;
	const char *name = "";

	for (struct object *o = atomic_load(&objects); o; o = o->next)
		if (at >= o->lo && at < o->hi && o->hi != UINTPTR_MAX)
			return o;
	if (!locate(caller, &name, &lo, &hi)) /* generated code: one record for all of it */
		for (struct object *o = atomic_load(&objects); o; o = o->next)
			if (o->hi == UINTPTR_MAX)
				return o;
	struct object *o = need(gmi_alloc(sizeof(*o)));
	o->lo = lo;
	o->hi = hi;
	o->name = name;
	PUSH(objects, o);
	return o;
}

struct gmp_blas_host gmp_blas_find(unsigned symbol, const void *caller)
{
	struct object *o = object_of(caller);
	gmp_blas_fn *fn = atomic_load_explicit(&o->host[symbol].fn, memory_order_acquire);

	if (gm_unlikely(!fn)) {
		fn = resolve_blas(o, symbol);
		o->host[symbol].lib = lib_of(fn);
		atomic_store_explicit(&o->host[symbol].fn, fn, memory_order_release);
	}
	struct gmp_blas_lib *lib = o->host[symbol].lib;
	return (struct gmp_blas_host){fn, lib,
				      (uintptr_t)caller >= lib->lo && (uintptr_t)caller < lib->hi};
}
