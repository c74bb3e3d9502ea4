/* A device and a changing program: fork, mappings that split and go, races, failures. */
#include "behaviour.h"
#include "core/sys/inject.h"
#include <pthread.h>

/* ---- fork ---- */

static int child_writes(unsigned char *p)
{
	for (size_t i = 0; i < PAGES; i++)
		if (!all_bytes(p + i * PAGE, (int)i & 255, PAGE))
			return 1;
	if (device_write(sim, p, 77, BYTES))
		return 2;
	return all_bytes(p, 77, BYTES) ? 0 : 3;
}

static void write_child(bool migrated, bool huge)
{
	unsigned char *p = managed(BYTES + 2 * MIB);

	p = huge ? p : p + 3 * PAGE; /* whole blocks, or not */
	fill(p, 0, PAGES, 0);
	if (migrated)
		to_device(p, BYTES);
	cr_expect_eq(in_child(child_writes, p), 0);
	expect_filled(p, 0, PAGES, 0);
	expect_device_sees(sim, p, PAGES, 0);
}

Behaviour(anon_write_child)
{
	for (int k = 0; k < 4; k++)
		write_child(k & 1, k & 2);
}

static int count_in_child(unsigned char *p)
{
	for (size_t i = 0; i < BYTES; i++)
		p[i]++;
	for (size_t i = 0; i < PAGES; i++)
		if (!all_bytes(p + i * PAGE, (int)(i + 1) & 255, PAGE))
			return 1;
	return 0;
}

Behaviour(exclusive_cow)
{
	unsigned char *p = managed(BYTES);

	fill(p, 0, PAGES, 0);
	to_device(p, BYTES);
	cr_expect_eq(in_child(count_in_child, p), 0);
	expect_filled(p, 0, PAGES, 0);
	for (size_t i = 0; i < BYTES; i++)
		p[i] += 2;
	expect_filled(p, 0, PAGES, 2);
}

static int sees_the_snapshot(unsigned char *p)
{
	usleep(20000); /* the parent writes meanwhile */
	for (size_t i = 0; i < PAGES; i++)
		if (!all_bytes(p + i * PAGE, (int)i & 255, PAGE))
			return 1;
	return device_write(sim, p, 3, BYTES) || !all_bytes(p, 3, BYTES);
}

Behaviour(cow_in_device)
{
	unsigned char *p = managed(BYTES);
	int status;

	fill(p, 0, PAGES, 0);
	to_device(p, BYTES);
	pid_t pid = fork();
	if (!pid)
		_exit(sees_the_snapshot(p));
	cr_assert_eq(device_write(sim, p, 9, BYTES / 2), 0);
	memset(p + BYTES / 2, 9, BYTES / 2);
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_expect_eq(status, 0);
	cr_expect(all_bytes(p, 9, BYTES));
}

/* ---- 2 MiB at a time ---- */

Behaviour(huge_empty)
{
	unsigned char *p = managed(2 * MIB);

	to_device(p, 2 * MIB);
	expect_all(p, 2 * MIB, GM_DEVICE);
	cr_expect(all_bytes(p, 0, 2 * MIB));
}

Behaviour(huge_zero)
{
	unsigned char *p = managed(2 * MIB);

	cr_assert(all_bytes(p, 0, 2 * MIB)); /* read: the kernel's zero page */
	to_device(p, 2 * MIB);
	expect_all(p, 2 * MIB, GM_DEVICE);
	cr_assert_eq(device_write(sim, p, 1, PAGE), 0);
	cr_expect(all_bytes(p, 1, PAGE));
	cr_expect(all_bytes(p + PAGE, 0, 2 * MIB - PAGE));
}

