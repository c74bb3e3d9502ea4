/*
 * ground.h - what all of the preload stands on: whether hooks are in force, whether calls are
 * dispatched, this thread's record (thread.h), the assembly (gate.h), libc's functions (real.h).
 *
 *	what  nothing by itself: state, and the few instructions that C cannot express
 *	who   every other room; the kernel by gate.S, when the program's handlers begin or end
 *	may   the thread's record, the selector; raw system calls; no lock but gmp_threads_lock
 *	must  signal-safe from the first instruction on, but for gmp_real_resolve()
 *	above syscalls, signals, heap, process, dispatch, blas, openmp, init.c (scripts/rooms.txt)
 *
 * Life: init.c's constructor parses the options and raises gmp_on, then gmp_armed when a device
 * is configured. From then on SIGSEGV and SIGSYS are ours at kernel level and every thread is
 * born with an altstack. gmp_activate() is the one step more, taken when the first page is about
 * to leave the CPU: system calls are rewritten, and each thread's are dispatched.
 *
 * A hook that runs before the constructor, or in a bypassed process, finds gmp_on clear and
 * calls libc.
 */
#ifndef GMP_GROUND_H
#define GMP_GROUND_H

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/page/activate.h"
#include "core/space/vm.h"
#include "core/sys/sys.h"

#define GMP_HOOK __attribute__((visibility("default")))

extern bool gmp_on;    /* hooks are in force */
extern bool gmp_armed; /* a device is configured: signals claimed, threads armed */

extern volatile char gmp_selector; /* what the kernel looks at: 0 allow, 1 dispatch */
extern bool gmp_have_dispatch;	   /* this kernel has Syscall User Dispatch */
void gmp_dispatch_try(void);	   /* finds that out; once */
/*
 * A thread is dispatched from its first call after the activation on, or from the signal that it
 * then gets: before, a system call costs what it costs without us. Odd: active; each activation
 * is another generation. gmp_joined: the one that the thread has last seen to.
 */
extern _Atomic uint32_t gmp_generation;
extern __thread uint32_t gmp_joined;
#define GMP_NEVER_JOINS UINT32_MAX /* a thread of ours, or one that has ended */
static inline bool gmp_has_joined(void)
{
	return gmp_joined == atomic_load_explicit(&gmp_generation, memory_order_relaxed);
}
/* Syscall User Dispatch on and off for the calling thread. */
void gmp_dispatch_arm_thread(void);
void gmp_dispatch_disarm_thread(void);

/* Is any byte of [p, p+n) in a managed window? Ends only: no buffer is larger than a window. */
static inline bool gmp_managed(const void *p, size_t n)
{
	return gmi_vm_contains(p) || (n > 1 && gmi_vm_contains((const char *)p + n - 1));
}
static inline bool gmp_is_active(void)
{
	return atomic_load_explicit(&gmi_active, memory_order_relaxed) != 0;
}
/* The result of a raw call as libc gives it. */
static inline long gmp_ret(long r)
{
	if (gm_unlikely((unsigned long)r > -4096ul)) {
		errno = (int)-r;
		return -1;
	}
	return r;
}

#endif
