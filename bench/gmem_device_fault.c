/*
 * A device fault on host-resident memory: a kernel writes page by page, with no prefetch. Usage:
 * gmem_device_fault [PAGE_BYTES], under GMEM_PREFETCH=none. Prints microseconds per fault; the
 * floor is floor_device_fault.c.
 */
#include "gmem.h"

static double round_us(struct bench_device *d, char *p, size_t bytes, size_t page)
{
	struct walk_args args = {.base = p, .bytes = bytes, .step = page};
	struct gm_launch_result result;
	uint64_t faults;

	bench_check(hmadvise(-1, p, bytes, MADV_PREFETCH));
	memset(p, 7, bytes);
	bench_expect(p, bytes, GM_HOST);
	faults = bench_device_faults();
	bench_launch(d, "walk", &args, sizeof args, &result);
	bench_expect_count("device faults", bench_device_faults() - faults, bytes / page);
	bench_expect(p, bytes, GM_DEVICE);
	return (double)result.wall_ns / (double)(bytes / page) * 1e-3;
}

int main(int argc, char **argv)
{
	size_t page = bench_page_arg(argc, argv, 1), bytes = bench_walk_bytes(page);
	struct bench_device device = bench_open(512 * MIB, page);
	char *p = bench_managed(bytes);
	double us[BENCH_ROUNDS];

	round_us(&device, p, bytes, page);
	for (int i = 0; i < BENCH_ROUNDS; i++)
		us[i] = round_us(&device, p, bytes, page);
	printf("%.3f\n", bench_median(us, BENCH_ROUNDS));
	return 0;
}
