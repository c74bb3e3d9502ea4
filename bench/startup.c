/*
 * What a preload costs each process: runs /bin/true, again and again. Usage: startup [LIBRARY].
 * Prints milliseconds per process, from spawn to wait.
 */
#include "bench.h"
#include <spawn.h>
#include <sys/wait.h>

#define RUNS 50

static void run_true(char **envp)
{
	char *argv[] = {"true", NULL};
	pid_t pid;
	int status;

	if (posix_spawn(&pid, "/bin/true", NULL, NULL, argv, envp))
		bench_die("posix_spawn failed");
	if (waitpid(pid, &status, 0) != pid || status)
		bench_die("true failed: status 0x%x", status);
}

int main(int argc, char **argv)
{
	char preload[4096];
	char *envp[] = {argc > 1 ? preload : NULL, NULL};
	double ms[RUNS];

	snprintf(preload, sizeof preload, "LD_PRELOAD=%s", argc > 1 ? argv[1] : "");
	if (argc > 1 && access(argv[1], R_OK))
		bench_skip("%s is not there", argv[1]);
	run_true(envp);
	for (int i = 0; i < RUNS; i++) {
		double start = bench_now();

		run_true(envp);
		ms[i] = (bench_now() - start) * 1e3;
	}
	printf("%.3f\n", bench_median(ms, RUNS));
	return 0;
}
