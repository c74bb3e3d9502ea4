/*
 * libomp.c - the hooks of the functions of clang's and flang's runtime that start a parallel
 * region.
 *
 * What `num_threads` and `proc_bind` say comes in calls of their own before it, and the runtime
 * keeps it for the thread's next region. So these calls are held back until it is known which
 * runtime that is, the program's or the device's.
 */
#include <stdatomic.h>

#include "preload/ground/ground.h"
#include "preload/openmp/openmp.h"

#define WORDS GMO_CALL_MAX /* of a call; with more of them the front does not want its region */

enum { FORK_CALL, SERIALIZED, PUSH_THREADS, PUSH_BIND, COUNT };
static const char *const names[COUNT] = {
	[FORK_CALL] = "__kmpc_fork_call",
	[SERIALIZED] = "__kmpc_serialized_parallel",
	[PUSH_THREADS] = "__kmpc_push_num_threads",
	[PUSH_BIND] = "__kmpc_push_proc_bind",
};
static void *_Atomic reals[COUNT];

static __thread struct held {
	void *location;
	int32_t gtid, value;
	bool is; /* one of them is held */
} held[COUNT];

uint64_t gmp_fork_call(const uint64_t *words);

static void *find_real(unsigned which)
{
	static const char *const libraries[] = {"libomp.so.5", "libomp.so", "libiomp5.so", NULL};

	return gmp_runtime_function(names[which], libraries, &reals[which]);
}

static void pass_push(unsigned which, void *location, int32_t gtid, int32_t value)
{
	void (*real)(void *, int32_t, int32_t);

	*(void **)&real = find_real(which);
	real(location, gtid, value);
}

/* The region is the program's own runtime's. */
static void pass_held(void)
{
	for (unsigned i = 0; i < COUNT; i++)
		if (held[i].is) {
			held[i].is = false;
			pass_push(i, held[i].location, held[i].gtid, held[i].value);
		}
}

static void hook_push(unsigned which, void *location, int32_t gtid, int32_t value)
{
	if (gmp_regions_wanted())
		held[which] = (struct held){location, gtid, value, true};
	else
		pass_push(which, location, gtid, value);
}

GMP_HOOK void __kmpc_push_num_threads(void *location, int32_t gtid, int32_t threads)
{
	hook_push(PUSH_THREADS, location, gtid, threads);
}

GMP_HOOK void __kmpc_push_proc_bind(void *location, int32_t gtid, int32_t bind)
{
	hook_push(PUSH_BIND, location, gtid, bind);
}

/* A region of if(0), which is the calling thread's. */
GMP_HOOK void __kmpc_serialized_parallel(void *location, int32_t gtid)
{
	void (*real)(void *, int32_t);

	pass_held();
	*(void **)&real = find_real(SERIALIZED);
	real(location, gtid);
}

/* Of as many words as the call has. */
static bool fork_there(const uint64_t *words, size_t n, void *real)
{
	uint64_t args[WORDS], result;

	for (size_t i = 0; i < n && i < WORDS; i++)
		args[i] = words[i < 6 ? i : i + 1]; /* the return address is no argument */
	return gmp_region_run(
		&(struct gmo_parallel_call){
			.entry = names[FORK_CALL],
			.location = (const struct gmo_location *)words[0],
			.from = (const void *)words[6],
			.region = (const void *)words[2],
			.real = real,
			.threads = held[PUSH_THREADS].is ? held[PUSH_THREADS].value : 0,
			.args = args,
			.nargs = n},
		&result);
}

/* For __kmpc_fork_call (hooks_x86_64.S), with its six registers, the return address, and what lies
 * above it: where the call goes on; 0: the region has run on a device. */
uint64_t gmp_fork_call(const uint64_t *words)
{
	void *real = find_real(FORK_CALL);

	if (gmp_regions_wanted() && fork_there(words, 3 + (uint32_t)words[1], real)) {
		for (unsigned i = 0; i < COUNT; i++)
			held[i].is = false;
		return 0;
	}
	pass_held();
	return (uint64_t)(uintptr_t)real;
}
