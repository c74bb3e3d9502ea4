/*
 * mmap, munmap, mprotect, mremap and madvise on pages that a device may hold: named behaviours.
 * (Random steps against a model: test_reference.c. Without a device, against the kernel itself:
 * test/e2e/mmap_contract.c.)
 */
#include "expect_fault.h"
#include "fake_dev.h"
#include "core/space/vm.h"
#include "core/page/activate.h"

#include <setjmp.h>
#include <signal.h>
#include <stdio.h>

#define PAGE GM_PAGE_BYTES
#define MIB  ((size_t)1 << 20)
#define RW   (PROT_READ | PROT_WRITE)
#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)

static struct gm_as *as;
static struct fake_dev dev;

static void open_all(size_t page_bytes)
{
	struct sigaction sa = {.sa_handler = on_fault};
	if (!atomic_load(&gmi_active))
		/* before a page leaves: core's handler chains to it */
		sigaction(SIGSEGV, &sa, NULL);
	gmi_opt.prefetch = GM_PREFETCH_NONE;
	gmi_opt.retain_bytes = 4 * MIB;
	cr_assert_eq(gm_as_create(0, 256 * MIB, &as), 0);
	fake_open(&dev, as, 32 * MIB, page_bytes, true);
}

static void close_all(void)
{
	fake_close(&dev);
	cr_assert_eq(gm_as_destroy(as), 0);
}

static unsigned char *map(size_t bytes, int prot)
{
	void *p = gmi_vm_map(as, bytes, 0, prot, ANON, GM_REGION_ANON, 0);
	cr_assert(!gm_is_err(p));
	return p;
}

/* Pages first..first+n-1 of p, each with its number in the first byte, on the device. */
static unsigned char *away(size_t pages)
{
	unsigned char *p = map(pages * PAGE, RW);
	for (size_t i = 0; i < pages; i++)
		p[i * PAGE] = (unsigned char)(i + 1);
	/* -EBUSY: the last ones are no whole device page, and are mapped on the host */
	int err = hmadvise(gm_dev_hnid(dev.dev), p, pages * PAGE, MADV_PREFETCH);
	cr_assert(!err || err == -EBUSY);
	return p;
}

/* What the CPU may do with a page: -1 nothing, 0 read, 1 write. */
static int cpu_rights(volatile unsigned char *p)
{
	volatile int rights = -1;
	fault_expected = 1;
	if (sigsetjmp(fault_env, 1) == 0) {
		unsigned char c = *p;
		rights = 0;
		*p = c;
		rights = 1;
	}
	fault_expected = 0;
	return rights;
}

static void expect_bytes(unsigned char *p, size_t first, size_t end, int add)
{
	for (size_t i = first; i < end; i++)
		cr_assert_eq(p[i * PAGE], (unsigned char)(i + (size_t)add), "page %zu: %d", i,
			     p[i * PAGE]);
}

Test(vm, partial_unmap_fault)
{
	for (size_t at = 0; at <= MIB; at += MIB / 2) {
		unsigned char c = 0;
		open_all(65536);
		unsigned char *p = away(512);
		size_t lo = at / PAGE, hi = lo + MIB / PAGE;
		cr_assert_eq(gmi_vm_unmap(as, p + at, MIB), 0);
		for (size_t i = 0; i < 512; i++) {
			bool gone = i >= lo && i < hi;
			cr_assert_eq(fake_read(&dev, p + i * PAGE, &c), gone ? -EFAULT : 0);
			cr_assert(gone || c == (unsigned char)(i + 1));
			cr_assert_eq(cpu_rights(p + i * PAGE), gone ? -1 : 1);
		}
		expect_bytes(p, 0, lo, 1);
		expect_bytes(p, hi, 512, 1);
		close_all();
	}
}

