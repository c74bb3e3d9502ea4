/*
 * Pages between the CPU and an in-process device (fake_dev.h): each behaviour by name. The CPU
 * side is real: PROT_NONE pages, SIGSEGV, our handler. (Random steps against a model:
 * test_reference.c.)
 */
#include "one_dev.h"
#include <gmem/sparse.h>
#include "core/entry/pin.h"
#include "core/space/vm.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static size_t page_bytes; /* 0: the variant's */

static void open_all(size_t dev_bytes)
{
	gmi_opt.retain_bytes = 8 * MIB;
	page_bytes = page_bytes ? page_bytes : variant_page;
	open_one(dev_bytes, page_bytes);
}

static void to_device(void *p, size_t bytes)
{
	cr_assert_eq(hmadvise(gm_dev_hnid(dev.dev), p, bytes, MADV_PREFETCH), 0);
}

#define expect_read(p, v)                                                                          \
	do {                                                                                       \
		unsigned char got_;                                                                \
		cr_assert_eq(fake_read(&dev, (p), &got_), 0);                                      \
		cr_assert_eq(got_, (unsigned char)(v), "device read %u, not %u", got_,             \
			     (unsigned char)(v));                                                  \
	} while (0)

Test(migrate, anon_read)
{
	open_all(32 * MIB);
	unsigned char *p = map_with(1024 * PAGE, PROT_READ | PROT_WRITE);
	for (int i = 2; i < 1024; i++)
		p[i * PAGE] = (unsigned char)i;
	cr_assert_eq(where(p), GM_NOMAP);
	cr_assert_eq(where(p + 2 * PAGE), GM_HOST);
	for (int i = 0; i < 1024; i++)
		expect_read(p + i * PAGE, i < 2 ? 0 : i);
	cr_assert_eq(where(p + 5 * PAGE), GM_DEVICE);
	cr_assert_eq(dev.faults, 1024 * PAGE / page_bytes, "one fault per device page");
	for (int i = 0; i < 1024; i++)
		cr_assert_eq(p[i * PAGE], i < 2 ? 0 : (unsigned char)i);
	close_all();
}

Test(migrate, anon_read_prot)
{
	unsigned char c = 0;
	open_all(32 * MIB);
	unsigned char *p = map_with(64 * PAGE, PROT_READ | PROT_WRITE);
	memset(p, 7, 64 * PAGE);
	cr_assert_eq(gmi_vm_protect(as, p, 64 * PAGE, PROT_NONE), 0);
	cr_assert_eq(fake_read(&dev, p, &c), -EFAULT);
	cr_assert_eq(where(p), GM_HOST);
	cr_assert_eq(gmi_vm_protect(as, p, 64 * PAGE, PROT_READ), 0);
	expect_read(p, 7);
	cr_assert_eq(p[PAGE], 7);
	close_all();
}

Test(migrate, anon_write)
{
	open_all(32 * MIB);
	unsigned char *p = map_with(64 * PAGE, PROT_READ | PROT_WRITE);
	for (int i = 0; i < 64; i++)
		cr_assert_eq(fake_write(&dev, p + i * PAGE, (unsigned char)(i + 1)), 0);
	for (int i = 0; i < 64; i++) {
		cr_assert_eq(p[i * PAGE], i + 1);
		cr_assert_eq(p[i * PAGE + 1], 0);
	}
	close_all();
}

Test(migrate, anon_write_prot)
{
	open_all(32 * MIB);
	unsigned char *p = map_with(64 * PAGE, PROT_READ | PROT_WRITE);
	memset(p, 9, 64 * PAGE);
	cr_assert_eq(gmi_vm_protect(as, p, 64 * PAGE, PROT_READ), 0);
	expect_read(p + 3 * PAGE, 9);
	cr_assert_eq(fake_write(&dev, p + 3 * PAGE, 1), -EPERM);
	cr_assert_eq(p[3 * PAGE], 9);
	cr_assert_eq(gmi_vm_protect(as, p, 64 * PAGE, PROT_READ | PROT_WRITE), 0);
	cr_assert_eq(fake_write(&dev, p + 3 * PAGE, 1), 0);
	cr_assert_eq(p[3 * PAGE], 1);
	close_all();
}

