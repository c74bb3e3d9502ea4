/*
 * kmpc.c - libgmem-flang19.a: what programs of flang 19 with target regions for x86_64 lack at
 * their link, with and without gmem.
 *
 * flang 19 lowers such regions as for a GPU: they call LLVM's runtime for GPUs, which Debian has
 * for no CPU. Here these calls are libomp's own in other clothes. Part of the program and of its
 * target image; nothing of gmem is needed at run time.
 *
 * Facts: openmp/runtime/src/kmp.h (schedules) and offload/DeviceRTL, release/19.x.
 */
#include <stdint.h>
#include <stdlib.h>

#define STATIC_CHUNKED 33 /* kmp_sch_static_chunked */
#define STATIC	       34

typedef void (*microtask)(int32_t *gtid, int32_t *tid, ...);

/* libomp */
void __kmpc_fork_call(void *loc, int32_t argc, microtask fn, ...);
void __kmpc_push_num_threads(void *loc, int32_t gtid, int32_t threads);
void __kmpc_serialized_parallel(void *loc, int32_t gtid);
void __kmpc_end_serialized_parallel(void *loc, int32_t gtid);
int32_t __kmpc_global_thread_num(void *loc);
void __kmpc_for_static_init_8u(void *loc, int32_t gtid, int32_t schedule, int32_t *last,
			       uint64_t *low, uint64_t *high, int64_t *stride, int64_t step,
			       int64_t chunk);
void __kmpc_for_static_fini(void *loc, int32_t gtid);

/* omp/core/call_x86_64.S */
uint64_t gmo_call(void (*fn)(void), const uint64_t *args, uint64_t n);

/* -1: this thread runs the region's code. */
int32_t __kmpc_target_init(void *environment, void *launch)
{
	return -1;
}

void __kmpc_target_deinit(void)
{
}

struct fork {
	void (*fn)(void);
	void **args;
	uint64_t n;
};

static void forked(int32_t *gtid, int32_t *tid, struct fork *f)
{
	/* six are read whatever n is */
	uint64_t *args = malloc((f->n + 6) * sizeof *args);

	if (!args)
		abort();
	args[0] = (uint64_t)gtid;
	args[1] = (uint64_t)tid;
	for (uint64_t i = 0; i < f->n; i++)
		args[i + 2] = (uint64_t)f->args[i];
	gmo_call(f->fn, args, f->n + 2);
	free(args);
}

void __kmpc_parallel_51(void *loc, int32_t gtid, int32_t condition, int32_t threads, int32_t bind,
			void *fn, void *wrapper, void **args, int64_t n)
{
	struct fork f = {(void (*)(void))(uintptr_t)fn, args, (uint64_t)n};
	int32_t self = __kmpc_global_thread_num(loc), zero = 0;

	if (!condition) {
		__kmpc_serialized_parallel(loc, self);
		forked(&self, &zero, &f);
		__kmpc_end_serialized_parallel(loc, self);
		return;
	}
	if (threads > 0)
		__kmpc_push_num_threads(loc, self, threads);
	__kmpc_fork_call(loc, 1, (microtask)forked, &f);
}

#define LOOP(suffix, type)                                                                         \
	void __kmpc_for_static_loop_##suffix(void *loc, void (*body)(type, void *), void *arg,     \
					     type n, type threads, type chunk)                     \
	{                                                                                          \
		int32_t last = 0, gtid = __kmpc_global_thread_num(loc);                            \
		uint64_t low = 0, high = (uint64_t)n - 1;                                          \
		int64_t stride = 1;                                                                \
		if (n <= 0)                                                                        \
			return;                                                                    \
		__kmpc_for_static_init_8u(loc, gtid, chunk > 0 ? STATIC_CHUNKED : STATIC, &last,   \
					  &low, &high, &stride, 1,                                 \
					  chunk > 0 ? (int64_t)chunk : 1);                         \
		for (; low < (uint64_t)n; low += (uint64_t)stride, high += (uint64_t)stride) {     \
			for (uint64_t i = low; i <= high && i < (uint64_t)n; i++)                  \
				body((type)i, arg);                                                \
			if (chunk <= 0)                                                            \
				break;                                                             \
		}                                                                                  \
		__kmpc_for_static_fini(loc, gtid);                                                 \
	}
LOOP(4, int32_t)
LOOP(4u, uint32_t)
LOOP(8, int64_t)
LOOP(8u, uint64_t)
