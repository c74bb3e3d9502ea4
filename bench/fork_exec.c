/*
 * What a big heap costs a process that starts others: fork and exec of /bin/true with so many
 * MiB of heap, every page touched, nothing on a device. Usage: fork_exec MIB. Prints
 * milliseconds from fork to the child's end.
 */
#include "bench.h"
#include <sys/wait.h>

#define RUNS 15

static void run_true(void)
{
	char *argv[] = {"true", NULL}, *envp[] = {NULL};
	int status;
	pid_t pid = fork();

	if (!pid) {
		execve("/bin/true", argv, envp);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || status)
		bench_die("fork and exec of /bin/true failed");
}

int main(int argc, char **argv)
{
	size_t bytes = (argc > 1 ? strtoul(argv[1], NULL, 0) : 1024) * MIB;
	char *heap = malloc(bytes);
	double ms[RUNS];

	if (!heap)
		bench_die("no %zu bytes of heap", bytes);
	memset(heap, 1, bytes);
	__asm__ volatile(""
			 :
			 : "r"(heap)
			 : "memory"); /* nobody reads it, and the compiler would leave both out */
	run_true();
	for (int i = 0; i < RUNS; i++) {
		double start = bench_now();

		run_true();
		ms[i] = (bench_now() - start) * 1e3;
	}
	printf("%.3f\n", bench_median(ms, RUNS));
	return 0;
}
