/* thread.c - rows of futexes and of what the kernel knows of a thread. */
#include <linux/futex.h>
#include <pthread.h>
#include <stddef.h>
#include <sys/mman.h>
#include <time.h>

#include "rows.h"

#define PRIVATE	    FUTEX_PRIVATE_FLAG
#define U32_PRIVATE (2 | 128) /* flags of futexes by the newer calls */

static uint32_t *word(uint32_t value)
{
	return IN(uint32_t, value);
}

/* Waits on a word until it changes. */
static void *waiter(void *w)
{
	uint32_t *p = w;

	while (__atomic_load_n(p, __ATOMIC_SEQ_CST) == 5)
		syscall(SYS_futex, p, FUTEX_WAIT | PRIVATE, 5, NULL, NULL, 0);
	return NULL;
}

static void change_and_wake(uint32_t *p)
{
	pthread_t t;

	pthread_create(&t, NULL, waiter, p);
	__atomic_store_n(p, 6, __ATOMIC_SEQ_CST);
	TRY(futex, p, FUTEX_WAKE | PRIVATE, 1000, NULL, NULL, 0);
	pthread_join(t, NULL);
}

ROW(futex)
{
	uint32_t *a = word(5), *b = word(7);
	struct timespec *ts = IN(struct timespec, 0, 1000);

	CALL(futex, a, FUTEX_WAIT | PRIVATE, 5, ts, NULL, 0);
	CALL(futex, a, FUTEX_WAIT | PRIVATE, 6, ts, NULL, 0);
	CALL(futex, a, FUTEX_WAIT, 5, ts, NULL, 0); /* shared: by the page it is in */
	CALL(futex, a, FUTEX_WAKE | PRIVATE, 1, NULL, NULL, 0);
	CALL(futex, a, FUTEX_CMP_REQUEUE | PRIVATE, 1, 1, b, 5);
	CALL(futex, a, FUTEX_CMP_REQUEUE | PRIVATE, 1, 1, b, 6);
	CALL(futex, a, FUTEX_WAKE_OP | PRIVATE, 1, 1, b,
	     FUTEX_OP(FUTEX_OP_ADD, 3, FUTEX_OP_CMP_EQ, 7));
	FAULTS(futex, a, FUTEX_WAIT | PRIVATE, 5, ts, NULL, 0);
	FAULTS(futex, a, FUTEX_WAKE_OP | PRIVATE, 1, 1, b,
	       FUTEX_OP(FUTEX_OP_ADD, 3, FUTEX_OP_CMP_EQ, 7));
	CALL(futex, (char *)a + 1, FUTEX_WAIT | PRIVATE, 5, ts, NULL, 0);
	*a = 0;
	long tid = gettid();
	say("%ld", TRY(futex, a, FUTEX_LOCK_PI | PRIVATE, 0, NULL, NULL, 0));
	say("locked by this thread %d", *a == (uint32_t)tid);
	CALL(futex, a, FUTEX_UNLOCK_PI | PRIVATE, 0, NULL, NULL, 0);
	*a = 5;
	change_and_wake(a);
}

struct wait { /* struct futex_waitv */
	uint64_t val, uaddr;
	uint32_t flags, reserved;
};

ROW(futex_waitv)
{
	uint32_t *a = word(5), *b = word(7);
	struct wait *w = opaque(2 * sizeof(*w));
	struct timespec *ts = IN(struct timespec, 1, 0); /* absolute: long ago */

	w[0] = (struct wait){5, (uintptr_t)a, U32_PRIVATE, 0};
	w[1] = (struct wait){7, (uintptr_t)b, U32_PRIVATE, 0};
	CALL(futex_waitv, w, 2, 0, ts, CLOCK_MONOTONIC);
	FAULTS(futex_waitv, w, 2, 0, ts, CLOCK_MONOTONIC);
	w[1].val = 8;
	CALL(futex_waitv, w, 2, 0, ts, CLOCK_MONOTONIC);
	w[1].uaddr = 8;
	CALL(futex_waitv, w, 2, 0, ts, CLOCK_MONOTONIC);
}