Test(vm, remap_fault)
{
	for (int flags = MREMAP_MAYMOVE; flags <= 7; flags += MREMAP_DONTUNMAP) {
		unsigned char c = 0;
		open_all(65536);
		unsigned char *p = away(700), *to = map(1000 * PAGE, PROT_NONE) + 3 * PAGE;
		cr_assert_eq(gmi_vm_remap(as, p + 50 * PAGE, 600 * PAGE, 600 * PAGE,
					  flags | MREMAP_FIXED, to),
			     to);
		for (size_t i = 0; i < 600; i += 7) {
			cr_assert_eq(fake_read(&dev, to + i * PAGE, &c), 0);
			cr_assert_eq(c, (unsigned char)(i + 51));
			cr_assert_eq(fake_read(&dev, p + (i + 50) * PAGE, &c),
				     flags & MREMAP_DONTUNMAP ? 0 : -EFAULT);
			cr_assert(!(flags & MREMAP_DONTUNMAP) || c == 0);
		}
		expect_bytes(p, 0, 50, 1);
		expect_bytes(p, 650, 700, 1);
		expect_bytes(to, 0, 600, 51);
		close_all();
	}
}

Test(vm, grow_and_shrink_on_the_device)
{
	open_all(65536);
	unsigned char *p = away(600);
	cr_assert_eq(gmi_vm_remap(as, p, 600 * PAGE, 1000 * PAGE, 0, NULL), p);
	unsigned char *q = map(PAGE, RW);
	expect_bytes(p, 0, 600, 1);
	cr_assert_eq(p[999 * PAGE], 0);
	cr_assert_eq(hmadvise(gm_dev_hnid(dev.dev), p, 992 * PAGE, MADV_PREFETCH), 0);
	unsigned char *moved = gmi_vm_remap(as, p, 1000 * PAGE, 20000 * PAGE, MREMAP_MAYMOVE, NULL);
	cr_assert(!gm_is_err(moved));
	expect_bytes(moved, 0, 600, 1);
	cr_assert_eq(gmi_vm_remap(as, moved, 20000 * PAGE, 10 * PAGE, 0, NULL), moved);
	expect_bytes(moved, 0, 10, 1);
	cr_assert_eq(cpu_rights(moved + 10 * PAGE), -1);
	cr_assert_eq(q[0], 0);
	close_all();
}

Test(vm, huge_free)
{
	static const int advice[] = {MADV_DONTNEED, MADV_FREE};
	unsigned char c = 0;

	open_all(65536);
	for (int k = 0; k < 2; k++) {
		unsigned char *p = away(512);
		cr_assert_eq(gmi_vm_advise(as, p + PAGE, 510 * PAGE, advice[k]), 0);
		cr_assert_eq(fake_read(&dev, p + 100 * PAGE, &c), 0);
		cr_assert_eq(c, 0);
		cr_assert_eq(p[0], 1);
		cr_assert_eq(p[511 * PAGE], 0, "512 as a byte");
		for (size_t i = 1; i < 511; i++)
			cr_assert_eq(p[i * PAGE], 0);
	}
	close_all();
}

Test(vm, dontneed_reaches_the_copies_of_read_mostly_pages)
{
	unsigned char c = 1;

	open_all(65536);
	unsigned char *p = map(16 * PAGE, RW);
	memset(p, 5, 16 * PAGE);
	cr_assert_eq(hmadvise(-1, p, 16 * PAGE, GM_MADV_READ_MOSTLY), 0);
	cr_assert_eq(fake_read(&dev, p, &c), 0);
	cr_assert_eq(gmi_vm_advise(as, p, 16 * PAGE, MADV_DONTNEED), 0);
	cr_assert_eq(fake_read(&dev, p, &c), 0);
	cr_assert_eq(c, 0);
	cr_assert_eq(p[0], 0);
	close_all();
}

Test(vm, a_freed_block_leaves_the_device_without_a_copy)
{
	open_all(65536);
	unsigned char *p = away(512);
	uint64_t copied = gmi_stats->d2h_bytes, faults = gmi_stats->cpu_faults;
	gmi_vm_forget(as, p + 16 * PAGE + 1, 256 * PAGE);
	p[20 * PAGE] = 1;
	cr_assert_eq(gmi_stats->d2h_bytes, copied);
	cr_assert_eq(gmi_stats->cpu_faults, faults, "no fault: fresh memory");
	cr_assert_eq(p[16 * PAGE], 17, "a page that is only partly covered keeps its bytes");
	cr_assert_eq(p[17 * PAGE], 0);
	close_all();
}

