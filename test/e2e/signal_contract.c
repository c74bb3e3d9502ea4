/*
 * signal_contract.c - what a program sees of SIGSEGV, SIGSYS and of signals in general: its own
 * actions, masks, altstacks and faults, never ours. Absent pages are touched from handlers, from
 * altstacks and across jumps. Deaths happen in children.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/time.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>

#include "named.h"
#include "away.h"
#include "masks.h"
#include "show.h"

#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

static sigjmp_buf jump;
static volatile int count;
static char *trap_page; /* PROT_NONE by the program's own wish */
static volatile char sink;

static void on_fault(int sig, siginfo_t *info, void *ctx)
{
	ucontext_t *uc = ctx;

	printf("handler %d code %d addr ok %d blocked segv %d usr1 %d err.w %d\n", sig,
	       info->si_code, info->si_addr == trap_page + 5, blocked(SIGSEGV), blocked(SIGUSR1),
	       !!(uc->uc_mcontext.gregs[REG_ERR] & 2));
	char *p = absent(1, 3);
	printf("in handler %u\n", sum(p, PAGE));
	count++;
	siglongjmp(jump, 1);
}

static void fault_with(int flags)
{
	struct sigaction sa = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | flags}, old;
	sa.sa_mask = only(SIGUSR1);

	printf("flags %x: set %d\n", (unsigned)flags, sigaction(SIGSEGV, &sa, &old));
	if (!sigsetjmp(jump, 1))
		trap_page[5] = 1;
	printf("jumped, blocked %d %d\n", blocked(SIGSEGV), blocked(SIGUSR1));
	if (!sigsetjmp(jump, 1) && !(flags & (int)SA_RESETHAND))
		sink = trap_page[5];
	sigaction(SIGSEGV, NULL, &old);
	printf("seen %d flags %x mask %d%d\n", old.sa_sigaction == on_fault, (unsigned)old.sa_flags,
	       sigismember(&old.sa_mask, SIGUSR1), sigismember(&old.sa_mask, SIGUSR2));
	signal(SIGSEGV, SIG_DFL);
}

/* A handler that repairs the fault and returns: the access is tried again. FP state and
 * registers live across it. */
static void repair(int sig, siginfo_t *info, void *ctx)
{
	volatile double d = 1.5;
	d = d * d;
	errno = 77;
	mprotect(trap_page, PAGE, PROT_READ | PROT_WRITE);
	count++;
}

static void repairs(void)
{
	struct sigaction sa = {.sa_sigaction = repair, .sa_flags = SA_SIGINFO};
	double a = 3.25, b;

	sigaction(SIGSEGV, &sa, NULL);
	count = 0;
	for (int i = 0; i < 100; i++) {
		mprotect(trap_page, PAGE, PROT_NONE);
		b = a * i;
		trap_page[5] = (char)i;
		if (b != a * i || trap_page[5] != (char)i)
			printf("lost state at %d\n", i);
	}
	printf("repaired %d blocked %d\n", count, blocked(SIGSEGV));
	mprotect(trap_page, PAGE, PROT_NONE);
	signal(SIGSEGV, SIG_DFL);
}

static void simple(int sig)
{
	count++;
	siglongjmp(jump, sig);
}

static void simple_return(int sig)
{
	count++;
}

