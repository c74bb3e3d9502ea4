/*
 * What the model charges: accesses over the bus in both directions, never less than one pass of the
 * link; and what it says of a time that lacks a part.
 */
#include "device.h"
#include "kernels.h"

#define BYTES (8 * MIB)
#define LINK  "pcie4-gpu,mem=64M,page=64K,workers=1,bw=1G,rsector=64" /* 1 byte a ns */

static struct gm_sim *sim;

static void tear_down(void)
{
	cr_expect_eq(gm_sim_close(sim), 0);
}
TestSuite(cost, .fini = tear_down, .timeout = 60);

static struct gm_dev_stats *stats(void)
{
	return &gmi_stats->dev[gmi_stats->ndev - 1];
}

static char *filled(size_t bytes)
{
	char *p = managed(bytes);

	memset(p, 1, bytes);
	return p;
}

static struct gm_launch_result launched(const char *kernel, struct ds_mem_args a)
{
	struct gm_launch_result r;

	cr_assert_eq(launch_mem(sim, kernel, 1, a, &r), 0);
	return r;
}

Test(cost, a_pass_over_the_bus_costs_a_pass_of_the_link)
{
	sim = open_device(LINK ",placement=remote");
	char *p = filled(BYTES);

	for (int i = 0; i < 5; i++) {
		struct gm_launch_result r =
			launched("touch_write",
				 (struct ds_mem_args){.dst = p, .bytes = BYTES, .stride = 64});
		cr_expect_geq(r.modelled_ns, BYTES, "launch %d", i);
		cr_expect_leq(r.modelled_ns, BYTES * 115 / 100, "launch %d", i);
		cr_expect_leq(r.basis, GM_TIME_SAMPLED);
	}
	cr_expect_eq(stats()->bus_bytes, 5 * BYTES);
	cr_expect_eq(stats()->unmodelled, 0);
	cr_expect_eq(stats()->modelled_ns,
		     stats()->kernel_ns + stats()->bus_ns + stats()->fault_ns + stats()->link_ns);
}

Test(cost, what_is_touched_in_part_costs_that_part)
{
	sim = open_device(LINK ",placement=remote");
	char *p = filled(BYTES);

	launched("touch_write", (struct ds_mem_args){.dst = p, .bytes = BYTES, .stride = 64});
	uint64_t before = stats()->bus_bytes;
	gmi_opt.sample = true;
	struct gm_launch_result r = launched(
		"memset", (struct ds_mem_args){.dst = p + MIB, .bytes = 2 * MIB, .value = 3});
	cr_expect_eq(stats()->bus_bytes - before, 2 * MIB);
	cr_expect_eq(r.basis, GM_TIME_COUNTED);
	cr_expect_geq(r.modelled_ns, 2 * MIB);
}

/* One byte of each page: a sector of 64 bytes each, for a kernel that counts its accesses. */
Test(cost, sparse_accesses_cost_their_sectors)
{
	sim = open_device(LINK ",placement=remote");
	char *p = filled(BYTES);

	launched("touch_write", (struct ds_mem_args){.dst = p, .bytes = BYTES, .stride = PAGE});
	cr_expect_eq(stats()->bus_bytes, BYTES / PAGE * 64);
}

/* Doubles here and there, each read once: 8 bytes counted, a sector moved; with no word of their
 * size it might have been eight. */
Test(cost, scattered_doubles_cost_a_sector_each)
{
	sim = open_device(LINK ",placement=remote");
	int module;
	cr_assert_eq(gm_sim_load(sim, beside_program("kernels.so"), &module), 0);
	struct scatter_args a = {
		.base = (double *)filled(BYTES), .words = BYTES / 8, .reads = 4096};

	for (unsigned known = 0; known < 2; known++) {
		uint64_t before = stats()->bus_bytes;
		a.size_known = known;
		cr_assert_eq(gm_sim_launch(sim, module, "scatter", 1, &a, sizeof a, NULL), 0);
		cr_expect_eq(stats()->bus_bytes - before, a.reads * 64 * (known ? 1 : 8));
	}
}

