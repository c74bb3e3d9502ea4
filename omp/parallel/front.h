/*
 * front.h - between the preload library, which sees the program call its OpenMP runtime, and
 * libgmem-parallel.so, which runs such a call's region on a device. The preload library loads it
 * at the first region when the user has asked for it (GMEM_OFFLOAD=openmp); both are of one
 * build.
 */
#ifndef GM_OMP_PARALLEL_FRONT_H
#define GM_OMP_PARALLEL_FRONT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GMO_FRONT     "libgmem-parallel.so"
#define GMO_FRONT_RUN "gmo_parallel_run"
#define GMO_CALL_MAX  256 /* arguments of a call whose region the device gets */

/* Where a region stands in the source, as clang's and flang's calls say it: ident_t of libomp's
 * kmp.h. */
struct gmo_location {
	int32_t reserved, flags, reserved2, reserved3;
	const char *source; /* ";file;function;line;column;;", as far as the compiler was asked */
};

struct gmo_parallel_call {
	const char *entry;  /* the runtime's function: "GOMP_parallel" */
	const void *region; /* the function of the program that it is to run */
	const void *real;   /* the runtime's, in this process */
	/* what the call says of its place: NULL, and the return address; NULL: the runtime's
	 * calls do not */
	const struct gmo_location *location;
	const void *from;
	int32_t threads; /* that a call before it has asked for; 0: none has */
	const uint64_t *args;
	size_t nargs; /* those behind the call's own are anything */
};

/*
 * true: the region has run on the device, *result is what the runtime's function returned there.
 * false: it is the host's; nothing of it has run. Any thread; not in a signal handler.
 */
typedef bool gmo_parallel_run_fn(const struct gmo_parallel_call *call, uint64_t *result);

#endif