static void old_functions(void)
{
	count = 0;
	SHOW("signal", signal(SIGSEGV, simple) == SIG_DFL);
	for (int i = 0; i < 3; i++)
		if (!sigsetjmp(jump, 1))
			sink = trap_page[0];
	SHOW("again", signal(SIGSEGV, simple) == simple);
	SHOW("count", count);
	SHOW("sigset", sigset(SIGSEGV, simple_return) == simple);
	SHOW("sigset hold", sigset(SIGSEGV, SIG_HOLD) == simple_return);
	printf("held %d\n", blocked(SIGSEGV));
	kill(getpid(), SIGSEGV);
	sigset_t pending;
	sigpending(&pending);
	printf("pending %d count %d\n", sigismember(&pending, SIGSEGV), count);
	sigrelse(SIGSEGV);
	printf("released %d count %d\n", blocked(SIGSEGV), count);
	sighold(SIGSEGV);
	SHOW("held", blocked(SIGSEGV));
	SHOW("sigset", sigset(SIGSEGV, SIG_DFL) == SIG_HOLD);
	SHOW("blocked", blocked(SIGSEGV));
	struct sigaction sa;
	sysv_signal(SIGSEGV, simple);
	sigaction(SIGSEGV, NULL, &sa);
	printf("sysv %x\n", (unsigned)sa.sa_flags);
	siginterrupt(SIGSEGV, 0);
	sigaction(SIGSEGV, NULL, &sa);
	printf("siginterrupt %x\n", (unsigned)sa.sa_flags);
	sigignore(SIGSEGV);
	kill(getpid(), SIGSEGV);
	sigaction(SIGSEGV, NULL, &sa);
	printf("ignored %d\n", sa.sa_handler == SIG_IGN);
	signal(SIGSEGV, SIG_DFL);
	SHOW("sigaction 0", sigaction(0, NULL, &sa));
	SHOW("sigaction 65", sigaction(65, NULL, &sa));
	SHOW("sigaction 33", sigaction(33, NULL, &sa));
	sa.sa_handler = SIG_IGN;
	SHOW("sigaction KILL", sigaction(SIGKILL, &sa, NULL));
}

static void masks(void)
{
	sigset_t all, old, now;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &old);
	sigprocmask(SIG_BLOCK, NULL, &now);
	for (int s = 1; s < 32; s++)
		putchar('0' + sigismember(&now, s));
	putchar('\n');
	char *p = absent(4, 9);
	printf("all blocked, absent page read %u\n", sum(p, 4 * PAGE));
	SHOW("how", sigprocmask(99, &all, NULL));
	pthread_sigmask(SIG_SETMASK, &old, &now);
	printf("back %d %d\n", sigismember(&now, SIGSEGV), blocked(SIGSEGV));
	SHOW("sigblock", sigblock(1 << (SIGSEGV - 1)));
	SHOW("blocked", blocked(SIGSEGV));
	SHOW("sigsetmask", sigsetmask(0));
	SHOW("blocked", blocked(SIGSEGV));
	struct sigaction sa = {.sa_handler = simple_return}, was;
	sigfillset(&sa.sa_mask);
	sigaction(SIGUSR2, &sa, NULL);
	sigaction(SIGUSR2, NULL, &was);
	printf("mask shown %d%d flags %x\n", sigismember(&was.sa_mask, SIGSEGV),
	       sigismember(&was.sa_mask, SIGSYS), (unsigned)was.sa_flags);
	signal(SIGUSR2, SIG_DFL);
}

static char *handler_page;
static void full_mask_handler(int sig)
{
	count += (int)sum(handler_page, PAGE) & 1;
}

/* A handler that blocks everything touches a page that is away. */
static void full_mask(void)
{
	struct sigaction sa = {.sa_handler = full_mask_handler};

	sigfillset(&sa.sa_mask);
	sigaction(SIGUSR1, &sa, NULL);
	for (int i = 0; i < 5; i++) {
		handler_page = absent(1, i);
		raise(SIGUSR1);
	}
	printf("full mask %d\n", count);
	sigset_t s = only(SIGUSR1), none;
	sigprocmask(SIG_BLOCK, &s, NULL);
	handler_page = absent(1, 4);
	kill(getpid(), SIGUSR1);
	sigfillset(&none);
	sigdelset(&none, SIGUSR1);
	SHOW("sigsuspend", sigsuspend(&none));
	handler_page = absent(1, 5);
	kill(getpid(), SIGUSR1);
	SHOW("ppoll", ppoll(NULL, 0, NULL, &none));
	handler_page = absent(1, 6);
	kill(getpid(), SIGUSR1);
	SHOW("pselect", pselect(0, NULL, NULL, NULL, NULL, &none));
	int fd = signalfd(-1, &s, SFD_NONBLOCK);
	kill(getpid(), SIGUSR1);
	struct signalfd_siginfo *info = (struct signalfd_siginfo *)absent(1, 0);
	printf("signalfd %ld", (long)read(fd, info, sizeof(*info)));
	printf(" %u count %d\n", info->ssi_signo, count);
	close(fd);
	sigprocmask(SIG_UNBLOCK, &s, NULL);
	signal(SIGUSR1, SIG_DFL);
}

