/*
 * random.h - reproducible random numbers for randomized tests. The seed is printed; set
 * TEST_SEED to repeat a run.
 */
#ifndef TEST_RANDOM_H
#define TEST_RANDOM_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static uint64_t rng_state;

static inline uint64_t rng(void) /* splitmix64 */
{
	uint64_t z = rng_state += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}
static inline unsigned rng_below(unsigned n)
{
	return (unsigned)(rng() % n);
}
static inline void rng_seed(const char *test)
{
	const char *given = getenv("TEST_SEED");
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	rng_state = given ? strtoull(given, NULL, 0)
			  : (uint64_t)t.tv_sec * 1000000007u + (uint64_t)t.tv_nsec;
	fprintf(stderr, "%s: TEST_SEED=%llu\n", test, (unsigned long long)rng_state);
}

#endif
