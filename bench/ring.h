/*
 * ring.h - the barest channel between two processes: two counters in shared memory that both
 * sides spin on.
 */
#ifndef GM_BENCH_RING_H
#define GM_BENCH_RING_H

#include "bench.h"
#include <stdatomic.h>
#include <stdbool.h>

struct ring {
	_Alignas(64) atomic_uint request;
	_Alignas(64) atomic_uint reply;
	_Alignas(64) uint64_t addr; /* of the request: what was touched */
	uint64_t frame;		    /* of the reply: where it is now */
	atomic_bool done;
	double us; /* what the other process measured */
};

static inline struct ring *ring_create(void)
{
	struct ring *r =
		mmap(NULL, sizeof *r, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (r == MAP_FAILED)
		bench_die("mmap: %s", strerror(errno));
	return r;
}

static inline void ring_wait(const atomic_uint *word, unsigned seen)
{
	while (atomic_load_explicit(word, memory_order_acquire) == seen)
		__builtin_ia32_pause();
}

/* One round trip, from the side that asks. */
static inline void ring_ask(struct ring *r)
{
	unsigned seen = atomic_load(&r->reply);

	atomic_fetch_add(&r->request, 1);
	ring_wait(&r->reply, seen);
}

#endif
