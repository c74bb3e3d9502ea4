/*
 * A kernel module for the device tests (built as kernels.so beside them).
 */
#include "kernels.h"
#include <gmem/kernel.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

GM_KERNEL walk_list(struct gm_kctx *ctx, const void *args)
{
	const struct list_args *a = args;

	for (struct node *n = a->head; n; n = n->next) {
		a->head->sum += n->value;
		n->value = -n->value;
	}
	ctx->flops = 1;
	return 0;
}

GM_KERNEL count_blocks(struct gm_kctx *ctx, const void *args)
{
	const struct count_args *a = args;

	atomic_fetch_add(&a->per_block[ctx->block], 1);
	atomic_fetch_or(a->workers, 1u << ctx->worker);
	return 0;
}

GM_KERNEL meet(struct gm_kctx *ctx, const void *args)
{
	const struct meet_args *a = args;
	struct timespec begin, now;

	(void)ctx;
	atomic_fetch_add(a->come, 1);
	clock_gettime(CLOCK_MONOTONIC, &begin);
	while (atomic_load(a->come) < a->all) {
		clock_gettime(CLOCK_MONOTONIC, &now);
		if (now.tv_sec > begin.tv_sec + 10)
			return 1;
	}
	return 0;
}

GM_KERNEL refuse(struct gm_kctx *ctx, const void *args)
{
	return ctx->block == ctx->nblocks / 2 ? 42 : 0;
}

GM_KERNEL divide(struct gm_kctx *ctx, const void *args)
{
	volatile int one = 1, zero = 0;

	return one / zero;
}

GM_KERNEL trap(struct gm_kctx *ctx, const void *args)
{
	__builtin_trap();
}

/* Increments every word until the memory says stop; for tests that do something to the device
 * meanwhile. */
GM_KERNEL churn(struct gm_kctx *ctx, const void *args)
{
	const struct churn_args *a = args;

	for (uint64_t turn = 0; turn < a->turns; turn++)
		for (uint64_t i = 0; i < a->words; i += a->step)
			a->data[i]++;
	return 0;
}

/* Reads pages that are rebound meanwhile, until it is stopped: whatever belongs to no page is an
 * error. */
GM_KERNEL watch(struct gm_kctx *ctx, const void *args)
{
	const struct watch_args *a = args;
	uint64_t seen[64] = {0};

	for (; !*a->stop; (*a->turns)++)
		for (uint64_t i = 0; i < a->pages; i++) {
			uint64_t word = a->base[i * a->step];
			if (word != 1000 + i && word != 2000 + i)
				return 42;
			*a->changes += seen[i] && seen[i] != word;
			seen[i] = word;
		}
	return 0;
}

GM_KERNEL count_up(struct gm_kctx *ctx, const void *args)
{
	const struct count_up_args *a = args;

	for (uint64_t i = 0; i < a->times; i++)
		atomic_fetch_add(a->word, 1);
	return 0;
}

/* Waits for each word without end: who starts it answers, or sees to it that it fails. */
GM_KERNEL converse(struct gm_kctx *ctx, const void *args)
{
	const struct converse_args *a = args;

	for (uint64_t i = 1; i <= a->turns; i++) {
		while (atomic_load(a->told) != i)
			usleep(1);
		if (*a->data != i * i)
			return 42;
		*a->data = i * i + 1;
		atomic_store(a->answer, i);
	}
	return 0;
}

GM_KERNEL scatter(struct gm_kctx *ctx, const void *args)
{
	const struct scatter_args *a = args;
	uint64_t step = a->words / a->reads;

	for (uint64_t i = 0; i < a->reads; i++) /* an odd factor: each of them, in no order */
		(void)*(const volatile double *)&a->base[i * 2654435761u % a->reads * step];
	ctx->bytes = a->reads * sizeof *a->base;
	ctx->access_bytes = a->size_known ? sizeof *a->base : 0;
	return 0;
}

GM_KERNEL litmus(struct gm_kctx *ctx, const void *args)
{
	const struct litmus_args *a = args;

	for (uint64_t r = 1; r <= a->rounds; r++) {
		uint64_t go;
		while ((go = atomic_load(a->go)) < r)
			__builtin_ia32_pause();
		if (go == LITMUS_END)
			return 0;
		atomic_store(a->ready, r);
		a->out[r] = litmus_step(a->kind, a->mine, a->other, r);
		atomic_store(a->ready, r + LITMUS_DONE);
	}
	return 0;
}

GM_KERNEL stream_writer(struct gm_kctx *ctx, const void *args)
{
	const struct litmus_args *a = args;

	for (uint64_t i = 1; !atomic_load(a->go); i++)
		stream_write(a, i);
	return 0;
}

GM_KERNEL stream_reader(struct gm_kctx *ctx, const void *args)
{
	const struct litmus_args *a = args;
	uint64_t last = 0;

	for (; !atomic_load(a->go); a->out[1]++)
		a->out[0] += stream_read(a, &last);
	return 0;
}

GM_KERNEL leave(struct gm_kctx *ctx, const void *args)
{
	_exit(3);
}
