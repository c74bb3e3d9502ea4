/*
 * contexts.c - several device address spaces in one process, as a process that serves guests needs:
 * two spaces, a device attached to one of them only, and to both. What a device can reach is what
 * its space has.
 */
#include "debate.h"

int main(void)
{
	struct gm_as *guest[2];
	struct gm_sim *sim[2];
	struct gm_launch_result r;
	int module[2], stopped = 0, reached = 0;
	char *p[2];

	for (int g = 0; g < 2; g++) {
		check(gm_as_create(0, GIB, &guest[g]));
		sim[g] = open_device("pcie4-gpu,mem=64M", guest[g], &module[g]);
		p[g] = managed(guest[g], 4 * MIB);
		memset(p[g], g, 4 * MIB);
	}
	for (int g = 0; g < 2; g++)
		for (int of = 0; of < 2; of++) {
			int err = walk(sim[g], module[g], "walk_write", p[of], 4 * MIB, PAGE, NULL,
				       &r);
			reached += !err && g == of;
			stopped += err == -EFAULT && g != of && r.fault_addr == (uint64_t)p[of];
		}
	printf("contexts.own: %d of 2 kernels ran\n", reached);
	printf("contexts.foreign: %d of 2 kernels stopped at the address\n", stopped);
	return reached != 2 || stopped != 2;
}
