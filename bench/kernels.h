/*
 * kernels.h - what the benchmarks' kernel module (kernels.c) takes; shared by both sides.
 */
#ifndef GM_BENCH_KERNELS_H
#define GM_BENCH_KERNELS_H

#include <stdint.h>

struct walk_args { /* kernel "walk": writes one byte every `step` bytes */
	char *base;
	uint64_t bytes, step;
};
struct linger_args { /* kernel "linger": naps until *stop, so that a kernel is running */
	volatile uint32_t *stop, *started;
	uint32_t limit_ms;
};

/* kernel "gather": reads so many words all over the array, no two in one sector. kernel "compute":
 * so many multiplications and additions for each word, which it reads and writes. Both count. */
struct count_args {
	double *base;
	uint64_t words, reads;
	uint32_t iterations;
};

struct pattern_args { /* kernel "pattern": touches 64 KiB pages in the order of patterns.h */
	char *base;
	uint64_t pages;
	uint32_t pattern;
};

#endif
