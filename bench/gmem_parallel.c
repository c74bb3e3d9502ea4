/*
 * Faults a second when several fault at once, each in blocks of its own: nothing is shared
 * between them but the device. Usage: gmem_parallel cpu|device THREADS. cpu: threads take 64 KiB
 * pages home from an idle device; device: a kernel on so many workers takes them. Prints
 * thousands of faults a second.
 */
#include "gmem.h"

#define PAGE_BYTES  65536
#define PART_BYTES  (64 * MIB)
#define THREADS_MAX 8

struct part {
	pthread_barrier_t *start;
	char *base;
	size_t bytes;
};

static void *touch(void *arg)
{
	struct part *p = arg;

	pthread_barrier_wait(p->start);
	for (size_t o = 0; o < p->bytes; o += PAGE_BYTES)
		((volatile char *)p->base)[o] = 3;
	pthread_barrier_wait(p->start);
	return NULL;
}

static double cpu_seconds(char *base, size_t bytes, unsigned threads)
{
	struct part part[THREADS_MAX];
	void *args[THREADS_MAX];
	pthread_barrier_t start;

	pthread_barrier_init(&start, NULL, threads + 1);
	for (unsigned i = 0; i < threads; i++) {
		part[i] = (struct part){.start = &start,
					.base = base + i * (bytes / threads),
					.bytes = bytes / threads};
		args[i] = &part[i];
	}
	return bench_threads(threads, touch, args, &start);
}

static double device_seconds(struct bench_device *d, char *base, size_t bytes, unsigned threads)
{
	struct walk_args args = {.base = base, .bytes = bytes, .step = PAGE_BYTES};
	struct gm_launch_result result;

	bench_check(gm_sim_launch(d->sim, d->module, "walk_parts", threads, &args, sizeof args,
				  &result));
	return (double)result.wall_ns * 1e-9;
}

static double rate(struct bench_device *d, int cpu, char *p, size_t bytes, unsigned threads)
{
	uint64_t faults;
	double seconds;

	bench_check(hmadvise(-1, p, bytes, MADV_PREFETCH));
	memset(p, 7, bytes);
	if (cpu) {
		bench_check(hmadvise(d->hnid, p, bytes, MADV_PREFETCH));
		bench_walk(d, p, bytes, PAGE_BYTES);
	}
	faults = cpu ? bench_cpu_faults() : bench_device_faults();
	seconds = cpu ? cpu_seconds(p, bytes, threads) : device_seconds(d, p, bytes, threads);
	faults = (cpu ? bench_cpu_faults() : bench_device_faults()) - faults;
	bench_expect_count("faults", faults, bytes / PAGE_BYTES);
	return (double)faults / seconds * 1e-3;
}

int main(int argc, char **argv)
{
	int cpu = argc > 1 && !strcmp(argv[1], "cpu");
	unsigned threads = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 1;
	const size_t bytes = 2 * PART_BYTES;
	double kfaults[BENCH_ROUNDS];

	if (!threads || threads > THREADS_MAX)
		bench_die("1 to %d threads", THREADS_MAX);
	struct bench_device device = bench_open_workers(512 * MIB, PAGE_BYTES, threads);
	char *p = bench_managed(bytes);
	rate(&device, cpu, p, bytes, threads);
	for (int i = 0; i < BENCH_ROUNDS; i++)
		kfaults[i] = rate(&device, cpu, p, bytes, threads);
	printf("%.3f\n", bench_median(kfaults, BENCH_ROUNDS));
	return 0;
}
