/*
 * sys.c - signals, futex, time, thread id. The system call gate itself is gate_x86_64.S.
 */
#include "core/sys/sys.h"
#include "core/sys/sigaction.h"
#include <errno.h>
#include <linux/futex.h>
#include <signal.h>
#include <sys/uio.h>
#include <time.h>

#define BIT(sig) (1ull << ((sig)-1))

/*
 * Never blocked: the signals that our own bugs would raise (blocked, they kill without a word),
 * and SIGSYS, without which Syscall User Dispatch kills the process.
 */
#define NEVER_BLOCKED                                                                              \
	(BIT(SIGSEGV) | BIT(SIGBUS) | BIT(SIGSYS) | BIT(SIGILL) | BIT(SIGFPE) | BIT(SIGTRAP))

gm_sigmask gmi_block_signals(void)
{
	uint64_t all = ~(uint64_t)NEVER_BLOCKED, old = 0;

	gm_sys4(SYS_rt_sigprocmask, SIG_BLOCK, &all, &old, sizeof old);
	return old;
}

void gmi_thread_signals(void)
{
	uint64_t all = ~(BIT(SIGSYS) | GMI_IN_CORE);

	gm_sys4(SYS_rt_sigprocmask, SIG_SETMASK, &all, NULL, sizeof all);
}

static __thread bool signal_held;

void gmi_signal_hold(void)
{
	signal_held = true;
}
void (*gmi_release_hook)(void);

void gmi_restore_signals(gm_sigmask old)
{
	gm_sys4(SYS_rt_sigprocmask, SIG_SETMASK, &old, NULL, sizeof old);
	if (gm_unlikely(signal_held) && !(old & GMI_IN_CORE)) {
		signal_held = false;
		gmi_release_hook();
	}
}

bool gmi_signals_blocked(void)
{
	uint64_t now = 0;

	gm_sys4(SYS_rt_sigprocmask, SIG_BLOCK, NULL, &now, sizeof now);
	return (now | NEVER_BLOCKED | BIT(SIGKILL) | BIT(SIGSTOP)) == ~0ull;
}

int gmi_futex_wait(_Atomic uint32_t *w, uint32_t seen, int64_t timeout_ns)
{
	struct timespec ts = {.tv_sec = timeout_ns / 1000000000,
			      .tv_nsec = timeout_ns % 1000000000};

	return (int)gm_sys4(SYS_futex, w, FUTEX_WAIT, seen, timeout_ns < 0 ? NULL : &ts);
}

void gmi_futex_wake(_Atomic uint32_t *w, int n)
{
	gm_sys3(SYS_futex, w, FUTEX_WAKE, n);
}

void gmi_futex_wake_bits(_Atomic uint32_t *w, uint32_t bits)
{
	gm_sys6(SYS_futex, w, FUTEX_WAKE_BITSET, INT32_MAX, NULL, NULL, bits);
}

int gmi_gettid(void)
{
	return (int)gm_sys0(SYS_gettid);
}

bool gmi_read_own(void *to, uintptr_t from, size_t bytes)
{
	/* the process's first thread may have ended */
	struct iovec ours = {to, bytes}, theirs = {(void *)from, bytes};

	return gm_sys6(SYS_process_vm_readv, gmi_gettid(), &ours, 1, &theirs, 1, 0) == (long)bytes;
}

/* Dies with SIGABRT whatever the program made of that signal, so that the core file shows the
 * caller. */
void gmi_assert_fail(const char *what, const char *file, int line)
{
	struct gm_ksigaction dfl = {0};
	uint64_t abrt = BIT(SIGABRT);

	gmi_log(GM_LOG_ERROR, "%s:%d: assertion failed: %s", file, line, what);
	gm_sys4(SYS_rt_sigaction, SIGABRT, &dfl, NULL, sizeof abrt);
	gm_sys4(SYS_rt_sigprocmask, SIG_UNBLOCK, &abrt, NULL, sizeof abrt);
	gm_sys3(SYS_tgkill, gm_sys0(SYS_getpid), gm_sys0(SYS_gettid), SIGABRT);
	for (;;)
		gm_sys1(SYS_exit_group, 134);
}
