/* signal.c - rows of signals. The two signals that GMEM keeps for itself are in every mask:
 * nobody may see that they are never blocked. */
#include <signal.h>
#include <sys/syscall.h>
#include <sys/types.h>

#include "rows.h"

#define BIT(sig) (1ul << ((sig)-1))
#define OURS	 (BIT(SIGSEGV) | BIT(SIGSYS))

struct action { /* the kernel's struct sigaction */
	unsigned long handler, flags, restorer;
	uint64_t mask;
};

static void action_of(int sig)
{
	struct action *act = IN(struct action, (unsigned long)SIG_IGN, 0x10000000 /* SA_RESTART */,
				0, OURS | 6),
		      *old = OUT(struct action);

	CALL(rt_sigaction, sig, act, old, 8);
	act->handler = (unsigned long)SIG_DFL, act->mask = 0;
	FAULTS(rt_sigaction, sig, act, old, 8);
	CALL(rt_sigaction, sig, act, old, 8);
	CALL(rt_sigaction, sig, NULL, old, 8);
	CALL(rt_sigaction, sig, act, old, 4);
}

ROW(rt_sigaction)
{
	action_of(SIGUSR1);
	action_of(SIGSEGV);
	action_of(SIGSYS);
	CALL(rt_sigaction, SIGKILL, NULL, OUT(struct action), 8);
	CALL(rt_sigaction, 65, NULL, OUT(struct action), 8);
}

ROW(rt_sigprocmask)
{
	uint64_t *set = IN(uint64_t, OURS | BIT(SIGUSR1)), *old = OUT(uint64_t), before, now;

	syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, &before, 8);
	CALL(rt_sigprocmask, SIG_BLOCK, set, old, 8);
	CALL(rt_sigprocmask, SIG_BLOCK, NULL, old, 8);
	FAULTS(rt_sigprocmask, SIG_UNBLOCK, set, old, 8);
	syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, &now, 8);
	say("now %lx", (unsigned long)now);
	CALL(rt_sigprocmask, 99, set, old, 8);
	CALL(rt_sigprocmask, SIG_SETMASK, set, old, 4);
	syscall(SYS_rt_sigprocmask, SIG_SETMASK, &before, NULL, 8);
}

ROW(sigaltstack)
{
	char *stack = opaque(16 * PAGE);
	stack_t before, *set = OPAQUE(stack_t, .ss_sp = stack, .ss_size = 16 * PAGE),
			*old = opaque(sizeof(*old));

	sigaltstack(NULL, &before);
	CALL(sigaltstack, set, old);
	CALL(sigaltstack, NULL, old);
	say("%d %x %zu", old->ss_sp == stack, (unsigned)old->ss_flags, old->ss_size);
	FAULTS(sigaltstack, set, old);
	set->ss_size = 100;
	CALL(sigaltstack, set, old);
	set->ss_flags = 77;
	CALL(sigaltstack, set, old);
	syscall(SYS_sigaltstack, &before, NULL);
}

static volatile sig_atomic_t handled;

static void on_usr1(int sig)
{
	handled++;
}

static void pending_usr1(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGUSR1, on_usr1);
	handled = 0;
	raise(SIGUSR1);
}

static void no_more_usr1(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	signal(SIGUSR1, SIG_IGN);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	signal(SIGUSR1, SIG_DFL);
}

ROW(rt_sigsuspend)
{
	uint64_t *set = IN(uint64_t, OURS | BIT(SIGUSR2));

	pending_usr1();
	CALL(rt_sigsuspend, set, 4);
	FAULTS(rt_sigsuspend, set, 8);
	say("handled %d", (int)handled);
	CALL(rt_sigsuspend, set, 8);
	say("handled %d", (int)handled);
	no_more_usr1();
}

ROW(rt_sigpending)
{
	uint64_t *set = OUT(uint64_t);

	pending_usr1();
	CALL(rt_sigpending, set, 8);
	FAULTS(rt_sigpending, set, 8);
	CALL(rt_sigpending, set, 9);
	no_more_usr1();
}

static void show_info(const siginfo_t *info)
{
	say("signal %d code %d from this process %d value %d", info->si_signo, info->si_code,
	    info->si_pid == getpid(), info->si_value.sival_int);
}

ROW(rt_sigtimedwait)
{
	uint64_t *set = IN(uint64_t, BIT(SIGUSR1) | OURS);
	siginfo_t *info = opaque(sizeof(*info));
	struct timespec *ts = IN(struct timespec, 0, 1000);

	pending_usr1();
	CALL(rt_sigtimedwait, set, info, ts, 8);
	show_info(info);
	CALL(rt_sigtimedwait, set, info, ts, 8);
	sigqueue(getpid(), SIGUSR1, (union sigval){.sival_int = 5});
	FAULTS(rt_sigtimedwait, set, info, ts, 8); /* consumes the signal */
	CALL(rt_sigtimedwait, set, info, ts, 8);
	no_more_usr1();
}

#define QUEUE(call, ...)                                                                           \
	do {                                                                                       \
		sigset_t set;                                                                      \
		siginfo_t *info = OPAQUE(siginfo_t, .si_signo = SIGUSR1, .si_code = SI_QUEUE),     \
			  got;                                                                     \
		info->si_pid = getpid();                                                           \
		info->si_value.sival_int = 77;                                                     \
		pending_usr1();                                                                    \
		sigemptyset(&set);                                                                 \
		sigaddset(&set, SIGUSR1);                                                          \
		sigwaitinfo(&set, &got);                                                           \
		CALL(call, __VA_ARGS__);                                                           \
		say("%d", sigtimedwait(&set, &got, &(struct timespec){5, 0}));                     \
		show_info(&got);                                                                   \
		FAULTS(call, __VA_ARGS__);                                                         \
		say("%d", sigtimedwait(&set, &got, &(struct timespec){0, 0}));                     \
		no_more_usr1();                                                                    \
	} while (0)

ROW(rt_sigqueueinfo)
{
	QUEUE(rt_sigqueueinfo, getpid(), SIGUSR1, info);
}

ROW(rt_tgsigqueueinfo)
{
	QUEUE(rt_tgsigqueueinfo, getpid(), gettid(), SIGUSR1, info);
}

ROW(pidfd_send_signal)
{
	int fd = (int)syscall(SYS_pidfd_open, getpid(), 0);

	QUEUE(pidfd_send_signal, fd, SIGUSR1, info, 0);
	close(fd);
}

const struct row signal_rows[] = {
	R(rt_sigaction),      R(rt_sigprocmask),
	R(sigaltstack),	      R(rt_sigsuspend),
	R(rt_sigpending),     R(rt_sigtimedwait),
	R(rt_sigqueueinfo),   R(rt_tgsigqueueinfo),
	R(pidfd_send_signal), {0},
};
