/*
 * thread.h - what core and preload know of each thread: the ranges it has pinned for a system
 * call, its altstack.
 *
 * Pins work like hazard pointers. A system call stub publishes the hull of its user buffers in
 * its own thread record, then makes the pages resident, then enters the kernel. Whoever takes
 * pages from the CPU first clears the block's cpu_r/cpu_w bits, then fences, then looks at all
 * records: an overlapping pin means the page stays on the host and the device maps it remotely.
 * No shared counter is written, so two threads' system calls never contend.
 *
 * Records are private memory, never freed (reused after thread exit). Signal-safe; owner-only
 * writes.
 */
#ifndef GM_CORE_THREAD_H
#define GM_CORE_THREAD_H

#include "core/sys/bitmap.h"

#define GM_MAX_PINS 32 /* nested: a signal handler interrupts a call and makes calls of its own */

struct gm_pin {
	_Atomic uintptr_t lo, hi; /* [lo, hi) bytes; lo == hi: empty */
};
struct gm_thread {
	struct gm_thread *next; /* global list, push only */
	_Atomic int tid;	/* 0: free for reuse */
	_Atomic uint32_t npins;
	struct gm_pin pin[GM_MAX_PINS];
	/* not yet in gm_stats.syscalls_pinned: a shared counter would cost 5 % of a small read */
	uint32_t pinned_calls;
	uint64_t h2d_bytes; /* that this thread has moved to devices */
	bool internal;	    /* one of our own threads: no hooks, no dispatch */
	uint8_t in_core;    /* depth of gm_enter; debug */
	uint8_t lock_rank;  /* debug: highest lock held */
	void *preload;	    /* preload's part (altstack, ...) */
	/* The driver's function that it is in, since when (0: none), for the watch (driver.h) */
	_Atomic uint64_t driver_ns;
	char *last_error; /* gm_last_error(); NULL: none yet */
};

/* This thread's record, made on first use. Never NULL. */
GM_EXPORT struct gm_thread *gmi_self(void);
/* The thread ends: its record is free for another. */
GM_EXPORT void gmi_thread_exit(void);
GM_EXPORT extern struct gm_thread *_Atomic gmi_threads;

/*
 * Not GM_INACTIVE: calls pin what they use, because a page of some space has left the CPU or may
 * do so soon. Pages leave once it is GM_ACTIVE: then every thread and every handler is ready for
 * that. Only gmi_activate changes it, and a fork in the child.
 */
enum gm_active { GM_INACTIVE, GM_ACTIVATING, GM_ACTIVE };
GM_EXPORT extern _Atomic uint8_t gmi_active;

/*
 * Pins [p, p+len) and makes it resident on the CPU with the right asked for, so that the kernel
 * can access it. A range outside every window costs one comparison. Returns a token for
 * gmi_unpin. errno is kept. Memory that the program itself may not access is left alone: the
 * kernel then gives EFAULT as it would without us.
 */
GM_EXPORT unsigned gmi_pin(const void *p, size_t len, bool write);
GM_EXPORT void gmi_unpin(unsigned token);
/* Pins for the life of the process or until unpinned (altstacks, io_uring): marks the pages,
 * brings them home and into the store, so that nothing but their rights changes when a device
 * wants them. What is pinned already costs a look. 0 or -errno */
GM_EXPORT int gmi_pin_range(const void *p, size_t len, bool pin);
/* All pages that are pinned for good go into the store: before the first page leaves the CPU. */
GM_EXPORT void gmi_adopt_pinned(void);
/*
 * Which pages of the 2 MiB block at va does any thread pin now? Called with the block locked,
 * after a fence.
 */
gm_bm gmc_pinned_by_threads(uintptr_t va);
/* At the end: what the threads have counted for themselves goes to gm_stats. */
void gmc_threads_count(void);
/* In the fork child only the calling thread lives on. */
void gmc_threads_forked(void);

#endif
