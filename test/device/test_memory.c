/*
 * Memory as kernels see it: behaviours of the device's page table, its faults, its capacity and
 * page sizes.
 */
#include "device.h"
#include "kernels.h"
#include <pthread.h>

DEVICE_SUITE(memory, 120);

Test(memory, anon_read)
{
	char *p = managed(1024 * PAGE);

	memset(p + 2 * PAGE, 1, 1022 * PAGE);
	cr_expect_eq(device_sum(sim, p, 2 * PAGE), 0);
	cr_expect_eq(device_sum(sim, p, 1024 * PAGE), 0x0101010101010101ull * (1022 * PAGE / 8));
}

Test(memory, anon_read_prot)
{
	char *p = managed(1024 * PAGE);
	struct gm_launch_result r;
	struct ds_mem_args a = {.src = p, .bytes = 1024 * PAGE};

	memset(p, 5, 1024 * PAGE);
	cr_assert_eq(gmi_opt.ndev, 1);
	cr_assert_eq(gm_munmap(p + 512 * PAGE, PAGE), 0);
	cr_expect_eq(launch_mem(sim, "touch_read", 1, a, &r), -EFAULT);
	cr_expect_eq(r.fault_addr, (uintptr_t)p + 512 * PAGE);
	cr_expect(all_bytes(p, 5, 512 * PAGE));
}

Test(memory, anon_write)
{
	char *p = managed(1024 * PAGE);

	device_set(sim, p, 9, 1024 * PAGE);
	cr_expect_eq(pages_in(p, 1024 * PAGE, GM_DEVICE), 1024);
	cr_expect(all_bytes(p, 9, 1024 * PAGE));
	cr_expect_eq(pages_in(p, 1024 * PAGE, GM_HOST), 1024);
}

