/*
 * blas_cases.c - where BLAS calls run and what happens around them: one case a run, named by the
 * argument. A plain program: the output must be the same under GMEM; how many calls a device
 * took is in the report.
 */
#include "named.h"
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

void dgemm_(const char *, const char *, const int *, const int *, const int *, const double *,
	    const double *, const int *, const double *, const int *, const double *, double *,
	    const int *);
void dtrsm_(const char *, const char *, const char *, const char *, const int *, const int *,
	    const double *, const double *, const int *, double *, const int *);

static uint64_t hash(const void *p, size_t n)
{
	const unsigned char *c = p;
	uint64_t h = 0xcbf29ce484222325;

	for (size_t i = 0; i < n; i++)
		h = (h ^ c[i]) * 0x100000001b3;
	return h;
}

static void fill(double *x, int n, unsigned seed)
{
	for (int i = 0; i < n * n; i++) {
		seed = seed * 1664525 + 1013904223;
		x[i] = (double)(seed >> 8) / (1 << 24) - 0.5;
	}
}

static double *matrix(int n, unsigned seed)
{
	double *x = malloc(sizeof *x * (size_t)n * (size_t)n);

	if (!x)
		abort();
	fill(x, n, seed);
	return x;
}

static void multiply(int n, double alpha, const double *a, const double *b, double beta, double *c)
{
	dgemm_("N", "N", &n, &n, &n, &alpha, a, &n, b, &n, &beta, c, &n);
}

static void show(const char *what, const double *x, int n)
{
	printf("%s %016llx\n", what,
	       (unsigned long long)hash(x, sizeof *x * (size_t)n * (size_t)n));
}

/* ---- where calls run ---- */

/* The script sets GMEM_BLAS_MIN=20. */
static void at_least_min(void)
{
	double *a = matrix(20, 1), *b = matrix(20, 2), *c = matrix(20, 3);

	multiply(20, 1, a, b, 0, c);
	show("20", c, 20);
}
static void below_min(void)
{
	double *a = matrix(20, 1), *b = matrix(20, 2), *c = matrix(20, 3);
	const int n = 20, k = 19;
	const double one = 1;

	dgemm_("N", "N", &n, &n, &k, &one, a, &n, b, &n, &one, c, &n);
	show("20 20 19", c, 20);
}

enum { SMALL = 64 };
static double in_data[SMALL * SMALL];

