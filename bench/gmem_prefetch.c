/*
 * hmadvise(MADV_PREFETCH) of 256 MiB. Usage: gmem_prefetch [in|out]: to the device (default) or
 * home. Prints GB/s; the floor is floor_memcpy.c.
 */
#include "gmem.h"

static double move(int hnid, char *p, size_t bytes)
{
	double start = bench_now();

	bench_check(hmadvise(hnid, p, bytes, MADV_PREFETCH));
	return (double)bytes / (bench_now() - start) * 1e-9;
}

static double round_rate(struct bench_device *d, char *p, size_t bytes, int out)
{
	double rate_in, rate_out;

	memset(p, 5, bytes); /* mapped and written by the CPU, as a program would have it */
	rate_in = move(d->hnid, p, bytes);
	bench_walk(d, p, bytes, 4096); /* no fault, but every page dirty on the device */
	bench_expect(p, bytes, GM_DEVICE);
	rate_out = move(-1, p, bytes);
	bench_expect(p, bytes, GM_HOST);
	return out ? rate_out : rate_in;
}

int main(int argc, char **argv)
{
	const size_t bytes = 256 * MIB;
	int out = argc > 1 && !strcmp(argv[1], "out");
	struct bench_device device = bench_open(512 * MIB, 65536);
	char *p = bench_managed(bytes);
	double rate[BENCH_ROUNDS];
	uint64_t faults;

	round_rate(&device, p, bytes, out);
	faults = bench_device_faults();
	for (int i = 0; i < BENCH_ROUNDS; i++)
		rate[i] = round_rate(&device, p, bytes, out);
	bench_expect_count("device faults", bench_device_faults() - faults, 0);
	printf("%.3f\n", bench_median(rate, BENCH_ROUNDS));
	return 0;
}