Test(vm, foreign_memory_in_the_window_is_never_taken)
{
	unsigned char c = 0;

	open_all(65536);
	unsigned char *p = away(64);
	int fd = memfd_create("file", 0);
	cr_assert_eq(ftruncate(fd, (off_t)PAGE), 0);
	cr_assert_eq(gmi_vm_map_fixed(as, p + PAGE, PAGE, RW, MAP_SHARED | MAP_FIXED, fd, 0, 0),
		     p + PAGE);
	cr_assert_eq(fake_read(&dev, p + PAGE, &c), -EFAULT);
	cr_assert_eq(fake_read(&dev, p + 2 * PAGE, &c), 0);
	p[PAGE] = 77;
	cr_assert_eq(pread(fd, &c, 1, 0), 1);
	cr_assert_eq(c, 77);
	cr_assert_eq(gmi_vm_protect(as, p + 4 * PAGE, PAGE, RW | PROT_EXEC), 0);
	cr_assert_eq(p[4 * PAGE], 5);
	cr_assert_eq(fake_read(&dev, p + 4 * PAGE, &c), -EFAULT);
	cr_assert_eq(gmi_vm_protect(as, p + 4 * PAGE, PAGE, RW), 0);
	cr_assert_eq(fake_read(&dev, p + 4 * PAGE, &c), 0);
	cr_assert_eq(c, 5);
	cr_assert_eq(gmi_vm_advise(as, p + 6 * PAGE, PAGE, MADV_DONTFORK), 0);
	cr_assert_eq(fake_read(&dev, p + 6 * PAGE, &c), -EFAULT);
	cr_assert_eq(p[6 * PAGE], 7);
	close(fd);
	close_all();
}

Test(vm, failures_change_nothing)
{
	open_all(65536);
	unsigned char *p = away(64);
	cr_assert_eq(gm_err(gmi_vm_map_fixed(as, p + PAGE, PAGE, RW, MAP_PRIVATE | MAP_FIXED, 999,
					     0, 0)),
		     -EBADF);
	cr_assert_eq(gm_err(gmi_vm_map_fixed(as, p + PAGE, PAGE, RW, ANON | MAP_FIXED_NOREPLACE, -1,
					     0, 0)),
		     -EEXIST);
	cr_assert_eq(gm_err(gmi_vm_map(as, 300 * MIB, 0, RW, ANON, GM_REGION_ANON, 0)), -ENOMEM);
	cr_assert_eq(gm_err(gmi_vm_remap(as, p, 64 * PAGE, 80000 * PAGE, MREMAP_MAYMOVE, NULL)),
		     -ENOMEM);
	cr_assert_eq(gm_err(gmi_vm_remap(as, p, 0, PAGE, MREMAP_MAYMOVE, NULL)), -EINVAL);
	cr_assert_eq(gmi_vm_advise(as, p, 64 * PAGE, MADV_REMOVE), -EINVAL);
	cr_assert_eq(gmi_vm_advise(as, p, 64 * PAGE, 9999), -EINVAL);
	expect_bytes(p, 0, 64, 1);
	close_all();
}

Test(vm, mincore_sees_pages_that_are_away)
{
	unsigned char vec[8];

	open_all(65536);
	unsigned char *p = map(32 * PAGE, RW);
	p[2 * PAGE] = 1;
	cr_assert_eq(gmi_vm_mincore(as, p, 8 * PAGE, vec), 0);
	cr_assert(!(vec[1] & 1) && (vec[2] & 1));
	cr_assert_eq(fake_write(&dev, p + 2 * PAGE, 4), 0);
	cr_assert_eq(gmi_vm_mincore(as, p, 8 * PAGE, vec), 0);
	cr_assert(vec[2] & 1);
	cr_assert_eq(gmi_vm_unmap(as, p + 4 * PAGE, PAGE), 0);
	cr_assert_eq(gmi_vm_mincore(as, p, 8 * PAGE, vec), -ENOMEM);
	cr_assert(!gmi_vm_covered(as, p, 8 * PAGE) && gmi_vm_covered(as, p, 4 * PAGE));
	close_all();
}

