/*
 * clone3(2) by a program's own hand: processes, threads, a child on the parent's memory. Its
 * structure and what that names lie in memory that is away, and every register is kept.
 */
#include <linux/sched.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "away.h"
#include "child.h"

#define STACK (256ul << 10)

struct room {
	struct clone_args args;
	char more[8]; /* that this kernel may not know */
	int pidfd, parent_tid, child_tid;
	int result;
	char *data;
};

static struct room *fresh(void)
{
	struct room *r = aligned_alloc(PAGE, PAGE);

	memset(r, 0, PAGE);
	r->data = absent(4, 3);
	return r;
}

static uint64_t at(const void *p)
{
	return (uintptr_t)p;
}

/* The structure goes away just before. The child goes on with fn(r) and ends with its result. */
static long clone3_raw(struct room *r, size_t size, int (*fn)(struct room *))
{
	long result;

	away(r->data, 4 * PAGE);
	away(r, PAGE);
	__asm__ volatile("mov %[fn], %%r12\n\tmov %[room], %%r13\n\t"
			 "syscall\n\t"
			 "test %%rax, %%rax\n\tjnz 1f\n\t"
			 "and $-16, %%rsp\n\tmov %%r13, %%rdi\n\tcall *%%r12\n\t"
			 "mov %%eax, %%edi\n\tmov $60, %%eax\n\tsyscall\n1:\n\t"
			 "cmp %[room], %%rdi\n\tje 2f\n\tmov $-1000, %%rax\n"
			 "2:"
			 : "=a"(result)
			 : "a"(SYS_clone3), "D"(&r->args), "S"(size), [fn] "r"(fn), [room] "r"(r)
			 : "rcx", "rdx", "r8", "r9", "r10", "r11", "r12", "r13", "memory");
	return result;
}

static int computes(struct room *r)
{
	r->result = (int)(sum(r->data, 4 * PAGE) % 100);
	return r->result;
}

static int tids(struct room *r)
{
	return computes(r) + 100 * (r->child_tid == (int)syscall(SYS_gettid));
}

static void processes(void)
{
	struct room *r = fresh();

	r->args.exit_signal = SIGCHLD;
	int pid = (int)clone3_raw(r, sizeof(r->args), computes);
	printf("clone3 process: %d, seen %d\n", status_of(pid), r->result);

	r = fresh();
	r->args =
		(struct clone_args){.flags = CLONE_PIDFD | CLONE_PARENT_SETTID | CLONE_CHILD_SETTID,
				    .pidfd = at(&r->pidfd),
				    .parent_tid = at(&r->parent_tid),
				    .child_tid = at(&r->child_tid),
				    .exit_signal = SIGCHLD};
	pid = (int)clone3_raw(r, sizeof(r->args), tids);
	struct pollfd p = {.fd = r->pidfd, .events = POLLIN};
	printf("clone3 ids: parent %d child %d, ", r->parent_tid == pid, r->child_tid);
	printf("pidfd %d, ended %d\n", poll(&p, 1, 20000), status_of(pid));

	r = fresh();
	r->args = (struct clone_args){.exit_signal = SIGCHLD,
				      .stack = at(aligned_alloc(PAGE, STACK)),
				      .stack_size = STACK};
	away((void *)(uintptr_t)r->args.stack, STACK);
	pid = (int)clone3_raw(r, CLONE_ARGS_SIZE_VER0, computes);
	printf("clone3 with a stack: %d\n", status_of(pid));
}

static void shared_memory(void)
{
	struct room *r = fresh();

	r->args = (struct clone_args){.flags = CLONE_VM | CLONE_VFORK,
				      .exit_signal = SIGCHLD,
				      .stack = at(aligned_alloc(PAGE, STACK)),
				      .stack_size = STACK};
	away((void *)(uintptr_t)r->args.stack, STACK);
	int pid = (int)clone3_raw(r, sizeof(r->args), computes);
	printf("clone3 on our memory: %d, seen %d\n", status_of(pid), r->result);
}

