/*
 * The floor of gmem_fork: a fork whose child copies so many MiB of shared memory (the parent's
 * alias of it is warm) into private memory of its own and reads a byte of every page. Usage:
 * floor_fork MIB. Prints milliseconds from fork until the child has ended.
 */
#include "bench.h"

static int copy_and_read(void *from, size_t bytes)
{
	char *own = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (own == MAP_FAILED)
		return 2;
	memcpy(own, from, bytes);
	return bench_read_ones(own, bytes);
}

int main(int argc, char **argv)
{
	size_t bytes = (argc > 1 ? strtoul(argv[1], NULL, 0) : 256) * MIB;
	char *from = bench_alias(bytes, bench_memfd("floor", bytes), 1);
	double ms[BENCH_ROUNDS];

	bench_fork(copy_and_read, from, bytes);
	for (int i = 0; i < BENCH_ROUNDS; i++)
		ms[i] = bench_fork(copy_and_read, from, bytes);
	printf("%.3f\n", bench_median(ms, BENCH_ROUNDS));
	return 0;
}