static stack_t alt;
static void on_altstack(int sig, siginfo_t *info, void *ctx)
{
	char here;
	stack_t now, other = {.ss_sp = &here, .ss_size = 65536};

	sigaltstack(NULL, &now);
	printf("on altstack %d flags %d",
	       &here >= (char *)alt.ss_sp && &here < (char *)alt.ss_sp + alt.ss_size, now.ss_flags);
	int r = sigaltstack(&other, NULL);
	printf(" change %d errno %d\n", r, errno);
	if (sig == SIGSEGV)
		siglongjmp(jump, 1);
}

static void altstacks(void)
{
	struct sigaction sa = {.sa_sigaction = on_altstack, .sa_flags = SA_SIGINFO | SA_ONSTACK};
	stack_t old, small = {.ss_sp = trap_page, .ss_size = 100};

	printf("none: %d", sigaltstack(NULL, &old));
	printf(" flags %d\n", old.ss_flags);
	alt = (stack_t){.ss_sp = absent(16, 1), .ss_size = 16 * PAGE};
	printf("set %d", sigaltstack(&alt, NULL));
	printf(" seen %d", sigaltstack(NULL, &old));
	printf(" %d %zu %d\n", old.ss_sp == alt.ss_sp, old.ss_size, old.ss_flags);
	printf("too small %d", sigaltstack(&small, NULL));
	printf(" errno %d\n", errno);
	sigaction(SIGSEGV, &sa, NULL);
	sigaction(SIGUSR1, &sa, NULL);
	for (int i = 0; i < 3; i++) {
		away(alt.ss_sp, alt.ss_size);
		if (!sigsetjmp(jump, 1))
			sink = trap_page[1];
		away(alt.ss_sp, alt.ss_size);
		raise(SIGUSR1);
		char *p = absent(2, i);
		printf("between %u\n", sum(p, 2 * PAGE));
	}
	alt.ss_flags = SS_DISABLE;
	printf("off %d", sigaltstack(&alt, &old));
	printf(" was %d", old.ss_sp == alt.ss_sp);
	sigaltstack(NULL, &old);
	printf(" now %d\n", old.ss_flags);
	signal(SIGSEGV, SIG_DFL);
	signal(SIGUSR1, SIG_DFL);
}

static void overflow_handler(int sig, siginfo_t *info, void *ctx)
{
	_exit(55);
}

static int deeper(int n)
{
	volatile char frame[4096];
	frame[0] = (char)n;
	return n == -1 ? 0 : deeper(n + 1) + frame[0];
}

/* ---- deaths, each in a child ---- */

static void no_core(void)
{
	struct rlimit none = {0, 0};
	setrlimit(RLIMIT_CORE, &none);
}

static void die_default(void)
{
	trap_page[0] = 1;
}

static void die_null(void)
{
	sink = *(volatile char *)away_hnid; /* readable */
	*(volatile char *)(uintptr_t)(away_hnid() ? 8 : 8) = 1;
}

static void die_ignored(void)
{
	signal(SIGSEGV, SIG_IGN);
	trap_page[0] = 1;
}

static void die_blocked(void)
{
	sigset_t s = only(SIGSEGV);
	signal(SIGSEGV, simple_return);
	sigprocmask(SIG_BLOCK, &s, NULL);
	trap_page[0] = 1;
}

static void again(int sig)
{
	if (count++)
		_exit(3); /* must not come here: SIGSEGV is blocked in its handler */
	trap_page[0] = 1;
}

static void die_in_handler(void)
{
	signal(SIGSEGV, again);
	count = 0;
	trap_page[0] = 1;
}

static void die_reset(void)
{
	struct sigaction sa = {.sa_handler = simple_return, .sa_flags = (int)SA_RESETHAND};
	sigaction(SIGSEGV, &sa, NULL);
	trap_page[0] = 1; /* returns, faults again */
}

static void die_kill(void)
{
	kill(getpid(), SIGSEGV);
	pause();
}

static void die_raise_sys(void)
{
	raise(SIGSYS);
}

static void die_abort(void)
{
	abort();
}

