/*
 * leave.c - a process that confines itself (seccomp, landlock) leaves: every page comes home, the
 * devices and our threads end, signals, altstack and dispatch are the kernel's again, and hooks
 * pass through. From then on it makes no system call that it would not make without us, but that
 * its heap comes from mmap and never from brk. Its children are not preloaded.
 *
 * One that asks to be traced (PTRACE_TRACEME) leaves as well: its tracer would be told of each page
 * fault, and of each dispatched call, which it could undo. What it executes is preloaded as ever.
 *
 * One that must be alone for a call (unshare, setns) gets the same without our threads, which
 * come back behind it. One whose confinement the kernel refuses does not leave.
 *
 * The order counts. What a thread is doing may still end in our handlers until nothing is away
 * and dispatch is off, so each of the others is seen asleep in the kernel, or comes by, before the
 * handlers go (gmp_deactivate).
 */
#include "preload/dispatch/leave.h"

#include <linux/seccomp.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <unistd.h>

#include "core/count/stats.h"
#include "core/entry/leave.h"
#include "core/entry/outside.h"
#include "core/rules/opt.h"
#include "core/sys/own_thread.h"
#include "devsim/driver/sim.h"
#include "preload/dispatch/dispatch.h"
#include "preload/ground/ground.h"
#include "preload/ground/real.h"
#include "preload/ground/thread.h"
#include "preload/heap/gmp_malloc.h"
#include "preload/heap/gmp_mmap.h"
#include "preload/process/process.h"
#include "preload/process/thread.h"
#include "preload/signals/altstack.h"
#include "preload/signals/sighold.h"
#include "preload/signals/inherit.h"
#include "preload/signals/signals.h"
#include "preload/syscalls/held.h"

#ifndef SYS_landlock_restrict_self
#define SYS_landlock_restrict_self 446
#endif

enum gmp_confinement gmp_confines(long nr, const long a[6])
{
	const long alone = CLONE_NEWUSER | CLONE_VM | CLONE_SIGHAND | CLONE_THREAD;

	switch (nr) {
	case SYS_prctl: /* a filter at NULL: only asks whether there are filters */
		return a[0] == PR_SET_SECCOMP && (a[1] == SECCOMP_MODE_STRICT ||
						  (a[1] == SECCOMP_MODE_FILTER && a[2]))
			       ? GMP_CONFINED
			       : GMP_FREE;
	case SYS_seccomp:
		return a[0] == SECCOMP_SET_MODE_STRICT || (a[0] == SECCOMP_SET_MODE_FILTER && a[2])
			       ? GMP_CONFINED
			       : GMP_FREE;
	case SYS_landlock_restrict_self:
		return GMP_CONFINED;
	case SYS_ptrace:
		return a[0] == PTRACE_TRACEME ? GMP_TRACED : GMP_FREE;
	case SYS_unshare:
		return a[0] & alone ? GMP_ALONE : GMP_FREE;
	case SYS_setns:
		return GMP_ALONE;
	default:
		return GMP_FREE;
	}
}

static const char *name_of(long nr)
{
	return nr == SYS_ptrace			  ? "ptrace"
	       : nr == SYS_landlock_restrict_self ? "landlock"
						  : "seccomp";
}

static _Atomic uint32_t state; /* futex */
enum { IN, LEAVING, OUT };

/* The calling thread is as the kernel would have it. */
static void thread_leaves(uint64_t *kmask)
{
	struct gmp_thread *t = gmp_self();
	uint64_t blocked = t->vmask;

	gmp_altstack_return(t);
	gmp_dispatch_disarm_thread();
	if (kmask)
		*kmask |= blocked;
	gm_sys4(SYS_rt_sigprocmask, SIG_BLOCK, &blocked, NULL, 8);
	gmp_sig_return(t);
}

/* Nothing is away. */
static void armed_leaves(uint64_t *kmask)
{
	gmi_activate_hook = gmp_never_again;
	gmp_left_shared = !gmi_memory_leave();
	gmp_deactivate();
	gmp_signals_return();
	thread_leaves(kmask);
	gmp_armed = false;
}

static void leave_now(enum gmp_confinement how, const char *by, uint64_t *kmask)
{
	uint32_t in = IN;

	if (!atomic_compare_exchange_strong(&state, &in, LEAVING)) {
		while (atomic_load(&state) == LEAVING)
			gmi_futex_wait(&state, LEAVING, -1);
		return;
	}
	gmi_outside_leave();
	gmi_sims_rest();
	gmp_own_threads_gone();
	gmi_log(GM_LOG_INFO, "this process %s (%s): from here on it runs without GMEM",
		how == GMP_TRACED ? "is traced" : "confines itself", by);
	gmi_report_leave(by);
	if (gmp_armed)
		armed_leaves(kmask);
	gmp_mmap_leave();
	gmp_malloc_leave();
	if (how == GMP_CONFINED)
		gmp_children_plain(environ);
	gmp_on = false;
	atomic_store(&state, OUT);
	gmi_futex_wake(&state, INT32_MAX);
}

