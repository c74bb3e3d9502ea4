/* kernels.c - walks memory by steps: writes a byte, or sums what is there. */
#include "debate.h"
#include <gmem/kernel.h>

GM_KERNEL walk_write(struct gm_kctx *ctx, const void *args)
{
	const struct walk *a = args;

	(void)ctx;
	for (uint64_t o = 0; o < a->bytes; o += a->step)
		*(volatile char *)(a->base + o) = 4;
	return 0;
}

GM_KERNEL walk_sum(struct gm_kctx *ctx, const void *args)
{
	const struct walk *a = args;
	uint64_t sum = 0;

	(void)ctx;
	for (uint64_t o = 0; o < a->bytes; o += a->step)
		sum += *(volatile uint64_t *)(a->base + o);
	*a->sum = sum;
	return 0;
}