/* The ranking that the whole thing is for: over a slow link, read once: the same; read again and
 * again: moving wins. */
Test(cost, moving_wins_when_pages_are_used_again)
{
	uint64_t total[2];

	for (int remote = 0; remote < 2; remote++) {
		sim = open_device(remote ? LINK ",placement=remote" : LINK ",placement=migrate");
		char *p = filled(BYTES);
		uint64_t before = stats()->modelled_ns;
		for (int i = 0; i < 10; i++)
			launched("touch_write",
				 (struct ds_mem_args){.dst = p, .bytes = BYTES, .stride = 64});
		total[remote] = stats()->modelled_ns - before;
		if (!remote)
			cr_assert_eq(gm_sim_close(sim), 0);
	}
	cr_expect_gt(total[1], 10 * BYTES);
	cr_expect_lt(total[0], 3 * BYTES);
}

Test(cost, what_the_cpu_reaches_over_the_bus_is_charged)
{
	sim = open_device(LINK ",placement=first-use,cbw=500M,clatency=1us");
	volatile char *p = filled(BYTES);

	launched("touch_write",
		 (struct ds_mem_args){.dst = (void *)p, .bytes = BYTES, .stride = 64});
	for (size_t i = 0; i < BYTES; i += 64)
		p[i] = 5;
	uint64_t before = stats()->modelled_ns;
	launched("spin", (struct ds_mem_args){.value = 1});
	cr_expect_eq(stats()->cpu_bus_bytes, BYTES);
	cr_expect_geq(stats()->cpu_bus_ns, 2 * BYTES);
	cr_expect_geq(stats()->modelled_ns - before, 2 * BYTES);
	before = stats()->cpu_bus_bytes;
	launched("spin", (struct ds_mem_args){.value = 1});
	cr_expect_eq(stats()->cpu_bus_bytes, before, "it is charged once");
	p[0] = 1; /* the way home counts what was reached before it */
	cr_assert_eq(hmadvise(-1, (void *)p, BYTES, MADV_PREFETCH), 0);
	cr_expect_eq(stats()->cpu_bus_bytes, before + PAGE);
}

Test(cost, a_kernel_that_counts_nothing_has_no_time)
{
	sim = open_device(LINK);
	struct gm_launch_result r;
	int module;
	_Atomic uint32_t *counts = managed(PAGE);
	struct count_args a = {counts, counts + 1};

	cr_assert_eq(gm_sim_load(sim, beside_program("kernels.so"), &module), 0);
	cr_assert_eq(gm_sim_launch(sim, module, "count_blocks", 1, &a, sizeof a, &r), 0);
	cr_expect_eq(r.basis, GM_TIME_NOT_MODELLED);
	cr_expect_eq(stats()->unmodelled, 1);
}

Test(cost, without_sampling_the_bus_is_not_modelled)
{
	gmi_opt.sample = false;
	sim = open_device(LINK ",placement=remote");
	char *p = filled(MIB);
	struct gm_launch_result r =
		launched("touch_write", (struct ds_mem_args){.dst = p, .bytes = MIB, .stride = 64});

	cr_expect_eq(r.basis, GM_TIME_NOT_MODELLED);
	cr_expect_eq(stats()->unmodelled, 1);
	cr_expect_eq(stats()->bus_bytes, 0);
}

Test(cost, throttled_runs_wait_for_the_bus)
{
	gmi_opt.throttle = true;
	sim = open_device(LINK ",placement=remote");
	char *p = filled(BYTES);
	struct timespec a, b;

	clock_gettime(CLOCK_MONOTONIC, &a);
	launched("touch_write", (struct ds_mem_args){.dst = p, .bytes = BYTES, .stride = 64});
	clock_gettime(CLOCK_MONOTONIC, &b);
	cr_expect_geq((b.tv_sec - a.tv_sec) * 1000000000l + (b.tv_nsec - a.tv_nsec), (long)BYTES);
}

