/*
 * buffers.c - a network card's buffers: 1,500 bytes each, side by side, mapped for a device that
 * cannot fault and unmapped in another order. What the device can reach is what is mapped at that
 * moment.
 */
#include "debate.h"

int main(void)
{
	enum { N = 2000, BYTES = 1500 };
	int module, allowed = 0, stopped = 0;
	struct gm_sim *sim = open_device("iommu-dma", gm_as_default(), &module);
	struct gm_dev *dev = gm_sim_dev(sim);
	struct gm_page_info info;
	char *p = managed(NULL, 4 * MIB);

	memset(p, 1, 4 * MIB);
	double start = now();
	for (int i = 0; i < N; i++)
		check(gm_as_map(gm_as_default(), dev, p + i * BYTES, BYTES,
				GM_PROT_READ | GM_PROT_WRITE));
	double mapped = now() - start;
	for (int i = 0; i < N; i += 2)
		check(gm_as_unmap(gm_as_default(), dev, p + i * BYTES, BYTES));
	for (int i = 1; i < N; i += 200)
		allowed += !walk(sim, module, "walk_write", p + i * BYTES, BYTES, 100, NULL, NULL);
	for (int i = 1; i < N; i += 2)
		check(gm_as_unmap(gm_as_default(), dev, p + i * BYTES, BYTES));
	for (int i = 0; i < N; i += 200)
		stopped += walk(sim, module, "walk_write", p + i * BYTES, BYTES, 100, NULL, NULL) ==
			   -EFAULT;
	check(gm_query((void *)((uintptr_t)p & ~(PAGE - 1)), PAGE, &info));
	printf("buffers.maps_per_second: %.0f\n", N / mapped);
	printf("buffers.reached: %d of 10 kernels, beside unmapped neighbours\n", allowed);
	printf("buffers.stopped: %d of 10 kernels, after the last unmap\n", stopped);
	return allowed != 10 || stopped != 10 || info.pinned;
}