static void die_overflow(void)
{
	struct sigaction sa = {.sa_sigaction = overflow_handler,
			       .sa_flags = SA_SIGINFO | SA_ONSTACK};
	stack_t s = {.ss_sp = malloc(65536), .ss_size = 65536};
	sigaltstack(&s, NULL);
	sigaction(SIGSEGV, &sa, NULL);
	deeper(0);
}

static void die_stack(void)
{
	deeper(0);
}

static void live_ignored_kill(void)
{
	signal(SIGSEGV, SIG_IGN);
	kill(getpid(), SIGSEGV);
	_exit(9);
}

static const struct named deaths[] = {{"default", die_default},
				      {"null", die_null},
				      {"ignored", die_ignored},
				      {"blocked", die_blocked},
				      {"in handler", die_in_handler},
				      {"resethand", die_reset},
				      {"kill", die_kill},
				      {"raise SIGSYS", die_raise_sys},
				      {"abort", die_abort},
				      {"overflow, altstack", die_overflow},
				      {"overflow", die_stack},
				      {"ignored kill", live_ignored_kill}};

static void all_deaths(void)
{
	for (unsigned i = 0; i < sizeof(deaths) / sizeof(deaths[0]); i++) {
		int status;
		fflush(stdout);
		pid_t pid = fork();
		if (!pid) {
			no_core();
			deaths[i].fn();
			_exit(1);
		}
		waitpid(pid, &status, 0);
		printf("%-20s exit %d signal %d\n", deaths[i].name,
		       WIFEXITED(status) ? WEXITSTATUS(status) : -1,
		       WIFSIGNALED(status) ? WTERMSIG(status) : 0);
	}
}

/* ---- threads: each has its mask, its altstack; signals come while they read absent pages ---- */

static void *thread(void *arg)
{
	sigset_t s = only(SIGSEGV);
	unsigned total = 0;

	total += (unsigned)blocked(SIGSEGV);
	pthread_sigmask(SIG_BLOCK, &s, NULL);
	total += (unsigned)blocked(SIGSEGV);
	for (int i = 0; i < 50; i++) {
		char *p = absent(4, i);
		total += sum(p, 4 * PAGE);
		free(p);
	}
	pthread_sigmask(SIG_UNBLOCK, &s, NULL);
	return (void *)(uintptr_t)total;
}

static void ticking(int sig)
{
	count++;
}

static void threads(void)
{
	struct itimerval tick = {{0, 500}, {0, 500}}, off = {{0, 0}, {0, 0}};
	pthread_t t[4];
	void *r;

	signal(SIGALRM, ticking);
	setitimer(ITIMER_REAL, &tick, NULL);
	for (int i = 0; i < 4; i++)
		pthread_create(&t[i], NULL, thread, NULL);
	for (int i = 0; i < 4; i++) {
		pthread_join(t[i], &r);
		printf("thread %u\n", (unsigned)(uintptr_t)r);
	}
	setitimer(ITIMER_REAL, &off, NULL);
	printf("main %d\n", blocked(SIGSEGV));
}

/* Cancelled in a blocking read whose buffer is away. */
static void *reader(void *arg)
{
	char *p = absent(1, 1);
	sink = (char)read(*(int *)arg, p, PAGE);
	return NULL;
}

static void cancel(void)
{
	struct timespec ms = {0, 20000000};
	pthread_t t;
	int p[2];
	void *r;

	if (pipe(p))
		return;
	pthread_create(&t, NULL, reader, p);
	nanosleep(&ms, NULL);
	pthread_cancel(t);
	pthread_join(t, &r);
	printf("cancelled %d\n", r == PTHREAD_CANCELED);
}

/* Stacks in the heap, away when they are used: a context's and a thread's. Signals and calls
 * push frames onto them. */
static ucontext_t main_uc, co_uc;
static void coroutine(int a, int b)
{
	for (int i = 0; i < 3; i++) {
		raise(SIGUSR1);
		printf("coroutine %d %d\n", a + i, b);
		swapcontext(&co_uc, &main_uc);
	}
}