/* Pages that are taken away in the midst of a launch were touched by it all the same, each once. */
Test(cost, pages_that_were_evicted_meanwhile_count_as_touched)
{
	sim = open_device("pcie4-gpu,mem=4M,page=64K,workers=1");
	char *p = filled(BYTES);

	launched("touch_write", (struct ds_mem_args){.dst = p, .bytes = BYTES, .stride = 4096});
	cr_expect_geq(stats()->touched_bytes, BYTES);
	cr_expect_leq(stats()->touched_bytes, BYTES + MIB);
}

/* ---- access counters, and devices with the CPU's page table ---- */

/* Granules of 64 KiB, hot from 1000 accesses of 32 bytes on: 128 a page, so eight pages. */
#define COUNTED LINK ",placement=counted,threshold=500,granule=64K"

Test(cost, counters_count_accesses_not_time)
{
	sim = open_device(COUNTED);
	char *p = filled(BYTES);
	struct ds_mem_args some = {.dst = p, .bytes = 7 * PAGE, .stride = PAGE},
			   more = {.dst = p, .bytes = PAGE, .stride = PAGE};

	launched("touch_write", some);
	usleep(50000); /* however long it takes */
	launched("spin", (struct ds_mem_args){.value = 30000});
	cr_expect_eq(pages_in(p, BYTES, GM_DEVICE), 0, "896 of 1000");
	launched("touch_write", more);
	cr_expect_eq(pages_in(p, 65536, GM_DEVICE), 16, "1024: hot");
	cr_expect_eq(pages_in(p + 65536, BYTES - 65536, GM_DEVICE), 0);
	cr_expect_eq(gmi_stats->counted_pages, 16);
}

Test(cost, what_is_hot_costs_the_bus_once)
{
	sim = open_device(COUNTED);
	char *p = filled(BYTES);
	struct ds_mem_args all = {.dst = p, .bytes = BYTES, .stride = 64};

	launched("touch_write", all);
	cr_expect_eq(stats()->bus_bytes, BYTES);
	cr_expect_eq(pages_in(p, BYTES, GM_DEVICE), BYTES / PAGE);
	uint64_t link = stats()->link_ns;
	cr_expect_geq(link, BYTES, "it moved over the link");
	launched("touch_write", all);
	cr_expect_eq(stats()->bus_bytes, BYTES);
	cr_expect_eq(stats()->link_ns, link);
}

Test(cost, a_shared_page_table_has_no_faults)
{
	sim = open_device("gh200,mem=64M,workers=1,threshold=1000,granule=64K");
	volatile char *p = filled(BYTES);

	launched("touch_write", (struct ds_mem_args){.dst = (void *)p, .bytes = MIB, .stride = 64});
	cr_expect_eq(stats()->faults, 0);
	cr_expect_eq(stats()->fault_ns, 0);
	cr_expect_eq(pages_in((void *)p, MIB, GM_DEVICE), MIB / PAGE, "moved by the counters");
	uint64_t home = gmi_stats->d2h_bytes;
	for (size_t i = 0; i < MIB; i += 64)
		p[i] = 7;
	cr_expect_eq(gmi_stats->d2h_bytes, home, "the CPU reaches it there");
	cr_expect_eq(pages_in((void *)p, MIB, GM_DEVICE), MIB / PAGE);
	launched("spin", (struct ds_mem_args){.value = 1});
	cr_expect_eq(stats()->cpu_bus_bytes, MIB);
}

Test(cost, one_memory_moves_nothing)
{
	sim = open_device("mi300a,workers=1");
	char *p = filled(BYTES);
	uint64_t moved = gmi_stats->h2d_bytes + gmi_stats->d2h_bytes;

	for (int i = 0; i < 3; i++)
		launched("touch_write",
			 (struct ds_mem_args){.dst = p, .bytes = BYTES, .stride = 64});
	p[0] = 9;
	cr_expect_eq(gmi_stats->h2d_bytes + gmi_stats->d2h_bytes, moved);
	cr_expect_eq(stats()->faults, 0);
}
