/* Every kind of region that gcc makes for the CPU, and what their bodies use: prints numbers that
 * do not depend on the order of threads. */
#include <errno.h>
#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define N 100000
struct node {
	struct node *next;
	int v;
};
static double g[N];
static int hist[64], flag;
static struct node *list;

static void reductions(void)
{
	double s = 0, m = -1;
	long total = 0;

	for (int i = 0; i < N; i++)
		g[i] = sin(i);
#pragma omp parallel for schedule(dynamic, 100) reduction(+ : s) reduction(max : m)
	for (int i = 0; i < N; i++) {
		s += floor(g[i] * 1000);
		m = g[i] > m ? g[i] : m;
	}
#pragma omp parallel for schedule(guided)
	for (int i = 0; i < N; i++) {
#pragma omp atomic
		hist[(i * 7) % 64]++;
	}
	for (int i = 0; i < 64; i++)
		total += hist[i] * (long)i;
	printf("reductions %g %.17g, atomic %ld\n", s, m, total);
}

static long fib(int n)
{
	long a, b;

	if (n < 2)
		return n;
	if (n < 12)
		return fib(n - 1) + fib(n - 2);
#pragma omp task shared(a)
	a = fib(n - 1);
#pragma omp task shared(b)
	b = fib(n - 2);
#pragma omp taskwait
	return a + b;
}

static int compare(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

static void schedules_and_tasks(void)
{
	int *ints = malloc(N * sizeof *ints);
	long f = 0;

	omp_set_schedule(omp_sched_dynamic, 7);
#pragma omp parallel for schedule(runtime)
	for (int i = 0; i < N; i++)
		ints[i] = (int)((i * 7919L) % 100003);
#pragma omp parallel
#pragma omp single
	f = fib(20);
#pragma omp parallel sections
	{
#pragma omp section
		qsort(ints, N, sizeof *ints, compare);
#pragma omp section
		flag = 5;
	}
	printf("tasks %ld, sections %d %d %d\n", f, ints[0], ints[N - 1], flag);
	free(ints);
}

/* Memory that one side allocates and the other frees. */
static void heap_and_locks(void)
{
	omp_lock_t lock;
	long sum = 0;
	int count = 0;

	omp_init_lock(&lock);
#pragma omp parallel for
	for (int i = 0; i < 500; i++) {
		struct node *n = malloc(sizeof *n);
		n->v = i;
		omp_set_lock(&lock);
		n->next = list;
		list = n;
		omp_unset_lock(&lock);
	}
	for (struct node *n; (n = list); free(n), count++) {
		list = n->next;
		sum += n->v;
	}
	omp_destroy_lock(&lock);
	printf("heap %d %ld\n", count, sum);
}

static void nested(void)
{
	int n[4] = {0};

	omp_set_max_active_levels(2);
	for (int r = 0; r < 5; r++) {
#pragma omp parallel num_threads(2)
		{
			int me = omp_get_thread_num();
#pragma omp parallel num_threads(2)
			{
#pragma omp atomic
				n[me * 2 + omp_get_thread_num()]++;
			}
		}
	}
	printf("nested %d %d %d %d\n", n[0], n[1], n[2], n[3]);
}

static void calls(pid_t host)
{
	double s = 0;

#pragma omp parallel
	{
		FILE *file;
#pragma omp single copyprivate(file)
		{
			errno = 0;
			file = fopen("no/such/file", "r");
			printf("open %d errno %d\n", file != NULL, errno);
		}
#pragma omp critical
		if (file)
			printf("there is a file\n");
#pragma omp for ordered
		for (int i = 0; i < 5; i++) {
#pragma omp ordered
			printf("ordered %d of process %d\n", i, getpid() == host);
		}
	}
#pragma omp parallel for reduction(+ : s)
	for (int i = 0; i < 100; i++) {
		char text[64]; /* on the stack of a thread of the device */
		snprintf(text, sizeof text, "%d %.3f %s %c %ld", i, i * 0.5, "six", 'x', 7L * i);
		s += (double)strlen(text) + atoi(text);
	}
	omp_set_num_threads(3);
#pragma omp parallel
#pragma omp master
	printf("strings %g, threads %d of %d, level %d, host %d\n", s, omp_get_num_threads(),
	       omp_get_max_threads(), omp_get_level(), omp_is_initial_device());
}

int main(void)
{
	reductions();
	schedules_and_tasks();
	heap_and_locks();
	nested();
	calls(getpid());
	return 0;
}
