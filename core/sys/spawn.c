/*
 * spawn.c - starting a program that the process never sees as its child.
 *
 *	caller ── clone(VM|VFORK, exit signal 0) ── middle: setsid ── clone(VM|VFORK) ── exec
 *
 * The middle one ends as soon as exec is done, so the program belongs to init. Without an exit
 * signal the middle one is no child for wait() and waitpid(-1); only __WCLONE, used here, reaps
 * it. (One clone alone would not do: exec sets the exit signal back to SIGCHLD.) Both run on a
 * stack of their own in the caller's memory, one after the other, while the calling thread
 * waits: no page table is copied, and what they find out is written straight into struct spawn.
 */
#include "core/sys/sys.h"
#include "core/sys/sigaction.h"
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#define STACK_BYTES ((size_t)32 << 10)

int gmi_in_child(unsigned long flags, int (*fn)(void *), void *arg)
{
	char *stack = gm_sys_mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (gm_is_err(stack))
		return gm_err(stack);
	gm_sigmask old = gmi_block_signals();
	long pid = gmc_clone_call(flags | CLONE_VM | CLONE_VFORK, stack + STACK_BYTES, fn, arg);
	while (pid > 0 && gm_sys4(SYS_wait4, pid, NULL, __WCLONE, NULL) == -EINTR)
		;
	gmi_restore_signals(old);
	gm_sys_munmap(stack, STACK_BYTES);
	return pid < 0 ? (int)pid : 0;
}

/*
 * Runs on a borrowed stack and may end in exec, without returning: AddressSanitizer would leave
 * the frame's redzones marked in the memory that we share, and find them again when the next
 * stack lies at the same address.
 */
#define BORROWED_STACK __attribute__((no_sanitize_address, noinline))

struct spawn {
	const char *path;
	char *const *argv, *const *envp;
	const int *fds;
	int nfds;
	char *inner_stack;
	int pid;
	int err; /* of whoever failed */
};

/* The program starts as from a fresh shell: ignored signals would survive exec, handlers must
 * not run in our memory. */
static BORROWED_STACK void reset_signals(void)
{
	struct gm_ksigaction dfl = {0};
	uint64_t none = 0;

	for (int sig = 1; sig <= 64; sig++)
		gm_sys4(SYS_rt_sigaction, sig, &dfl, NULL, sizeof none);
	gm_sys4(SYS_rt_sigprocmask, SIG_SETMASK, &none, NULL, sizeof none);
}

static BORROWED_STACK void close_from(unsigned first)
{
	struct {
		uint64_t cur, max;
	} lim = {1024, 1024};

	if (gm_sys3(SYS_close_range, first, ~0u, 0) == 0)
		return;
	gm_sys4(SYS_prlimit64, 0, RLIMIT_NOFILE, NULL, &lim); /* before Linux 5.9, or forbidden */
	for (unsigned fd = first; fd < lim.cur; fd++)
		gm_sys1(SYS_close, fd);
}

/* The program's limits are not meant for what works for it: with them a device would not start,
 * or be killed, and a report not be written. */
static BORROWED_STACK void raise_limits(void)
{
	static const int raised[] = {RLIMIT_AS, RLIMIT_DATA, RLIMIT_FSIZE, RLIMIT_CPU};

	for (unsigned i = 0; i < GM_ARRAY_LEN(raised); i++)
		gmc_limit_raise(raised[i]);
}

/* Reads as empty; a root without /dev has no better. */
static BORROWED_STACK long open_null(void)
{
	long fd = gm_sys4(SYS_openat, AT_FDCWD, "/dev/null", O_RDWR, 0);

	return fd >= 0 ? fd : gm_sys2(SYS_memfd_create, "null", 0);
}

/* Every source first moves above the targets, so that no dup2 destroys one that is still needed. */
static BORROWED_STACK int place_fds(const int *fds, int nfds)
{
	long moved[GM_SPAWN_FDS];

	for (int i = 0; i < nfds; i++) {
		long from = fds[i] >= 0 ? fds[i] : open_null();
		if (from < 0)
			return (int)from;
		moved[i] = gm_sys3(SYS_fcntl, from, F_DUPFD, nfds);
		if (moved[i] < 0)
			return (int)moved[i];
	}
	for (int i = 0; i < nfds; i++) {
		long r = gm_sys2(SYS_dup2, moved[i], i);
		if (r < 0)
			return (int)r;
	}
	close_from((unsigned)nfds);
	return 0;
}

static BORROWED_STACK int run_inner(void *arg)
{
	struct spawn *s = arg;

	reset_signals();
	raise_limits();
	s->err = place_fds(s->fds, s->nfds);
	if (!s->err)
		s->err = (int)gm_sys3(SYS_execve, s->path, s->argv, s->envp);
	return 127;
}

static BORROWED_STACK int run_middle(void *arg)
{
	struct spawn *s = arg;

	gm_sys0(SYS_setsid);
	long pid = gmc_clone_call(CLONE_VM | CLONE_VFORK | SIGCHLD, s->inner_stack + STACK_BYTES,
				  run_inner, s);
	if (pid < 0)
		s->err = (int)pid;
	else if (s->err)
		gm_sys4(SYS_wait4, pid, NULL, __WALL, NULL);
	else
		s->pid = (int)pid;
	return 0;
}

static void reap(long pid)
{
	while (gm_sys4(SYS_wait4, pid, NULL, __WCLONE, NULL) == -EINTR)
		;
}

/* A program that adopts orphans (PR_SET_CHILD_SUBREAPER) must not adopt this one: not a
 * subreaper for that moment. */
static void run_spawn(struct spawn *s, char *stack)
{
	int adopts = 0;

	gm_sys2(SYS_prctl, PR_GET_CHILD_SUBREAPER, &adopts);
	if (adopts)
		gm_sys2(SYS_prctl, PR_SET_CHILD_SUBREAPER, 0);
	long middle = gmc_clone_call(CLONE_VM | CLONE_VFORK, stack + STACK_BYTES, run_middle, s);
	if (middle < 0)
		s->err = (int)middle;
	else
		reap(middle);
	if (adopts)
		gm_sys2(SYS_prctl, PR_SET_CHILD_SUBREAPER, 1);
}

int gmi_spawn(const char *path, char *const argv[], char *const envp[], const int *fds, int nfds)
{
	if (nfds < 0 || nfds > GM_SPAWN_FDS)
		return -EINVAL;
	char *stacks = gm_sys_mmap(NULL, 2 * STACK_BYTES, PROT_READ | PROT_WRITE,
				   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (gm_is_err(stacks))
		return gm_err(stacks);
	struct spawn s = {
		.path = path,
		.argv = argv,
		.envp = envp,
		.fds = fds,
		.nfds = nfds,
		.inner_stack = stacks + STACK_BYTES,
	};
	gm_sigmask old = gmi_block_signals();
	run_spawn(&s, stacks);
	gmi_restore_signals(old);
	gm_sys_munmap(stacks, 2 * STACK_BYTES);
	if (s.err)
		return s.err;
	return s.pid > 0 ? s.pid : -ECHILD; /* 0: the middle one was killed */
}
