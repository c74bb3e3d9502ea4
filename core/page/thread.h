/*
 * thread.h - what core and preload know of each thread: the ranges it holds for a system
 * call, its altstack.
 *
 * Holds work like hazard pointers. A system call stub publishes the hull of its user buffers in
 * its own thread record, then makes the pages resident, then enters the kernel. Whoever takes
 * pages from the CPU first clears the block's cpu_r/cpu_w bits, then fences, then looks at all
 * records: an overlapping hold means the page stays on the host and the device maps it remotely.
 * No shared counter is written, so two threads' system calls never contend.
 *
 * Records are private memory, never freed (reused after thread exit). Signal-safe; owner-only
 * writes.
 */
#ifndef GM_CORE_THREAD_H
#define GM_CORE_THREAD_H

#include "core/sys/bitmap.h"

#define GM_MAX_HOLDS 32 /* nested: a signal handler interrupts a call and makes calls of its own */

struct gm_hold {
	_Atomic uintptr_t lo, hi; /* [lo, hi) bytes; lo == hi: empty */
};
struct gm_thread {
	struct gm_thread *next; /* global list, push only */
	_Atomic int tid;	/* 0: free for reuse */
	_Atomic uint32_t nholds;
	struct gm_hold hold[GM_MAX_HOLDS];
	/* not yet in gm_stats.syscalls_pinned: a shared counter would cost 5 % of a small read */
	uint32_t held_calls;
	/* that this thread has moved to devices; of it what had had to be evicted */
	uint64_t h2d_bytes, refetched_bytes;
	uint64_t busy_ns; /* since when its evictions find all blocks locked; 0: they do not */
	/* serves a CPU fault: what would wait long for a device may end with -EAGAIN */
	bool can_retry;
	bool internal; /* one of our own threads: no hooks, no dispatch */
	void *preload; /* preload's part (altstack, ...) */
	/* since when it is in code that is not ours (0: it is not), for the watch (guard.h) */
	_Atomic uint64_t guarded_ns;
	char *last_error; /* gm_last_error(); NULL: none yet */
};

/* This thread's record, made on first use. Never NULL. */
GM_EXPORT struct gm_thread *gmi_self(void);
/* The thread ends: its record is free for another. */
GM_EXPORT void gmi_thread_exit(void);
GM_EXPORT extern struct gm_thread *_Atomic gmi_threads;

/*
 * Which pages of the 2 MiB block at va does any thread hold now? Called with the block locked,
 * after a fence.
 */
gm_bm gmc_held_by_calls(uintptr_t va);
/* A call that holds begins; the batch is full: to gm_stats. */
#define GM_HELD_BATCH 64
void gmc_thread_count(struct gm_thread *t);
static inline void gmc_thread_count_call(struct gm_thread *t)
{
	if (gm_unlikely(++t->held_calls == GM_HELD_BATCH))
		gmc_thread_count(t);
}
/* At the end: what the threads have counted for themselves goes to gm_stats. */
void gmc_threads_count(void);
/* In the fork child only the calling thread lives on. */
void gmc_threads_forked(void);

#endif
