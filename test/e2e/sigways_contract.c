/*
 * sigways_contract.c - every way in which a program meets SIGSEGV without a fault: set before
 * main and by raw calls, blocked and sent, waited for by each call that puts a mask in place or
 * takes signals synchronously, seen from handlers and by other threads. The device holds memory
 * all the while.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>

#include "away.h"
#include "masks.h"

#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

__sighandler_t bsd_signal(int sig, __sighandler_t handler);

static volatile int count, last_code, in_mask[NSIG];
static char *data; /* read by handlers: away most of the time */

static int is_pending(int sig)
{
	sigset_t now;
	sigpending(&now);
	return sigismember(&now, sig);
}

static void on_signal(int sig, siginfo_t *info, void *ctx)
{
	count++;
	last_code = info->si_code;
	for (int s = 1; s < 32; s++)
		in_mask[s] = blocked(s);
	count += 100 * !(sum(data, PAGE) & 1);
}

static void catch (int sig, int flags, int also)
{
	struct sigaction sa = {
		.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | flags, .sa_mask = only(also)};
	sigaction(sig, &sa, NULL);
	count = 0;
}

static void refresh(void)
{
	memset(data, 1, PAGE);
	away(data, PAGE);
}

/* ---- set by whom ---- */

static int early_old;
__attribute__((constructor)) static void early(void)
{
	struct sigaction sa = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_NODEFER}, old;
	early_old = sigaction(SIGSEGV, &sa, &old) * 10 + (old.sa_handler == SIG_DFL);
}

static void before_main(void)
{
	struct sigaction seen;

	sigaction(SIGSEGV, NULL, &seen);
	raise(SIGSEGV);
	printf("before main: old %d seen %d flags %x count %d\n", early_old,
	       seen.sa_sigaction == on_signal, (unsigned)seen.sa_flags, count);
}

/* The kernel's own structure, and a way back that is nobody's but the program's. */
struct raw_action {
	void *handler;
	unsigned long flags;
	void *restorer;
	uint64_t mask;
};
void raw_restorer(void);
__asm__(".text\nraw_restorer:\n\tmov $15, %eax\n\tsyscall\n");

static void raw_calls(void)
{
	struct raw_action act = {(void *)on_signal, SA_SIGINFO | SA_RESTART | 0x04000000,
				 (void *)raw_restorer, 0},
			  was;
	struct sigaction seen;
	uint64_t segv = 1ul << (SIGSEGV - 1), old = 0;

	count = 0;
	refresh();
	long r = syscall(SYS_rt_sigaction, SIGSEGV, &act, NULL, 8);
	sigaction(SIGSEGV, NULL, &seen);
	syscall(SYS_rt_sigaction, SIGSEGV, NULL, &was, 8);
	printf("raw rt_sigaction %ld: seen %d raw %d flags %lx restorer %d\n", r,
	       seen.sa_sigaction == on_signal, was.handler == (void *)on_signal, was.flags,
	       was.restorer == (void *)raw_restorer);
	raise(SIGSEGV);
	syscall(SYS_rt_sigprocmask, SIG_BLOCK, &segv, NULL, 8);
	raise(SIGSEGV);
	printf("raw rt_sigprocmask: blocked %d pending %d count %d", blocked(SIGSEGV),
	       is_pending(SIGSEGV), count);
	syscall(SYS_rt_sigprocmask, SIG_UNBLOCK, &segv, &old, 8);
	printf(" old %d then %d count %d\n", !!(old & segv), blocked(SIGSEGV), count);
}

static void bsd(void)
{
	bsd_signal(SIGSEGV, SIG_DFL);
	__sighandler_t old = bsd_signal(SIGSEGV, (__sighandler_t)(void *)on_signal);
	struct sigaction seen;
	sigaction(SIGSEGV, NULL, &seen);
	printf("bsd_signal old %d seen %d flags %x mask %d\n", old == SIG_DFL,
	       seen.sa_handler == (__sighandler_t)(void *)on_signal, (unsigned)seen.sa_flags,
	       sigismember(&seen.sa_mask, SIGSEGV));
}

/* ---- somebody sends SIGSEGV while the program waits ---- */

/* A child that sends the signals, in this order, 40 ms after it was told to: forking may take
 * long. */
