/*
 * busy.h - a kernel that runs while something else is measured.
 */
#ifndef GM_BENCH_BUSY_H
#define GM_BENCH_BUSY_H

#include "gmem.h"
#include <pthread.h>
#include <sched.h>

/* A kernel that runs beside what is measured; its two words are pinned, so it polls them over
 * the bus. */
struct busy {
	struct bench_device *device;
	struct linger_args args;
	volatile uint32_t *words;
	pthread_t thread;
};

static inline void busy_open(struct busy *b, struct bench_device *device)
{
	b->device = device;
	b->words = (volatile uint32_t *)bench_managed(2 * MIB);
	bench_check(hmadvise(-1, (void *)b->words, 2 * MIB, GM_MADV_PINNED));
	b->args = (struct linger_args){
		.stop = &b->words[0], .started = &b->words[1], .limit_ms = 20000};
}

static inline void *run_kernel(void *arg)
{
	struct busy *b = arg;

	bench_launch(b->device, "linger", &b->args, sizeof b->args, NULL);
	return NULL;
}

static inline void busy_start(struct busy *b)
{
	b->words[0] = b->words[1] = 0;
	if (pthread_create(&b->thread, NULL, run_kernel, b))
		bench_die("pthread_create failed");
	while (!b->words[1])
		sched_yield();
}

static inline void busy_stop(struct busy *b)
{
	b->words[0] = 1;
	pthread_join(b->thread, NULL);
}

#endif
