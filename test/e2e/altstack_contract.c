/*
 * altstack_contract.c - altstacks are the program's: its handlers run on the one that it set, of
 * any size that the kernel takes; nothing of ours is on it or beside it; coroutines that begin in
 * handlers live on theirs; one that cannot be written ends as the kernel says.
 */
#include <setjmp.h>
#include <stdbool.h>
#include <signal.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <ucontext.h>

#include "away.h"
#include "masks.h"

#ifndef SS_AUTODISARM
#define SS_AUTODISARM (1u << 31)
#endif

static stack_t alt;
static char *far; /* absent when a handler reads it */
static sigjmp_buf jump;
static volatile unsigned inside, shown, got;

static bool lies_in(const volatile void *p, const stack_t *s)
{
	return (uintptr_t)p - (uintptr_t)s->ss_sp < s->ss_size;
}

static void touch(void)
{
	away(far, PAGE);
	got += sum(far, PAGE);
}

static void on_usr1(int sig, siginfo_t *info, void *ctx)
{
	const stack_t *frame = &((ucontext_t *)ctx)->uc_stack;
	volatile char local = 0;

	inside += lies_in(&local, &alt) && lies_in(info, &alt) && lies_in(ctx, &alt);
	shown += frame->ss_sp == alt.ss_sp && frame->ss_size == alt.ss_size;
	got += sum(far, PAGE);
	got += syscall(SYS_getppid) > 0;
}

static void handle(int sig, void (*fn)(int, siginfo_t *, void *), int flags)
{
	sigaction(sig, &(struct sigaction){.sa_sigaction = fn, .sa_flags = SA_SIGINFO | flags},
		  NULL);
}

static void set_alt(void *sp, size_t bytes, int flags)
{
	alt = (stack_t){.ss_sp = sp, .ss_size = bytes, .ss_flags = flags};
	if (sigaltstack(&alt, NULL))
		printf("sigaltstack of %zu: %s\n", bytes, strerror(errno));
}

static void no_alt(void)
{
	sigaltstack(&(stack_t){.ss_flags = SS_DISABLE}, NULL);
}

/* ---- of any size, and what lies around it ---- */

static bool is_filled(const char *p, size_t n, char with)
{
	while (n && *p == with)
		p++, n--;
	return !n;
}

static void on_size(size_t bytes)
{
	char *m = malloc(bytes + 2 * PAGE), *low = (char *)(((uintptr_t)m + PAGE) & -16ul);

	memset(m, 7, bytes + 2 * PAGE);
	set_alt(low, bytes, 0);
	handle(SIGUSR1, on_usr1, SA_ONSTACK);
	inside = shown = got = 0;
	for (int i = 0; i < 3; i++) {
		away(far, PAGE); /* needs more stack than some have */
		raise(SIGUSR1);
	}
	printf("altstack of %zu: inside %u shown %u got %u, around it %d\n", bytes, inside, shown,
	       got, is_filled(m, low - m, 7) && is_filled(low + bytes, PAGE, 7));
	no_alt();
	free(m);
}

/* Faults and calls of the program's own, elsewhere: nothing of theirs is on it. */
static void leaves_nothing(void)
{
	const size_t bytes = (size_t)64 << 10;
	char *m = malloc(bytes);

	memset(m, 9, bytes);
	set_alt(m, bytes, 0);
	got = 0;
	for (int i = 0; i < 50; i++) {
		touch();
		got += syscall(SYS_getppid) > 0;
	}
	printf("nothing is left on it: %d, got %u\n", is_filled(m, bytes, 9), got);
	no_alt();
	free(m);
}

static void sizes(void)
{
	char *m = malloc((size_t)64 << 10);
	const size_t some[] = {0, 1, 1024, 2047, 2048, 4096, 8192};

	for (unsigned i = 0; i < sizeof(some) / sizeof(*some); i++) {
		int r = sigaltstack(&(stack_t){.ss_sp = m, .ss_size = some[i]}, NULL);
		printf("size rules: %zu: %d errno %d\n", some[i], r, r ? errno : 0);
	}
	int r = sigaltstack(&(stack_t){.ss_sp = m, .ss_size = 8192, .ss_flags = 3}, NULL);
	printf("size rules: flags 3: %d errno %d\n", r, errno);
	no_alt();
	free(m);
}