Test(memory, anon_write_prot)
{
	char *p = gm_mmap(NULL, NULL, MIB, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct gm_launch_result r;
	struct ds_mem_args a = {.dst = p, .bytes = MIB, .value = 1};

	cr_expect_eq(device_sum(sim, p, MIB), 0);
	cr_expect_eq(launch_mem(sim, "memset", 1, a, &r), -EPERM);
	cr_expect_eq(r.fault_addr, (uintptr_t)p);
	cr_expect(all_bytes(p, 0, MIB));
}

Test(memory, prefetch_quiet)
{
	char *p = managed(16 * MIB);

	memset(p, 1, 16 * MIB);
	cr_assert_eq(hmadvise(gm_dev_hnid(gm_sim_dev(sim)), p, 16 * MIB, MADV_PREFETCH), 0);
	uint64_t faults = device_faults();
	device_set(sim, p, 2, 16 * MIB);
	cr_expect_eq(device_faults(), faults);
	cr_expect(all_bytes(p, 2, 16 * MIB));
}

Test(memory, prefetch_while_a_kernel_runs)
{
	char *p = managed(16 * MIB);
	struct ds_mem_args a = {.value = 3000};

	memset(p, 1, 16 * MIB);
	cr_assert_eq(launch_mem(sim, "spin", 1, a, NULL), 0);
	for (int i = 0; i < 20; i++) {
		cr_assert_eq(hmadvise(gm_dev_hnid(gm_sim_dev(sim)), p, 16 * MIB, MADV_PREFETCH), 0);
		device_set(sim, p, i, 16 * MIB);
		cr_assert(all_bytes(p, i, 16 * MIB));
	}
}

Test(memory, more_changes_than_the_ring_holds)
{
	enum { PAGES = 12000 };
	char *p = managed(PAGES * PAGE);
	int hnid = gm_dev_hnid(gm_sim_dev(sim));

	memset(p, 1, PAGES * PAGE);
	device_set(sim, p, 2, PAGE);	   /* the process runs */
	for (int i = 1; i < PAGES; i += 2) /* every other page: nothing merges */
		cr_assert_eq(hmadvise(hnid, p + i * PAGE, PAGE, MADV_PREFETCH), 0);
	device_set(sim, p, 3, PAGES * PAGE);
	cr_expect(all_bytes(p, 3, PAGES * PAGE));
}

Test(memory, changes_before_the_process_starts)
{
	char *p = managed(8 * MIB);
	int hnid = gm_dev_hnid(gm_sim_dev(sim));

	memset(p, 1, 8 * MIB);
	cr_assert_eq(gmi_sim_pid(sim), 0);
	for (int turn = 0; turn < 4; turn++) {
		cr_assert_eq(hmadvise(hnid, p, 8 * MIB, MADV_PREFETCH), 0);
		for (size_t i = turn; i < 2048; i += 2)
			p[i * PAGE]++;
	}
	uint64_t sum = 0;
	for (size_t i = 0; i < 8 * MIB; i += 8)
		sum += *(uint64_t *)(p + i);
	cr_expect_eq(device_sum(sim, p, 8 * MIB), sum);
}

Test(memory, evict)
{
	enum { PIECES = 9 };
	char *p[PIECES];

	for (int i = 0; i < PIECES; i++)
		p[i] = managed(8 * MIB);
	for (int turn = 0; turn < 3; turn++)
		for (int i = 0; i < PIECES; i++)
			device_set(sim, p[i], 16 * turn + i, 8 * MIB);
	for (int i = 0; i < PIECES; i++)
		cr_expect(all_bytes(p[i], 32 + i, 8 * MIB));
	cr_expect_gt(gmi_stats->dev[0].evicted_bytes, 0);
}

Test(memory, one_kernel_larger_than_the_device)
{
	char *p = managed(160 * MIB);

	device_set(sim, p, 77, 160 * MIB);
	cr_expect_eq(device_sum(sim, p, 160 * MIB), 0x4d4d4d4d4d4d4d4dull * (160 * MIB / 8));
	cr_expect(all_bytes(p, 77, 160 * MIB));
}

static void page_size(const char *spec, size_t page)
{
	struct gm_sim *other = open_device(spec);
	char *p = managed(4 * MIB);

	gmi_opt.prefetch = GM_PREFETCH_NONE;
	memset(p, 1, 4 * MIB);
	uint64_t faults = device_faults();
	struct ds_mem_args a = {.dst = p, .bytes = 4 * MIB, .value = 2, .stride = PAGE};
	cr_assert_eq(launch_mem(other, "touch_write", 1, a, NULL), 0);
	cr_expect_eq(device_faults() - faults, 4 * MIB / page);
	uint64_t home = gmi_stats->cpu_faults;
	for (size_t i = 0; i < 4 * MIB; i += PAGE)
		cr_assert(p[i] == 2 && p[i + 1] == 1);
	cr_expect_eq(gmi_stats->cpu_faults - home, 4 * MIB / page, "granularity");
	cr_expect_eq(gm_sim_close(other), 0);
}

Test(memory, pages_of_4K)
{
	page_size("pcie4-gpu,mem=64M,page=4K", 4096);
}
Test(memory, pages_of_64K)
{
	page_size("pcie4-gpu,mem=64M,page=64K", 65536);
}
Test(memory, pages_of_2M)
{
	page_size("pcie4-gpu,mem=64M,page=2M", 2 * MIB);
}

Test(memory, pinned_pages_are_worked_on_where_they_are)
{
	char *p = managed(MIB);

	memset(p, 1, MIB);
	cr_assert_eq(hmadvise(-1, p, MIB, GM_MADV_PINNED), 0);
	device_set(sim, p, 6, MIB);
	cr_expect_eq(pages_in(p, MIB, GM_DEVICE), 0);
	cr_expect(all_bytes(p, 6, MIB));
}

Test(memory, a_second_space_attached_while_the_process_runs)
{
	struct gm_as *as;
	char *a = managed(MIB), *b;

	device_set(sim, a, 1, MIB);
	cr_assert_eq(gm_as_create(0, 256 * MIB, &as), 0);
	cr_assert_eq(gm_sim_attach(sim, as), 0);
	b = gm_mmap(as, NULL, MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	cr_assert_neq(b, MAP_FAILED);
	device_set(sim, b, 2, MIB);
	cr_expect(all_bytes(a, 1, MIB) && all_bytes(b, 2, MIB));
	device_set(sim, b, 3, MIB);
	cr_assert_eq(gm_as_detach(as, gm_sim_dev(sim)), 0);
	cr_expect(all_bytes(b, 3, MIB));
	struct ds_mem_args args = {.dst = b, .bytes = MIB};
	cr_expect_eq(launch_mem(sim, "memset", 1, args, NULL), -EFAULT);
	cr_expect_eq(gm_as_destroy(as), 0);
}

/* ---- the CPU and a kernel at once ---- */

struct hammer {
	volatile uint64_t *words;
	size_t pages;
	_Atomic bool stop;
	uint64_t turns;
};

/* Counts in the odd pages, while the kernel counts in the even ones of the same blocks. */
static void *hammer(void *arg)
{
	struct hammer *h = arg;

	while (!atomic_load(&h->stop)) {
		for (size_t i = 1; i < h->pages; i += 2)
			h->words[i * (PAGE / 8)]++;
		h->turns++;
	}
	return NULL;
}

Test(memory, kernel_and_cpu_on_the_pages_of_one_block)
{
	enum { PAGES = 1024, TURNS = 20 };
	struct hammer h = {.words = managed(PAGES * PAGE), .pages = PAGES};
	struct churn_args a = {h.words, PAGES * PAGE / 8, 2 * PAGE / 8, TURNS};
	int module;
	pthread_t t;

	cr_assert_eq(gm_sim_load(sim, beside_program("kernels.so"), &module), 0);
	pthread_create(&t, NULL, hammer, &h);
	for (int i = 0; i < 3; i++)
		cr_assert_eq(gm_sim_launch(sim, module, "churn", 1, &a, sizeof a, NULL), 0);
	atomic_store(&h.stop, true);
	pthread_join(t, NULL);
	for (size_t i = 0; i < PAGES; i++)
		cr_assert_eq(h.words[i * (PAGE / 8)], i % 2 ? h.turns : 3 * TURNS, "page %zu", i);
}

static void *unmap_upper_half(void *arg)
{
	usleep((useconds_t)(rand() % 3000));
	gm_munmap((char *)arg + 4 * MIB, 4 * MIB);
	return NULL;
}

Test(memory, teardown)
{
	for (int i = 0; i < 10; i++) {
		char *p = managed(8 * MIB);
		struct ds_mem_args a = {.dst = p, .bytes = 8 * MIB, .value = 1};
		struct gm_launch_result r;
		pthread_t t;

		memset(p, 1, 8 * MIB);
		pthread_create(&t, NULL, unmap_upper_half, p);
		int err = launch_mem(sim, "memset", 2, a, &r);
		pthread_join(t, NULL);
		cr_assert(err == 0 || err == -EFAULT, "%d", err);
		cr_assert(err == 0 || r.fault_addr - (uintptr_t)p - 4 * MIB < 4 * MIB);
		cr_assert(all_bytes(p, 1, 4 * MIB));
		gm_munmap(p, 4 * MIB);
	}
}
