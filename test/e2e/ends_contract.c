/*
 * The end by a raw exit(2): the process is over with its last thread, whatever else works in it.
 * (Whose status counts is the last one's since Linux 5.17, the first one's before.)
 */
#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "away.h"

static _Atomic int main_gone;

static void *outlives_main(void *status)
{
	while (!main_gone)
		usleep(1000);
	usleep(50000);
	syscall(SYS_exit, (int)(intptr_t)status);
	return NULL;
}

static void main_ends(int with_thread, int status)
{
	pthread_t t;

	if (with_thread)
		pthread_create(&t, NULL, outlives_main, (void *)(intptr_t)status);
	main_gone = 1;
	syscall(SYS_exit, status);
}

static void *goes_first(void *arg)
{
	syscall(SYS_exit, 9);
	return arg;
}

static void thread_ends(int with_thread, int status)
{
	pthread_t t;

	pthread_create(&t, NULL, goes_first, NULL);
	usleep(50000);
	syscall(SYS_exit_group, status + with_thread);
}

static void run(const char *what, void (*end)(int, int), int with_thread, int status)
{
	pid_t pid = fork();

	if (!pid) {
		char *p = absent(64, 1);
		if (sum(p, 64 * PAGE) == 1)
			_exit(99);
		end(with_thread, status);
	}
	int got = -1;
	for (int i = 0; i < 3000 && waitpid(pid, &got, WNOHANG) == 0; i++)
		usleep(10000);
	if (got == -1) {
		kill(pid, SIGKILL);
		waitpid(pid, &got, 0);
		printf("%s: it does not end\n", what);
	} else {
		printf("%s: %x\n", what, got);
	}
}

int main(void)
{
	char *p = absent(64, 1);

	run("raw exit alone", main_ends, 0, 3);
	run("raw exit of main, then of a thread", main_ends, 1, 4);
	run("raw exit of a thread, then of all", thread_ends, 0, 5);
	printf("memory %u\n", sum(p, 64 * PAGE));
	return 0;
}
