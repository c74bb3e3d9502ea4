/*
 * A CPU fault on a device-resident page. Usage: gmem_cpu_fault [PAGE_BYTES [busy]]; busy: while
 * a kernel is running. Prints microseconds per fault, everything warm: the floor is
 * floor_cpu_fault.c.
 */
#include "busy.h"

static double round_us(struct bench_device *d, struct busy *busy, char *p, size_t bytes,
		       size_t page)
{
	uint64_t faults;
	double start;

	bench_check(hmadvise(d->hnid, p, bytes, MADV_PREFETCH));
	bench_walk(d, p, bytes, page); /* the device has written: no page is a clean copy */
	bench_expect(p, bytes, GM_DEVICE);
	if (busy)
		busy_start(busy);
	faults = bench_cpu_faults();
	start = bench_now();
	for (size_t o = 0; o < bytes; o += page)
		((volatile char *)p)[o] = 3;
	start = bench_now() - start;
	bench_expect_count("CPU faults", bench_cpu_faults() - faults, bytes / page);
	if (busy)
		busy_stop(busy);
	bench_expect(p, bytes, GM_HOST);
	return start / (double)(bytes / page) * 1e6;
}

int main(int argc, char **argv)
{
	size_t page = bench_page_arg(argc, argv, 1), bytes = bench_walk_bytes(page);
	struct bench_device device = bench_open(512 * MIB, page);
	char *p = bench_managed(bytes);
	struct busy kernel, *busy = NULL;
	double us[BENCH_ROUNDS];

	if (argc > 2)
		busy_open(busy = &kernel, &device);
	round_us(&device, busy, p, bytes, page);
	for (int i = 0; i < BENCH_ROUNDS; i++)
		us[i] = round_us(&device, busy, p, bytes, page);
	printf("%.3f\n", bench_median(us, BENCH_ROUNDS));
	return 0;
}
