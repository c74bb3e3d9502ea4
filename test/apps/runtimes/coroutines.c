/*
 * coroutines.c - coroutine stacks in the heap: contexts of libc, a switch written by hand, deep
 * recursion, system calls with buffers on those stacks, signals taken on them, and an altstack
 * in the heap.
 */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#define N	    32
#define STACK_BYTES (256 << 10)

/* ---- a switch written by hand, as Boost.Context's: what it leaves on the old stack it takes
 * from the new ---- */

void swap_stacks(void **from, void *to);
__asm__(".globl swap_stacks\nswap_stacks:\n"
	"push %rbp\npush %rbx\npush %r12\npush %r13\npush %r14\npush %r15\n"
	"mov %rsp, (%rdi)\nmov %rsi, %rsp\n"
	"pop %r15\npop %r14\npop %r13\npop %r12\npop %rbx\npop %rbp\nret\n");

static _Atomic int signals;

static void count(int sig)
{
	signals++;
}

static unsigned deep(unsigned n, unsigned x)
{
	volatile unsigned char pad[512];

	memset((void *)pad, (int)(n + x), sizeof(pad));
	return n ? deep(n - 1, x) + pad[n & 511] % 7 : pad[1];
}

/* System calls whose buffers lie on this stack. */
static unsigned calls(unsigned seed)
{
	int p[2], s[2];
	char out[3000], in[3000];
	struct stat st;
	struct timespec now;
	unsigned sum = 0;

	memset(out, (int)seed, sizeof(out));
	if (pipe(p) || socketpair(AF_UNIX, SOCK_DGRAM, 0, s) || stat("/", &st) ||
	    clock_gettime(CLOCK_REALTIME, &now))
		return 0;
	for (int i = 0; i < 4; i++) {
		out[i] = (char)i;
		sum += write(p[1], out, sizeof(out)) == sizeof(out) &&
		       read(p[0], in, sizeof(in)) == sizeof(in) && !memcmp(in, out, sizeof(in));
		sum += send(s[0], out, sizeof(out), 0) == sizeof(out) &&
		       recv(s[1], in, sizeof(in), 0) == sizeof(in) && !memcmp(in, out, sizeof(in));
	}
	for (int i = 0; i < 2; i++) {
		close(p[i]);
		close(s[i]);
	}
	raise(SIGUSR1);
	return sum + !!S_ISDIR(st.st_mode);
}

static unsigned piece(unsigned seed, unsigned round)
{
	char text[200];

	snprintf(text, sizeof(text), "%u of %u: %u", round, seed, deep(200, seed));
	return calls(seed) + (unsigned)strlen(text);
}

/* ---- libc's contexts ---- */

static ucontext_t home, co[N];
static unsigned result[N];

static void body(int i)
{
	for (unsigned round = 0; round < 20; round++) {
		result[i] += piece((unsigned)i, round);
		swapcontext(&co[i], &home);
	}
}

static unsigned contexts(void)
{
	char *stack[N];
	unsigned sum = 0;

	for (int i = 0; i < N; i++) {
		stack[i] = i % 2 ? malloc(STACK_BYTES)
				 : mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE,
					MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		getcontext(&co[i]);
		co[i].uc_stack.ss_sp = stack[i];
		co[i].uc_stack.ss_size = STACK_BYTES;
		co[i].uc_link = &home;
		makecontext(&co[i], (void (*)(void))body, 1, i);
	}
	for (unsigned round = 0; round < 20; round++)
		for (int i = 0; i < N; i++)
			swapcontext(&home, &co[i]);
	for (int i = 0; i < N; i++) {
		sum += result[i];
		if (i % 2)
			free(stack[i]);
		else
			munmap(stack[i], STACK_BYTES);
	}
	return sum;
}

/* ---- by hand, on every thread ---- */

struct hand {
	void *home, *sp;
	unsigned seed, sum;
};
static __thread struct hand *running;

static void hand_body(void)
{
	struct hand *h = running;

	for (unsigned round = 0;; round++) {
		h->sum += piece(h->seed, round);
		swap_stacks(&h->sp, h->home);
	}
}

static void *by_hand(void *arg)
{
	struct hand h[8];
	char *stack[8];
	unsigned long sum = 0;

	for (unsigned i = 0; i < 8; i++) {
		stack[i] = malloc(STACK_BYTES);
		void **top = (void **)(((unsigned long)stack[i] + STACK_BYTES) & -16ul);
		*--top = NULL;
		*--top = (void *)hand_body;
		h[i] = (struct hand){.sp = top - 6, .seed = i + (unsigned)(unsigned long)arg};
		memset(h[i].sp, 0, 6 * sizeof(*top));
	}
	for (unsigned round = 0; round < 20; round++)
		for (unsigned i = 0; i < 8; i++) {
			running = &h[i];
			swap_stacks(&h[i].home, h[i].sp);
		}
	for (unsigned i = 0; i < 8; i++) {
		sum += h[i].sum;
		free(stack[i]);
	}
	return (void *)sum;
}

/* ---- altstack in the heap; a child forked on a coroutine ---- */

static volatile int on_alt;
static char *alt;

static void on_usr2(int sig)
{
	char here;

	on_alt += &here >= alt && &here < alt + STACK_BYTES && deep(100, 3);
}

static unsigned altstack(void)
{
	alt = malloc(STACK_BYTES);
	stack_t ss = {.ss_sp = alt, .ss_size = STACK_BYTES}, off = {.ss_flags = SS_DISABLE};
	struct sigaction act = {.sa_handler = on_usr2, .sa_flags = SA_ONSTACK};

	sigaltstack(&ss, NULL);
	sigaction(SIGUSR2, &act, NULL);
	for (int i = 0; i < 100; i++)
		raise(SIGUSR2);
	sigaltstack(&off, NULL);
	free(alt);
	return (unsigned)on_alt;
}

static ucontext_t fork_home, fork_co;
static int status;

static void forks(void)
{
	for (int i = 0; i < 5; i++) {
		pid_t pid = fork();
		if (!pid)
			_exit(calls((unsigned)i) + i);
		waitpid(pid, &status, 0);
		printf("child %d\n", WEXITSTATUS(status));
	}
}

int main(void)
{
	pthread_t t[4];
	void *r;

	signal(SIGUSR1, count);
	printf("contexts %u\n", contexts());
	for (unsigned long i = 0; i < 4; i++)
		pthread_create(&t[i], NULL, by_hand, (void *)(i * 10));
	for (int i = 0; i < 4; i++) {
		pthread_join(t[i], &r);
		printf("by hand %lu\n", (unsigned long)r);
	}
	printf("altstack %u\n", altstack());
	fflush(stdout);
	getcontext(&fork_co);
	fork_co.uc_stack.ss_sp = malloc(STACK_BYTES);
	fork_co.uc_stack.ss_size = STACK_BYTES;
	fork_co.uc_link = &fork_home;
	makecontext(&fork_co, forks, 0);
	swapcontext(&fork_home, &fork_co);
	free(fork_co.uc_stack.ss_sp);
	printf("signals %d\n", signals);
	return 0;
}