Test(migrate, migrate_multiple)
{
	open_all(32 * MIB);
	unsigned char *p = map_with(1024 * PAGE, PROT_READ | PROT_WRITE);
	for (int round = 0; round < 10; round++) {
		for (int i = 0; i < 1024; i++)
			p[i * PAGE] = (unsigned char)(i + round);
		to_device(p, 1024 * PAGE);
		for (int i = 0; i < 1024; i++)
			expect_read(p + i * PAGE, i + round);
		if (round % 2)
			cr_assert_eq(hmadvise(-1, p, 1024 * PAGE, MADV_PREFETCH), 0);
		for (int i = 0; i < 1024; i++)
			cr_assert_eq(p[i * PAGE], (unsigned char)(i + round));
	}
	close_all();
}

static unsigned char *four_mib_on_device(int byte)
{
	open_all(32 * MIB);
	unsigned char *p = map_with(4 * MIB, PROT_READ | PROT_WRITE);
	memset(p, byte, 4 * MIB);
	to_device(p, 4 * MIB);
	return p;
}

Test(migrate, granularity)
{
	unsigned char *p = four_mib_on_device(1);
	uint64_t before = gmi_stats->cpu_faults;
	for (size_t i = 0; i < 4 * MIB; i += PAGE)
		p[i]++;
	cr_assert_eq(gmi_stats->cpu_faults - before, 4 * MIB / page_bytes);
	close_all();
}

Test(migrate, prefetch_quiet)
{
	unsigned char *p = four_mib_on_device(3);
	for (size_t i = 0; i < 4 * MIB; i += PAGE)
		expect_read(p + i, 3);
	cr_assert_eq(dev.faults, 0);
	close_all();
}

Test(migrate, pinned)
{
	open_all(32 * MIB);
	const size_t n = gm_max(64 * PAGE, 2 * page_bytes);
	unsigned char *p = map_with(n, PROT_READ | PROT_WRITE);
	memset(p, 5, n);
	cr_assert_eq(hmadvise(-1, p + n / 2, PAGE, GM_MADV_PINNED), 0);
	for (size_t i = 0; i < n; i += PAGE)
		expect_read(p + i, 5);
	cr_assert_eq(where(p + n / 2), GM_REMOTE);
	cr_assert_eq(where(p + n / 2 - PAGE), GM_DEVICE);
	cr_assert_eq(where(p + n / 2 + PAGE), page_bytes > PAGE ? GM_REMOTE : GM_DEVICE,
		     "a device page is given whole");
	cr_assert_eq(fake_write(&dev, p + n / 2, 6), 0);
	cr_assert_eq(p[n / 2], 6, "both sides see one page");
	p[n / 2] = 8;
	expect_read(p + n / 2, 8);
	cr_assert_eq(hmadvise(-1, p + n / 2, PAGE, GM_MADV_UNPINNED), 0);
	close_all();
}

/* fake_dev.h looks at its entries as the bytes are copied. */
Test(migrate, what_was_pinned_is_out_of_reach_while_it_moves_to_the_device)
{
	unsigned char c;

	gmi_opt.prefetch = GM_PREFETCH_NONE;
	cr_assert_eq(gm_as_create(0, 256 * MIB, &as), 0);
	fake_open(&dev, as, 32 * MIB, variant_page, false);
	unsigned char *p = map_with(2 * MIB, PROT_READ | PROT_WRITE);
	memset(p, 5, 2 * MIB);
	cr_assert_eq(hmadvise(-1, p, 2 * MIB, GM_MADV_PINNED), 0);
	for (size_t i = 0; i < 2 * MIB; i += PAGE)
		cr_assert_eq(fake_write(&dev, p + i, 6), 0);
	cr_assert_eq(where(p), GM_REMOTE);
	cr_assert_eq(gmi_pin_range(p, 2 * MIB, false), 0);
	to_device(p, 2 * MIB);
	cr_assert_eq(where(p), GM_DEVICE);
	for (size_t i = 0; i < 2 * MIB; i += PAGE) {
		cr_assert_eq(fake_read(&dev, p + i, &c), 0);
		cr_assert_eq(c, 6);
	}
	cr_assert_eq(p[PAGE + 1], 5);
	close_all();
}

