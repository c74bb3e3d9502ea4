/*
 * parallel.c - the hooks of libgomp's functions that start a parallel region. Unless the user has
 * asked for them to run on the device they are passed on; else libgmem-parallel.so (omp/parallel)
 * is asked, which is loaded at the first one.
 *
 * Their arguments are passed as words, as many as any of them has: what a function does not have
 * is whatever lies there, and nobody looks at it.
 */
#include <dlfcn.h>
#include <limits.h>
#include <stdatomic.h>
#include <string.h>

#include "core/rules/opt.h"
#include "omp/parallel/front.h"
#include "preload/ground/ground.h"

/* Each runs its first argument. */
#define REGIONS(X)                                                                                 \
	X(GOMP_parallel)                                                                           \
	X(GOMP_parallel_reductions)                                                                \
	X(GOMP_parallel_sections)                                                                  \
	X(GOMP_parallel_loop_static)                                                               \
	X(GOMP_parallel_loop_dynamic)                                                              \
	X(GOMP_parallel_loop_guided)                                                               \
	X(GOMP_parallel_loop_runtime)                                                              \
	X(GOMP_parallel_loop_nonmonotonic_dynamic)                                                 \
	X(GOMP_parallel_loop_nonmonotonic_guided)                                                  \
	X(GOMP_parallel_loop_nonmonotonic_runtime)                                                 \
	X(GOMP_parallel_loop_maybe_nonmonotonic_runtime)

typedef uint64_t region_fn(uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t,
			   uint64_t);

enum {
#define X(name) AT_##name,
	REGIONS(X)
#undef X
		COUNT
};
static const char *const names[COUNT] = {
#define X(name) #name,
	REGIONS(X)
#undef X
};
static region_fn *_Atomic reals[COUNT];

/* The runtime may be a library of a library, which nobody but its user sees. */
static region_fn *find_real(unsigned which)
{
	region_fn *fn = atomic_load_explicit(&reals[which], memory_order_acquire);

	if (fn)
		return fn;
	*(void **)&fn = dlsym(RTLD_NEXT, names[which]);
	if (!fn) {
		void *library = dlopen("libgomp.so.1", RTLD_LAZY | RTLD_NOLOAD);
		*(void **)&fn = library ? dlsym(library, names[which]) : NULL;
	}
	if (!fn) {
		gmi_log(GM_LOG_ERROR, "%s is called, and no libgomp.so.1 has it", names[which]);
		gm_sys1(SYS_exit_group, 127);
	}
	atomic_store_explicit(&reals[which], fn, memory_order_release);
	return fn;
}

/* NULL: it cannot be loaded (said once). */
static gmo_parallel_run_fn *load_front(void)
{
	char path[PATH_MAX];
	gmo_parallel_run_fn *run = NULL;
	if (gmi_find_helper("omp/" GMO_FRONT, path, sizeof path)) {
		gmi_log(GM_LOG_WARN,
			"parallel regions run on the host: " GMO_FRONT " is not beside libgmem.so");
		return NULL;
	}
	void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (library)
		*(void **)&run = dlsym(library, GMO_FRONT_RUN);
	else
		gmi_log(GM_LOG_WARN, "parallel regions run on the host: %s", dlerror());
	return run;
}

static gmo_parallel_run_fn *front(void)
{
	static gmo_parallel_run_fn *_Atomic run;
	static _Atomic bool looked;
	gmo_parallel_run_fn *fn = atomic_load(&run);

	if (fn || atomic_load(&looked))
		return fn;
	fn = load_front(); /* two threads at once get the same */
	atomic_store(&run, fn);
	atomic_store(&looked, true);
	return fn;
}

static uint64_t hook_region(unsigned which, const uint64_t a[GMO_CALL_MAX])
{
	region_fn *real = find_real(which);
	uint64_t result = 0;

	if (gmp_on && gmi_opt.offload_openmp && gmi_opt.ndev > 0) {
		struct gmo_parallel_call call = {.entry = names[which],
						 .region = (void *)a[0],
						 .real = (void *)(uintptr_t)real};
		gmo_parallel_run_fn *run = front();
		memcpy(call.args, a, sizeof call.args);
		if (run && run(&call, &result))
			return result;
	}
	return real(a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7]);
}

#define X(name)                                                                                    \
	GMP_HOOK uint64_t name(uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4,    \
			       uint64_t a5, uint64_t a6, uint64_t a7)                              \
	{                                                                                          \
		return hook_region(AT_##name, (const uint64_t[]){a0, a1, a2, a3, a4, a5, a6, a7}); \
	}
REGIONS(X)
#undef X
