/*
 * The three kinds of device behind the same core: with an MMU and memory of its own; with an MMU
 * but no memory, at work on the host's; and behind an IOMMU, which reaches what was mapped for
 * it and cannot wait for a fault.
 */
#include "../variant.h"
#include "device.h"
#include "kernels.h"
#include <pthread.h>

#define RW (GM_PROT_READ | GM_PROT_WRITE)

TestSuite(kinds, .timeout = 120);

static struct gm_sim *sim;

static void let_reach(void *p, size_t bytes, int prot)
{
	cr_assert_eq(gm_as_map(gm_as_default(), gm_sim_dev(sim), p, bytes, prot), 0);
}

static uint64_t moved(void)
{
	return atomic_load(&gmi_stats->h2d_bytes) + atomic_load(&gmi_stats->d2h_bytes);
}

static int add_one(struct gm_sim *s, int module, uint64_t *words, size_t n)
{
	struct churn_args a = {.data = words, .words = n, .step = 1, .turns = 1};

	return gm_sim_launch(s, module, "churn", 1, &a, sizeof a, NULL);
}

static int load(struct gm_sim *s)
{
	int module;

	cr_assert_eq(gm_sim_load(s, beside_program("kernels.so"), &module), 0);
	return module;
}

/* ---- no memory of its own ---- */

static void set_up_remote(void)
{
	sim = open_device("remote-accel");
}
static void tear_down(void)
{
	cr_expect_eq(gm_sim_close(sim), 0);
}

Test(kinds, without_memory_it_works_on_the_hosts, .init = set_up_remote, .fini = tear_down)
{
	unsigned char *p = managed(4 * MIB);
	struct gm_hnode_info info;

	cr_expect_eq(gm_dev_hnid(gm_sim_dev(sim)), -ENODEV);
	cr_expect_eq(gm_query_hnode(-ENODEV, &info), -ENODEV);
	memset(p, 1, 2 * MIB);
	device_set(sim, p + MIB, 2, 2 * MIB);
	cr_expect_eq(pages_in(p + MIB, 2 * MIB, GM_REMOTE), 512);
	cr_expect(all_bytes(p, 1, MIB) && all_bytes(p + MIB, 2, 2 * MIB));
	cr_expect_eq(pages_in(p + MIB, 2 * MIB, GM_REMOTE), 512,
		     "the CPU's touch takes nothing away");
	cr_expect_eq(device_sum(sim, p, 4 * MIB),
		     0x0303030303030303ull * (MIB / 8) + 0x0202020202020202ull * (MIB / 8));
	cr_expect_gt(device_faults(), 0);
	cr_expect_eq(moved(), 0, "nothing is ever copied");
}

Test(kinds, without_memory_rights_hold, .init = set_up_remote, .fini = tear_down)
{
	unsigned char *p = managed(MIB);
	struct gm_launch_result r;
	struct ds_mem_args a = {.dst = p, .src = p, .bytes = MIB, .value = 9};

	memset(p, 1, MIB);
	cr_assert_eq(gm_mprotect(p, MIB, PROT_READ), 0);
	cr_expect_eq(launch_mem(sim, "touch_read", 1, a, NULL), 0);
	cr_expect_eq(launch_mem(sim, "memset", 1, a, &r), -EPERM);
	cr_expect_eq(r.fault_addr, (uintptr_t)p);
	cr_assert_eq(gm_mprotect(p, MIB, PROT_READ | PROT_WRITE), 0);
	cr_expect_eq(launch_mem(sim, "memset", 1, a, NULL), 0);
	cr_expect(all_bytes(p, 9, MIB));
	cr_assert_eq(gm_munmap(p + MIB / 2, PAGE), 0);
	cr_expect_eq(launch_mem(sim, "touch_read", 1, a, &r), -EFAULT);
	cr_expect_eq(r.fault_addr, (uintptr_t)p + MIB / 2);
}

/* The CPU and a kernel count in the same pages, in words of their own: nothing bounces, nothing
 * is lost. */
