/*
 * dev_kern_mem.c - the built-in memory kernels (mem_wire.h).
 */
#include "devsim/device/dev.h"
#include "devsim/mem_wire.h"
#include <string.h>

/* This block's share of the range: whole multiples of `unit`, but for the end. */
static uint64_t share(const struct gm_kctx *c, uint64_t bytes, uint64_t unit, uint64_t *first)
{
	uint64_t units = (bytes + unit - 1) / unit, each = (units + c->nblocks - 1) / c->nblocks;
	uint64_t lo = each * unit * c->block, hi = lo + each * unit;

	*first = lo;
	return lo >= bytes ? 0 : (hi > bytes ? bytes : hi) - lo;
}

static int mem_set(struct gm_kctx *c, const void *args)
{
	const struct ds_mem_args *a = args;
	uint64_t first, n = share(c, a->bytes, 4096, &first);

	memset((char *)a->dst + first, (int)a->value, n);
	c->bytes = n;
	return 0;
}

static int mem_copy(struct gm_kctx *c, const void *args)
{
	const struct ds_mem_args *a = args;
	uint64_t first, n = share(c, a->bytes, 4096, &first);

	memcpy((char *)a->dst + first, (const char *)a->src + first, n);
	c->bytes = 2 * n;
	return 0;
}

static int mem_sum64(struct gm_kctx *c, const void *args)
{
	const struct ds_mem_args *a = args;
	uint64_t first, n = share(c, a->bytes & ~7ull, 4096, &first), sum = 0;
	const uint64_t *p = (const uint64_t *)((const char *)a->src + first);

	for (uint64_t i = 0; i < n / 8; i++)
		sum += p[i];
	__atomic_fetch_add(a->sum, sum, __ATOMIC_RELAXED);
	c->bytes = n;
	c->flops = n / 8;
	return 0;
}

static int mem_touch_read(struct gm_kctx *c, const void *args)
{
	const struct ds_mem_args *a = args;
	uint64_t step = a->stride ? a->stride : 4096, first, n = share(c, a->bytes, step, &first);

	for (uint64_t i = 0; i < n; i += step)
		(void)*((const volatile char *)a->src + first + i);
	c->bytes = n / step;
	return 0;
}

static int mem_touch_write(struct gm_kctx *c, const void *args)
{
	const struct ds_mem_args *a = args;
	uint64_t step = a->stride ? a->stride : 4096, first, n = share(c, a->bytes, step, &first);

	for (uint64_t i = 0; i < n; i += step)
		*((volatile char *)a->dst + first + i) = (char)a->value;
	c->bytes = n / step;
	return 0;
}

static int mem_spin(struct gm_kctx *c, const void *args)
{
	const struct ds_mem_args *a = args;
	uint64_t end = dev_now_ns() + a->value * 1000;

	while (dev_now_ns() < end)
		__builtin_ia32_pause();
	(void)c;
	return 0;
}

/* An atomic "or 0": a store of the CPU beside it is never lost. */
static int mem_chaos(struct gm_kctx *c, const void *args)
{
	const struct ds_chaos_args *a = args;
	uint64_t *p = (uint64_t *)(uintptr_t)(a->access[c->block % DS_CHAOS_MAX] & ~DS_CHAOS_WRITE);

	if (a->access[c->block % DS_CHAOS_MAX] & DS_CHAOS_WRITE)
		__atomic_fetch_or(p, 0, __ATOMIC_SEQ_CST);
	else
		(void)*(const volatile uint64_t *)p;
	c->bytes = sizeof *p;
	return 0;
}

const struct dev_builtin dev_mem_kernels[] = {
	{"memset", mem_set},
	{"memcpy", mem_copy},
	{"sum64", mem_sum64},
	{"touch_read", mem_touch_read},
	{"touch_write", mem_touch_write},
	{"spin", mem_spin},
	{"chaos", mem_chaos},
	{NULL, NULL},
};
