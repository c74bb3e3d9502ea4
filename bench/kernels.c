/*
 * The kernels of the benchmarks: an empty one, one that walks memory page by page, one that just
 * runs.
 */
#include "kernels.h"
#include "patterns.h"
#include <gmem/kernel.h>
#include <unistd.h>

#define NAP_US 20

GM_KERNEL empty(struct gm_kctx *ctx, const void *args)
{
	(void)ctx, (void)args;
	return 0;
}

GM_KERNEL walk(struct gm_kctx *ctx, const void *args)
{
	const struct walk_args *a = args;

	(void)ctx;
	for (uint64_t o = 0; o < a->bytes; o += a->step)
		*(volatile char *)(a->base + o) = 4;
	return 0;
}

/* Each block walks a part of its own. */
GM_KERNEL walk_parts(struct gm_kctx *ctx, const void *args)
{
	const struct walk_args *a = args;
	uint64_t part = a->bytes / ctx->nblocks;

	for (uint64_t o = 0; o < part; o += a->step)
		*(volatile char *)(a->base + ctx->block * part + o) = 4;
	return 0;
}

/* Naps, because on a small machine a spinning kernel would measure the scheduler. */
GM_KERNEL linger(struct gm_kctx *ctx, const void *args)
{
	const struct linger_args *a = args;

	(void)ctx;
	*a->started = 1;
	for (uint64_t us = 0; us < a->limit_ms * 1000ull; us += NAP_US) {
		if (*a->stop)
			return 0;
		usleep(NAP_US);
	}
	return 1;
}

GM_KERNEL gather(struct gm_kctx *ctx, const void *args)
{
	const struct count_args *a = args;
	uint64_t step = a->words / a->reads; /* of powers of two */

	for (uint64_t i = 0; i < a->reads; i++)
		(void)*(volatile double *)&a->base[i * 2654435761u % a->reads * step];
	ctx->bytes = a->reads * sizeof *a->base;
	ctx->access_bytes = sizeof *a->base;
	return 0;
}

#define CHUNK 512 /* words that stay in the cache meanwhile */

GM_KERNEL compute(struct gm_kctx *ctx, const void *args)
{
	const struct count_args *a = args;

	for (uint64_t at = 0; at < a->words; at += CHUNK)
		for (uint32_t n = 0; n < a->iterations; n++)
			for (uint64_t i = at; i < at + CHUNK; i++)
				a->base[i] = a->base[i] * 0.999 + 0.5;
	ctx->bytes = 2 * a->words * sizeof *a->base;
	ctx->flops = 2 * a->words * a->iterations;
	return 0;
}

GM_KERNEL pattern(struct gm_kctx *ctx, const void *args)
{
	const struct pattern_args *a = args;
	struct trace t = trace_of(a->pattern, a->pages);

	(void)ctx;
	for (size_t i = 0; i < t.n; i++) {
		volatile char *p = a->base + (uint64_t)t.touch[i].page * 65536;
		if (t.touch[i].write)
			*p = 4;
		else
			(void)*p;
	}
	free(t.touch);
	return 0;
}