Behaviour(huge_free)
{
	unsigned char *p = managed(4 * MIB);

	memset(p, 5, 4 * MIB);
	to_device(p, 2 * MIB); /* one block away, one not */
	cr_assert_eq(gmi_vm_advise(gm_as_default(), p, 4 * MIB, MADV_FREE), 0);
	p[0] = 1;
	p[2 * MIB] = 1;
	to_device(p, 4 * MIB);
	cr_expect_eq(p[0], 1);
	cr_expect_eq(p[2 * MIB], 1);
	for (size_t i = PAGE; i < 4 * MIB; i += PAGE)
		cr_assert(p[i] == 0 || p[i] == 5 || i == 2 * MIB, "byte %zu is %u", i, p[i]);
}

Behaviour(huge_fault)
{
	unsigned char *p = managed(2 * MIB);

	fill(p, 0, 512, 0);
	cr_assert_eq(device_read(sim, p, 2 * MIB), 0);
	expect_device_sees(sim, p, 512, 0);
	expect_filled(p, 0, 512, 0);
}

Behaviour(partial_unmap_fault)
{
	static const size_t offset[] = {0, MIB / 2, MIB};

	for (int k = 0; k < 3; k++) {
		unsigned char *p = managed(2 * MIB);
		size_t first = offset[k] / PAGE, end = first + 256;
		fill(p, 0, 512, k);
		to_device(p, 2 * MIB);
		cr_assert_eq(gm_munmap(p + offset[k], MIB), 0);
		expect_filled(p, 0, first, k);
		expect_filled(p, end, 512, k);
		cr_expect_eq(device_read(sim, p + offset[k], PAGE), -EFAULT);
	}
}

Behaviour(remap_fault)
{
	static const size_t offset[] = {0, MIB / 2, MIB};
	static const int flags[] = {MREMAP_MAYMOVE, MREMAP_MAYMOVE | MREMAP_FIXED,
				    MREMAP_MAYMOVE | 4 /* MREMAP_DONTUNMAP */};
	struct gm_as *as = gm_as_default();

	for (int k = 0; k < 18; k++) {
		size_t off = offset[k % 3];
		int flag = flags[k / 3 % 3];
		bool before = k >= 9;
		unsigned char *p = managed(2 * MIB), *q = managed(2 * MIB),
			      *to = q + off % (2 * MIB);
		fill(p, 0, 512, k);
		if (before)
			to_device(p, 2 * MIB);
		size_t fixed = flag & MREMAP_FIXED ? MIB : 0;
		unsigned char *r = gmi_vm_remap(as, p + off, MIB, MIB, flag, fixed ? to : NULL);
		cr_assert_eq((uintptr_t)r >> 12 >> 50, 0, "case %d: error %ld", k, (long)r);
		if (!before)
			to_device(r, MIB);
		for (size_t i = 0; i < 256; i++)
			cr_assert(all_bytes(r + i * PAGE, (int)(off / PAGE + i + (size_t)k) & 255,
					    PAGE),
				  "case %d, page %zu", k, i);
		expect_filled(p, 0, off / PAGE, k);
		expect_filled(p, off / PAGE + 256, 512, k);
		cr_assert_eq(device_write(sim, r, 1, MIB), 0);
		cr_assert(all_bytes(r, 1, MIB));
	}
}

/* ---- hints ---- */

/* Two ranges one after the other, in each way in which they can lie: every page has what was set
 * last. */
