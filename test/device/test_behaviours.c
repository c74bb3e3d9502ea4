/* A device works on the program's memory: access, migration, residence, eviction. */
#include "behaviour.h"
#include "core/entry/hold.h"

Behaviour(anon_read)
{
	unsigned char *p = managed(BYTES);

	fill(p, 2, PAGES, 0);
	cr_assert_eq(protect(p, BYTES, PROT_READ), 0);
	unsigned char *copy = managed(BYTES);
	cr_assert_eq(device_copy(sim, copy, p, BYTES), 0);
	cr_expect(all_bytes(copy, 0, 2 * PAGE));
	expect_filled(copy, 2, PAGES, 0);
	cr_expect(all_bytes(p, 0, 2 * PAGE));
	expect_filled(p, 2, PAGES, 0);
}

Behaviour(anon_read_prot)
{
	unsigned char *p = managed(BYTES);
	struct gm_launch_result r;
	struct ds_mem_args a = {.src = p, .bytes = BYTES, .stride = PAGE};

	fill(p, 0, PAGES, 0);
	cr_assert_eq(protect(p, BYTES, PROT_NONE), 0);
	cr_expect_eq(launch_mem(sim, "touch_read", 1, a, &r), -EFAULT);
	cr_expect_eq(r.fault_addr, (uintptr_t)p);
	expect_all(p, BYTES, GM_HOST);
	cr_assert_eq(protect(p, BYTES, PROT_READ), 0);
	expect_filled(p, 0, PAGES, 0);
	expect_device_sees(sim, p, PAGES, 0);
}

Behaviour(anon_write)
{
	unsigned char *p = managed(BYTES);

	cr_assert_eq(device_write(sim, p, 7, BYTES), 0);
	expect_all(p, BYTES, GM_DEVICE);
	cr_expect(all_bytes(p, 7, BYTES));
}

Behaviour(anon_write_prot)
{
	unsigned char *p = managed(BYTES);

	fill(p, 0, PAGES, 0);
	cr_assert_eq(protect(p, BYTES, PROT_READ), 0);
	expect_device_sees(sim, p, PAGES, 0);
	cr_expect_eq(device_write(sim, p, 9, BYTES), -EPERM);
	expect_filled(p, 0, PAGES, 0);
	cr_assert_eq(protect(p, BYTES, PROT_READ | PROT_WRITE), 0);
	cr_expect_eq(device_write(sim, p, 9, BYTES), 0);
	cr_expect(all_bytes(p, 9, BYTES));
}

Behaviour(migrate)
{
	unsigned char *p = managed(BYTES);

	fill(p, 0, PAGES, 1);
	to_device(p, BYTES);
	expect_all(p, BYTES, GM_DEVICE);
	expect_device_sees(sim, p, PAGES, 1);
}

Behaviour(migrate_fault)
{
	unsigned char *p = managed(BYTES);

	fill(p, 0, PAGES, 1);
	to_device(p, BYTES);
	for (size_t i = 0; i < PAGES / 2; i++)
		cr_assert_eq(p[i * PAGE], (unsigned char)(i + 1));
	cr_expect_geq(pages_in(p, BYTES, GM_HOST), PAGES / 2);
	to_device(p, BYTES);
	expect_all(p, BYTES, GM_DEVICE);
	expect_device_sees(sim, p, PAGES, 1);
	expect_filled(p, 0, PAGES, 1);
}

Behaviour(migrate_release)
{
	unsigned char *p = managed(BYTES);

	fill(p, 0, PAGES, 3);
	to_device(p, BYTES);
	to_host(p, BYTES);
	expect_all(p, BYTES, GM_HOST);
	expect_filled(p, 0, PAGES, 3);
}

