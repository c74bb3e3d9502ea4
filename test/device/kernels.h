/*
 * kernels.h - arguments of the kernels in kernels.c; shared by both sides.
 */
#ifndef GM_TEST_KERNELS_H
#define GM_TEST_KERNELS_H

#include <stdatomic.h>
#include <stdint.h>

struct node {
	struct node *next;
	long value, sum;
};
struct list_args {
	struct node *head;
};
struct count_args {
	_Atomic uint32_t *per_block, *workers;
};
/* meet: launches that wait for each other; all come, or each gives up after 10 s. */
struct meet_args {
	_Atomic uint32_t *come;
	uint32_t all;
};
struct churn_args {
	volatile uint64_t *data;
	uint64_t words, step, turns;
};
/* count_up: adds one, so often. converse: the kernel answers each word that it is told. */
struct count_up_args {
	_Atomic uint64_t *word;
	uint64_t times;
};
struct converse_args {
	_Atomic uint64_t *told, *answer;
	volatile uint64_t *data; /* beside `told`: told i, it holds i * i */
	uint64_t turns;
};
/* scatter: reads so many words of the array, no two in one sector; counts them, and their size if
 * that is known. */
struct scatter_args {
	const double *base;
	uint64_t words, reads;
	uint32_t size_known;
};
/*
 * litmus: the kernel's half of a round, `rounds` times. Before it, `ready` says that it begins; go
 * LITMUS_END ends it. stream_*: writes data and flag, or reads them, until `go` is not 0.
 */
#define LITMUS_END  UINT64_MAX
#define LITMUS_DONE (1ull << 32) /* added to `ready`: the round is over */
enum litmus_kind { STORE_BUFFERING, LOAD_BUFFERING };
struct litmus_args {
	_Atomic uint64_t *mine, *other, *go, *ready;
	uint64_t *
		out; /* of litmus: what was seen in each round; of stream_read: violations, reads */
	uint64_t rounds;
	enum litmus_kind kind;
};
/* Stores r to mine, loads other; the other way round for load buffering. Returns what it loaded. */
static inline uint64_t litmus_step(enum litmus_kind kind, _Atomic uint64_t *mine,
				   _Atomic uint64_t *other, uint64_t r)
{
	if (kind == STORE_BUFFERING) {
		atomic_store(mine, r);
		return atomic_load(other);
	}
	uint64_t seen = atomic_load_explicit(other, memory_order_acquire);
	atomic_store_explicit(mine, r, memory_order_release);
	return seen;
}
static inline void stream_write(const struct litmus_args *a, uint64_t i)
{
	atomic_store_explicit(a->other, i, memory_order_relaxed);
	atomic_store_explicit(a->mine, i, memory_order_release);
}
/* Is the data older than the flag, or the flag older than the last one? */
static inline uint64_t stream_read(const struct litmus_args *a, uint64_t *last)
{
	uint64_t flag = atomic_load_explicit(a->mine, memory_order_acquire);
	uint64_t data = atomic_load_explicit(a->other, memory_order_relaxed);
	uint64_t bad = data < flag || flag < *last;

	*last = flag;
	return bad;
}
/* watch: page i holds 1000 + i or 2000 + i in its first word. */
struct watch_args {
	const volatile uint64_t *base;
	uint64_t pages, step; /* step: words */
	const volatile uint64_t *stop;
	/* how often it went round, how many words it saw change */
	volatile uint64_t *turns, *changes;
};

#endif