static int told[2];
static pid_t send_later(int sig, int next)
{
	pid_t to = getpid(), pid = fork();
	char c;

	if (pid)
		return pid;
	if (read(told[0], &c, 1) == 1) {
		nanosleep(&(struct timespec){.tv_nsec = 40000000}, NULL);
		kill(to, sig);
		if (next)
			kill(to, next);
	}
	_exit(0);
}

static void tell(void)
{
	if (write(told[1], "x", 1) != 1)
		abort();
}

static void reap(pid_t pid)
{
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

static void interrupts(void)
{
	static const struct {
		const char *name;
		int flags, on;
	} ways[] = {{"plain", 0, -1},
		    {"restart", SA_RESTART, -1},
		    {"siginterrupt 0", 0, 0},
		    {"siginterrupt 1", SA_RESTART, 1}};

	for (unsigned i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		int fd[2];
		char *c = absent(1, 0);
		if (pipe(fd))
			return;
		catch (SIGSEGV, ways[i].flags, 0);
		if (ways[i].on >= 0)
			siginterrupt(SIGSEGV, ways[i].on);
		pid_t to = getpid(), sender = fork();
		if (!sender && read(told[0], c, 1) == 1) {
			nanosleep(&(struct timespec){.tv_nsec = 40000000}, NULL);
			kill(to, SIGSEGV);
			nanosleep(&(struct timespec){.tv_nsec = 80000000}, NULL);
			_exit(write(fd[1], "x", 1) != 1);
		}
		tell();
		errno = 0;
		ssize_t n = read(fd[0], c, 1);
		printf("interrupted read, %s: %zd errno %d count %d code %d\n", ways[i].name, n,
		       errno, count, last_code);
		reap(sender);
		close(fd[0]), close(fd[1]);
		siginterrupt(SIGSEGV, 1);
	}
}

static void sleeps(void)
{
	struct timespec left = {0, 0};

	catch (SIGSEGV, SA_RESTART, 0);
	refresh();
	pid_t pid = send_later(SIGSEGV, 0);
	tell();
	errno = 0;
	int r = nanosleep(&(struct timespec){.tv_sec = 5}, &left);
	printf("nanosleep %d errno %d left %d count %d\n", r, errno, left.tv_sec == 4, count);
	reap(pid);
	refresh();
	pid = send_later(SIGSEGV, 0);
	tell();
	errno = 0;
	r = pause();
	printf("pause %d errno %d count %d\n", r, errno, count);
	reap(pid);
}

/* ---- calls with a mask of their own: what was blocked and sent comes now, and is blocked again
 * after ---- */

static int by_sigsuspend(const sigset_t *m)
{
	return sigsuspend(m);
}
static int by_ppoll(const sigset_t *m)
{
	return ppoll(NULL, 0, &(struct timespec){.tv_sec = 5}, m);
}
static int by_pselect(const sigset_t *m)
{
	return pselect(0, NULL, NULL, NULL, &(struct timespec){.tv_sec = 5}, m);
}
static int epoll_fd;
static int by_epoll_pwait(const sigset_t *m)
{
	struct epoll_event ev;
	return epoll_pwait(epoll_fd, &ev, 1, 5000, m);
}
static int by_epoll_pwait2(const sigset_t *m)
{
	struct epoll_event ev;
	return epoll_pwait2(epoll_fd, &ev, 1, &(struct timespec){.tv_sec = 5}, m);
}
static int by_raw_ppoll(const sigset_t *m)
{
	struct timespec ts = {.tv_sec = 5};
	return (int)syscall(SYS_ppoll, NULL, 0, &ts, m, 8);
}
static int by_raw_pselect(const sigset_t *m)
{
	struct timespec ts = {.tv_sec = 5};
	struct {
		const void *set;
		size_t bytes;
	} pair = {m, 8};
	return (int)syscall(SYS_pselect6, 0, NULL, NULL, NULL, &ts, &pair);
}
static int by_raw_sigsuspend(const sigset_t *m)
{
	return (int)syscall(SYS_rt_sigsuspend, m, 8);
}

static const struct {
	const char *name;
	int (*wait)(const sigset_t *m);
} waits[] = {{"sigsuspend", by_sigsuspend},	{"ppoll", by_ppoll},
	     {"pselect", by_pselect},		{"epoll_pwait", by_epoll_pwait},
	     {"epoll_pwait2", by_epoll_pwait2}, {"raw ppoll", by_raw_ppoll},
	     {"raw pselect6", by_raw_pselect},	{"raw rt_sigsuspend", by_raw_sigsuspend}};
#define WAITS (sizeof(waits) / sizeof(waits[0]))

/* SIGSEGV, and then another signal (0: none), come during a wait with this mask. */
static void send_during(const char *name, const char *what, int (*wait)(const sigset_t *m),
			const sigset_t *mask, int then)
{
	refresh();
	pid_t pid = send_later(SIGSEGV, then);
	tell();
	errno = 0;
	int r = wait(mask);
	printf("%s, %s: %d errno %d count %d after %d\n", name, what, r, errno, count,
	       blocked(SIGSEGV));
	reap(pid);
}

static void mask_in_call(const char *name, int (*wait)(const sigset_t *m))
{
	sigset_t none = only(0), usr2 = only(SIGUSR2), segv = only(SIGSEGV);

	/* Sent before the call. Inside the handler: the call's mask, the signal's own, the
	 * action's. */
	catch (SIGSEGV, SA_RESTART, SIGHUP);
	set_mask(SIGSEGV);
	refresh();
	raise(SIGSEGV);
	errno = 0;
	int r = wait(&usr2);
	printf("%s, pending: %d errno %d count %d in handler %d%d%d after %d pending %d\n", name, r,
	       errno, count, in_mask[SIGSEGV], in_mask[SIGHUP], in_mask[SIGUSR2], blocked(SIGSEGV),
	       is_pending(SIGSEGV));
	/* Sent during the call. */
	send_during(name, "sent", wait, &none, 0);
	/* The call's mask keeps it out, another signal ends the wait. */
	catch (SIGUSR1, 0, 0);
	set_mask(0);
	send_during(name, "kept out", wait, &segv, SIGUSR1);
	signal(SIGUSR1, SIG_DFL);
}

/* ---- taken synchronously ---- */

static int by_sigwait(const sigset_t *s)
{
	int sig = 0;
	return sigwait(s, &sig) ? -1 : sig;
}
static int by_sigwaitinfo(const sigset_t *s)
{
	siginfo_t *info = (siginfo_t *)absent(1, 0);
	int r = sigwaitinfo(s, info);
	return r > 0 && info->si_signo == r ? r : -1;
}
static int by_sigtimedwait(const sigset_t *s)
{
	return sigtimedwait(s, NULL, &(struct timespec){.tv_sec = 5});
}
static int by_raw_sigtimedwait(const sigset_t *s)
{
	struct timespec ts = {.tv_sec = 5};
	return (int)syscall(SYS_rt_sigtimedwait, s, NULL, &ts, 8);
}

static const struct {
	const char *name;
	int (*take)(const sigset_t *s);
} takes[] = {{"sigwait", by_sigwait},
	     {"sigwaitinfo", by_sigwaitinfo},
	     {"sigtimedwait", by_sigtimedwait},
	     {"raw rt_sigtimedwait", by_raw_sigtimedwait}};
#define TAKES (sizeof(takes) / sizeof(takes[0]))

static void taken(const char *name, int (*take)(const sigset_t *s))
{
	sigset_t segv = only(SIGSEGV);

	catch (SIGSEGV, 0, 0);
	set_mask(SIGSEGV);
	raise(SIGSEGV);
	int r = take(&segv);
	printf("%s, pending: %d count %d pending %d\n", name, r, count, is_pending(SIGSEGV));
	pid_t pid = send_later(SIGSEGV, 0);
	tell();
	r = take(&segv);
	printf("%s, sent: %d count %d pending %d\n", name, r, count, is_pending(SIGSEGV));
	reap(pid);
	set_mask(0);
}

static void polled(void)
{
	sigset_t segv = only(SIGSEGV);
	siginfo_t info = {0};
	union sigval v = {.sival_int = 4711};

	set_mask(SIGSEGV);
	errno = 0;
	int r = sigtimedwait(&segv, &info, &(struct timespec){0, 0});
	printf("sigtimedwait, nothing: %d errno %d", r, errno);
	sigqueue(getpid(), SIGSEGV, v);
	r = sigtimedwait(&segv, &info, &(struct timespec){0, 0});
	printf(", queued: %d code %d value %d pid %d\n", r, info.si_code, info.si_value.sival_int,
	       info.si_pid == getpid());
	set_mask(0);
}

/* ---- who gets it: the thread that waits, or the one that does not block it ---- */

static pthread_t taker;
static _Atomic int taker_got, taker_ready;
static void *take_all(void *arg)
{
	sigset_t all;
	int sig = 0;

	sigfillset(&all);
	taker_ready = 1;
	sigwait(&all, &sig);
	taker_got = sig;
	return NULL;
}

static void on_thread(int sig, siginfo_t *info, void *ctx)
{
	taker_got = pthread_equal(pthread_self(), taker) ? 1 : 2;
}

static void *stay_open(void *arg)
{
	sigset_t none = only(0);

	pthread_sigmask(SIG_SETMASK, &none, NULL);
	taker_ready = 1;
	while (!taker_got)
		nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
	return NULL;
}

static void with_taker(const char *name, void *(*fn)(void *))
{
	sigset_t all, old;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	taker_got = taker_ready = 0;
	pthread_create(&taker, NULL, fn, NULL);
	while (!taker_ready)
		sched_yield();
	nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
	kill(getpid(), SIGSEGV);
	for (int i = 0; i < 2000 && !taker_got; i++)
		nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
	printf("%s: %d pending %d\n", name, taker_got, is_pending(SIGSEGV));
	if (!taker_got) { /* let it go */
		taker_got = -1;
		pthread_kill(taker, SIGTERM);
	}
	pthread_join(taker, NULL);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
}

static void threads(void)
{
	struct sigaction sa = {.sa_sigaction = on_thread, .sa_flags = SA_SIGINFO};

	with_taker("a thread in sigwait takes it", take_all);
	sigaction(SIGSEGV, &sa, NULL);
	with_taker("the thread that is open gets it", stay_open);
	signal(SIGSEGV, SIG_DFL);
}

/* ---- handlers of other signals see the mask that the program made ---- */

static void look(int sig, siginfo_t *info, void *ctx)
{
	ucontext_t *uc = ctx;

	printf(" in handler %d%d interrupted %d%d", blocked(SIGSEGV), blocked(SIGSYS),
	       sigismember(&uc->uc_sigmask, SIGSEGV), sigismember(&uc->uc_sigmask, SIGSYS));
	if (sig == SIGUSR2)
		sigaddset(&uc->uc_sigmask, SIGSEGV);
	if (sig == SIGHUP)
		sigdelset(&uc->uc_sigmask, SIGSEGV);
}

static void seen_from_handlers(void)
{
	struct sigaction sa = {
		.sa_sigaction = look, .sa_flags = SA_SIGINFO, .sa_mask = only(SIGSEGV)};

	sigaddset(&sa.sa_mask, SIGSYS);
	sigaction(SIGUSR1, &sa, NULL);
	set_mask(0);
	printf("sa_mask with SIGSEGV:");
	raise(SIGUSR1);
	printf(" after %d%d\n", blocked(SIGSEGV), blocked(SIGSYS));
	sa.sa_mask = only(0);
	sigaction(SIGUSR1, &sa, NULL);
	set_mask(SIGSEGV);
	printf("SIGSEGV blocked:");
	raise(SIGUSR1);
	printf(" after %d%d\n", blocked(SIGSEGV), blocked(SIGSYS));
	set_mask(0);
	sigaction(SIGUSR2, &sa, NULL);
	sigaction(SIGHUP, &sa, NULL);
	printf("mask changed in the frame:");
	raise(SIGUSR2);
	printf(" after %d", blocked(SIGSEGV));
	raise(SIGHUP);
	printf(" after %d\n", blocked(SIGSEGV));
	signal(SIGUSR1, SIG_DFL), signal(SIGUSR2, SIG_DFL), signal(SIGHUP, SIG_DFL);
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	alarm(100);
	if (pipe(told))
		return 1;
	data = absent(1, 0);
	refresh();
	before_main();
	raw_calls();
	bsd();
	interrupts();
	sleeps();
	epoll_fd = epoll_create1(0);
	for (unsigned i = 0; i < WAITS; i++)
		mask_in_call(waits[i].name, waits[i].wait);
	set_mask(0);
	for (unsigned i = 0; i < TAKES; i++)
		taken(takes[i].name, takes[i].take);
	polled();
	threads();
	seen_from_handlers();
	return 0;
}
