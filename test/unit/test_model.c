/*
 * The device model: what a device string means, what is wrong with a bad one, and how long
 * things take.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include "devsim/driver/sim_int.h"

static struct sim_model parsed(const char *spec)
{
	struct sim_model m;
	char err[512] = "";

	cr_assert_eq(sim_model_parse(spec, &m, err, sizeof err), 0, "%s: %s", spec, err);
	return m;
}

Test(model, the_default_device)
{
	struct sim_model m = parsed("pcie4-gpu");

	cr_expect_str_eq(m.name, "pcie4-gpu");
	cr_expect_eq(m.mem_bytes, (uint64_t)4 << 30);
	cr_expect_eq(m.page_bytes, 65536);
	cr_expect_eq(m.workers, 2);
}

/* What these profiles were before they became files: to the last digit. */
Test(model, profiles_in_files_are_the_figures_they_were)
{
	static const struct {
		const char *name;
		uint64_t mem, page;
		double fault, launch, single, dbl, membw, bytes[3], ns[3];
		unsigned nlink;
	} was[] = {
#define LINE(latency, gbs) {4096, 2097152}, {latency + 4096 / gbs, latency + 2097152 / gbs}, 2
#define PASCAL		   {4096, 61440, 1044480}, {1760, 5560, 81800}, 3
		{"pascal-pcie3", 11ull << 30, 65536, 45000, 5000, 11340, 354, 484, PASCAL},
		{"pcie3-gpu", 16ull << 30, 65536, 45000, 5000, 14000, 7000, 900, PASCAL},
		{"pcie4-gpu", 4ull << 30, 65536, 30000, 4000, 19500, 9700, 1555, LINE(1300, 25.0)},
		{"pcie5-gpu", 16ull << 30, 65536, 25000, 4000, 51000, 26000, 2000,
		 LINE(1100, 50.0)},
		{"nvlink-gpu", 16ull << 30, 65536, 10000, 4000, 67000, 34000, 4000,
		 LINE(800, 400.0)},
		{"cxl-accel", 8ull << 30, 4096, 5000, 2000, 2000, 1000, 200, LINE(400, 26.0)},
		{"remote-accel", 0, 4096, 5000, 2000, 2000, 1000, 26, LINE(400, 26.0)},
		{"iommu-dma", 0, 4096, 0, 5000, 100, 50, 12, LINE(1300, 12.0)},
	};

	for (unsigned i = 0; i < GM_ARRAY_LEN(was); i++) {
		struct sim_model m = parsed(was[i].name);
		cr_expect_str_eq(m.name, was[i].name);
		cr_expect_eq(m.mem_bytes, was[i].mem);
		cr_expect_eq(m.page_bytes, was[i].page);
		cr_expect(m.fault_ns == was[i].fault && m.launch_ns == was[i].launch, "%s",
			  was[i].name);
		cr_expect(m.gflops[0] == was[i].single && m.gflops[1] == was[i].dbl, "%s",
			  was[i].name);
		cr_expect(m.gflops[2] == was[i].single && m.gflops[3] == was[i].dbl, "%s",
			  was[i].name);
		cr_expect(m.mem_bw == was[i].membw, "%s", was[i].name);
		cr_assert_eq(m.nlink, was[i].nlink);
		for (unsigned k = 0; k < m.nlink; k++)
			cr_expect(m.link[k].bytes == was[i].bytes[k] &&
					  m.link[k].ns == was[i].ns[k],
				  "%s: %.17g", was[i].name, m.link[k].ns);
	}
}

Test(model, a_device_can_be_made_of_keys_alone)
{
	struct sim_model m = parsed(
		"custom,name=mine,mem=2G,page=64K,membw=100G,single=20,double="
		"10,launch=3us,latency=1us,bw=10G,homebw=5G,fault=7us,rlatency=2us,rbw=40G,rsector="
		"32,clatency=1us,cbw=1G,csector=64,shared=yes,threshold=64,granule=64K"
		"");

	cr_expect_str_eq(m.name, "mine");
	cr_expect_eq(sim_transfer_ns(&m, 4096), 1000 + 409);
	cr_expect_eq(m.home_scale, 2);
	cr_expect_float_eq(m.remote.bw, 10, 1e-9, "no access in place is faster than the link");
	cr_expect(m.shared_table && m.counter_threshold == 64 && m.counter_granule_bytes == 65536);
	cr_expect_float_eq(parsed("pcie4-gpu,bw=1G").remote.bw, 24.0 / 25, 1e-9,
			   "it keeps its share of the link");
}

Test(model, keys_override_the_profile)
{
	struct sim_model m = parsed("pcie3-gpu,mem=1G,page=2M,workers=7,fault=20.5us");

	cr_expect_eq(m.mem_bytes, (uint64_t)1 << 30);
	cr_expect_eq(m.page_bytes, 2 << 20);
	cr_expect_eq(m.workers, 7);
	cr_expect_eq(m.fault_ns, 20500);
}

Test(model, kinds_of_device)
{
	cr_expect_eq(parsed("remote-accel").mem_bytes, 0);
	cr_expect_eq(parsed("pcie4-gpu,mem=0").mem_bytes, 0);
	cr_expect(parsed("iommu-dma").cannot_fault && !parsed("remote-accel").cannot_fault);
	cr_expect_eq(parsed("pcie4-gpu,reserve=64M").reserve_bytes, 64 << 20);
}