Behaviour(migrate_mixed)
{
	struct gm_sim *other = behaviour_device("mem=64M");
	size_t part = 2 * MIB; /* one kind of memory for each */
	enum { ZERO, READONLY, READWRITE, NONE, OTHER, PARTS };
	unsigned char *p = managed(PARTS * part + part);

	for (int k = READONLY; k < PARTS; k++)
		memset(p + k * part, k, part);
	cr_assert_eq(protect(p + READONLY * part, part, PROT_READ), 0);
	cr_assert_eq(protect(p + NONE * part, part, PROT_NONE), 0);
	cr_assert_eq(
		hmadvise(gm_dev_hnid(gm_sim_dev(other)), p + OTHER * part, part, MADV_PREFETCH), 0);
	cr_assert_eq(gm_munmap(p + PARTS * part, part), 0);
	cr_expect_eq(hmadvise(hnid(), p, (PARTS + 1) * part, MADV_PREFETCH), -EFAULT, "a hole");
	expect_all(p + READWRITE * part, part, GM_HOST);
	to_device(p, PARTS * part);
	for (int k = 0; k < PARTS; k++)
		expect_all(p + k * part, part, k == NONE ? GM_HOST : GM_DEVICE);
	cr_assert_eq(protect(p + NONE * part, part, PROT_READ), 0);
	for (int k = 0; k < PARTS; k++)
		cr_expect(all_bytes(p + k * part, k, part));
	cr_assert_eq(gm_sim_close(other), 0);
}

Behaviour(migrate_multiple)
{
	unsigned char *p = managed(BYTES);

	for (int round = 0; round < 10; round++) {
		fill(p, 0, PAGES, round);
		to_device(p, BYTES);
		expect_device_sees(sim, p, PAGES, round);
		if (round % 2)
			to_host(p, BYTES);
		expect_filled(p, 0, PAGES, round);
	}
}

Behaviour(snapshot)
{
	unsigned char *p = managed(4 * 2 * MIB);
	struct gm_page_info info[4];

	memset(p + 2 * MIB, 1, 6 * MIB);
	to_device(p + 4 * MIB, 2 * MIB);
	cr_assert_eq(protect(p + 6 * MIB, 2 * MIB, PROT_READ), 0);
	uint64_t faults = gmi_stats->cpu_faults,
		 moved = gmi_stats->h2d_bytes + gmi_stats->d2h_bytes;
	for (int i = 0; i < 4; i++)
		cr_assert_eq(gm_query(p + (size_t)i * 2 * MIB, PAGE, &info[i]), 0);
	cr_expect_eq(info[0].where, GM_NOMAP);
	cr_expect_eq(info[1].where, GM_HOST);
	cr_expect_eq(info[1].cpu, GM_PROT_READ | GM_PROT_WRITE);
	cr_expect_eq(info[2].where, GM_DEVICE);
	cr_expect_eq(info[2].cpu, 0);
	cr_expect_eq(info[2].device, GM_PROT_READ | GM_PROT_WRITE);
	cr_expect_eq(info[2].hnid, hnid());
	cr_expect_eq(info[3].cpu, GM_PROT_READ);
	cr_expect_eq(info[3].hnid, -1);
	cr_expect_eq(gmi_stats->cpu_faults, faults);
	cr_expect_eq(gmi_stats->h2d_bytes + gmi_stats->d2h_bytes, moved, "nothing was faulted in");
}

Behaviour(double_map)
{
	struct gm_sim *other = behaviour_device("mem=64M");
	unsigned char *p = managed(BYTES);

	fill(p, 0, PAGES, 0);
	cr_assert_eq(protect(p, BYTES, PROT_READ), 0);
	cr_assert_eq(hmadvise(-1, p, BYTES, GM_MADV_READ_MOSTLY), 0);
	expect_device_sees(sim, p, PAGES, 0);
	expect_device_sees(other, p, PAGES, 0);
	expect_all(p, BYTES, GM_DUP);
	cr_assert_eq(hmadvise(-1, p, BYTES, GM_MADV_UNSET_READ_MOSTLY), 0);
	to_device(p, BYTES);
	expect_device_sees(other, p, PAGES, 0);
	expect_device_sees(sim, p, PAGES, 0);
	expect_filled(p, 0, PAGES, 0);
	cr_assert_eq(gm_sim_close(other), 0);
}

