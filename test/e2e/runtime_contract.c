/*
 * runtime_contract.c - what language runtimes do beside libc: signal masks and altstacks set by
 * raw calls, calls made on stacks that have no room for a signal frame (SIGSYS goes to the
 * altstack, as Go asks for every signal), and a stack overflow that is reported from an altstack
 * of libc's smallest size.
 */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <ucontext.h>

#include "away.h"

static sigjmp_buf jump;
static stack_t alt;
static char *trap_page; /* PROT_NONE by the program's own wish */
static volatile char sink;
static int on_alt;

static void on_fault(int sig)
{
	char here;

	on_alt += &here >= (char *)alt.ss_sp && &here < (char *)alt.ss_sp + alt.ss_size;
	siglongjmp(jump, 1);
}

static void fault(const char *what)
{
	on_alt = 0;
	if (!sigsetjmp(jump, 1))
		sink = trap_page[1];
	printf("%s: on altstack %d\n", what, on_alt);
}

/* Blocked through libc, opened by a raw call: before any page is away nobody sees that. */
static void *raw_unblock(void *arg)
{
	uint64_t none = 0;

	syscall(SYS_rt_sigprocmask, SIG_SETMASK, &none, NULL, sizeof(none));
	fault("raw unblock");
	return NULL;
}

static void masks(void)
{
	pthread_t t;
	sigset_t all, old;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	pthread_create(&t, NULL, raw_unblock, NULL);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_join(t, NULL);
}

static void show_alt(const char *what)
{
	stack_t now;
	long r = syscall(SYS_sigaltstack, NULL, &now);

	printf("raw altstack, %s: %ld flags %d size %zu mine %d\n", what, r, now.ss_flags,
	       now.ss_size, now.ss_sp == alt.ss_sp);
}

static void raw_altstack(const char *when)
{
	size_t bytes = 64 * 1024;

	alt = (stack_t){.ss_sp = malloc(bytes), .ss_size = bytes};
	printf("raw altstack %s: %ld\n", when, syscall(SYS_sigaltstack, &alt, NULL));
	fault("raw altstack");
	show_alt("set");
	fault("raw altstack");
	stack_t off = {.ss_flags = SS_DISABLE};
	printf("raw altstack off: %ld\n", syscall(SYS_sigaltstack, &off, NULL));
	fault("raw altstack off");
	free(alt.ss_sp);
}

/* ---- calls on a stack of two pages, no room left, a hole below ---- */

static ucontext_t home, small;
static char *small_stack;

static void calls_on_small_stack(void)
{
	long sum = 0;

	/* a function that is bound already: the loader needs more stack */
	for (int i = 0; i < 100; i++)
		sum += syscall(SYS_getppid) > 0;
	stack_t now;
	sum += syscall(SYS_sigaltstack, NULL, &now);
	*(long *)small_stack = sum; /* still ours: nothing was pushed over the end */
	sink = trap_page[2];
}

static void *small_stacks(void *arg)
{
	char *m = mmap(NULL, 4 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	alt = (stack_t){.ss_sp = malloc(64 * 1024), .ss_size = 64 * 1024};
	syscall(SYS_sigaltstack, &alt, NULL);
	small_stack = m + 2 * PAGE;
	mprotect(small_stack, 2 * PAGE, PROT_READ | PROT_WRITE);
	getcontext(&small);
	small.uc_stack.ss_sp = small_stack;
	small.uc_stack.ss_size = 2 * PAGE - 4096 - 1024; /* what is used lies in the lower page */
	small.uc_link = &home;
	makecontext(&small, calls_on_small_stack, 0);
	on_alt = 0;
	if (!sigsetjmp(jump, 1))
		swapcontext(&home, &small);
	printf("calls on a small stack %ld, fault there: on altstack %d\n", *(long *)small_stack,
	       on_alt);
	stack_t off = {.ss_flags = SS_DISABLE};
	syscall(SYS_sigaltstack, &off, NULL);
	free(alt.ss_sp);
	munmap(m, 4 * PAGE);
	return NULL;
}

static void nothing(int sig)
{
}

static void sigsys_on_altstack(void)
{
	struct sigaction sa = {.sa_handler = nothing, .sa_flags = SA_ONSTACK | SA_RESTART};
	pthread_t t;

	sigaction(SIGSYS, &sa, NULL);
	raw_altstack("and SIGSYS there");
	for (int i = 0; i < 4; i++) { /* their ends, too */
		pthread_create(&t, NULL, small_stacks, NULL);
		pthread_join(t, NULL);
	}
	printf("fork there %d\n", system("exit 5") >> 8);
	signal(SIGSYS, SIG_DFL);
}

/* ---- a message about a stack overflow ---- */

static void report(int sig)
{
	char text[64];
	int n = snprintf(text, sizeof(text), "overflow of %s\n",
			 syscall(SYS_getppid) > 0 ? "a child" : "?");

	syscall(SYS_write, 1, text, n);
	signal(SIGABRT, SIG_DFL);
	abort();
}

static int overflow(int n)
{
	volatile char pad[1024];

	pad[n & 1023] = (char)n;
	return n < 0 ? 0 : overflow(n + 1) + pad[n & 511];
}

static void small_altstack(void)
{
	static char stack[8192];
	struct sigaction sa = {.sa_handler = report, .sa_flags = SA_ONSTACK};
	struct rlimit limit = {.rlim_cur = 1 << 20, .rlim_max = RLIM_INFINITY}, core = {0};
	int status;

	fflush(stdout);
	pid_t pid = fork();
	if (!pid) {
		char *p = absent(1, 3);
		sink = p[1];
		setrlimit(RLIMIT_STACK, &limit);
		setrlimit(RLIMIT_CORE, &core);
		sigaltstack(&(stack_t){.ss_sp = stack, .ss_size = sizeof(stack)}, NULL);
		sigaction(SIGSEGV, &sa, NULL);
		_exit(overflow(1));
	}
	waitpid(pid, &status, 0);
	printf("overflow on a small altstack: status %d\n", status);
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	trap_page = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	sigaction(SIGSEGV, &(struct sigaction){.sa_handler = on_fault, .sa_flags = SA_ONSTACK},
		  NULL);
	masks();
	raw_altstack("at first");
	char *p = absent(4, 5);
	printf("away: %u\n", sum(p, 4 * PAGE));
	masks();
	raw_altstack("then");
	sigsys_on_altstack();
	small_altstack();
	return 0;
}
