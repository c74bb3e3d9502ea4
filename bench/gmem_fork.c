/*
 * A fork while so many MiB of the heap lie in the device's memory: the child copies them. Usage:
 * gmem_fork MIB. Prints milliseconds from fork until the child, which reads every page, has
 * ended.
 */
#include "gmem.h"
#include <sys/wait.h>

int main(int argc, char **argv)
{
	size_t bytes = (argc > 1 ? strtoul(argv[1], NULL, 0) : 256) * MIB;
	struct bench_device device = bench_open(2 * bytes, 65536);
	char *heap = bench_managed(bytes);
	double ms[BENCH_ROUNDS];

	for (int i = -1; i < BENCH_ROUNDS; i++) {
		int status = -1;
		bench_check(hmadvise(device.hnid, heap, bytes, MADV_PREFETCH));
		bench_expect(heap, bytes, GM_DEVICE);
		double start = bench_now();
		pid_t pid = fork();
		if (!pid) {
			size_t sum = 0;
			for (size_t at = 0; at < bytes; at += 4096)
				sum += ((volatile char *)heap)[at] == 1;
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