Behaviour(exclusive)
{
	unsigned char *p = managed(BYTES);

	fill(p, 0, PAGES, 0);
	to_device(p, BYTES);
	for (size_t i = 0; i < BYTES; i++)
		p[i]++;
	expect_all(p, BYTES, GM_HOST);
	expect_filled(p, 0, PAGES, 1);
	expect_device_sees(sim, p, PAGES, 1);
}

Behaviour(exclusive_mprotect)
{
	unsigned char *p = managed(BYTES);

	fill(p, 0, PAGES, 0);
	to_device(p, BYTES);
	cr_assert_eq(protect(p, BYTES, PROT_READ), 0);
	cr_expect_eq(device_write(sim, p, 1, BYTES), -EPERM);
	expect_device_sees(sim, p, PAGES, 0);
	expect_filled(p, 0, PAGES, 0);
}

Behaviour(pinned)
{
	unsigned char *p = managed(BYTES);

	fill(p, 0, PAGES, 0);
	cr_assert_eq(hmadvise(-1, p + 600 * PAGE, 100 * PAGE, GM_MADV_PINNED), 0);
	cr_assert_eq(device_write(sim, p, 5, BYTES), 0);
	cr_expect_eq(pages_in(p + 600 * PAGE, 100 * PAGE, GM_REMOTE), 100);
	cr_expect(all_bytes(p, 5, BYTES));
	unsigned hold = gmi_hold(p, 10 * PAGE, true); /* as a system call does */
	cr_assert_eq(device_write(sim, p, 6, BYTES), 0);
	cr_expect_eq(pages_in(p, 10 * PAGE, GM_REMOTE), 10);
	gmi_unhold(hold);
	cr_expect(all_bytes(p, 6, BYTES));
	cr_assert_eq(hmadvise(-1, p + 600 * PAGE, 100 * PAGE, GM_MADV_UNPINNED), 0);
	to_host(p, BYTES);
	to_device(p, BYTES);
	expect_all(p, BYTES, GM_DEVICE);
	cr_expect(all_bytes(p, 6, BYTES));
}

Test(behaviour, evict)
{
	behaviour_open("mem=64M");
	size_t piece = 8 * MIB, n = 9; /* 9/8 of the device */
	unsigned char *p[9];

	for (size_t i = 0; i < n; i++) {
		p[i] = managed(piece);
		memset(p[i], (int)i, piece);
	}
	for (int round = 0; round < 3; round++)
		for (size_t i = 0; i < n; i++)
			cr_assert_eq(device_write(sim, p[i], (int)i + 10 * round, piece), 0);
	for (size_t i = 0; i < n; i++)
		cr_expect(all_bytes(p[i], (int)i + 20, piece), "piece %zu", i);
	cr_expect_gt(gmi_stats->dev[0].evicted_bytes, 0);
	behaviour_end();
}

Behaviour(granularity)
{
	unsigned char *p = managed(8 * MIB);

	memset(p, 1, 8 * MIB);
	to_device(p, 8 * MIB);
	uint64_t before = gmi_stats->cpu_faults;
	for (size_t i = 0; i < 8 * MIB; i += PAGE)
		p[i]++;
	cr_expect_eq(gmi_stats->cpu_faults - before, 8 * MIB / variant_page);
}

Behaviour(prefetch_quiet)
{
	unsigned char *p = managed(8 * MIB);

	memset(p, 1, 8 * MIB);
	to_device(p, 8 * MIB);
	uint64_t before = device_faults();
	cr_assert_eq(device_write(sim, p, 2, 8 * MIB), 0);
	cr_expect_eq(device_faults(), before);
	cr_expect(all_bytes(p, 2, 8 * MIB));
}

Behaviour(ping_pong)
{
	unsigned char *p = managed(16 * MIB);

	for (int round = 0; round < 8; round++) {
		cr_assert_eq(device_write(sim, p, round + 1, 16 * MIB), 0);
		cr_assert(all_bytes(p, round + 1, 16 * MIB), "round %d", round);
	}
	cr_expect_gt(gmi_stats->thrash_leaves, 0, "seen");
}

