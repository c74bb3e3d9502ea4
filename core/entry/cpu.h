/*
 * cpu.h - the CPU as one more MMU: what a SIGSEGV handler asks core, and the switch that starts
 * it all.
 */
#ifndef GM_CORE_CPU_H
#define GM_CORE_CPU_H

#include "core/page/thread.h"

enum gm_cpu_fault_result {
	GM_CPU_NOT_OURS, /* a fault of the program's own: forward it */
	GM_CPU_RESOLVED, /* return from the handler, the access is tried again */
	GM_CPU_LOST,	 /* ours, but the bytes cannot be brought home: SIGBUS with this address */
};
/*
 * Serves a CPU fault. Called in a SIGSEGV handler with every signal blocked. write: REG_ERR & 2.
 * Takes the block's lock, touches no managed memory, calls no libc.
 */
GM_EXPORT enum gm_cpu_fault_result gmi_cpu_fault(uintptr_t addr, bool write);
/*
 * The first thing that a SIGSEGV handler asks, with its siginfo_t and ucontext_t. True: the thread
 * was in a driver's function that broke a rule (driver.h), and goes on behind it when the handler
 * returns.
 */
GM_EXPORT bool gmi_leave_driver(const void *info, void *context);
/* Makes the whole range accessible to the CPU (write: for writing). For gmi_pin and the driver.
 * Signals blocked. */
GM_EXPORT int gmi_cpu_make_resident(uintptr_t addr, size_t len, bool write);

/*
 * Called by core once, before the first page leaves the CPU: the default installs a plain
 * SIGSEGV handler that chains to the previous one; the preload sets its own (selector on,
 * threads kicked). Returns 0 or -errno: then no device runs.
 */
GM_EXPORT extern int (*gmi_activate_hook)(void);
/*
 * Returns when gmi_active is GM_ACTIVE (0), or the hook's error. Whoever takes rights from the
 * CPU, if only for a moment, calls it first, without locks. Within the hook: 0 at once.
 */
GM_EXPORT int gmi_activate(void);
void gmc_activation_forked(void);
/* For assertions: a CPU fault would find a handler (the preload's is there from the start). */
bool gmc_cpu_ready(void);

/* The back end in use, "sigsegv" or "uffd" (cpu_mmu.h); chosen when the first device is
 * attached. */
GM_EXPORT const char *gmi_cpu_backend(void);

/* Starts one of our own threads: signals blocked, small stack, thread->internal set. preload
 * points it at the real one. */
GM_EXPORT extern int (*gmi_thread_start)(void *(*fn)(void *), void *arg);

/*
 * fork.c: the three atfork parts. prepare freezes every space; the child gets a private heap and
 * no device.
 */
/*
 * Locks a block for the CPU's side. The thread that is inside fork() holds every block already
 * (and in the child is the only thread): then false, and the caller must not unlock. In the
 * child it first makes the heap private.
 */
struct gm_block;
bool gmc_fork_lock_block(struct gm_block *b);
GM_EXPORT void gmi_fork_prepare(void);
/*
 * The same for a thread whose stack or altstack may lie in the window: those pages become the
 * kernel's own memory first, because parent and child both write there before the child has its
 * copy. Called on another stack, as gmi_fork_parent() then is.
 */
struct gm_span {
	uintptr_t lo, hi;
};
#define GM_FORK_STACKS 2u
GM_EXPORT void gmi_fork_prepare_stacks(const struct gm_span *stacks, unsigned n);
GM_EXPORT void gmi_fork_parent(void);
GM_EXPORT void gmi_fork_child(void);
/* Runs in the child after core's part (drivers forget their processes). Up to 8. */
GM_EXPORT void gmi_at_fork_child(void (*fn)(void));

#endif
