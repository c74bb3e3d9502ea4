/*
 * malloc_bench.c - ns per malloc/free pair, by block size, with 1 and 2 threads. A plain
 * program: run it under any malloc.
 *
 * Each thread keeps a ring of live blocks and replaces the oldest, writing the first byte of
 * each new one: the allocator's steady state. Prints "threads bytes ns"; compare runs with
 * malloc_bench.sh, never absolute numbers.
 */
#include "bench.h"
#include <pthread.h>

#define RING	    32
#define ROUNDS	    50
#define MAX_THREADS 2

struct job {
	size_t bytes;
	long pairs;
	double ns_per_pair;
	pthread_barrier_t *start;
};

static void pairs(size_t bytes, long n)
{
	char *volatile ring[RING] = {0};
	for (long i = 0; i < n; i++) {
		free(ring[i % RING]);
		char *p = malloc(bytes);
		if (!p)
			abort();
		*(volatile char *)p = 1;
		ring[i % RING] = p;
	}
	for (int i = 0; i < RING; i++)
		free(ring[i]);
}

static void *run(void *arg)
{
	struct job *j = arg;
	double ns[ROUNDS];
	pairs(j->bytes, j->pairs / 8); /* warm: caches filled, pages there */
	pthread_barrier_wait(j->start);
	for (int i = 0; i < ROUNDS; i++) {
		double t = bench_now();
		pairs(j->bytes, j->pairs / ROUNDS);
		ns[i] = (bench_now() - t) / (double)(j->pairs / ROUNDS) * 1e9;
	}
	j->ns_per_pair = bench_fastest(ns, ROUNDS);
	return NULL;
}

static void measure(int threads, size_t bytes, long n)
{
	pthread_t t[MAX_THREADS];
	struct job j[MAX_THREADS];
	pthread_barrier_t start;
	double sum = 0;

	pthread_barrier_init(&start, NULL, (unsigned)threads);
	for (int i = 0; i < threads; i++) {
		j[i] = (struct job){.bytes = bytes, .pairs = n, .start = &start};
		if (pthread_create(&t[i], NULL, run, &j[i]))
			abort();
	}
	for (int i = 0; i < threads; i++) {
		pthread_join(t[i], NULL);
		sum += j[i].ns_per_pair;
	}
	pthread_barrier_destroy(&start);
	printf("%d %zu %.2f\n", threads, bytes, sum / threads);
}

int main(int argc, char **argv)
{
	long n = argc > 1 ? atol(argv[1]) : 2000000;
	for (int threads = 1; threads <= MAX_THREADS; threads++)
		for (size_t bytes = 16; bytes <= 1 << 20; bytes *= 4)
			measure(threads, bytes, bytes <= 16384 ? n : n / 10);
	return 0;
}