Test(migrate, read_mostly_pages_are_duplicated)
{
	open_all(32 * MIB);
	const size_t n = gm_max(64 * PAGE, variant_page);
	unsigned char *p = map_with(n, PROT_READ | PROT_WRITE);
	memset(p, 5, n);
	cr_assert_eq(hmadvise(-1, p, n, GM_MADV_READ_MOSTLY), 0);
	expect_read(p, 5);
	cr_assert_eq(where(p), GM_DUP);
	uint64_t before = gmi_stats->cpu_faults;
	cr_assert_eq(p[0], 5);
	cr_assert_eq(gmi_stats->cpu_faults, before, "the CPU reads its own copy");
	p[0] = 6;
	cr_assert_eq(where(p), GM_HOST);
	expect_read(p, 6);
	cr_assert_eq(fake_write(&dev, p, 7), 0);
	cr_assert_eq(where(p), GM_DEVICE);
	cr_assert_eq(p[0], 7);
	/* the CPU has a copy of the device's now: its store is a fault, which takes that back */
	cr_assert_eq(where(p), GM_DUP);
	cr_assert_eq(fake_write(&dev, p, 9), 0); /* and so is the device's */
	cr_assert_eq(p[0], 9);
	p[0] = 8;
	cr_assert_eq(where(p), GM_HOST);
	expect_read(p, 8);
	close_all();
}

Test(migrate, evict)
{
	size_t bytes = 36 * MIB;
	open_all(32 * MIB);
	unsigned char *p = map_with(bytes, PROT_READ | PROT_WRITE);
	for (int round = 0; round < 3; round++) {
		for (size_t i = 0; i < bytes; i += PAGE)
			cr_assert_eq(fake_write(&dev, p + i, (unsigned char)(i / PAGE + round)), 0);
		for (size_t i = 0; i < bytes; i += PAGE)
			expect_read(p + i, i / PAGE + round);
	}
	for (size_t i = 0; i < bytes; i += PAGE)
		cr_assert_eq(p[i], (unsigned char)(i / PAGE + 2));
	cr_assert_gt(gmi_stats->dev[dev.dev->index].evicted_bytes, 0);
	close_all();
}

Test(migrate, remote_pages_do_not_stop_eviction)
{
	open_all(32 * MIB);
	unsigned char *flag = map_with(2 * MIB, PROT_READ | PROT_WRITE),
		      *p = map_with(36 * MIB, PROT_READ | PROT_WRITE);
	cr_assert_eq(hmadvise(-1, flag, 2 * MIB, GM_MADV_PINNED), 0);
	/* the coldest that the device has, with no frame */
	cr_assert_eq(fake_write(&dev, flag, 1), 0);
	for (size_t i = 0; i < 36 * MIB; i += PAGE)
		cr_assert_eq(fake_write(&dev, p + i, (unsigned char)(i / PAGE)), 0);
	cr_assert_eq(where(p + 36 * MIB - PAGE), GM_DEVICE);
	cr_assert_eq(where(p), GM_HOST);
	for (size_t i = 0; i < 36 * MIB; i += PAGE)
		cr_assert_eq(p[i], (unsigned char)(i / PAGE));
	close_all();
}

Test(migrate, partial_unmap_fault)
{
	size_t offs[] = {0, MIB / 2, MIB};
	for (int k = 0; k < 3; k++) {
		open_all(32 * MIB);
		unsigned char *p = map_with(2 * MIB, PROT_READ | PROT_WRITE), c;
		for (size_t i = 0; i < 2 * MIB; i += PAGE)
			p[i] = (unsigned char)(i / PAGE);
		to_device(p, 2 * MIB);
		cr_assert_eq(gm_munmap(p + offs[k], MIB), 0);
		for (size_t i = 0; i < 2 * MIB; i += PAGE) {
			bool gone = i >= offs[k] && i < offs[k] + MIB;
			if (gone)
				cr_assert_eq(fake_read(&dev, p + i, &c), -EFAULT);
			else
				cr_assert_eq(p[i], (unsigned char)(i / PAGE));
		}
		close_all();
	}
}