Behaviour(bad_address)
{
	unsigned char *p = managed(2 * MIB);
	struct gm_launch_result r;
	struct ds_mem_args a = {.dst = p, .bytes = 2 * MIB, .value = 1};
	static char foreign[PAGE];

	cr_assert_eq(gm_munmap(p + MIB, MIB), 0);
	cr_expect_eq(launch_mem(sim, "memset", 1, a, &r), -EFAULT);
	cr_expect_eq(r.fault_addr, (uintptr_t)p + MIB);
	a.dst = foreign;
	a.bytes = 1;
	cr_expect_eq(launch_mem(sim, "memset", 1, a, &r), -EFAULT, "memory that is not managed");
	a.dst = NULL;
	cr_expect_eq(launch_mem(sim, "memset", 1, a, &r), -EFAULT);
	cr_expect(all_bytes(p, 1, MIB), "the program lives, and so does the device:");
	cr_expect_eq(device_write(sim, p, 2, MIB), 0);
	cr_expect(all_bytes(p, 2, MIB));
}

Behaviour(bad_args)
{
	unsigned char *p = managed(2 * MIB);
	static char foreign[2 * PAGE];
	const size_t most = (size_t)-1;

	memset(p, 1, 2 * MIB);
	cr_expect_eq(hmadvise(hnid(), NULL, PAGE, MADV_PREFETCH), -EINVAL);
	cr_expect_eq(hmadvise(hnid(), (void *)most, most, MADV_PREFETCH), -EINVAL,
		     "this once panicked a kernel");
	cr_expect_eq(hmadvise(hnid(), p, most / 2, MADV_PREFETCH), -EFAULT);
	cr_expect_eq(hmadvise(hnid(), foreign, PAGE, MADV_PREFETCH), -EFAULT);
	cr_expect_eq(hmadvise(hnid(), p, PAGE, 9999), -EINVAL);
	cr_expect_eq(hmadvise(hnid() + 77, p, PAGE, MADV_PREFETCH), -ENODEV);
	cr_expect_eq(hmadvise(-2, p, PAGE, MADV_PREFETCH), -EINVAL);
	cr_expect_eq(hmemcpy(hnid(), NULL, p, 1), -EINVAL);
	cr_expect_eq(hmemcpy(hnid(), p, NULL, 1), -EINVAL);
	cr_expect_eq(hmemcpy(hnid(), p, p + PAGE, most), -EINVAL);
	cr_expect_eq(hmemcpy(hnid() + 77, p, p + PAGE, 1), -ENODEV);
	cr_expect_eq(gm_query(p + 1, PAGE, NULL), -EINVAL);
	cr_expect_eq(gm_dev_fault(gm_as_default(), 4096, gm_sim_dev(sim), GM_HINT_READ), -EFAULT);
	cr_expect_eq(gm_dev_fault(NULL, (uintptr_t)p, gm_sim_dev(sim), GM_HINT_READ), -EINVAL);
	expect_all(p, 2 * MIB, GM_HOST);
	cr_expect(all_bytes(p, 1, 2 * MIB));
}

Behaviour(tiny_async, .timeout = 20)
{
	unsigned char *p = managed(2 * PAGE);

	for (size_t bytes = 1; bytes <= 2; bytes++)
		for (size_t off = 0; off < 2; off++) {
			p[0] = p[PAGE] = 3;
			to_device(p + PAGE - off, bytes);
			to_host(p + PAGE - off, bytes);
			cr_assert_eq(hmadvise(-1, p + PAGE - off, bytes, MADV_DONTNEED), 0);
			cr_expect_eq(p[0], 3, "rounded inward: nothing");
		}
	cr_expect_eq(gm_munmap(p, 1), 0);
	cr_expect_eq(gm_munmap(p + PAGE, 2), 0);
}

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