static void heap_stacks(void)
{
	size_t bytes = 64 * PAGE;
	pthread_attr_t attr;
	pthread_t t;
	void *r;

	signal(SIGUSR1, simple_return);
	getcontext(&co_uc);
	co_uc.uc_stack.ss_sp = absent(64, 1);
	co_uc.uc_stack.ss_size = bytes;
	co_uc.uc_link = &main_uc;
	makecontext(&co_uc, (void (*)(void))coroutine, 2, 10, 20);
	for (int i = 0; i < 3; i++) {
		away(co_uc.uc_stack.ss_sp, bytes);
		swapcontext(&main_uc, &co_uc);
	}
	char *stack = absent(64, 2);
	pthread_attr_init(&attr);
	pthread_attr_setstack(&attr, stack, bytes);
	pthread_create(&t, &attr, thread, NULL);
	for (int i = 0; i < 10; i++) {
		away(stack, bytes);
		pthread_kill(t, SIGUSR1);
	}
	pthread_join(t, &r);
	printf("heap stack %u\n", (unsigned)(uintptr_t)r);
	signal(SIGUSR1, SIG_DFL);
}

/* SIGSEGV sent all the time, also while memory is copied for forks: it waits, and its handler
 * may use memory. */
static char *sent_page;
static _Atomic unsigned came;
static void on_sent(int sig, siginfo_t *info, void *ctx)
{
	if (info->si_code <= 0)
		came += sum(sent_page, PAGE) & 1;
}

static void sent_during_forks(void)
{
	struct sigaction sa = {.sa_sigaction = on_sent, .sa_flags = SA_SIGINFO | SA_RESTART};
	int ends = 0;

	sent_page = absent(64, 4);
	sigaction(SIGSEGV, &sa, NULL);
	pid_t parent = getpid(), sender = fork();
	if (!sender)
		for (;;) {
			if (kill(parent, SIGSEGV))
				_exit(0);
			nanosleep(&(struct timespec){.tv_nsec = 30000}, NULL);
		}
	for (int i = 0; i < 60; i++) {
		away(sent_page, 64 * PAGE);
		pid_t pid = fork();
		if (!pid)
			_exit(1);
		int status = 0;
		waitpid(pid, &status, 0);
		ends += WIFEXITED(status) && WEXITSTATUS(status) == 1;
	}
	kill(sender, SIGKILL);
	waitpid(sender, NULL, 0);
	signal(SIGSEGV, SIG_DFL);
	printf("sent during forks: came %d ends %d\n", came > 0, ends);
}

/*
 * Sent to the process: taken by the only thread that the program knows of, before kill()
 * returns; blocked, by nobody. SIGSYS is not among them: the thread's own calls have it blocked
 * for moments, in which another thread of ours may take it.
 */
static volatile int elsewhere;
static pid_t sender;
static void note_thread(int sig)
{
	count++;
	elsewhere += gettid() != sender;
}

static void sent_to_process(void)
{
	static const int sigs[] = {SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGSEGV};
	sigset_t pending, one;

	sender = gettid();
	for (unsigned i = 0; i < sizeof(sigs) / sizeof(*sigs); i++) {
		int sig = sigs[i], late = 0;
		char *p = absent(1, 7);
		count = elsewhere = 0;
		signal(sig, note_thread);
		for (int n = 0; n < 2000; n++) {
			kill(getpid(), sig);
			late += count != n + 1;
			sink = p[n];
		}
		printf("sent %d: %d, elsewhere %d, late %d\n", sig, count, elsewhere, late);
		one = only(sig);
		sigprocmask(SIG_BLOCK, &one, NULL);
		kill(getpid(), sig);
		p = absent(16, 7);
		sum(p, 16 * PAGE);
		sigpending(&pending);
		printf("sent %d while blocked: %d, pending %d\n", sig, count,
		       sigismember(&pending, sig));
		sigprocmask(SIG_UNBLOCK, &one, NULL);
		printf("sent %d in the end: %d\n", sig, count);
		signal(sig, SIG_DFL);
	}
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	trap_page = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	fault_with(0);
	fault_with(SA_NODEFER);
	fault_with((int)SA_RESETHAND);
	fault_with(SA_ONSTACK);
	repairs();
	old_functions();
	masks();
	full_mask();
	altstacks();
	all_deaths();
	threads();
	cancel();
	heap_stacks();
	sent_during_forks();
	sent_to_process();
	return 0;
}
