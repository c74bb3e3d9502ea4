/* first_writes.c - memory that nobody has touched, written by a device: faults, by what comes with
 * each. */
#include "debate.h"

static void run(const char *name, const char *spec)
{
	int module;
	struct gm_sim *sim = open_device(spec, gm_as_default(), &module);
	char *p = managed(NULL, 16 * MIB);
	uint64_t copied = counted().to_device_bytes;
	struct gm_hnode_info before = numbers(sim);

	check(walk(sim, module, "walk_write", p, 16 * MIB, PAGE, NULL, NULL));
	printf("first_writes.%s: %lu faults, %lu bytes copied, %.2f ms modelled\n", name,
	       (unsigned long)(numbers(sim).faults - before.faults),
	       (unsigned long)(counted().to_device_bytes - copied),
	       (double)(numbers(sim).modelled_ns - before.modelled_ns) / 1e6);
	check(gm_munmap(p, 16 * MIB));
	check(gm_sim_close(sim));
}

int main(void)
{
	run("4K", "pascal-pcie3,mem=64M,page=4K,prefetch=none");
	run("64K", "pascal-pcie3,mem=64M,page=64K,prefetch=none");
	run("64K_tree", "pascal-pcie3,mem=64M,page=64K,prefetch=tree");
	run("2M", "pascal-pcie3,mem=64M,page=2M,prefetch=none");
	return 0;
}