ROW(futex_wake)
{
	uint32_t *a = word(5);

	CALL(futex_wake, a, ~0u, 1, U32_PRIVATE);
	CALL(futex_wake, a, ~0u, 1, 2);
	FAULTS(futex_wake, a, ~0u, 1, 2);
}

ROW(futex_wait)
{
	uint32_t *a = word(5);
	struct timespec *ts = IN(struct timespec, 1, 0);

	CALL(futex_wait, a, 5, ~0u, U32_PRIVATE, ts, CLOCK_MONOTONIC);
	CALL(futex_wait, a, 6, ~0u, U32_PRIVATE, ts, CLOCK_MONOTONIC);
	FAULTS(futex_wait, a, 5, ~0u, U32_PRIVATE, ts, CLOCK_MONOTONIC);
}

ROW(futex_requeue)
{
	uint32_t *a = word(5), *b = word(7);
	struct wait *w = opaque(2 * sizeof(*w));

	w[0] = (struct wait){5, (uintptr_t)a, U32_PRIVATE, 0};
	w[1] = (struct wait){7, (uintptr_t)b, U32_PRIVATE, 0};
	CALL(futex_requeue, w, 0, 1, 1);
	FAULTS(futex_requeue, w, 0, 1, 1);
	w[0].val = 6;
	CALL(futex_requeue, w, 0, 1, 1);
}

ROW(get_robust_list)
{
	void **head = opaque(sizeof(*head));
	size_t *len = OUT(size_t);

	CALL(get_robust_list, 0, head, len);
	say("%d", *head != NULL);
	FAULTS(get_robust_list, 0, head, len);
}

struct robust {
	void *next;
	long offset;
	void *pending;
};

/* A thread that dies with a robust mutex of its own making, all of it away. */
static void *die_locked(void *w)
{
	uint32_t *lock = w;
	struct robust *head = opaque(sizeof(*head)); /* an empty list, and this lock pending */

	head->next = head, head->offset = 0, head->pending = lock;
	__atomic_store_n(lock, (uint32_t)gettid(), __ATOMIC_SEQ_CST);
	CALL(set_robust_list, head, sizeof(*head));
	CALL(set_robust_list, head, 5);
	send_away();
	return NULL;
}

ROW(set_robust_list)
{
	uint32_t *lock = opaque(4);
	pthread_t t;

	pthread_create(&t, NULL, die_locked, lock);
	pthread_join(t, NULL);
	/* joined when its id is cleared, which is after the list was walked */
	say("owner died: %d", (*lock & FUTEX_OWNER_DIED) != 0);
}

ROW(set_tid_address)
{
	int *tid = out(4);

	say("%d", TRY(set_tid_address, tid) == gettid());
}

/* The kernel writes there whenever it puts the thread on a processor. */
#define RSEQ_SIG 0x53053053
extern const ptrdiff_t __rseq_offset __attribute__((weak));
extern const unsigned __rseq_size __attribute__((weak));

ROW(rseq)
{
	char *libcs = (char *)__builtin_thread_pointer() + __rseq_offset;
	uint32_t *ours = memset(opaque(PAGE), 0, PAGE);

	ours[1] = (uint32_t)-1;
	CALL(rseq, ours, 32, 2, RSEQ_SIG);
	long was_libcs = __rseq_size && !syscall(SYS_rseq, libcs, 32, 1, RSEQ_SIG);
	CALL(rseq, ours, 32, 0, RSEQ_SIG);
	for (int i = 0; i < 100; i++) {
		send_away();
		sched_yield();
	}
	say("has a processor: %d", (int)__atomic_load_n(&ours[1], __ATOMIC_RELAXED) >= 0);
	CALL(rseq, ours, 32, 1, RSEQ_SIG);
	if (was_libcs)
		say("%ld", syscall(SYS_rseq, libcs, 32, 0, RSEQ_SIG));
}

const struct row thread_rows[] = {
	R(futex),	    R(futex_waitv),	R(futex_wake),	    R(futex_wait), R(futex_requeue),
	R(get_robust_list), R(set_robust_list), R(set_tid_address), R(rseq),	   {0},
};
