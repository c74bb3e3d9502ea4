/*
 * Devices and spaces in all relations, with device processes: several devices in one space, one
 * device in several spaces, the modes of an attachment, pages that go from device to device, and
 * addresses that a device has for itself.
 */
#include "../variant.h"
#include "device.h"
#include "kernels.h"
#include <pthread.h>
#include <sys/wait.h>

#define SPACE_BYTES (512 * MIB)

TestSuite(spaces, .timeout = 120);

static struct gm_as *new_space(void)
{
	struct gm_as *as;

	cr_assert_eq(gm_as_create(0, SPACE_BYTES, &as), 0);
	return as;
}

static struct gm_sim *new_device(const char *spec)
{
	struct gm_sim *sim;

	gmi_opt.report = GM_REPORT_NONE;
	cr_assert_eq(gm_sim_open(spec, &sim), 0);
	return sim;
}

static int join(struct gm_as *as, struct gm_sim *sim, enum gm_mmu_mode mode)
{
	return gm_as_attach(as, gm_sim_dev(sim), mode, 1, NULL);
}

static void *map_in(struct gm_as *as, size_t bytes)
{
	void *p = gm_mmap(as, NULL, bytes, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_PEER_SHARED, -1, 0);

	cr_assert_neq(p, MAP_FAILED);
	return p;
}

static int read_all(struct gm_sim *sim, const void *p, size_t bytes)
{
	struct ds_mem_args a = {.src = p, .bytes = bytes};

	return launch_mem(sim, "touch_read", 2, a, NULL);
}

static int hnid(struct gm_sim *sim)
{
	return gm_dev_hnid(gm_sim_dev(sim));
}

/* How many pages are in this place on this device. */
static size_t pages_on(const void *p, size_t bytes, enum gm_where where, int on)
{
	size_t n = bytes / PAGE, found = 0;
	struct gm_page_info *info = calloc(n, sizeof *info);

	cr_assert_eq(gm_query(p, bytes, info), 0);
	for (size_t i = 0; i < n; i++)
		found += info[i].where == where && info[i].hnid == on;
	free(info);
	return found;
}

/* ---- addresses ---- */

Test(spaces, va_conflict_takes_other_addresses)
{
	struct gm_sim *plain = new_device("pcie4-gpu,mem=16M"),
		      *odd = new_device("cxl-accel,mem=16M,reserve=64M");
	struct gm_as *as = new_space();
	uintptr_t base;

	unsigned char *first = map_in(as, PAGE);
	base = (uintptr_t)first;
	cr_assert_eq(gm_munmap(first, PAGE), 0);
	cr_assert_eq(join(as, plain, GM_MMU_MODE_COHERENT_EXCLUSIVE), 0);
	cr_assert_eq(join(as, odd, GM_MMU_MODE_COHERENT_EXCLUSIVE), 0);
	for (size_t bytes = PAGE; bytes <= 8 * MIB; bytes *= 8) {
		unsigned char *p = map_in(as, bytes);
		cr_expect_geq((uintptr_t)p, base + 64 * MIB, "%zu bytes at +%zx", bytes,
			      (uintptr_t)p - base);
		device_set(odd, p, 1, bytes);
		device_set(plain, p, 2, bytes / 2);
		cr_expect(all_bytes(p, 2, bytes / 2) && all_bytes(p + bytes / 2, 1, bytes / 2));
	}
	void *at = (void *)(base + MIB);
	const int fixed = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;
	cr_expect_eq(gm_mmap(as, at, PAGE, PROT_READ, fixed, -1, 0), MAP_FAILED);
	cr_expect_eq(errno, EBUSY);
	cr_assert_eq(gm_as_detach(as, gm_sim_dev(odd)), 0);
	cr_expect_eq(gm_mmap(as, at, PAGE, PROT_READ | PROT_WRITE, fixed, -1, 0), at,
		     "nobody minds any more");
	device_set(plain, at, 3, PAGE);
	cr_expect_eq(join(as, odd, GM_MMU_MODE_COHERENT_EXCLUSIVE), -EBUSY);
	cr_expect(all_bytes(at, 3, PAGE));
	cr_assert_eq(gm_munmap(at, PAGE), 0);
	cr_expect_eq(join(as, odd, GM_MMU_MODE_COHERENT_EXCLUSIVE), 0);
	cr_expect_eq(gm_sim_close(odd), 0);
	cr_expect_eq(gm_sim_close(plain), 0);
	cr_expect_eq(gm_as_destroy(as), 0);
}

