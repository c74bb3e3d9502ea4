/*
 * kernels.h - arguments of the kernels in kernels.c; shared by both sides.
 */
#ifndef GM_TEST_KERNELS_H
#define GM_TEST_KERNELS_H

#include <stdatomic.h>
#include <stdint.h>

struct node {
	struct node *next;
	long value, sum;
};
struct list_args {
	struct node *head;
};
struct count_args {
	_Atomic uint32_t *per_block, *workers;
};
/* meet: launches that wait for each other; all come, or each gives up after 10 s. */
struct meet_args {
	_Atomic uint32_t *come;
	uint32_t all;
};
struct churn_args {
	volatile uint64_t *data;
	uint64_t words, step, turns;
};
/* count_up: adds one, so often. converse: the kernel answers each word that it is told. */
struct count_up_args {
	_Atomic uint64_t *word;
	uint64_t times;
};
struct converse_args {
	_Atomic uint64_t *told, *answer;
	volatile uint64_t *data; /* beside `told`: told i, it holds i * i */
	uint64_t turns;
};
/* watch: page i holds 1000 + i or 2000 + i in its first word. */
struct watch_args {
	const volatile uint64_t *base;
	uint64_t pages, step; /* step: words */
	const volatile uint64_t *stop;
	/* how often it went round, how many words it saw change */
	volatile uint64_t *turns, *changes;
};

#endif
