/*
 * thread.h - what the preload knows of each thread, and the flags of libc's calls that it is in.
 *
 * The record is the thread's own. gmp_threads_lock: other threads' records (gm_thread.preload)
 * are read and taken away under it.
 */
#ifndef GMP_THREAD_H
#define GMP_THREAD_H

#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/page/thread.h"
#include "core/sys/sys.h"

#define GMP_NSIG   64
#define gmp_bit(s) (1ull << ((s)-1))
/* Never really blocked while armed: a page fault or a dispatched call would kill the thread. */
#define GMP_VIRTUAL (gmp_bit(SIGSEGV) | gmp_bit(SIGSYS))

/* What an instruction raises: blocked, it would kill the thread. */
#define GMP_SYNCHRONOUS                                                                            \
	(GMP_VIRTUAL | gmp_bit(SIGBUS) | gmp_bit(SIGFPE) | gmp_bit(SIGILL) | gmp_bit(SIGTRAP))

/* What a process on our memory (a vfork child) has said of GMP_VIRTUAL signals. */
struct gmp_guest {
	int pid;
	uint64_t vmask;
	uint64_t set, ignored; /* actions that it changed; those of them to SIG_IGN */
};
enum gmp_exec_level { GMP_EXEC_CALL, GMP_EXEC_SEARCH, GMP_EXEC_LEVELS };
struct gmp_thread {
	stack_t alt; /* the altstack that the program set; ss_size 0: none */
	stack_t to_install;
	bool raw;      /* the program set it by a call of its own, past libc */
	bool theirs;   /* the kernel has the program's altstack: ours is not in use */
	bool aside;    /* own_alt is in use by gmp_aside() (dispatch/site_call.c) */
	char *own_alt; /* ours, lowest usable byte; NULL: none (not born in our pthread_create) */
	size_t own_alt_bytes;
	/* of the mapping that starts one guard page below own_alt; 0: gmi_alloc */
	size_t map_bytes;
	char *scratch;	/* two signal frames are put together here, signals blocked */
	uint64_t vmask; /* GMP_VIRTUAL signals that the program believes blocked */
	/* the others that were really blocked when the program set vmask; 0: unknown */
	uint64_t beside;
	_Atomic uint64_t vpending; /* and those of them that arrived meanwhile */
	siginfo_t held[2];
	/* sigwait.c: the mask of the call that the thread is in, vmask when it is over */
	uint64_t during, after;
	bool in_call;
	bool kept_out;		   /* a signal came that is held now */
	volatile uint32_t go;	   /* 0: what gmp_gate_if() is asked to do has no more reason */
	volatile uint64_t waiting; /* GMP_VIRTUAL signals that it takes synchronously */
	struct gmp_guest guest;
	uintptr_t stack_block;	  /* last 2 MiB block pinned because the stack pointer was in it */
	_Atomic uint32_t in_libc; /* depth of gmp_libc_enter() */
	/* how often it was stopped, and ran a handler of the program's: both end calls */
	volatile uint32_t stops, handlers;
	/* a call that a handler of ours had made again: where, and its number */
	long again_at, again_nr;
	bool armed; /* altstack and dispatch are in the kernel's hands */
	struct gmp_exec_copy {
		void *p;
		size_t bytes;
	} exec_copy[GMP_EXEC_LEVELS]; /* exec.c: memory of the last attempts */
};
extern __thread struct gmp_thread *gmp_tls;
/* This thread's part; made without an altstack for a thread that no hook of ours started.
 * Signal-safe. */
struct gmp_thread *gmp_self(void);
/* A thread of ours is no more: its record is free. */
void gmp_thread_forget(struct gm_thread *g);

extern struct gm_lock gmp_threads_lock;
extern bool gmp_threaded; /* pthread_create was called at least once */
/* libc makes a thread of ours, not to be armed; core waits around it */
extern __thread bool gmp_making_own;
extern __thread bool gmp_in_fork; /* inside libc's fork: core is prepared */

#endif