/* A thread that libc does not know, with a thread area that looks like libc's to whoever asks. */
static uint64_t thread_area(void)
{
	const size_t statics = 64 << 10;
	char *p =
		mmap(NULL, 2 * statics, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	void **head = (void **)(p + statics);

	head[0] = head[2] = head;
	return at(head);
}

static void threads(void)
{
	for (int i = 0; i < 3; i++) {
		struct room *r = fresh();
		r->args = (struct clone_args){
			.flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD |
				 CLONE_SYSVSEM | CLONE_SETTLS | CLONE_PARENT_SETTID |
				 CLONE_CHILD_CLEARTID | CLONE_CHILD_SETTID,
			.child_tid = at(&r->child_tid),
			.parent_tid = at(&r->parent_tid),
			.stack = at(aligned_alloc(PAGE, STACK)),
			.stack_size = STACK,
			.tls = thread_area()};
		r->child_tid = -1;
		away((void *)(uintptr_t)r->args.stack, STACK);
		int tid = (int)clone3_raw(r, sizeof(r->args), computes);
		volatile int *gone = &r->child_tid;
		for (int n = 0; *gone && n < 20000; n++)
			usleep(1000);
		printf("clone3 thread %d: %d, gone %d, result %d\n", i,
		       tid > 0 && tid == r->parent_tid, !*gone, r->result);
	}
}

/* ---- handlers ---- */

static void handler(int sig)
{
}

static int shows_handlers(struct room *r)
{
	static const int sigs[] = {SIGUSR1, SIGSEGV, SIGSYS, SIGTERM, SIGHUP};
	int seen = 0;

	for (int i = 0; i < 5; i++) {
		struct sigaction is;
		sigaction(sigs[i], NULL, &is);
		seen = seen * 3 + (is.sa_handler == SIG_IGN ? 1 : is.sa_handler != SIG_DFL) * 2;
	}
	return computes(r) ? seen % 251 : 0;
}

static void cleared_handlers(void)
{
	struct room *r = fresh();

	signal(SIGUSR1, handler);
	signal(SIGSEGV, handler);
	signal(SIGSYS, handler);
	signal(SIGHUP, SIG_IGN);
	r->args = (struct clone_args){.flags = CLONE_CLEAR_SIGHAND, .exit_signal = SIGCHLD};
	int pid = (int)clone3_raw(r, sizeof(r->args), shows_handlers);
	printf("clone3 clears handlers: %d\n", status_of(pid));
	r->args.flags = 0;
	pid = (int)clone3_raw(r, sizeof(r->args), shows_handlers);
	printf("clone3 keeps handlers: %d\n", status_of(pid));
	for (int i = 0; i < 4; i++)
		signal((int[]){SIGUSR1, SIGSEGV, SIGSYS, SIGHUP}[i], SIG_DFL);
}

static void errors(void)
{
	struct room *r = fresh();
	const size_t sizes[] = {0, 8, CLONE_ARGS_SIZE_VER0 - 8, PAGE + 8};

	for (int i = 0; i < 4; i++)
		printf("clone3 of %zu bytes: %ld\n", sizes[i], clone3_raw(r, sizes[i], computes));
	r->args.flags = CLONE_THREAD;
	r->args.exit_signal = 0;
	printf("clone3 of a thread alone: %ld\n", clone3_raw(r, sizeof(r->args), computes));
	r->args = (struct clone_args){.flags = CLONE_PIDFD, .exit_signal = SIGCHLD, .pidfd = 8};
	printf("clone3, nowhere for a pidfd: %ld\n", clone3_raw(r, sizeof(r->args), computes));
	r->args = (struct clone_args){.exit_signal = SIGCHLD, .stack_size = 16};
	printf("clone3, no stack of 16: %ld\n", clone3_raw(r, sizeof(r->args), computes));
	r->args = (struct clone_args){.exit_signal = SIGCHLD};
	r->more[7] = 1;
	printf("clone3 of the future: %ld\n", clone3_raw(r, sizeof(r->args) + 8, computes));
	r->more[7] = 0;
	printf("clone3 of the past: %d\n",
	       status_of((int)clone3_raw(r, sizeof(r->args) + 8, computes)));
	long got = syscall(SYS_clone3, 8, sizeof(r->args));
	printf("clone3 of nothing: %ld %d\n", got, errno);
}

int main(void)
{
	char *p = absent(64, 1);

	setbuf(stdout, NULL);
	if (syscall(SYS_clone3, NULL, 0) < 0 && errno == ENOSYS) {
		puts("clone3: skipped, this kernel has none");
		return 0;
	}
	processes();
	shared_memory();
	threads();
	cleared_handlers();
	errors();
	printf("clone3 done: %u\n", sum(p, 64 * PAGE));
	return 0;
}