Test(vm, straddling_the_edge_of_the_window)
{
	open_all(65536);
	unsigned char *edge = (unsigned char *)as->base + as->bytes, *p = edge - 2 * PAGE;
	cr_assert_eq(gmi_vm_map_fixed(as, p, 4 * PAGE, RW, ANON | MAP_FIXED, -1, 0, 0), p);
	for (size_t i = 0; i < 4; i++)
		p[i * PAGE] = (unsigned char)(i + 1);
	cr_assert_eq(hmadvise(gm_dev_hnid(dev.dev), p, 2 * PAGE, MADV_PREFETCH), -EBUSY);
	cr_assert_eq(
		gm_err(gmi_vm_map_fixed(as, p, 4 * PAGE, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0, 0)),
		-EEXIST);
	expect_bytes(p, 0, 4, 1);
	cr_assert_eq(gmi_vm_protect(as, p, 4 * PAGE, PROT_READ), 0);
	cr_assert_eq(cpu_rights(p + PAGE), 0);
	cr_assert_eq(cpu_rights(p + 2 * PAGE), 0);
	cr_assert_eq(gmi_vm_advise(as, p + PAGE, 2 * PAGE, MADV_DONTNEED), 0);
	cr_assert(p[0] == 1 && p[PAGE] == 0 && p[2 * PAGE] == 0 && p[3 * PAGE] == 4);
	cr_assert_eq(gmi_vm_unmap(as, p, 4 * PAGE), 0);
	for (size_t i = 0; i < 4; i++)
		cr_assert_eq(cpu_rights(p + i * PAGE), -1);
	close_all();
}

static int taken_on_device;
static int refuse_some(void *pmap, uint64_t va, uint64_t len, int prot)
{
	return taken_on_device-- > 0 ? -EBUSY : 0;
}

Test(vm, an_address_taken_on_a_device_is_not_used)
{
	open_all(65536);
	unsigned char *first = map(PAGE, RW);
	dev.mmu.peer_va_alloc_fixed = refuse_some;
	taken_on_device = 9;
	unsigned char *p = map(PAGE, RW);
	cr_assert_gt(p, first + 8 * PAGE);
	taken_on_device = 10;
	cr_assert_eq(gm_err(gmi_vm_map(as, PAGE, 0, RW, ANON, GM_REGION_ANON, 0)), -ENOMEM);
	taken_on_device = 0;
	close_all();
}

/* As the kernel lets them: by faults, at a distance from what can be accessed. */
Test(vm, mappings_that_grow_down)
{
	open_all(PAGE);
	away(1); /* core's handler is in */
	unsigned char *m = map(4 * MIB, PROT_NONE), *at = m + 3 * MIB;
	cr_assert_eq(gmi_vm_unmap(as, m, 4 * MIB), 0);
	cr_assert_eq(cpu_rights(at - PAGE), -1);
	void *got =
		gmi_vm_map_fixed(as, at, 16 * PAGE, RW, ANON | MAP_FIXED | MAP_GROWSDOWN, -1, 0, 0);
	cr_assert_eq(got, at);
	cr_assert_eq(cpu_rights(at - 300 * PAGE), 1);
	cr_assert_eq(cpu_rights(at - 299 * PAGE), 1);
	cr_assert_eq(cpu_rights(at + 16 * PAGE), -1);
	got = gmi_vm_map_fixed(as, at - 700 * PAGE, PAGE, RW, ANON | MAP_FIXED, -1, 0, 0);
	cr_assert_eq(got, at - 700 * PAGE);
	cr_assert_eq(cpu_rights(at - 450 * PAGE), -1);
	cr_assert_eq(cpu_rights(at - 440 * PAGE), 1);
	cr_assert_eq(cpu_rights(at - 441 * PAGE), 1);
	close_all();
}
