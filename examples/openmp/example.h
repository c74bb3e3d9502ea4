/*
 * example.h - what the OpenMP example programs share: arguments, time, comparing, the line that
 * each prints.
 *
 *	NAME [BYTES[K|M|G]] [REPETITIONS]
 *
 * BYTES is the working set. Each program computes everything twice with the same code, on the
 * host (device number omp_get_initial_device()) and on the default device, and compares. It
 * prints
 *
 *	NAME: BYTES, host S s, device S s, MS ms a step: equal
 *
 * and ends with status 1 when the results differ. "a step" is the median of the repetitions on
 * the device, after the first, when the data is there. Nothing here knows of gmem.
 */
#ifndef EXAMPLE_H
#define EXAMPLE_H

#include <math.h>
#include <omp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_STEPS 1000

struct example {
	const char *name;
	size_t bytes;
	int reps;
	int steps; /* timed so far */
	double step_s[MAX_STEPS];
	double host_s, device_s; /* all of it: with copies */
};

static inline struct example example_begin(const char *name, int argc, char **argv, int reps)
{
	struct example e = {.name = name, .bytes = (size_t)16 << 20, .reps = reps};
	char *unit = NULL;

	if (argc > 1) {
		e.bytes = strtoull(argv[1], &unit, 10);
		e.bytes <<= *unit == 'K' ? 10 : *unit == 'M' ? 20 : *unit == 'G' ? 30 : 0;
	}
	if (argc > 2)
		e.reps = atoi(argv[2]);
	if (e.bytes < 4096 || e.reps < 1 || e.reps > MAX_STEPS || argc > 3) {
		fprintf(stderr, "usage: %s [BYTES[K|M|G] [REPETITIONS]]\n", name);
		exit(2);
	}
	return e;
}

static inline void example_step(struct example *e, double seconds)
{
	if (e->steps < MAX_STEPS)
		e->step_s[e->steps++] = seconds;
}

static inline int example_by_time(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* The first step brings the data; the median of the others. */
static inline double example_median(struct example *e)
{
	int skip = e->steps > 1, n = e->steps - skip;

	qsort(e->step_s + skip, (size_t)n, sizeof e->step_s[0], example_by_time);
	return n ? e->step_s[skip + n / 2] : 0;
}

static inline int example_end(struct example *e, int equal)
{
	printf("%s: %zu bytes, host %.3f s, device %.3f s, %.4f ms a step: %s\n", e->name, e->bytes,
	       e->host_s, e->device_s, 1e3 * example_median(e), equal ? "equal" : "DIFFERENT");
	return !equal;
}

static inline void *example_alloc(size_t bytes)
{
	void *p = malloc(bytes);

	if (!p) {
		fprintf(stderr, "no memory for %zu bytes\n", bytes);
		exit(1);
	}
	return p;
}

/* xorshift64*: the same numbers everywhere. */
static inline uint64_t example_random(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * 0x2545f4914f6cdd1du;
}

/* 0 <= x < 1 */
static inline double example_uniform(uint64_t *state)
{
	return (double)(example_random(state) >> 11) / (double)(1ull << 53);
}

#endif
