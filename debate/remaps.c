/* remaps.c - bindings a second over a sparse range of 64 GiB, in batches, with attributes; and what
 * a kernel then finds. */
#include "debate.h"

enum { PAGES = 512, BINDS = 200000, BATCH = 256 };
#define DEVICE_PAGE ((size_t)65536)
#define RANGE	    (64 * GIB)

int main(void)
{
	int module;
	struct gm_sim *sim = open_device("pcie4-gpu,mem=64M,page=64K", gm_as_default(), &module);
	struct gm_sparse *s;
	struct gm_bo *bo;
	struct gm_bind b[BATCH];
	uint64_t want = 0, *sum = (uint64_t *)managed(NULL, PAGE), at[64];

	check(gm_sparse_create(gm_as_default(), gm_sim_dev(sim), RANGE, &s));
	check(gm_bo_create(gm_sim_dev(sim), PAGES * DEVICE_PAGE, &bo));
	for (uint64_t i = 0; i < PAGES; i++)
		check(gm_bo_write(bo, i * DEVICE_PAGE, &i, sizeof i));
	double start = now();
	for (uint64_t i = 0; i < BINDS; i += BATCH) {
		for (uint64_t k = 0; k < BATCH; k++)
			b[k] = (struct gm_bind){.offset = (i + k) * 2654435761u %
							  (RANGE / DEVICE_PAGE) * DEVICE_PAGE,
						.bytes = DEVICE_PAGE,
						.bo = bo,
						.bo_offset = (i + k) % PAGES * DEVICE_PAGE,
						.prot = GM_PROT_READ | GM_PROT_WRITE,
						.attr = 1 + i % 7};
		check(gm_sparse_bind(s, b, BATCH));
	}
	double seconds = now() - start;
	for (int k = 0; k < 64; k++) { /* of the last batch, by kernels that touch one page each */
		at[k] = b[k].offset;
		want += b[k].bo_offset / DEVICE_PAGE;
	}
	uint64_t got = 0;
	for (int k = 0; k < 64; k++) {
		check(walk(sim, module, "walk_sum", (char *)gm_sparse_addr(s) + at[k], 8, 8, sum,
			   NULL));
		got += *sum;
	}
	printf("remaps.per_second: %.0f\n", BINDS / seconds);
	printf("remaps.right: %s\n", got == want ? "64 of 64 pages" : "no");
	return got != want;
}
