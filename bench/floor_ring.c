/*
 * The floor of a kernel launch: one round trip between two processes over a spinning ring.
 * Prints microseconds.
 */
#include "ring.h"
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#define TRIPS 20000

__attribute__((noreturn)) static void answer(struct ring *ring)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (unsigned seen = 0; !atomic_load(&ring->done); seen++) {
		ring_wait(&ring->request, seen);
		atomic_fetch_add(&ring->reply, 1);
	}
	_exit(0);
}

int main(void)
{
	struct ring *ring = ring_create();
	double us[BENCH_ROUNDS];
	pid_t pid;

	alarm(60);
	pid = fork();
	if (!pid)
		answer(ring);
	for (int i = 0; i < BENCH_ROUNDS; i++) {
		double start = bench_now();

		for (int n = 0; n < TRIPS; n++)
			ring_ask(ring);
		us[i] = (bench_now() - start) / TRIPS * 1e6;
	}
	atomic_store(&ring->done, true);
	atomic_fetch_add(&ring->request, 1);
	waitpid(pid, NULL, 0);
	printf("%.3f\n", bench_median(us, BENCH_ROUNDS));
	return 0;
}
