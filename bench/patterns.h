/*
 * patterns.h - orders in which a program uses memory larger than a device's, as touches of 64 KiB
 * pages. Both sides of the rows make the same from the same seed: the kernel that touches, and the
 * schedule that knows the future.
 */
#ifndef GM_BENCH_PATTERNS_H
#define GM_BENCH_PATTERNS_H

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct touch {
	uint32_t page, write;
};
struct trace {
	struct touch *touch;
	size_t n, room;
	uint64_t random;
};

static inline uint32_t trace_random(struct trace *t) /* splitmix64 */
{
	uint64_t z = t->random += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return (uint32_t)((z ^ z >> 31) >> 32);
}

static inline double trace_unit(struct trace *t)
{
	return (double)trace_random(t) / 4294967296.0;
}

static inline void trace_add(struct trace *t, uint64_t page, uint32_t write)
{
	if (t->n == t->room) {
		t->room = t->room ? 2 * t->room : 4096;
		t->touch = realloc(t->touch, t->room * sizeof *t->touch);
		if (!t->touch)
			abort();
	}
	t->touch[t->n++] = (struct touch){(uint32_t)page, write};
}

/* Two arrays are read, a third is written, once. */
static inline void trace_stream(struct trace *t, uint64_t pages)
{
	uint64_t third = pages / 3;

	for (uint64_t i = 0; i < third; i++) {
		trace_add(t, i, 0);
		trace_add(t, third + i, 0);
		trace_add(t, 2 * third + i, 1);
	}
}

/* All of it is written, four times. */
static inline void trace_cyclic(struct trace *t, uint64_t pages)
{
	for (unsigned pass = 0; pass < 4; pass++)
		for (uint64_t i = 0; i < pages; i++)
			trace_add(t, i, 1);
}

/*
 * Sixteen touches a page in the mean, the k-th most popular as often as k^-0.99, popular pages
 * anywhere.
 */
static inline void trace_zipf(struct trace *t, uint64_t pages)
{
	double *upto = malloc(pages * sizeof *upto), sum = 0;
	uint32_t *place = malloc(pages * sizeof *place);

	for (uint64_t i = 0; i < pages; i++) {
		upto[i] = sum += 1 / pow((double)i + 1, 0.99);
		place[i] = (uint32_t)i;
	}
	for (uint64_t i = pages - 1; i > 0; i--) {
		uint64_t j = trace_random(t) % (i + 1);
		uint32_t x = place[i];
		place[i] = place[j];
		place[j] = x;
	}
	for (uint64_t k = 0; k < 16 * pages; k++) {
		double u = trace_unit(t) * sum;
		uint64_t lo = 0, hi = pages - 1;
		while (lo < hi) {
			uint64_t mid = (lo + hi) / 2;
			if (upto[mid] < u)
				lo = mid + 1;
			else
				hi = mid;
		}
		trace_add(t, place[lo], trace_random(t) & 1);
	}
	free(upto);
	free(place);
}

/*
 * Four sweeps from one half into the other and back; each page of the target needs three of the
 * source.
 */
static inline void trace_stencil(struct trace *t, uint64_t pages)
{
	uint64_t half = pages / 2;

	for (unsigned sweep = 0; sweep < 4; sweep++) {
		uint64_t from = sweep & 1 ? half : 0, to = half - from;
		for (uint64_t i = 0; i < half; i++) {
			if (i)
				trace_add(t, from + i - 1, 0);
			trace_add(t, from + i, 0);
			if (i + 1 < half)
				trace_add(t, from + i + 1, 0);
			trace_add(t, to + i, 1);
		}
	}
}

/*
 * Eight levels over a graph: its edges are swept, less or more of them at each level, its vertices
 * (a tenth) hit at random.
 */
static inline void trace_bfs(struct trace *t, uint64_t pages)
{
	static const double share[8] = {0.0002, 0.003, 0.04, 0.25, 0.45, 0.2, 0.05, 0.0068};
	uint64_t vertices = pages / 10, lists = (pages - vertices) * 16;
	uint8_t *level = malloc(lists);

	for (uint64_t v = 0; v < lists; v++) {
		double u = trace_unit(t);
		int l = 0;
		while (l < 7 && (u -= share[l]) > 0)
			l++;
		level[v] = (uint8_t)l;
	}
	for (int l = 0; l < 8; l++)
		for (uint64_t v = 0; v < lists; v++) {
			if (level[v] != l)
				continue;
			trace_add(t, vertices + v / 16, 0);
			for (int e = 0; e < 8; e++) {
				uint32_t to = trace_random(t);
				trace_add(t, to % vertices, (trace_random(t) & 3) == 0);
			}
		}
	free(level);
}

static const struct {
	const char *name;
	void (*make)(struct trace *t, uint64_t pages);
} patterns[] = {
	{"stream", trace_stream},   {"cyclic", trace_cyclic}, {"zipf", trace_zipf},
	{"stencil", trace_stencil}, {"bfs", trace_bfs},
};
#define PATTERNS (sizeof patterns / sizeof patterns[0])

static inline struct trace trace_of(unsigned pattern, uint64_t pages)
{
	struct trace t = {.random = 1};

	patterns[pattern].make(&t, pages);
	return t;
}

#endif