Test(kinds, without_memory_both_sides_at_once, .init = set_up_remote, .fini = tear_down)
{
	const size_t words = MIB / 8;
	volatile uint64_t *p = managed(MIB);
	struct churn_args a = {.data = p, .words = words, .step = 2, .turns = 200};
	struct gm_stream *stream;
	int module = load(sim);

	cr_assert_eq(gm_stream_create(sim, &stream), 0);
	cr_assert_eq(gm_stream_launch(stream, module, "churn", 1, &a, sizeof a, NULL), 0);
	uint64_t turns = 0;
	do {
		for (size_t i = 1; i < words; i += 2)
			p[i]++;
		turns++;
	} while (gm_stream_query(stream) == -EBUSY);
	cr_assert_eq(gm_stream_destroy(stream), 0);
	for (size_t i = 0; i < words; i++)
		cr_assert_eq(p[i], i % 2 ? turns : 200);
	cr_expect_eq(moved(), 0);
}

/* ---- behind an IOMMU ---- */

static void set_up_iommu(void)
{
	sim = open_device("iommu-dma");
}

Test(kinds, behind_an_iommu_only_what_is_mapped, .init = set_up_iommu, .fini = tear_down)
{
	unsigned char *p = managed(4 * MIB);
	struct gm_launch_result r;
	struct ds_mem_args a = {.dst = p + MIB, .src = p + MIB, .bytes = 2 * MIB, .value = 7};

	memset(p, 1, 4 * MIB);
	cr_expect_eq(launch_mem(sim, "touch_read", 1, a, &r), -EFAULT);
	cr_expect_eq(r.fault_addr, (uintptr_t)p + MIB);
	let_reach(p + MIB, MIB, RW);
	cr_expect_eq(launch_mem(sim, "memset", 1, a, &r), -EFAULT, "it runs out of what is mapped");
	cr_expect_eq(r.fault_addr, (uintptr_t)p + 2 * MIB);
	cr_expect(all_bytes(p, 1, MIB) && all_bytes(p + MIB, 7, MIB) &&
		  all_bytes(p + 2 * MIB, 1, 2 * MIB));

	let_reach(p + 2 * MIB, MIB, GM_PROT_READ);
	cr_expect_eq(launch_mem(sim, "touch_read", 1, a, NULL), 0);
	cr_expect_eq(launch_mem(sim, "memset", 1, a, &r), -EPERM, "mapped for reading");
	cr_expect_eq(r.fault_addr, (uintptr_t)p + 2 * MIB);
	cr_expect(all_bytes(p + 2 * MIB, 1, MIB));
	cr_expect_eq(gm_as_unmap(gm_as_default(), gm_sim_dev(sim), p + MIB, PAGE), 0);
	cr_expect_eq(launch_mem(sim, "touch_read", 1, a, &r), -EFAULT);
	cr_expect_eq(r.fault_addr, (uintptr_t)p + MIB);
	cr_expect_eq(device_faults(), 0, "nothing was ever faulted in");
	cr_expect_eq(moved(), 0);
}

/* A mapping is in the device's table until it is unmapped, whatever the program and the process
 * do. */
Test(kinds, behind_an_iommu_mappings_stay, .init = set_up_iommu, .fini = tear_down)
{
	uint64_t *p = managed(MIB);
	int module = load(sim);
	const size_t n = MIB / 8;

	let_reach(p, MIB, RW);
	cr_expect_eq(add_one(sim, module, p, n), 0);
	cr_assert_eq(gm_mprotect(p, MIB, PROT_NONE), 0);
	cr_expect_eq(add_one(sim, module, p, n), -EFAULT, "the program itself has no right");
	cr_assert_eq(gm_mprotect(p, MIB, PROT_READ | PROT_WRITE), 0);
	cr_expect_eq(add_one(sim, module, p, n), 0);
	kill(gmi_sim_pid(sim), SIGKILL);
	int err = add_one(sim, module, p, n);
	cr_expect(err == -EIO || err == 0, "%d", err);
	if (err) /* whether it died before the launch or in it */
		for (size_t i = 0; i < n; i++)
			p[i] = 3;
	cr_expect_eq(add_one(sim, module, p, n), 0, "the next process finds the table as it was");
	for (size_t i = 0; i < n; i++)
		cr_assert_eq(p[i], 4);
	cr_assert_eq(gm_munmap(p, MIB), 0);
	cr_expect_eq(add_one(sim, module, p, n), -EFAULT);
}