Test(model, policies_of_one_device)
{
	struct sim_model m = parsed("pcie4-gpu,evict=tree:40,placement=first-use");

	cr_expect_str_eq(m.policy[GM_POLICY_EVICT], "tree:40");
	cr_expect_str_eq(m.policy[GM_POLICY_PLACEMENT], "first-use");
	cr_expect_str_eq(m.policy[GM_POLICY_PREFETCH], "");
}

Test(model, bandwidth_keeps_the_latency)
{
	struct sim_model was = parsed("pcie4-gpu"), m = parsed("pcie4-gpu,bw=5G");
	uint64_t small = sim_transfer_ns(&was, 1), gib = (uint64_t)1 << 30;

	cr_expect_float_eq((double)sim_transfer_ns(&m, gib) - (double)small, (double)gib / 5, 100);
}

/* REFERENCE: 1.76 us for 4 KiB, 5.56 us for 60 KiB, 81.8 us for 1020 KiB; between them a
 * straight line. */
Test(model, measured_transfer_times)
{
	struct sim_model m = parsed("pascal-pcie3");

	cr_expect_eq(sim_transfer_ns(&m, 0), 0);
	cr_expect_eq(sim_transfer_ns(&m, 4 << 10), 1760);
	cr_expect_eq(sim_transfer_ns(&m, 60 << 10), 5560);
	cr_expect_eq(sim_transfer_ns(&m, 1020 << 10), 81800);
	cr_expect_eq(sim_transfer_ns(&m, 32 << 10), (1760 + 5560) / 2);
	cr_expect_eq(m.fault_ns, 45000);
	for (uint64_t b = 1; b < 8 << 20; b += 4097)
		cr_assert_leq(sim_transfer_ns(&m, b), sim_transfer_ns(&m, b + 4097));
}

Test(model, a_kernel_is_bound_by_compute_or_by_memory)
{
	struct sim_model m = parsed("pcie4-gpu");

	cr_expect_eq(sim_kernel_ns(&m, 'd', 0, 0), (uint64_t)m.launch_ns);
	cr_expect_eq(sim_kernel_ns(&m, 'd', 9700000000, 8), (uint64_t)m.launch_ns + 1000000);
	cr_expect_eq(sim_kernel_ns(&m, 's', 19500000000, 8), (uint64_t)m.launch_ns + 1000000);
	cr_expect_eq(sim_kernel_ns(&m, 'z', 9700000000, 8), (uint64_t)m.launch_ns + 1000000);
	cr_expect_eq(sim_kernel_ns(&m, 'd', 1, 1555000000), (uint64_t)m.launch_ns + 1000000);
}

Test(model, bad_strings_are_named_with_what_is_valid)
{
	static const struct {
		const char *spec, *says, *also;
	} bad[] = {
		{"voodoo", "'voodoo'", "pcie4-gpu"},
		{"pcie4", "'pcie4'", "pcie4-gpu"},
		{"pcie4-gpu,page=8K", "'page=8K'", "4K, 64K or 2M"},
		{"pcie4-gpu,mem=1000", "'mem=1000'", "multiple of 2M"},
		{"pcie4-gpu,mem=5000G", "'mem=5000G'", "multiple of 2M"},
		{"pcie4-gpu,reserve=1", "'reserve=1'", "64M"},
		{"pcie4-gpu,workers=0", "'workers=0'", "1 to 64"},
		{"pcie4-gpu,workers=65", "'workers=65'", "1 to 64"},
		{"pcie4-gpu,workers=1.5", "'workers=1.5'", "1 to 64"},
		{"pcie4-gpu,workers=x", "'workers=x'", "1 to 64"},
		{"pcie4-gpu,fault=45", "'fault=45'", "45us"},
		{"pcie4-gpu,bw=0", "'bw=0'", "12G"},
		{"pcie4-gpu,color=red", "'color'", "mem, page, workers, bw, fault"},
		{"pcie4-gpu,evict=fifo", "'evict=fifo'", "GMEM_EVICT"},
		{"pcie4-gpu,prefetch=tree:0", "'prefetch=tree:0'", "GMEM_PREFETCH"},
		{"pcie4-gpu,mem", "'mem'", "multiple of 2M"},
		{"pcie4-gpu,", "''", "mem, page"},
		{"custom", "'custom'", "page="},
		{"pcie4-gpu,link=4096:1760", "'link=4096:1760'", "bytes:ns"},
		{"pcie4-gpu,link=4096:1760/2048:5", "'link=4096:1760/2048:5'", "sizes rising"},
		{"pcie4-gpu,shared=maybe", "'shared=maybe'", "yes or no"},
		{"", "''", "pcie4-gpu"},
	};

	for (unsigned i = 0; i < GM_ARRAY_LEN(bad); i++) {
		struct sim_model m;
		char err[512] = "";
		cr_assert_eq(sim_model_parse(bad[i].spec, &m, err, sizeof err), -EINVAL, "%s",
			     bad[i].spec);
		cr_expect(strstr(err, bad[i].says), "%s: %s", bad[i].spec, err);
		cr_expect(strstr(err, bad[i].also), "%s: %s", bad[i].spec, err);
	}
}

Test(model, the_option_table_asks_the_driver)
{
	char err[512] = "";

	cr_assert_not_null(gmi_opt_check_device);
	cr_expect_eq(gmi_opt_check_device("pcie5-gpu,mem=2G", err, sizeof err), 0);
	cr_expect_eq(gmi_opt_check_device("pcie6-gpu", err, sizeof err), -EINVAL);
}

static unsigned lines;
static void count_line(const char *line)
{
	lines++;
	cr_expect_gt(strlen(line), 10);
}
Test(model, help_names_every_profile_and_key)
{
	gmi_sim_help(count_line);
	cr_expect_eq(lines, 15 + 37);
}
