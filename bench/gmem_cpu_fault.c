/*
 * A CPU fault on a device-resident page. Usage: gmem_cpu_fault [PAGE_BYTES [busy]]; busy: while a kernel is
 * running. Prints microseconds per fault, everything warm: the floor is floor_cpu_fault.c.
 */
#include "gmem.h"
#include <pthread.h>
#include <sched.h>

/* A kernel that runs beside the faults; its two words are pinned, so it polls them over the bus. */
struct busy {
	struct bench_device *device;
	struct linger_args *args;
	volatile uint32_t *words;
	pthread_t thread;
};

static void *run_kernel(void *arg)
{
	struct busy *b = arg;

	bench_launch(b->device, "linger", b->args, sizeof *b->args, NULL);
	return NULL;
}

static void busy_start(struct busy *b)
{
	b->words[0] = b->words[1] = 0;
	if (pthread_create(&b->thread, NULL, run_kernel, b))
		bench_die("pthread_create failed");
	while (!b->words[1])
		sched_yield();
}

static void busy_stop(struct busy *b)
{
	b->words[0] = 1;
	pthread_join(b->thread, NULL);
}

static double round_us(struct bench_device *d, struct busy *busy, char *p, size_t bytes, size_t page)
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
	struct linger_args args = {.limit_ms = 20000};
	struct busy kernel = {.device = &device, .args = &args}, *busy = NULL;
	double us[BENCH_ROUNDS];

	if (argc > 2) {
		kernel.words = (volatile uint32_t *)bench_managed(2 * MIB);
		bench_check(hmadvise(-1, (void *)kernel.words, 2 * MIB, GM_MADV_PINNED));
		args.stop = &kernel.words[0];
		args.started = &kernel.words[1];
		busy = &kernel;
	}
	round_us(&device, busy, p, bytes, page);
	for (int i = 0; i < BENCH_ROUNDS; i++)
		us[i] = round_us(&device, busy, p, bytes, page);
	printf("%.3f\n", bench_median(us, BENCH_ROUNDS));
	return 0;
}
