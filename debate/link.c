/* link.c - a prefetch by size: modelled bytes a second, as a share of what the profile's link does
 * at its best. */
#include "debate.h"

int main(void)
{
	int module;
	struct gm_sim *sim = open_device("pascal-pcie3,mem=1G", gm_as_default(), &module);
	int hnid = gm_dev_hnid(gm_sim_dev(sim));
	double rate[5], best = 0;
	static const size_t sizes[] = {64 * 1024, MIB, 4 * MIB, 16 * MIB, 256 * MIB};

	for (int i = 0; i < 5; i++) {
		char *p = managed(NULL, sizes[i]);
		memset(p, 1, sizes[i]);
		uint64_t before = numbers(sim).modelled_ns;
		check(hmadvise(hnid, p, sizes[i], MADV_PREFETCH));
		rate[i] = (double)sizes[i] / (double)(numbers(sim).modelled_ns - before);
		best = rate[i] > best ? rate[i] : best;
		check(gm_munmap(p, sizes[i]));
	}
	for (int i = 0; i < 5; i++)
		printf("link.%zuK: %.1f GB/s modelled, %.0f %% of the best\n", sizes[i] / 1024,
		       rate[i], 100 * rate[i] / best);
	return 0;
}