Test(spaces, va_conflict_everywhere)
{
	struct gm_sim *sim = new_device("cxl-accel,mem=16M,reserve=1G");
	struct gm_as *as = new_space();

	cr_assert_eq(join(as, sim, GM_MMU_MODE_SHARE), 0);
	cr_expect_eq(gm_mmap(as, NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
		     MAP_FAILED);
	cr_expect_eq(errno, ENOMEM);
	cr_expect_eq(gm_sim_close(sim), 0);
	map_in(as, PAGE);
	cr_expect_eq(gm_as_destroy(as), 0);
}

/* ---- several devices in one space ---- */

Test(spaces, pages_migrate_from_device_to_device)
{
	struct gm_sim *a = open_device("pcie4-gpu,mem=32M"), *b = open_device("cxl-accel,mem=32M");
	unsigned char *p = managed(4 * MIB);

	for (int round = 0; round < 4; round++) {
		device_set(a, p, 10 + round, 4 * MIB);
		cr_expect_eq(pages_on(p, 4 * MIB, GM_DEVICE, hnid(a)), 1024);
		device_set(b, p + MIB, 20 + round, 2 * MIB);
		cr_expect_eq(pages_on(p, 4 * MIB, GM_DEVICE, hnid(a)), 512);
		cr_expect_eq(pages_on(p, 4 * MIB, GM_DEVICE, hnid(b)), 512);
		uint64_t word = 0x0101010101010101ull;
		cr_expect_eq(device_sum(a, p, 4 * MIB),
			     word * (uint64_t)(10 + round) * (2 * MIB / 8) +
				     word * (uint64_t)(20 + round) * (2 * MIB / 8));
		cr_expect_eq(hmadvise(hnid(b), p, 4 * MIB, MADV_PREFETCH), 0);
		cr_expect_eq(pages_on(p, 4 * MIB, GM_DEVICE, hnid(b)), 1024);
	}
	cr_expect(all_bytes(p, 13, MIB) && all_bytes(p + MIB, 23, 2 * MIB) &&
		  all_bytes(p + 3 * MIB, 13, MIB));
	cr_expect_eq(hmemcpy(hnid(a), p + 2 * MIB, p, MIB), 0);
	cr_expect_eq(pages_on(p + 2 * MIB, MIB, GM_DEVICE, hnid(a)), 256);
	cr_expect(all_bytes(p + 2 * MIB, 13, MIB));
	cr_expect_eq(gm_sim_close(a), 0);
	cr_expect_eq(gm_sim_close(b), 0);
}

/* Two devices and the CPU count in words of their own on the same pages: every increment
 * arrives. */
struct counting {
	struct gm_sim *sim;
	int module;
	uint64_t *words;
	uint64_t turns;
};

static void *count(void *arg)
{
	struct counting *c = arg;
	struct churn_args a = {
		.data = c->words, .words = MIB / 8 - 3, .step = PAGE / 8, .turns = 1};

	for (uint64_t i = 0; i < c->turns; i++)
		cr_assert_eq(gm_sim_launch(c->sim, c->module, "churn", 1, &a, sizeof a, NULL), 0);
	return NULL;
}

Test(spaces, several_devices_and_the_cpu_on_the_same_pages)
{
	enum { TURNS = 40, STEP = PAGE / 8 };
	static const char *const spec[] = {"pcie4-gpu,mem=8M,page=4K", "cxl-accel,mem=8M",
					   "remote-accel"};
	struct counting c[3];
	pthread_t t[3];
	uint64_t *p = managed(MIB);

	for (int d = 0; d < 3; d++) {
		c[d] = (struct counting){
			.sim = open_device(spec[d]), .words = p + d, .turns = TURNS};
		cr_assert_eq(gm_sim_load(c[d].sim, beside_program("kernels.so"), &c[d].module), 0);
	}
	for (int d = 0; d < 3; d++)
		cr_assert_eq(pthread_create(&t[d], NULL, count, &c[d]), 0);
	for (int turn = 0; turn < TURNS; turn++)
		for (size_t i = 3; i < MIB / 8; i += STEP)
			((volatile uint64_t *)p)[i]++;
	for (int d = 0; d < 3; d++)
		pthread_join(t[d], NULL);
	for (size_t i = 0; i < MIB / 8; i += STEP)
		for (size_t k = 0; k < 4; k++)
			cr_assert_eq(p[i + k], TURNS, "word %zu of page %zu: %lu", k, i / STEP,
				     p[i + k]);
	for (int d = 0; d < 3; d++)
		cr_expect_eq(gm_sim_close(c[d].sim), 0);
}

/* ---- the modes ---- */

Test(spaces, mode_share_leaves_pages_on_the_host)
{
	struct gm_sim *sim = new_device("nvlink-gpu,mem=32M");
	unsigned char *p = managed(MIB);

	cr_assert_eq(join(gm_as_default(), sim, GM_MMU_MODE_SHARE), 0);
	memset(p, 1, MIB);
	device_set(sim, p, 2, MIB / 2);
	cr_expect_eq(pages_in(p, MIB / 2, GM_REMOTE), 128);
	cr_expect(all_bytes(p, 2, MIB / 2) && all_bytes(p + MIB / 2, 1, MIB / 2));
	uint64_t faults = device_faults();
	device_set(sim, p, 3, MIB / 2);
	cr_expect_eq(device_faults(), faults, "the CPU's touch took nothing away");
	cr_expect_eq(atomic_load(&gmi_stats->h2d_bytes) + atomic_load(&gmi_stats->d2h_bytes), 0);
	cr_expect_eq(gm_sim_close(sim), 0);
}

Test(spaces, mode_coherent_exclusive_moves_them)
{
	struct gm_sim *sim = new_device("nvlink-gpu,mem=32M");
	unsigned char *p = managed(MIB);

	cr_assert_eq(join(gm_as_default(), sim, GM_MMU_MODE_COHERENT_EXCLUSIVE), 0);
	memset(p, 1, MIB);
	cr_expect_eq(read_all(sim, p, MIB), 0);
	cr_expect_eq(pages_in(p, MIB, GM_DEVICE), 256, "also when it only reads");
	cr_expect(all_bytes(p, 1, MIB));
	cr_expect_eq(pages_in(p, MIB, GM_HOST), 256);
	cr_expect_eq(gm_sim_close(sim), 0);
}

Test(spaces, mode_replicate_gives_readers_copies)
{
	struct gm_sim *a = new_device("nvlink-gpu,mem=32M"), *b = new_device("cxl-accel,mem=32M");
	unsigned char *p = managed(MIB);

	cr_assert_eq(join(gm_as_default(), a, GM_MMU_MODE_REPLICATE), 0);
	cr_assert_eq(join(gm_as_default(), b, GM_MMU_MODE_REPLICATE), 0);
	memset(p, 1, MIB);
	cr_expect_eq(read_all(a, p, MIB), 0);
	cr_expect_eq(read_all(b, p, MIB), 0);
	cr_expect_eq(pages_in(p, MIB, GM_DUP), 256);
	uint64_t faults = device_faults(), cpu = atomic_load(&gmi_stats->cpu_faults);
	cr_expect_eq(device_sum(a, p, MIB), device_sum(b, p, MIB));
	cr_expect(all_bytes(p, 1, MIB));
	cr_expect_leq(device_faults(), faults + 2, "only for the sums");
	cr_expect_leq(atomic_load(&gmi_stats->cpu_faults), cpu + 2);
	device_set(b, p, 2, MIB);
	cr_expect_eq(pages_on(p, MIB, GM_DEVICE, hnid(b)), 256, "the writer is the only holder");
	cr_expect_eq(read_all(a, p, MIB), 0);
	cr_expect_eq(pages_in(p, MIB, GM_DUP), 256);
	p[0] = 3;
	cr_expect_eq(device_sum(a, p, 8), 0x0202020202020203ull);
	cr_expect_eq(gm_sim_close(a), 0);
	cr_expect_eq(gm_sim_close(b), 0);
	cr_expect(p[0] == 3 && all_bytes(p + 1, 2, MIB - 1));
}

Test(spaces, a_fork_child_has_the_same_mode)
{
	struct gm_sim *sim = new_device("nvlink-gpu,mem=32M");
	unsigned char *p = managed(MIB);
	int status;

	cr_assert_eq(join(gm_as_default(), sim, GM_MMU_MODE_SHARE), 0);
	device_set(sim, p, 1, MIB);
	pid_t child = fork();
	if (child == 0) {
		struct ds_mem_args a = {.dst = p, .bytes = MIB, .value = 2};
		struct gm_page_info info;
		_exit(launch_mem(sim, "memset", 1, a, NULL) || gm_query(p, PAGE, &info) ||
		      info.where != GM_REMOTE || !all_bytes(p, 2, MIB));
	}
	cr_assert_eq(waitpid(child, &status, 0), child);
	cr_expect_eq(status, 0);
	cr_expect(all_bytes(p, 1, MIB));
	cr_expect_eq(gm_sim_close(sim), 0);
}

/* ---- one device in several spaces ---- */

Test(spaces, one_device_in_several_spaces)
{
	enum { N = 4 };
	struct gm_sim *sim = new_device("pcie4-gpu,mem=16M,page=4K");
	struct gm_as *as[N];
	unsigned char *p[N];

	for (int i = 0; i < N; i++) {
		as[i] = new_space();
		cr_assert_eq(join(as[i], sim,
				  i % 2 ? GM_MMU_MODE_SHARE : GM_MMU_MODE_COHERENT_EXCLUSIVE),
			     0);
		p[i] = map_in(as[i], 2 * MIB);
		memset(p[i], i, 2 * MIB);
	}
	cr_expect_eq(join(as[0], sim, GM_MMU_MODE_SHARE), -EEXIST);
	for (int i = 0; i < N; i++) { /* one kernel in two spaces */
		struct ds_mem_args a = {.dst = p[i], .src = p[(i + 1) % N] + MIB, .bytes = MIB};
		cr_assert_eq(launch_mem(sim, "memcpy", 2, a, NULL), 0);
		cr_expect_eq(pages_in(p[i], MIB, i % 2 ? GM_REMOTE : GM_DEVICE), 256,
			     "each has its own mode");
	}
	for (int i = 0; i < N; i++)
		cr_expect(all_bytes(p[i], (i + 1) % N, MIB) && all_bytes(p[i] + MIB, i, MIB));
	/* All of them want more than the device has: it evicts across spaces. */
	for (int i = 0; i < N; i += 2) {
		unsigned char *big = map_in(as[i], 12 * MIB);
		device_set(sim, big, 40 + i, 12 * MIB);
		p[i + 1] = big;
	}
	cr_expect(all_bytes(p[1], 40, 12 * MIB) && all_bytes(p[3], 42, 12 * MIB));
	/* One leaves; the device works on in the others. */
	device_set(sim, p[0], 9, 2 * MIB);
	cr_assert_eq(gm_as_detach(as[0], gm_sim_dev(sim)), 0);
	cr_expect(all_bytes(p[0], 9, 2 * MIB));
	cr_expect_eq(read_all(sim, p[0], PAGE), -EFAULT);
	device_set(sim, p[2], 8, 2 * MIB);
	cr_expect_eq(gm_as_destroy(as[2]), -EBUSY);
	cr_expect_eq(gm_sim_close(sim), 0);
	cr_expect(all_bytes(p[2], 8, 2 * MIB));
	for (int i = 0; i < N; i++)
		cr_expect_eq(gm_as_destroy(as[i]), 0);
}

/* Spaces come and go in some threads while kernels run in the space of another. */
static void *come_and_go(void *arg)
{
	struct gm_sim *sim = arg;

	for (int i = 0; i < 10; i++) {
		struct gm_as *as = new_space();
		cr_assert_eq(gm_sim_attach(sim, as), 0);
		unsigned char *p = map_in(as, MIB);
		device_set(sim, p, i, MIB);
		cr_assert_eq(gm_as_detach(as, gm_sim_dev(sim)), 0);
		cr_assert(all_bytes(p, i, MIB));
		cr_assert_eq(gm_as_destroy(as), 0);
	}
	return NULL;
}

Test(spaces, spaces_come_and_go_while_kernels_run)
{
	struct gm_sim *sim = open_device("pcie4-gpu,mem=16M,page=4K,workers=2");
	unsigned char *p = managed(2 * MIB);
	pthread_t t[2];

	for (int i = 0; i < 2; i++)
		cr_assert_eq(pthread_create(&t[i], NULL, come_and_go, sim), 0);
	for (int i = 0; i < 60; i++) {
		device_set(sim, p, i, 2 * MIB);
		cr_assert(all_bytes(p, i, 2 * MIB));
	}
	for (int i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
	cr_expect_eq(gm_sim_close(sim), 0);
}