static int fails(void *pmap, const struct gm_op *op)
{
	return -EIO;
}

Test(migrate, err_device_copy_fails)
{
	gmi_opt.prefetch = GM_PREFETCH_NONE;
	cr_assert_eq(gm_as_create(0, 256 * MIB, &as), 0);
	fake_open(&dev, as, 32 * MIB, variant_page, false);
	const size_t n = gm_max(64 * PAGE, variant_page);
	unsigned char *p = map_with(n, PROT_READ | PROT_WRITE), c;
	memset(p, 4, n);
	dev.fail_kind = GM_OP_COPY_IN;
	dev.fail_after = 0;
	cr_assert_eq(fake_read(&dev, p, &c), -EIO);
	uint64_t faults = gmi_stats->cpu_faults;
	cr_assert_eq(p[0], 4, "the page stayed where it was");
	p[1] = 5;
	cr_expect_eq(gmi_stats->cpu_faults, faults, "and the CPU kept its rights");
	expect_read(p + 1, 5);
	dev.mmu.peer_hmemcpy = fails;
	cr_assert_eq(hmadvise(-1, p, PAGE, MADV_PREFETCH), -EIO);
	dev.mmu.peer_hmemcpy = fake_op;
	expect_read(p + 1, 5);
	dev.fail_kind = GM_OP_COPY_OUT;
	dev.fail_after = 0;
	cr_assert_eq(hmadvise(-1, p, PAGE, MADV_PREFETCH), 0, "once: it is tried again");
	cr_assert_eq(p[1], 5);
	dev.fail_kind = GM_OP_MAP;
	dev.fail_after = 0;
	cr_assert_eq(fake_read(&dev, p, &c), -EIO);
	cr_assert_eq(p[1], 5);
	close_all();
}

Test(migrate, err_in_the_middle_of_mapping_leaves_no_entry)
{
	page_bytes = 4096;
	gmi_opt.prefetch = GM_PREFETCH_NONE;
	cr_assert_eq(gm_as_create(0, 256 * MIB, &as), 0);
	fake_open(&dev, as, 32 * MIB, page_bytes, false);
	unsigned char *p = map_with(64 * PAGE, PROT_READ | PROT_WRITE), c;
	memset(p, 4, 64 * PAGE);
	/* Parts the writable pages in two. */
	cr_assert_eq(gmi_vm_protect(as, p + 9 * PAGE, PAGE, PROT_READ), 0);
	dev.fail_kind = GM_OP_MAP;
	dev.fail_after = 1;
	cr_assert_eq(hmadvise(gm_dev_hnid(dev.dev), p, 64 * PAGE, MADV_PREFETCH), -EIO);
	dev.fail_kind = -1;
	cr_assert_eq(gm_munmap(p, 64 * PAGE), 0);
	for (int i = 0; i < 64; i++)
		cr_assert_eq(fake_read(&dev, p + i * PAGE, &c), -EFAULT);
	close_all();
}