/* Each matrix in turn lies on the stack, in .bss, in a file or shared mapping. */
static void outside(void)
{
	double on_stack[SMALL * SMALL], *x[3];
	double *shared = mmap(NULL, sizeof in_data, PROT_READ | PROT_WRITE,
			      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	double *const place[] = {on_stack, in_data, shared};

	for (int p = 0; p < 3; p++)
		for (int i = 0; i < 3; i++) {
			for (int k = 0; k < 3; k++) {
				x[k] = k == i ? place[p] : matrix(SMALL, (unsigned)k);
				fill(x[k], SMALL, (unsigned)k);
			}
			multiply(SMALL, 1, x[0], x[1], 0.5, x[2]);
			show("outside", x[2], SMALL);
		}
}

/* With alpha 0 nobody looks at A and B. */
static void no_operands(void)
{
	enum { N = 300 }; /* OpenBLAS's kernels for small matrices do look */
	double *c = matrix(N, 3);

	multiply(N, 0, NULL, NULL, 0.5, c);
	show("scaled", c, N);
	multiply(N, 0, NULL, in_data, 0, c);
	show("cleared", c, N);
}

/* Memory that the program may not touch: the call fails on the device, and then as it would have
 * failed anyway. */
static void forbidden(void)
{
	double *a = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	double *b = matrix(256, 2), *c = matrix(256, 3);
	int status;

	fill(a, 256, 1);
	mprotect(a, 1 << 20, PROT_NONE);
	pid_t pid = fork();
	if (!pid) {
		multiply(256, 1, a, b, 1, c);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	printf("status %x\n", status);
	mprotect(a, 1 << 20, PROT_READ);
	multiply(256, 1, a, b, 1, c);
	show("allowed again", c, 256);
}

/* ---- threads, processes, errors ---- */

static void *work(void *arg)
{
	uintptr_t id = (uintptr_t)arg;
	int n = 60 + 7 * (int)id;
	double *a = matrix(n, 1), *b = matrix(n, 2), *c = matrix(n, 3);

	for (int i = 0; i < 40; i++)
		multiply(n, 0.25, i & 1 ? a : c, b, 0.5, i & 1 ? c : a);
	uint64_t *sum = malloc(sizeof *sum);
	*sum = hash(a, sizeof *a * (size_t)n * (size_t)n) ^
	       hash(c, sizeof *c * (size_t)n * (size_t)n);
	return sum;
}

static void threads(void)
{
	enum { N = 6 };
	pthread_t t[N];

	for (uintptr_t i = 0; i < N; i++)
		pthread_create(&t[i], NULL, work, (void *)i);
	for (int i = 0; i < N; i++) {
		void *sum;
		pthread_join(t[i], &sum);
		printf("thread %d %016llx\n", i, (unsigned long long)*(uint64_t *)sum);
	}
}

static void forks(void)
{
	double *a = matrix(100, 1), *b = matrix(100, 2), *c = matrix(100, 3);
	int status;

	multiply(100, 1, a, b, 1, c);
	for (int i = 0; i < 3; i++) {
		fflush(stdout);
		pid_t pid = fork();
		if (!pid) {
			multiply(100, 1, a, c, 0.5, b); /* of its own copies */
			show("child", b, 100);
			fflush(stdout);
			_exit(3);
		}
		waitpid(pid, &status, 0);
		multiply(100, 1, a, b, 0.5, c);
		show("parent", c, 100);
		printf("status %x\n", status);
	}
}

static sigjmp_buf out;
void xerbla_(const char *name, const int *info, size_t length);
void xerbla_(const char *name, const int *info, size_t length)
{
	printf("xerbla %.5s %d\n", name, *info);
	siglongjmp(out, 1);
}

static void deeper(int depth, double *a, double *b, double *c)
{
	volatile char room[512];

	memset((void *)room, depth, sizeof room);
	if (depth)
		deeper(depth - 1, a, b, c);
	else
		multiply(SMALL, 1, a, b, 1, c);
}

/* The program's own xerbla leaves the library by a jump; later calls run as if nothing had
 * happened. */
static void jumps(void)
{
	double *a = matrix(SMALL, 1), *b = matrix(SMALL, 2), *c = matrix(SMALL, 3);
	const int n = SMALL, bad = -1;
	const double one = 1;

	for (volatile int i = 0; i < 3; i++) {
		if (!sigsetjmp(out, 1))
			dgemm_("N", "N", &bad, &n, &n, &one, a, &n, b, &n, &one, c, &n);
		deeper(4, a, b, c);
		show("after", c, SMALL);
	}
}

static void *interrupt(void *arg)
{
	for (int i = 0; i < 200; i++) {
		usleep(500);
		pthread_kill(*(pthread_t *)arg, SIGUSR1);
	}
	return NULL;
}

static double *from_handler[3];
static volatile int handled;
static void handler(int sig)
{
	int err = errno;

	multiply(SMALL, 1, from_handler[0], from_handler[1], 0, from_handler[2]);
	handled++;
	errno = err;
}

/* Signals arrive during calls, and their handler makes calls of its own. */
static void signals(void)
{
	pthread_t self = pthread_self(), t;
	double *a = matrix(200, 1), *b = matrix(200, 2), *c = matrix(200, 3);

	for (int i = 0; i < 3; i++)
		from_handler[i] = matrix(SMALL, (unsigned)i);
	multiply(SMALL, 1, from_handler[0], from_handler[1], 0, from_handler[2]);
	struct sigaction act = {.sa_handler = handler, .sa_flags = SA_RESTART};
	sigaction(SIGUSR1, &act, NULL);
	pthread_create(&t, NULL, interrupt, &self);
	for (int i = 0; i < 60; i++)
		multiply(200, 0.1, a, b, 0.5, c);
	pthread_join(t, NULL);
	show("interrupted", c, 200);
	show("handler", from_handler[2], SMALL);
	printf("handled %d\n", handled > 0);
}

/* ---- loss ---- */

static useconds_t kill_after;
static int (*device_pid)(void *);
static void *device;
static void *kill_device(void *arg)
{
	usleep(kill_after);
	if (device_pid && device_pid(device) > 0)
		kill(device_pid(device), SIGKILL);
	return NULL;
}

/* The device, if there is one, is killed some time into a series of calls that overwrite their
 * operands. */
static void lost(void)
{
	enum { N = 500, CALLS = 14 };
	double *a = matrix(N, 1), *b = matrix(N, 2), *c = matrix(N, 3);
	void *(*first)(int);
	const double one = 1;
	const int n = N;
	pthread_t t;

	*(void **)&device_pid = dlsym(RTLD_DEFAULT, "gmi_sim_pid");
	*(void **)&first = dlsym(RTLD_DEFAULT, "gmi_sim_default");
	if (first)
		device = first(0);
	for (int i = 0; i < N; i++)
		a[i * (N + 1)] += N;
	for (int i = 0; i < CALLS; i++) {
		if (i == 2)
			pthread_create(&t, NULL, kill_device, NULL);
		if (i == CALLS - 2)
			pthread_join(t, NULL);
		if (i % 2)
			multiply(N, 0.01, a, b, 0.5, c);
		else
			dtrsm_("L", "U", "N", "N", &n, &n, &one, a, &n, i % 4 ? b : c, &n);
	}
	show("b", b, N);
	show("c", c, N);
}

int main(int argc, char **argv)
{
	static const struct named cases[] = {{"at_least_min", at_least_min},
					     {"below_min", below_min},
					     {"outside", outside},
					     {"no_operands", no_operands},
					     {"forbidden", forbidden},
					     {"threads", threads},
					     {"forks", forks},
					     {"jumps", jumps},
					     {"signals", signals},
					     {"lost", lost}};

	if (argc > 2)
		kill_after = (useconds_t)atoi(argv[2]);
	for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++)
		if (argc > 1 && !strcmp(argv[1], cases[i].name)) {
			cases[i].fn();
			return 0;
		}
	return 99;
}
