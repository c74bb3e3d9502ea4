/*
 * bench.h - what every benchmark needs: time, medians, shared memory seen twice, and one way to
 * end.
 *
 * A benchmark measures one side of one row, prints one number and exits 0; 77 means that it
 * cannot run here (the reason on stderr); anything else makes the row invalid. run.sh runs the
 * two sides of a row in turn and compares medians.
 */
#ifndef GM_BENCH_H
#define GM_BENCH_H

#include <pthread.h>
#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define BENCH_SKIP 77
/* measured rounds inside one process; one more before them warms everything up */
#define BENCH_ROUNDS 7
#define MIB	     ((size_t)1 << 20)

static inline double bench_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

__attribute__((noreturn, format(printf, 2, 3))) static inline void bench_end(int status,
									     const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(status);
}
#define bench_die(...)	bench_end(1, __VA_ARGS__)
#define bench_skip(...) bench_end(BENCH_SKIP, __VA_ARGS__)

/* A fork whose child ends with child(arg): 0 when it read the right bytes. Milliseconds. */
static inline double bench_fork(int (*child)(void *arg, size_t bytes), void *arg, size_t bytes)
{
	int status = -1;
	double start = bench_now();
	pid_t pid = fork();

	if (!pid)
		_exit(child(arg, bytes));
	if (pid < 0 || waitpid(pid, &status, 0) != pid || status)
		bench_die("the child of a fork read wrong bytes: status 0x%x", status);
	return (bench_now() - start) * 1e3;
}
/* Reads a byte of every page, each of them 1. */
static inline int bench_read_ones(void *p, size_t bytes)
{
	size_t sum = 0;

	for (size_t at = 0; at < bytes; at += 4096)
		sum += ((volatile char *)p)[at] == 1;
	return sum != bytes / 4096;
}

static inline int bench_compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static inline double bench_median(double *v, size_t n)
{
	qsort(v, n, sizeof *v, bench_compare);
	return n % 2 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
}

/*
 * For loops of a few ns: what else runs on the machine (on the other thread of the core, too)
 * only ever adds time, and lasts longer than a round. The fastest of many short rounds is what
 * the code needs.
 */
static inline double bench_fastest(const double *v, size_t n)
{
	double least = v[0];

	for (size_t i = 1; i < n; i++)
		least = v[i] < least ? v[i] : least;
	return least;
}

/* The page size of a row: argument i, or 64 KiB. */
static inline size_t bench_page_arg(int argc, char **argv, int i)
{
	size_t bytes = argc > i ? strtoul(argv[i], NULL, 0) : 65536;

	if (bytes < 4096 || bytes > 2 * MIB || (bytes & (bytes - 1)))
		bench_die("page size %zu: a power of two from 4096 to 2097152 is needed", bytes);
	return bytes;
}

/* How much memory a row walks: enough pages for a stable mean, not more than a few hundred MiB. */
static inline size_t bench_walk_bytes(size_t page)
{
	return page == 4096 ? 32 * MIB : 256 * MIB;
}

static inline int bench_memfd(const char *name, size_t bytes)
{
	int fd = memfd_create(name, MFD_CLOEXEC);

	if (fd < 0 || ftruncate(fd, (off_t)bytes))
		bench_die("memfd %s of %zu bytes: %s", name, bytes, strerror(errno));
	return fd;
}

static inline char *bench_map(void *at, size_t bytes, int prot, int fd)
{
	char *p = mmap(at, bytes, prot, MAP_SHARED | (at ? MAP_FIXED_NOREPLACE : 0), fd, 0);

	if (p == MAP_FAILED)
		bench_die("mmap of %zu bytes: %s", bytes, strerror(errno));
	return p;
}

/* A warm alias: every page of the store present and mapped. */
static inline char *bench_alias(size_t bytes, int fd, int fill)
{
	return memset(bench_map(NULL, bytes, PROT_READ | PROT_WRITE, fd), fill, bytes);
}

/* Seconds from the moment when all of the threads start, for which each of them waits at the
 * barrier (of threads + 1), to the one when all have done their work and wait there again. */
static inline double bench_threads(unsigned threads, void *(*work)(void *), void *const *args,
				   pthread_barrier_t *barrier)
{
	pthread_t thread[threads];

	for (unsigned i = 0; i < threads; i++)
		if (pthread_create(&thread[i], NULL, work, args[i]))
			bench_die("pthread_create failed");
	pthread_barrier_wait(barrier);
	double begin = bench_now();
	pthread_barrier_wait(barrier);
	double seconds = bench_now() - begin;
	for (unsigned i = 0; i < threads; i++)
		pthread_join(thread[i], NULL);
	return seconds;
}

#endif