Test(migrate, bad_args)
{
	open_all(32 * MIB);
	const size_t n = gm_max(64 * PAGE, variant_page);
	unsigned char *p = map_with(n, PROT_READ | PROT_WRITE);
	int hnid = gm_dev_hnid(dev.dev), local;
	p[0] = 1;
	cr_assert_eq(hmadvise(hnid, NULL, PAGE, MADV_PREFETCH), -EINVAL);
	cr_assert_eq(hmadvise(hnid, (void *)~0ul, (size_t)-1, MADV_PREFETCH), -EINVAL);
	cr_assert_eq(hmadvise(hnid, &local, 4, MADV_PREFETCH), -EFAULT);
	cr_assert_eq(hmadvise(hnid, p, 512 * MIB, MADV_PREFETCH), -EFAULT);
	cr_assert_eq(hmadvise(hnid, p + n, PAGE, MADV_PREFETCH), -EFAULT);
	cr_assert_eq(hmadvise(hnid, p, PAGE, 12345), -EINVAL);
	cr_assert_eq(hmadvise(7, p, PAGE, MADV_PREFETCH), -ENODEV);
	cr_assert_eq(hmemcpy(hnid, NULL, p, 1), -EINVAL);
	cr_assert_eq(hmemcpy(hnid, p + n, p, 1), -EFAULT);
	cr_assert_eq(gm_query(p + 1, PAGE, NULL), -EINVAL);
	cr_assert_eq(gm_dev_fault(as, 4096, dev.dev, GM_HINT_READ), -EFAULT);
	cr_assert_eq(gm_dev_destroy(dev.dev), -EBUSY);
	cr_assert_eq(gm_as_destroy(as), -EBUSY);
	cr_assert_eq(hmadvise(hnid, p, 1, MADV_PREFETCH), 0, "rounds outward");
	cr_assert_eq(where(p), GM_DEVICE);
	cr_assert_eq(hmadvise(-1, p + 1, PAGE, MADV_DONTNEED), 0, "rounds inward: nothing");
	cr_assert_eq(p[0], 1);
	close_all();
}

Test(migrate, hmemcpy_in_all_combinations)
{
	enum { HOST, DEVICE, OUTSIDE, SIDES };
	static unsigned char outside[3 * 65536], check[sizeof outside];
	size_t bytes = sizeof outside - 5000;

	open_all(32 * MIB);
	for (int from = 0; from < SIDES; from++)
		for (int to = 0; to < SIDES; to++) {
			unsigned char *src = from == OUTSIDE
						     ? outside
						     : map_with(4 * MIB, PROT_READ | PROT_WRITE);
			unsigned char *dst =
				to == OUTSIDE ? check : map_with(4 * MIB, PROT_READ | PROT_WRITE);
			src += from == OUTSIDE ? 0 : 2 * MIB - 70000; /* across two blocks */
			dst += to == OUTSIDE ? 0 : 2 * MIB - 100;
			for (size_t i = 0; i < bytes; i++)
				src[i] = (unsigned char)(i * 7 + (size_t)from);
			if (from == DEVICE)
				to_device(src, bytes);
			int hnid = to == DEVICE ? gm_dev_hnid(dev.dev) : -1;
			cr_assert_eq(hmemcpy(hnid, dst, src, bytes), 0, "%d -> %d", from, to);
			if (from == DEVICE)
				cr_assert_eq(where(src + bytes / 2), GM_DEVICE, "the source stays");
			if (to == DEVICE)
				cr_assert_eq(where(dst + bytes / 2), GM_DEVICE,
					     "the destination arrives");
			for (size_t i = 0; i < bytes; i++)
				cr_assert_eq(dst[i], (unsigned char)(i * 7 + (size_t)from),
					     "%d -> %d at %zu", from, to, i);
		}
	unsigned char *p = map_with(MIB, PROT_READ | PROT_WRITE);
	for (size_t i = 0; i < MIB / 2; i++)
		p[i] = (unsigned char)(i * 13);
	cr_assert_eq(hmemcpy(gm_dev_hnid(dev.dev), p + 100000, p, MIB / 2), 0);
	for (size_t i = 0; i < MIB / 2; i++)
		cr_assert_eq(p[100000 + i], (unsigned char)(i * 13), "overlapping ranges, at %zu",
			     i);
	cr_assert_eq(gmi_vm_protect(as, p, MIB, PROT_READ), 0);
	cr_assert_eq(hmemcpy(-1, p, outside, 10), -EPERM);
	close_all();
}

Test(migrate, err_device_memory_full_of_what_must_stay)
{
	/* One 2 MiB frame, two blocks: while the first is locked down by being the only
	 * candidate, data stays right. */
	page_bytes = 2 * MIB;
	open_all(2 * MIB);
	unsigned char *p = map_with(6 * MIB, PROT_READ | PROT_WRITE);
	for (int round = 0; round < 3; round++)
		for (size_t i = 0; i < 6 * MIB; i += MIB) {
			cr_assert_eq(fake_write(&dev, p + i, (unsigned char)(i / MIB + round)), 0);
			expect_read(p + i, i / MIB + round);
		}
	for (size_t i = 0; i < 6 * MIB; i += MIB)
		cr_assert_eq(p[i], (unsigned char)(i / MIB + 2));
	close_all();
}

