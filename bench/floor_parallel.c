/*
 * The floor of CPU faults in parallel: a bare SIGSEGV handler that copies 64 KiB between two
 * aliases and makes the page accessible, in several threads on ranges of their own. Usage:
 * floor_parallel THREADS. Prints thousands of faults a second. mprotect takes the process's one
 * lock of mappings: this is what the kernel lets through.
 */
#include "bench.h"
#include <signal.h>

#define PAGE_BYTES  65536
#define BYTES	    (128 * MIB)
#define THREADS_MAX 8

static char *va, *host, *device;
static pthread_barrier_t barrier;
static size_t part_bytes;

static void on_fault(int sig, siginfo_t *si, void *context)
{
	size_t o = (size_t)((char *)si->si_addr - va) & ~(size_t)(PAGE_BYTES - 1);

	(void)sig, (void)context;
	memcpy(host + o, device + o, PAGE_BYTES);
	mprotect(va + o, PAGE_BYTES, PROT_READ | PROT_WRITE);
}

static void *touch(void *arg)
{
	pthread_barrier_wait(&barrier);
	for (size_t o = 0; o < part_bytes; o += PAGE_BYTES)
		((volatile char *)arg)[o] = 3;
	pthread_barrier_wait(&barrier);
	return NULL;
}

static double round_rate(unsigned threads)
{
	void *args[THREADS_MAX];

	if (mprotect(va, BYTES, PROT_NONE))
		bench_die("mprotect: %s", strerror(errno));
	for (unsigned i = 0; i < threads; i++)
		args[i] = va + i * part_bytes;
	double seconds = bench_threads(threads, touch, args, &barrier);
	return (double)(BYTES / PAGE_BYTES) / seconds * 1e-3;
}

int main(int argc, char **argv)
{
	unsigned threads = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 1;
	struct sigaction sa = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};
	int fd = bench_memfd("host", BYTES);
	double rate[BENCH_ROUNDS];

	if (!threads || threads > THREADS_MAX)
		bench_die("1 to %d threads", THREADS_MAX);
	part_bytes = BYTES / threads;
	host = bench_alias(BYTES, fd, 1);
	device = bench_alias(BYTES, bench_memfd("device", BYTES), 2);
	va = bench_map(NULL, BYTES, PROT_NONE, fd);
	sigaction(SIGSEGV, &sa, NULL);
	pthread_barrier_init(&barrier, NULL, threads + 1);
	round_rate(threads);
	for (int i = 0; i < BENCH_ROUNDS; i++)
		rate[i] = round_rate(threads);
	printf("%.3f\n", bench_median(rate, BENCH_ROUNDS));
	return 0;
}
