/*
 * The floor of a prefetch: one memcpy of 256 MiB between two warm aliases of shared memory.
 * Usage: floor_memcpy [PIECE]; PIECE bytes a call (default: all at once). Prints GB/s.
 */
#include "bench.h"

int main(int argc, char **argv)
{
	const size_t bytes = 256 * MIB, piece = argc > 1 ? strtoul(argv[1], NULL, 0) : bytes;
	char *from = bench_alias(bytes, bench_memfd("host", bytes), 1);
	char *to = bench_alias(bytes, bench_memfd("device", bytes), 2);
	double rate[BENCH_ROUNDS];

	if (!piece || bytes % piece)
		bench_die("piece %zu does not divide %zu", piece, bytes);
	for (int i = 0; i < BENCH_ROUNDS; i++) {
		double start = bench_now();

		for (size_t o = 0; o < bytes; o += piece)
			memcpy(to + o, from + o, piece);
		rate[i] = (double)bytes / (bench_now() - start) * 1e-9;
	}
	printf("%.3f\n", bench_median(rate, BENCH_ROUNDS));
	return 0;
}
