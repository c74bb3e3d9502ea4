/*
 * A fork while so many MiB of the heap lie in the device's memory: the child copies them. Usage:
 * gmem_fork MIB. Prints milliseconds from fork until the child, which reads every page, has
 * ended.
 */
#include "gmem.h"

int main(int argc, char **argv)
{
	size_t bytes = (argc > 1 ? strtoul(argv[1], NULL, 0) : 256) * MIB;
	struct bench_device device = bench_open(2 * bytes, 65536);
	char *heap = bench_managed(bytes);
	double ms[BENCH_ROUNDS];

	for (int i = -1; i < BENCH_ROUNDS; i++) {
		bench_check(hmadvise(device.hnid, heap, bytes, MADV_PREFETCH));
		bench_expect(heap, bytes, GM_DEVICE);
		double took = bench_fork(bench_read_ones, heap, bytes);
		if (i >= 0)
			ms[i] = took;
	}
	printf("%.3f\n", bench_median(ms, BENCH_ROUNDS));
	return 0;
}
