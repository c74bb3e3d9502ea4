/*
 * The floor of gmem_fork: a fork whose child copies so many MiB of shared memory (the parent's
 * alias of it is warm) into private memory of its own and reads a byte of every page. Usage:
 * floor_fork MIB. Prints milliseconds from fork until the child has ended.
 */
#include "bench.h"
#include <sys/wait.h>

int main(int argc, char **argv)
{
	size_t bytes = (argc > 1 ? strtoul(argv[1], NULL, 0) : 256) * MIB;
	char *from = bench_alias(bytes, bench_memfd("floor", bytes), 1);
	double ms[BENCH_ROUNDS];

	for (int i = -1; i < BENCH_ROUNDS; i++) {
		int status = -1;
		double start = bench_now();
		pid_t pid = fork();
		if (!pid) {
			size_t sum = 0;
			char *own = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
					 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
			if (own == MAP_FAILED)
				_exit(2);
			memcpy(own, from, bytes);
			for (size_t at = 0; at < bytes; at += 4096)
				sum += ((volatile char *)own)[at] == 1;
			_exit(sum != bytes / 4096);
		}
		if (pid < 0 || waitpid(pid, &status, 0) != pid || status)
			bench_die("the child of a fork read wrong bytes: status 0x%x", status);
		if (i >= 0)
			ms[i] = (bench_now() - start) * 1e3;
	}
	printf("%.3f\n", bench_median(ms, BENCH_ROUNDS));
	return 0;
}
