/* Policies on a real device: its own choices, its access counters. */
#include "device.h"
#include "core/page/registry.h"
#include <gmem/policy.h>

Test(policy, a_device_string_chooses)
{
	struct gm_sim *sim = open_device(
		"pcie4-gpu,mem=32M,prefetch=none,evict=tree:30,placement=remote,thrash=none");
	struct gm_dev *dev = gm_sim_dev(sim);
	unsigned char *p = managed(MIB);

	cr_expect_str_eq(gm_policy_get(gm_as_default(), dev, GM_POLICY_PREFETCH), "none");
	cr_expect_str_eq(gm_policy_get(NULL, dev, GM_POLICY_EVICT), "tree");
	cr_expect_str_eq(gm_policy_get(NULL, dev, GM_POLICY_THRASH), "none");
	memset(p, 1, MIB);
	device_set(sim, p, 2, MIB);
	cr_expect_eq(pages_in(p, MIB, GM_REMOTE), MIB / PAGE);
	cr_expect(all_bytes(p, 2, MIB));
	cr_assert_eq(gm_sim_close(sim), 0);
}

static gm_bm accessed(struct gm_sim *sim, const void *p)
{
	struct gm_ctx *ctx = gm_as_default()->ctx[gm_sim_dev(sim)->index];
	gm_bm touched = gm_bm_zero();
	gm_sigmask mask = gmi_block_signals();

	cr_assert_eq(ctx->dev->mmu->accessed(ctx->pmap, (uintptr_t)p, 2 * MIB, touched.w), 0);
	gmi_restore_signals(mask);
	return touched;
}

Test(policy, access_counters_say_what_kernels_touched)
{
	struct gm_sim *sim = open_device("pcie4-gpu,mem=32M,page=64K");
	unsigned char *p = managed(2 * MIB);

	memset(p, 1, 2 * MIB);
	device_set(sim, p, 2, 2 * MIB);
	accessed(sim, p);
	gm_bm none = accessed(sim, p);
	cr_expect(gm_bm_empty(none), "read again at once: nothing");
	device_set(sim, p + 512 * 1024, 3, 64 * 1024);
	gm_bm some = accessed(sim, p), want = gm_bm_range(128, 144);
	cr_expect(gm_bm_empty(gm_bm_andnot(want, some)));
	cr_expect_leq(gm_bm_count(some), 64, "%u pages", gm_bm_count(some));
	device_sum(sim, p, 2 * MIB);
	cr_expect_eq(gm_bm_count(accessed(sim, p)), 512);
	cr_expect(all_bytes(p, 2, 512 * 1024));
	cr_expect(all_bytes(p + 512 * 1024, 3, 64 * 1024));
	cr_assert_eq(gm_sim_close(sim), 0);
}

/* A block in use all the time, and a stream three times the device's size: with counters it need
 * not come again. */
static uint64_t faults_beside_a_stream(const char *spec)
{
	struct gm_sim *sim = open_device(spec);
	unsigned char *hot = managed(2 * MIB), *stream = managed(24 * MIB);

	memset(hot, 1, 2 * MIB);
	memset(stream, 2, 24 * MIB);
	device_set(sim, hot, 5, 2 * MIB);
	uint64_t faults = 0;
	for (size_t i = 0; i < 24 * MIB; i += MIB) {
		device_set(sim, stream + i, 3, MIB);
		uint64_t before = device_faults();
		device_sum(sim, hot, 2 * MIB);
		faults += device_faults() - before - 1; /* less that of the sum's own page */
	}
	cr_assert(all_bytes(hot, 5, 2 * MIB));
	cr_assert(all_bytes(stream, 3, 24 * MIB));
	cr_assert_eq(gm_sim_close(sim), 0);
	return faults;
}

Test(policy, eviction_by_access_keeps_what_is_in_use)
{
	uint64_t blind = faults_beside_a_stream("pcie4-gpu,mem=8M,page=64K,evict=lru2m");
	uint64_t seeing = faults_beside_a_stream("pcie4-gpu,mem=8M,page=64K,evict=access");

	printf("# faults on the block in use: %lu by the order of faults, %lu by access\n",
	       (unsigned long)blind, (unsigned long)seeing);
	cr_expect_lt(seeing * 2, blind);
}

Test(policy, counted_pages_move_when_kernels_use_them)
{
	struct gm_sim *sim = open_device("pcie4-gpu,mem=32M,page=64K,placement=counted");
	unsigned char *p = managed(2 * MIB);

	memset(p, 1, 2 * MIB);
	for (int i = 0; i < 2000 && pages_in(p, MIB, GM_DEVICE) < MIB / PAGE; i++)
		cr_assert_eq(device_sum(sim, p, MIB), MIB / 8 * 0x0101010101010101u);
	cr_expect_eq(pages_in(p, MIB, GM_DEVICE), MIB / PAGE);
	cr_expect_eq(pages_in(p + MIB, MIB, GM_HOST), MIB / PAGE);
	cr_expect(all_bytes(p, 1, 2 * MIB));
	cr_assert_eq(gm_sim_close(sim), 0);
}

/* The CPU writes 2 MiB, then a kernel on a device as described. */
static struct gm_sim *open_and_set(const char *device, unsigned char *p)
{
	struct gm_sim *sim = open_device(device);

	memset(p, 1, 2 * MIB);
	device_set(sim, p, 2, 2 * MIB);
	return sim;
}

Test(policy, copy_brings_home_after_each_launch)
{
	unsigned char *p = managed(2 * MIB);
	struct gm_sim *sim = open_and_set("pcie4-gpu,mem=32M,page=64K,placement=copy", p);

	cr_expect_eq(pages_in(p, 2 * MIB, GM_HOST), 512);
	cr_expect(all_bytes(p, 2, 2 * MIB));
	uint64_t home = gmi_stats->d2h_bytes;
	cr_assert_eq(device_sum(sim, p, 2 * MIB), 2 * MIB / 8 * 0x0202020202020202u);
	cr_expect_leq(gmi_stats->d2h_bytes - home, 65536,
		      "read only: no copy back, but of the sum");
	cr_assert_eq(gm_sim_close(sim), 0);
}

Test(policy, first_use_stays_through_kernels)
{
	unsigned char *p = managed(2 * MIB);
	struct gm_sim *sim = open_and_set("pcie4-gpu,mem=32M,page=64K,placement=first-use", p);

	uint64_t home = gmi_stats->d2h_bytes;
	for (int round = 3; round < 8; round++) {
		cr_assert(all_bytes(p, round - 1, 2 * MIB));
		device_set(sim, p, round, 2 * MIB);
		memset(p, round, PAGE);
	}
	cr_expect_eq(gmi_stats->d2h_bytes, home);
	cr_expect_eq(pages_in(p, 2 * MIB, GM_DEVICE), 512);
	cr_assert_eq(gm_sim_close(sim), 0);
	cr_expect(all_bytes(p, 7, 2 * MIB));
}