/* ---- without one; nested; left by a jump; changed by a handler ---- */

static char *frame_of_main;

static void on_interrupted(int sig, siginfo_t *info, void *ctx)
{
	volatile char local = 0;
	const char *sp = (char *)((ucontext_t *)ctx)->uc_mcontext.gregs[REG_RSP];

	touch();
	printf("without one: below the interrupted %d, in the same stack %d\n",
	       (char *)&local < sp && sp - (char *)&local < 1 << 16,
	       frame_of_main - (char *)&local < 1 << 20);
}

static int depth;

static void nest(int sig, siginfo_t *info, void *ctx)
{
	volatile char local = (char)depth;

	inside += lies_in(&local, &alt);
	touch();
	if (++depth < 4)
		raise(depth & 1 ? SIGUSR2 : SIGUSR1);
	touch();
	inside += local < depth && lies_in(ctx, &alt);
}

static void leave_by_jump(int sig, siginfo_t *info, void *ctx)
{
	volatile char local = 0;

	inside += lies_in(&local, &alt);
	touch();
	siglongjmp(jump, 1);
}

/* What it sets is undone by its return, as the kernel does. */
static void set_another(int sig, siginfo_t *info, void *ctx)
{
	static char other[16384];
	stack_t now;
	int r = sigaltstack(&(stack_t){.ss_sp = other, .ss_size = sizeof(other)}, NULL);

	sigaltstack(NULL, &now);
	printf("in a handler: %d errno %d, on it %d", r, r ? errno : 0, now.ss_flags);
}

static void from_handlers(void)
{
	static char room[65536];
	stack_t now;

	frame_of_main = __builtin_frame_address(0);
	handle(SIGUSR1, on_interrupted, SA_ONSTACK);
	raise(SIGUSR1);
	set_alt(room, sizeof(room), 0);
	inside = 0;
	handle(SIGUSR1, nest, SA_ONSTACK | SA_NODEFER);
	handle(SIGUSR2, nest, SA_ONSTACK | SA_NODEFER);
	raise(SIGUSR1);
	printf("nested: %u\n", inside);
	inside = 0;
	handle(SIGUSR1, leave_by_jump, SA_ONSTACK);
	for (volatile int i = 0; i < 300; i++)
		if (!sigsetjmp(jump, 1))
			raise(SIGUSR1);
	printf("left by jumps: %u, blocked %d\n", inside, blocked(SIGUSR1));
	for (int i = 0; i < 2; i++) {
		handle(SIGUSR1, set_another, i ? 0 : SA_ONSTACK);
		raise(SIGUSR1);
		sigaltstack(NULL, &now);
		printf(", then the same %d flags %d\n", now.ss_sp == alt.ss_sp, now.ss_flags);
	}
	no_alt();
}

/* ---- masks: of the call that the handler interrupts ---- */

static void show_blocked(int sig, siginfo_t *info, void *ctx)
{
	printf("mask in the handler %d%d%d%d\n", blocked(SIGUSR1), blocked(SIGUSR2),
	       blocked(SIGHUP), blocked(SIGSEGV));
}

static void masks(void)
{
	static char room[65536];
	sigset_t both = only(SIGUSR1), during = only(SIGHUP);

	set_alt(room, sizeof(room), 0);
	handle(SIGUSR1, show_blocked, SA_ONSTACK);
	raise(SIGUSR1);
	sigaddset(&both, SIGUSR2);
	sigaddset(&both, SIGSEGV);
	sigprocmask(SIG_SETMASK, &both, NULL);
	raise(SIGUSR1);
	sigsuspend(&during);
	printf("mask after it %d%d%d%d\n", blocked(SIGUSR1), blocked(SIGUSR2), blocked(SIGHUP),
	       blocked(SIGSEGV));
	set_mask(0);
	no_alt();
}

/* ---- SS_AUTODISARM: the handler may go elsewhere, and another one begin ---- */

static ucontext_t in_handler, task, at_home;

static void switch_away(int sig, siginfo_t *info, void *ctx)
{
	volatile char local = 42;
	stack_t now;

	sigaltstack(NULL, &now);
	printf("disarmed: inside %d, flags %d", lies_in(&local, &alt), now.ss_flags);
	touch();
	swapcontext(&in_handler, &at_home);
	printf(", kept %d", local);
}

