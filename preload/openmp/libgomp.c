/*
 * libgomp.c - the hooks of libgomp's functions that start a parallel region.
 *
 * Their arguments are passed as words, as many as any of them has: what a function does not have
 * is whatever lies there, and nobody looks at it.
 */
#include <stdatomic.h>

#include "preload/ground/ground.h"
#include "preload/openmp/openmp.h"

#define WORDS 8 /* arguments of such a call, at most */

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
static void *_Atomic reals[COUNT];

static uint64_t hook_region(unsigned which, const uint64_t a[WORDS])
{
	static const char *const libraries[] = {"libgomp.so.1", NULL};
	region_fn *real;
	uint64_t result = 0;

	*(void **)&real = gmp_runtime_function(names[which], libraries, &reals[which]);
	struct gmo_parallel_call call = {.entry = names[which],
					 .region = (void *)a[0],
					 .real = (void *)(uintptr_t)real,
					 .args = a,
					 .nargs = WORDS};
	if (gmp_region_run(&call, &result))
		return result;
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