static void *unmap_soon(void *p)
{
	volatile uint64_t *words = p;

	while (!words[0]) /* until the kernel has begun */
		__builtin_ia32_pause();
	cr_assert_eq(gm_as_unmap(gm_as_default(), gm_sim_dev(sim), p, MIB), 0);
	uint64_t seen = words[0];
	for (int i = 0; i < 1000; i++)
		cr_assert_eq(words[0], seen, "the kernel wrote after gm_as_unmap had returned");
	return NULL;
}

Test(kinds, behind_an_iommu_unmapping_stops_a_kernel, .init = set_up_iommu, .fini = tear_down)
{
	struct churn_args a = {
		.data = managed(MIB), .words = MIB / 8, .step = MIB / 8, .turns = UINT64_MAX};
	struct gm_launch_result r;
	int module = load(sim);
	pthread_t t;

	let_reach((void *)(uintptr_t)a.data, MIB, RW);
	cr_assert_eq(pthread_create(&t, NULL, unmap_soon, (void *)(uintptr_t)a.data), 0);
	cr_expect_eq(gm_sim_launch(sim, module, "churn", 1, &a, sizeof a, &r), -EFAULT);
	cr_expect_eq(r.fault_addr, (uintptr_t)a.data);
	pthread_join(t, NULL);
}

/* ---- side by side ---- */

Test(kinds, all_three_in_one_space)
{
	static const char *const spec[] = {"pcie4-gpu,mem=8M,page=4K", "remote-accel", "iommu-dma",
					   "pcie4-gpu,mem=0,page=64K"};
	enum { N = 4, WORDS = MIB / 8, ROUNDS = 3 };
	struct gm_sim *dev[N];
	int module[N];
	uint64_t *p = managed(MIB);

	for (int d = 0; d < N; d++) {
		dev[d] = open_device(spec[d]);
		module[d] = load(dev[d]);
	}
	for (uint64_t round = 0; round < ROUNDS; round++) {
		sim = dev[2];
		for (int d = 0; d < N; d++) {
			if (d == 2)
				let_reach(p, MIB, RW);
			cr_assert_eq(add_one(dev[d], module[d], p, WORDS), 0, "device %d", d);
			cr_expect_eq(pages_in(p, MIB, d ? GM_REMOTE : GM_DEVICE), MIB / PAGE);
		}
		cr_expect_eq(gm_as_unmap(gm_as_default(), gm_sim_dev(sim), p, MIB), 0);
		for (size_t i = 0; i < WORDS; i++)
			cr_assert_eq(p[i]++, round * (N + 1) + N);
	}
	for (int d = 0; d < N; d++)
		cr_expect_eq(gm_sim_close(dev[d]), 0);
}

Test(kinds, specifications)
{
	struct gm_sim *s;

	gmi_opt.report = GM_REPORT_NONE;
	cr_expect_eq(gm_sim_open("remote-accel,mem=1M", &s), -EINVAL);
	cr_expect_eq(gm_sim_open("remote-accel,reserve=1", &s), -EINVAL);
	cr_assert_eq(gm_sim_open("iommu-dma,mem=0", &s), 0);
	cr_expect(!gmi_sim_can_fault(s));
	cr_expect_eq(gm_sim_close(s), 0);
	cr_assert_eq(gm_sim_open("cxl-accel,mem=0", &s), 0);
	cr_expect(gmi_sim_can_fault(s));
	cr_expect_eq(gm_sim_close(s), 0);
}