/* Their frames had been somebody's. */
Test(migrate, pages_that_were_given_back_are_zeros_on_the_device)
{
	open_all(2 * MIB);
	unsigned char *p = map_with(2 * MIB, PROT_READ | PROT_WRITE);
	for (size_t i = 0; i < 2 * MIB; i += PAGE)
		cr_assert_eq(fake_write(&dev, p + i, 5), 0);
	cr_assert_eq(hmadvise(-1, p, 2 * MIB, MADV_DONTNEED), 0);
	for (size_t i = 0; i < 2 * MIB; i += PAGE)
		expect_read(p + i, 0);
	close_all();
}

/* Nothing can go: a buffer object has all of the memory. */
Test(migrate, a_device_without_any_room_works_over_the_bus)
{
	struct gm_bo *all;
	open_all(2 * MIB);
	unsigned char *p = map_with(2 * MIB, PROT_READ | PROT_WRITE);
	p[0] = 5;
	cr_assert_eq(gm_bo_create(dev.dev, 2 * MIB, &all), 0);
	expect_read(p, 5);
	cr_assert_eq(fake_write(&dev, p, 6), 0);
	cr_expect_eq(where(p), GM_REMOTE);
	cr_expect_eq(p[0], 6);
	cr_assert_eq(gm_bo_destroy(all), 0);
	close_all();
}

Test(migrate, alternating_pages_do_not_run_out_of_vmas)
{
	/* every second one away would need more VMAs than vm.max_map_count allows */
	size_t pages = 80000;
	page_bytes = 4096;
	gmi_opt.prefetch = GM_PREFETCH_NONE;
	gmi_opt.retain_bytes = 8 * MIB;
	cr_assert_eq(gm_as_create(0, 1024 * MIB, &as), 0);
	fake_open(&dev, as, 512 * MIB, page_bytes, true);
	unsigned char *p = map_with(pages * PAGE, PROT_READ | PROT_WRITE);
	for (size_t i = 0; i < pages; i++)
		p[i * PAGE] = (unsigned char)i;
	for (size_t i = 0; i < pages; i += 2)
		cr_assert_eq(fake_write(&dev, p + i * PAGE, (unsigned char)(i + 1)), 0);
	for (size_t i = 0; i < pages; i++)
		cr_assert_eq(p[i * PAGE], (unsigned char)(i % 2 ? i : i + 1));
	close_all();
}

/* Does the mapping at p go into a core file? (VmFlags of /proc/self/smaps: "dd" says no) */
static bool is_dumped(const void *p)
{
	char line[256];
	uintptr_t lo, hi;
	bool here = false, dumped = false;
	FILE *f = fopen("/proc/self/smaps", "r");

	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx-%lx ", &lo, &hi) == 2)
			here = (uintptr_t)p >= lo && (uintptr_t)p < hi;
		else if (here && !strncmp(line, "VmFlags:", 8))
			dumped = !strstr(line, " dd");
	}
	cr_assert(f);
	fclose(f);
	return dumped;
}

/* A crash with pages away must not fill a window of 4 TiB with memory to write it out. */
Test(migrate, core_has_the_programs_memory_once)
{
	open_all(16 * MIB);
	unsigned char *p = map_with(2 * MIB, PROT_READ | PROT_WRITE);
	memset(p, 3, 2 * MIB);
	to_device(p, MIB);
	expect_read(p + MIB, 3);
	cr_assert(is_dumped(p));
	cr_assert(is_dumped(p + MIB));
	cr_assert_not(is_dumped(as->store.alias + (p - (unsigned char *)as->base)));
	cr_assert_not(is_dumped(as->store.mold + (p - (unsigned char *)as->base)));
	close_all();
}
