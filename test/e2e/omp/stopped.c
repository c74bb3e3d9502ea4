/* Threads compute, make calls and take signals on memory that regions take and forks give back, again and again: nothing
 * that they store is lost, and no call of theirs ends early. */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#pragma omp requires unified_shared_memory

enum { THREADS = 4, ROUNDS = 60, PAGE = 4096 };
static volatile long own[THREADS] __attribute__((aligned(4096)));
static atomic_long all __attribute__((aligned(4096)));
static __thread volatile long local;
static atomic_long added, lost, ended_early, wrong, taken;
static atomic_int stop;
static long *on_stack[THREADS];
static long sent;
static pthread_t threads[THREADS];

static void on_signal(int sig)
{
	volatile char room[600];

	room[0] = room[599] = (char)sig;
	atomic_fetch_add(&taken, 1);
}

static void count(volatile long *word, long *expect)
{
	long v = ++*word;

	if (v != ++*expect) {
		atomic_fetch_add(&lost, 1);
		*expect = v;
	}
}

static void make_calls(long it, int sv[2], int pp[2], int ep)
{
	struct epoll_event ev;
	struct pollfd pf = {.fd = pp[0], .events = POLLIN};
	char buf[64];
	long in = it, out = 0, r = 0;

	switch (it % 6) {
	case 0:
		if (write(pp[1], &in, 8) != 8 || read(pp[0], &out, 8) != 8 || in != out)
			atomic_fetch_add(&wrong, 1);
		break;
	case 1:
		if (send(sv[0], "datagram", 9, 0) != 9 || recv(sv[1], buf, sizeof buf, 0) != 9 ||
		    strcmp(buf, "datagram") != 0)
			atomic_fetch_add(&wrong, 1);
		break;
	case 2:
		if (getrandom(buf, sizeof buf, 0) != sizeof buf)
			atomic_fetch_add(&wrong, 1);
		break;
	case 3:
		r = epoll_wait(ep, &ev, 1, 2);
		break;
	case 4:
		r = poll(&pf, 1, 2);
		break;
	default:
		free(malloc((size_t)(100 + it % 5000)));
	}
	if (r < 0 && errno == EINTR)
		atomic_fetch_add(&ended_early, 1);
}

static void *work(void *arg)
{
	long me = (long)arg, expect[3] = {0};
	volatile long on_mine[2] = {0};
	int sv[2], pp[2], ep = epoll_create1(0);
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN + 5);
	if (me) /* signals end calls of the first one, rightly */
		pthread_sigmask(SIG_BLOCK, &set, NULL);
	if (pipe(pp) || socketpair(AF_UNIX, SOCK_DGRAM, 0, sv))
		exit(1);
	on_stack[me] = (long *)&on_mine[1];
	for (long it = 0; !atomic_load(&stop); it++) {
		for (int i = 0; i < 100; i++) {
			count(&own[me], &expect[0]);
			count(&local, &expect[1]);
			count(&on_mine[0], &expect[2]);
			atomic_fetch_add(&all, 1);
			atomic_fetch_add(&added, 1);
		}
		if (me)
			make_calls(it, sv, pp, ep);
	}
	return NULL;
}

static void *short_lived(void *arg)
{
	return arg;
}

int main(void)
{
	long regions = 0, seen = 0;

	signal(SIGRTMIN + 5, on_signal);
	for (long i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, work, (void *)i);
	for (long i = 0; i < THREADS; i++)
		while (!*(long *volatile *)&on_stack[i])
			usleep(100);
	for (int round = 0; round < ROUNDS; round++) {
		atomic_long *a = &all, *b = &added;
		long *s = on_stack[round % THREADS], *mine = &regions;
		pthread_t t;
#pragma omp target
		{
			for (int i = 0; i < 1000; i++) {
				atomic_fetch_add(a, 1);
				atomic_fetch_add(b, 1);
			}
			++*s;
			++*mine;
		}
		seen += pthread_kill(threads[0], SIGRTMIN + 5) == 0;
		pthread_create(&t, NULL, short_lived, NULL);
		pthread_join(t, NULL);
		pid_t child = fork();
		if (!child)
			_exit(atomic_load(&all) > 0 ? 0 : 1);
		int status;
		waitpid(child, &status, 0);
		atomic_fetch_add(&wrong, status != 0);
	}
	atomic_store(&stop, 1);
	sent = 0;
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	printf("lost %ld, of all %ld, ended early %ld, wrong %ld\n", lost,
	       atomic_load(&added) - atomic_load(&all), ended_early, wrong);
	printf("regions %ld, signals %d\n", regions, atomic_load(&taken) > 0 && seen == ROUNDS);
	return 0;
}
