/*
 * real.h - libc's own functions behind our hooks.
 *
 * GMP_REAL(name) is a pointer of the right type. All are looked up together, at start or by the
 * first hook that is called before it; never later (dlsym may allocate).
 */
#ifndef GMP_REAL_H
#define GMP_REAL_H

#include <dlfcn.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <sched.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <threads.h>
#include <ucontext.h>
#include <unistd.h>

/* clang-format off */
#define GMP_REALS(X) \
	X(dlopen) X(dlmopen) X(syscall) X(prctl) X(ptrace) X(unshare) X(setns) X(setgroups) \
	X(vmsplice) X(pthread_create) X(thrd_create) X(pthread_sigmask) X(pthread_kill) \
	X(pthread_cancel) X(sigaction) X(signal) X(sysv_signal) X(sigset) X(sigignore) X(sighold) \
	X(sigrelse) X(siginterrupt) X(sigprocmask) X(sigpending) X(sigsuspend) X(sigaltstack) \
	X(setcontext) X(swapcontext) X(makecontext) X(ppoll) X(pselect) X(epoll_pwait) \
	X(epoll_pwait2) X(sigwait) X(sigwaitinfo) X(sigtimedwait) X(posix_spawn) X(posix_spawnp) \
	X(system) X(popen) X(execve) X(fexecve) X(execvpe) X(close) X(dup2) X(dup3) \
	X(close_range) X(closefrom) X(pthread_getattr_np) X(fstat) X(fstat64)
/* clang-format on */

/* The old signal functions are hooked because programs still call them. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
struct gmp_real {
#define X(f) __typeof__(f) *p_##f;
	GMP_REALS(X)
#undef X
	void (*p_longjmp)(void *, int);
	void (*p_siglongjmp)(void *, int);
	void (*p___longjmp_chk)(void *, int);
};
#pragma GCC diagnostic pop
/* where hooks_x86_64.S looks */
_Static_assert(offsetof(struct gmp_real, p_dlopen) == 0, "dlopen first");
_Static_assert(offsetof(struct gmp_real, p_dlmopen) == 8, "dlmopen second");
_Static_assert(offsetof(struct gmp_real, p_syscall) == 16, "syscall third");
extern struct gmp_real gmp_real;
void gmp_real_resolve(void);

#define GMP_REAL(f)                                                                                \
	(*(gm_likely(gmp_real.p_##f) ? gmp_real.p_##f : (gmp_real_resolve(), gmp_real.p_##f)))

#endif
