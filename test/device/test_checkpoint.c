/*
 * gm_checkpoint: afterwards the process is by itself. Every page is home and private, no process of
 * a device is left; and what used a device goes on using it.
 */
#include "device.h"
#include "kernels.h"
#include <gmem/sparse.h>

TestSuite(checkpoint, .timeout = 60);

static size_t shared_bytes(const char *p, size_t len)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	char line[512], how[8];
	size_t n = 0;
	unsigned long lo, hi;

	while (fgets(line, sizeof line, maps))
		if (sscanf(line, "%lx-%lx %7s", &lo, &hi, how) == 3 && how[3] == 's' &&
		    lo < (unsigned long)p + len && hi > (unsigned long)p)
			n += hi - lo;
	fclose(maps);
	return n;
}

Test(checkpoint, brings_everything_home)
{
	struct gm_sim *sim = open_device("pcie4-gpu,mem=64M,workers=2");
	unsigned char *p = managed(8 * MIB);
	struct gm_page_info info[8 * MIB / PAGE];

	memset(p, 1, 8 * MIB);
	device_set(sim, p + MIB, 2, 4 * MIB);
	cr_assert_gt(gmi_sim_pid(sim), 0);
	cr_assert_gt(shared_bytes((char *)p, 8 * MIB), 0, "it was away");
	cr_assert_eq(gm_checkpoint(), 0);
	cr_expect_eq(gmi_sim_pid(sim), 0, "no process");
	cr_expect_eq(shared_bytes((char *)p, 8 * MIB), 0, "a dump of private memory has all");
	cr_assert_eq(gm_query(p, 8 * MIB, info), 0);
	for (size_t i = 0; i < 8 * MIB / PAGE; i++)
		cr_assert_eq(info[i].where, GM_HOST);
	cr_expect(all_bytes(p, 1, MIB) && all_bytes(p + MIB, 2, 4 * MIB) &&
		  all_bytes(p + 5 * MIB, 1, 3 * MIB));

	/* And on it goes, as often as wanted. */
	for (int i = 3; i < 6; i++) {
		device_set(sim, p, i, 8 * MIB);
		cr_assert_eq(gm_query(p, PAGE, info), 0);
		cr_expect_eq(info[0].where, GM_DEVICE);
		cr_assert_eq(gm_checkpoint(), 0);
		cr_expect(all_bytes(p, i, 8 * MIB));
	}
	cr_expect_eq(gm_sim_close(sim), 0);
}

Test(checkpoint, says_what_must_stay)
{
	struct gm_sim *sim = open_device("pcie4-gpu,mem=64M,workers=2");
	unsigned char *p = managed(MIB);

	device_set(sim, p, 2, MIB);
	cr_assert_eq(gm_as_map(gm_as_default(), gm_sim_dev(sim), p, 100, GM_PROT_READ), 0);
	cr_expect_eq(gm_checkpoint(), -EBUSY);
	cr_expect_eq(device_sum(sim, p, 8), 0x0202020202020202ull);
	p[1] = 3;
	cr_expect_eq(device_sum(sim, p, 8), 0x0202020202020302ull, "one memory still");
	cr_assert_eq(gm_as_unmap(gm_as_default(), gm_sim_dev(sim), p, 100), 0);
	cr_expect_eq(gm_checkpoint(), 0);
	cr_expect_eq(p[1], 3);
	cr_expect_eq(gm_sim_close(sim), 0);
}