/* ---- will it be refused? ---- */

struct trial {
	long nr;
	const long *a;
	long r;
};

/*
 * What the kernel would say, asked in a process on our memory that nothing is left of. A filter is
 * not even installed there: the kernel reads and checks it, and then has no descriptor for the
 * listener that we ask for. (On a borrowed stack, as in spawn.c.)
 */
static __attribute__((no_sanitize_address, noinline)) int try_in_child(void *arg)
{
	struct trial *t = arg;
	const struct rlimit none = {0, 0};
	long flags = t->nr == SYS_prctl ? 0 : t->a[1];

	if (t->nr == SYS_landlock_restrict_self) {
		t->r = gm_sys2(t->nr, t->a[0], t->a[1]);
	} else if (!gm_sys4(SYS_prlimit64, 0, RLIMIT_NOFILE, &none, NULL)) {
		flags &= ~(SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_TSYNC_ESRCH);
		t->r = gm_sys3(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
			       flags | SECCOMP_FILTER_FLAG_NEW_LISTENER, t->a[2]);
		t->r = t->r == -EMFILE ? 0 : t->r;
	}
	return 0;
}

static long refusal(long nr, const long a[6], void *unused)
{
	struct trial t = {nr, a, 0};

	gmi_in_child(0, try_in_child, &t);
	return t.r;
}

static long make_call(long nr, const long a[6])
{
	return gm_sys6(nr, a[0], a[1], a[2], a[3], a[4], a[5]);
}

static long call_alone(long nr, const long a[6])
{
	gmi_sims_rest();
	gmp_own_threads_gone();
	long r = make_call(nr, a);
	gmi_sims_return();
	if (gmp_armed)
		gmi_chaos_start();
	return r;
}

/* A vfork child confines itself, not the process whose memory it runs on. */
long gmp_confined_call(enum gmp_confinement how, long nr, const long a[6], uint64_t *kmask)
{
	if (!gmp_on)
		return make_call(nr, a);
	if (gmp_armed && gmp_guest(gmp_self()))
		return gmp_held_syscall(nr, a);
	if (how == GMP_ALONE)
		return call_alone(nr, a);
	const bool strict = nr == SYS_prctl ? a[1] == SECCOMP_MODE_STRICT
					    : nr == SYS_seccomp && a[0] == SECCOMP_SET_MODE_STRICT;
	long refused = strict || how == GMP_TRACED ? 0 /* it has no more arguments to look at */
		       : gmp_armed		   ? gmp_held_call(nr, a, refusal, NULL)
						   : refusal(nr, a, NULL);
	if (refused)
		return refused;
	gm_sigmask mask = gmi_block_signals();
	leave_now(how, name_of(nr), kmask ? kmask : &mask);
	gmi_restore_signals(mask);
	return make_call(nr, a);
}

/* ---- libc's functions ---- */

static long checked(long nr, const long a[6])
{
	return gmp_ret(gmp_confined_call(gmp_confines(nr, a), nr, a, NULL));
}

/* From syscall(): calls that may confine. */
__attribute__((visibility("hidden"))) long gmp_confining_syscall(long nr, long a, long b, long c,
								 long d, long e, long f);
__attribute__((visibility("hidden"))) long gmp_confining_syscall(long nr, long a, long b, long c,
								 long d, long e, long f)
{
	const long args[6] = {a, b, c, d, e, f};

	return gmp_confines(nr, args) == GMP_FREE ? GMP_REAL(syscall)(nr, a, b, c, d, e, f)
						  : checked(nr, args);
}

/* The words behind the named argument, up to the n-th of all. */
#define READ_WORDS(a, named, n)                                                                    \
	do {                                                                                       \
		va_list ap;                                                                        \
		va_start(ap, named);                                                               \
		for (unsigned i = 1; i < (n); i++)                                                 \
			(a)[i] = va_arg(ap, long);                                                 \
		va_end(ap);                                                                        \
	} while (0)

GMP_HOOK int prctl(int option, ...)
{
	long a[6] = {option};

	READ_WORDS(a, option, 5);
	return gmp_confines(SYS_prctl, a) == GMP_FREE
		       ? GMP_REAL(prctl)(option, a[1], a[2], a[3], a[4])
		       : (int)checked(SYS_prctl, a);
}

/* (Its result is that of the other requests, which go on as they came.) */
GMP_HOOK long ptrace(enum __ptrace_request request, ...)
{
	long a[6] = {request};

	READ_WORDS(a, request, 4);
	return gmp_confines(SYS_ptrace, a) == GMP_FREE ? GMP_REAL(ptrace)(request, a[1], a[2], a[3])
						       : checked(SYS_ptrace, a);
}

GMP_HOOK int unshare(int flags)
{
	const long a[6] = {flags};

	return gmp_confines(SYS_unshare, a) == GMP_FREE ? GMP_REAL(unshare)(flags)
							: (int)checked(SYS_unshare, a);
}

GMP_HOOK int setns(int fd, int type)
{
	const long a[6] = {fd, type};

	return (int)checked(SYS_setns, a);
}
