/*
 * Sparse binding: single pages of a range bound anew, in batches of 512, each page to another
 * page of a buffer object than its neighbours; at the end of each 65,536 a kernel touches every
 * page of the range once. Prints remaps per second, in thousands, that kernel's time included.
 *	gmem_sparse		ours, 4 KiB pages
 *	gmem_sparse busy	while a kernel runs: each batch waits for the device
 */
#include "busy.h"
#include <gmem/sparse.h>

enum { PAGE = 4096, RANGE = 16384, OBJECT = 4096, BATCH = 512, BATCHES = 128 };

static uint64_t seed = 1;

static unsigned rnd(unsigned below)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(seed >> 33) % below;
}

static double round_rate(struct bench_device *d, struct busy *busy, struct gm_sparse *s,
			 struct gm_bo *bo)
{
	static struct gm_bind b[BATCH];
	double start;

	if (busy)
		busy_start(busy);
	start = bench_now();
	for (int n = 0; n < BATCHES; n++) {
		for (int i = 0; i < BATCH; i++)
			b[i] = (struct gm_bind){.offset = (uint64_t)rnd(RANGE) * PAGE,
						.bytes = PAGE,
						.bo = bo,
						.bo_offset = (uint64_t)rnd(OBJECT) * PAGE,
						.prot = GM_PROT_READ | GM_PROT_WRITE};
		bench_check(gm_sparse_bind(s, b, BATCH));
	}
	/* starts when all changes are made */
	bench_walk(d, gm_sparse_addr(s), (size_t)RANGE * PAGE, PAGE);
	start = bench_now() - start;
	if (busy)
		busy_stop(busy);
	return BATCHES * BATCH / start * 1e-3;
}

int main(int argc, char **argv)
{
	struct bench_device device = bench_open_workers(64 * MIB, PAGE, 2);
	struct busy kernel, *busy = NULL;
	struct gm_sparse *s;
	struct gm_bo *bo;
	double rate[BENCH_ROUNDS];

	if (argc > 1)
		busy_open(busy = &kernel, &device);
	bench_check(gm_bo_create(gm_sim_dev(device.sim), (size_t)OBJECT * PAGE, &bo));
	bench_check(gm_sparse_create(gm_as_default(), gm_sim_dev(device.sim), (size_t)RANGE * PAGE,
				     &s));
	for (size_t i = 0; i < RANGE; i += OBJECT) {
		struct gm_bind b = {i * PAGE, (size_t)OBJECT * PAGE,	    bo,
				    0,	      GM_PROT_READ | GM_PROT_WRITE, 0};
		bench_check(gm_sparse_bind(s, &b, 1));
	}
	round_rate(&device, busy, s, bo);
	for (int i = 0; i < BENCH_ROUNDS; i++)
		rate[i] = round_rate(&device, busy, s, bo);
	printf("%.1f\n", bench_median(rate, BENCH_ROUNDS));
	return 0;
}