Behaviour(overlap)
{
	static const struct {
		unsigned a, aend, b, bend;
	} way[] = {{10, 30, 20, 40}, {20, 40, 10, 30}, {10, 40, 20, 30},
		   {20, 30, 10, 40}, {10, 30, 10, 30}, {10, 20, 20, 30}};
	struct gm_page_info info[50];

	for (unsigned k = 0; k < 2 * GM_ARRAY_LEN(way); k++) {
		unsigned w = k / 2, n = 0;
		bool pin_first = k % 2;
		unsigned char *p = managed(50 * PAGE);
		if (!pin_first)
			cr_assert_eq(hmadvise(-1, p, 50 * PAGE, GM_MADV_PINNED), 0);
		cr_assert_eq(hmadvise(-1, p + way[w].a * PAGE, (way[w].aend - way[w].a) * PAGE,
				      pin_first ? GM_MADV_PINNED : GM_MADV_UNPINNED),
			     0);
		cr_assert_eq(hmadvise(-1, p + way[w].b * PAGE, (way[w].bend - way[w].b) * PAGE,
				      pin_first ? GM_MADV_UNPINNED : GM_MADV_PINNED),
			     0);
		/* Split, and merged again. */
		cr_assert_eq(protect(p + 15 * PAGE, 10 * PAGE, PROT_READ), 0);
		cr_assert_eq(protect(p + 15 * PAGE, 10 * PAGE, PROT_READ | PROT_WRITE), 0);
		cr_assert_eq(gm_query(p, 50 * PAGE, info), 0);
		for (unsigned i = 0; i < 50; i++) {
			bool in_a = i >= way[w].a && i < way[w].aend,
			     in_b = i >= way[w].b && i < way[w].bend;
			bool pinned = in_b ? !pin_first : in_a ? pin_first : !pin_first;
			n += info[i].pinned != pinned;
		}
		cr_expect_eq(n, 0, "way %u: %u pages have another hint", k, n);
	}
}

/* ---- failures ---- */

Behaviour(err)
{
	static const char *const site[] = {"frame@1+", "frame@2", "copyin@1", "map@1",
					   "alloc@1",  "remap@1", "hostmem@1"};

	gmi_log_level = GM_LOG_NONE;
	for (unsigned k = 0; k < GM_ARRAY_LEN(site); k++) {
		unsigned char *p = managed(BYTES);
		fill(p, 0, PAGES, 0);
		cr_assert_eq(gmi_inject(site[k]), 0);
		int err = device_write(sim, p, 5, BYTES);
		gmi_inject("");
		for (size_t i = 0; i < BYTES; i++)
			cr_assert(p[i] == 5 || (err && p[i] == (unsigned char)(i / PAGE)),
				  "%s: byte %zu", site[k], i);
		cr_assert_eq(device_write(sim, p, 6, BYTES), 0, "%s", site[k]);
		cr_assert_eq(gmi_inject(k == 2 ? "copyout@1" : site[k]), 0);
		hmadvise(-1, p, BYTES, MADV_PREFETCH);
		gmi_inject("");
		cr_expect(all_bytes(p, 6, BYTES), "%s", site[k]);
		gm_munmap(p, BYTES);
	}
}

static void *kill_soon(void *arg)
{
	usleep(*(useconds_t *)arg);
	kill(gmi_sim_pid(sim), SIGKILL);
	return NULL;
}

Behaviour(device_loss, .timeout = 60)
{
	unsigned char *p = managed(32 * MIB);
	useconds_t after[] = {0, 300, 2000, 8000}; /* during faults, copies, the kernel itself */

	gmi_log_level = GM_LOG_NONE;
	memset(p, 1, 32 * MIB);
	cr_assert_eq(device_write(sim, p, 1, PAGE), 0);
	for (unsigned k = 0; k < GM_ARRAY_LEN(after); k++) {
		pthread_t t;
		pthread_create(&t, NULL, kill_soon, &after[k]);
		int err = device_write(sim, p, (int)k + 2, 32 * MIB);
		pthread_join(t, NULL);
		for (size_t i = 0; i < 32 * MIB; i += 64)
			cr_assert(p[i] == k + 2 || (err && p[i] == k + 1),
				  "byte %zu is %u, error %d", i, p[i], err);
		cr_assert_eq(device_write(sim, p, (int)k + 2, 32 * MIB), 0, "a fresh device");
		cr_assert(all_bytes(p, (int)k + 2, 32 * MIB));
	}
}

/* ---- races ---- */

struct race {
	unsigned char *p;
	size_t bytes;
	useconds_t after;
};