static void interrupted_task(void)
{
	raise(SIGUSR1);
	setcontext(&at_home);
}

static void disarmed(void)
{
	static char room[65536], of_task[65536];
	stack_t now;

	set_alt(room, sizeof(room), (int)SS_AUTODISARM);
	handle(SIGUSR1, switch_away, SA_ONSTACK);
	getcontext(&task);
	task.uc_stack = (stack_t){.ss_sp = of_task, .ss_size = sizeof(of_task)};
	makecontext(&task, interrupted_task, 0);
	swapcontext(&at_home, &task);
	touch();
	swapcontext(&at_home, &in_handler);
	sigaltstack(NULL, &now);
	printf(", armed again %d\n", now.ss_sp == alt.ss_sp && now.ss_size == alt.ss_size);
	no_alt();
}

/* ---- coroutines by the altstack trick: GNU Pth, libcoro ---- */

#define NCOROUTINES 6
static jmp_buf of[NCOROUTINES], scheduler;
static volatile int current;
static volatile unsigned wrong, rounds;

static void coroutine(void)
{
	const int id = current;
	volatile char mark[600];

	for (unsigned i = 0; i < sizeof(mark); i++)
		mark[i] = (char)id;
	for (;;) {
		wrong += id != current;
		for (unsigned i = 0; i < sizeof(mark); i++)
			wrong += mark[i] != (char)id;
		touch();
		rounds++;
		if (!setjmp(of[id]))
			longjmp(scheduler, 1);
	}
}

static void begin_coroutine(int sig)
{
	if (!setjmp(of[current]))
		return;
	coroutine();
	abort();
}

static void coroutines(size_t bytes)
{
	struct sigaction sa = {.sa_handler = begin_coroutine, .sa_flags = SA_ONSTACK};

	sigaction(SIGUSR2, &sa, NULL);
	wrong = rounds = got = 0;
	for (current = 0; current < NCOROUTINES; current++) {
		set_alt(malloc(bytes), bytes, 0);
		raise(SIGUSR2);
		no_alt();
	}
	for (volatile int r = 0; r < 50; r++)
		for (current = 0; current < NCOROUTINES; current++)
			if (!setjmp(scheduler))
				longjmp(of[current], 1);
	printf("coroutines on %zu: rounds %u wrong %u got %u\n", bytes, rounds, wrong, got);
}

/* ---- no room, no right to write ---- */

static void say(int sig, siginfo_t *info, void *ctx)
{
	printf("handler of %d, code %d\n", sig, info->si_code);
	_exit(5);
}

static void ends(const char *how, size_t bytes, int prot, int segv_flags)
{
	int status;

	fflush(stdout);
	pid_t pid = fork();
	if (!pid) {
		far = absent(1, 3);
		setrlimit(RLIMIT_CORE, &(struct rlimit){0});
		char *m = mmap(NULL, 16 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			       -1, 0);
		set_alt(m + PAGE, bytes, 0);
		mprotect(m + PAGE, 15 * PAGE, prot);
		touch();
		handle(SIGUSR1, say, SA_ONSTACK);
		if (segv_flags >= 0)
			handle(SIGSEGV, say, segv_flags);
		raise(SIGUSR1);
		_exit(6);
	}
	waitpid(pid, &status, 0);
	printf("%s: status %x\n", how, (unsigned)status);
}

int main(void)
{
	const size_t least = getauxval(51 /* AT_MINSIGSTKSZ */) + 3072;
	const size_t of_size[] = {least & -16ul, 8192, 16384, 32768, 65536};

	setvbuf(stdout, NULL, _IOLBF, 0);
	far = absent(1, 3);
	touch(); /* the loader needs more stack than some have */
	got += syscall(SYS_getppid) > 0;
	for (unsigned i = 0; i < sizeof(of_size) / sizeof(*of_size); i++)
		on_size(of_size[i]);
	leaves_nothing();
	sizes();
	from_handlers();
	masks();
	disarmed();
	coroutines(16384);
	coroutines(65536);
	ends("read-only", 8 * PAGE, PROT_READ, -1);
	ends("read-only, SIGSEGV elsewhere", 8 * PAGE, PROT_READ, 0);
	ends("read-only, SIGSEGV there", 8 * PAGE, PROT_READ, SA_ONSTACK);
	ends("not there", 8 * PAGE, PROT_NONE, 0);
	return 0;
}