static void *unmap_upper_half(void *arg)
{
	struct race *r = arg;

	usleep(r->after);
	gm_munmap(r->p + r->bytes / 2, r->bytes / 2);
	return NULL;
}

Behaviour(teardown)
{
	for (int k = 0; k < 10; k++) {
		struct race r = {managed(BYTES), BYTES, (useconds_t)(k * 137)};
		pthread_t t;
		fill(r.p, 0, PAGES, k);
		pthread_create(&t, NULL, unmap_upper_half, &r);
		struct gm_launch_result res;
		struct ds_mem_args a = {.src = r.p, .bytes = BYTES, .stride = 64};
		int err = launch_mem(sim, "touch_read", 2, a, &res);
		pthread_join(t, NULL);
		cr_assert(err == 0 || err == -EFAULT, "error %d", err);
		if (err)
			cr_expect_geq(res.fault_addr, (uintptr_t)r.p + BYTES / 2);
		expect_filled(r.p, 0, PAGES / 2, k);
	}
}

static int churn(void *p, size_t bytes, uint64_t turns)
{
	struct churn_args a = {.data = p, .words = bytes / 8, .step = 512, .turns = turns};

	return gm_sim_launch(sim, module, "churn", 1, &a, sizeof a, NULL);
}

static void *free_all(void *arg)
{
	struct race *r = arg;

	usleep(r->after);
	gm_munmap(r->p, r->bytes);
	return NULL;
}

Behaviour(free_race, .timeout = 60)
{
	unsigned char *keep = managed(MIB);

	memset(keep, 7, MIB);
	for (int k = 0; k < 10; k++) {
		struct race r = {managed(BYTES), BYTES, (useconds_t)(k * 211)};
		pthread_t t;
		pthread_create(&t, NULL, free_all, &r);
		int err = churn(r.p, BYTES, 20);
		pthread_join(t, NULL);
		cr_assert(err == 0 || err == -EFAULT, "error %d", err);
		cr_assert_eq(device_copy(sim, keep + MIB / 2, keep, MIB / 2), 0);
		cr_assert(all_bytes(keep, 7, MIB));
	}
}

static _Atomic bool stop;

static void *prefetch_to_and_fro(void *arg)
{
	struct race *r = arg;

	while (!stop) {
		to_host(r->p, r->bytes);
		to_device(r->p + r->bytes / 4, r->bytes / 2);
	}
	return NULL;
}

Behaviour(prefetch_race, .timeout = 60)
{
	struct race r = {managed(BYTES), BYTES, 0};
	uint64_t *word = (uint64_t *)(void *)r.p;
	pthread_t t;

	stop = false;
	pthread_create(&t, NULL, prefetch_to_and_fro, &r);
	for (int k = 0; k < 10; k++)
		cr_assert_eq(churn(r.p, BYTES, 5), 0);
	stop = true;
	pthread_join(t, NULL);
	for (size_t i = 0; i < BYTES / 8; i += 512)
		cr_assert_eq(word[i], 50, "word %zu: %lu", i, (unsigned long)word[i]);
}

static void *zero_quarter(void *arg)
{
	memset(arg, 0, 4 * MIB);
	return NULL;
}

Behaviour(recycled_heap)
{
	unsigned char *p = managed(16 * MIB);
	pthread_t t[4];

	cr_assert_eq(device_write(sim, p, 9, 16 * MIB), 0);
	gmi_vm_forget(gm_as_default(), p, 16 * MIB); /* what free() tells core of a large block */
	uint64_t faults = gmi_stats->cpu_faults, home = gmi_stats->d2h_bytes;
	for (int i = 0; i < 4; i++)
		pthread_create(&t[i], NULL, zero_quarter, p + (size_t)i * 4 * MIB);
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	cr_expect_eq(gmi_stats->d2h_bytes, home, "nothing was copied home");
	cr_expect_leq(gmi_stats->cpu_faults - faults, 8, "no storm");
	cr_expect(all_bytes(p, 0, 16 * MIB));
}
