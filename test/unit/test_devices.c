/*
 * More than one: devices in a space, spaces of a process, one device in several spaces; and the three modes
 * of attachment.
 */
#include "../../core/vm.h"
#include "fake_dev.h"

#define PAGE GM_PAGE_BYTES
#define MIB  ((size_t)1 << 20)

static struct gm_as *as;

static unsigned char *map(struct gm_as *in, size_t bytes)
{
	void *p = gm_mmap(in, NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	cr_assert_neq(p, MAP_FAILED);
	return p;
}

static struct gm_page_info query(void *p)
{
	struct gm_page_info info;
	cr_assert_eq(gm_query(p, PAGE, &info), 0);
	return info;
}

static unsigned char device_read(struct fake_dev *f, void *p)
{
	unsigned char c = 0;

	cr_assert_eq(fake_read(f, p, &c), 0);
	return c;
}

static void setup(void)
{
	gmi_opt.prefetch = GM_PREFETCH_NONE;
	gmi_opt.retain_bytes = MIB;
	cr_assert_eq(gm_as_create(0, 64 * MIB, &as), 0);
}

Test(devices, a_page_migrates_between_two_devices, .init = setup)
{
	struct fake_dev a, b;
	fake_open(&a, as, 8 * MIB, 65536, true);
	fake_open(&b, as, 8 * MIB, 4096, false); /* another page size, no aperture */
	unsigned char *p = map(as, MIB);
	for (size_t i = 0; i < MIB; i += PAGE)
		p[i] = (unsigned char)(i / PAGE);
	for (int round = 0; round < 3; round++)
		for (size_t i = 0; i < MIB; i += PAGE) {
			unsigned char v = (unsigned char)(i / PAGE + 2 * (size_t)round);
			cr_assert_eq(device_read(&a, p + i), v);
			cr_assert_eq(query(p + i).hnid, gm_dev_hnid(a.dev));
			cr_assert_eq(fake_write(&a, p + i, (unsigned char)(v + 1)), 0);
			cr_assert_eq(device_read(&b, p + i), (unsigned char)(v + 1));
			cr_assert_eq(query(p + i).hnid, gm_dev_hnid(b.dev));
			cr_assert_eq(query(p + i).where, GM_DEVICE);
			cr_assert_eq(fake_write(&b, p + i, (unsigned char)(v + 2)), 0);
		}
	for (size_t i = 0; i < MIB; i += PAGE)
		cr_assert_eq(p[i], (unsigned char)(i / PAGE + 6));
	fake_close(&a);
	fake_close(&b);
	cr_assert_eq(gm_as_destroy(as), 0);
}

Test(devices, double_map, .init = setup)
{
	struct fake_dev a, b;
	fake_open(&a, as, 8 * MIB, 65536, true);
	fake_open(&b, as, 8 * MIB, 65536, true);
	unsigned char *p = map(as, MIB);
	memset(p, 3, MIB);
	cr_assert_eq(hmadvise(-1, p, MIB, GM_MADV_READ_MOSTLY), 0);
	cr_assert_eq(device_read(&a, p), 3);
	cr_assert_eq(device_read(&b, p), 3);
	cr_assert_eq(query(p).where, GM_DUP);
	unsigned faults = a.faults + b.faults;
	cr_assert_eq(device_read(&a, p), 3);
	cr_assert_eq(device_read(&b, p), 3);
	cr_assert_eq(a.faults + b.faults, faults, "both read their own copies");
	cr_assert_eq(fake_write(&a, p, 4), 0);
	cr_assert_eq(query(p).where, GM_DEVICE);
	cr_assert_eq(device_read(&b, p), 4);
	cr_assert_eq(p[0], 4);
	fake_close(&a);
	fake_close(&b);
}

Test(devices, mode_share_leaves_pages_on_the_host, .init = setup)
{
	struct fake_dev f;
	fake_open_mode(&f, as, 8 * MIB, 65536, true, GM_MMU_MODE_SHARE);
	unsigned char *p = map(as, MIB);
	p[0] = 1;
	cr_assert_eq(device_read(&f, p), 1);
	cr_assert_eq(query(p).where, GM_REMOTE);
	cr_assert_eq(fake_write(&f, p, 2), 0);
	uint64_t faults = gmi_stats->cpu_faults;
	cr_assert_eq(p[0], 2);
	p[0] = 3;
	cr_assert_eq(gmi_stats->cpu_faults, faults);
	cr_assert_eq(device_read(&f, p), 3);
	fake_close(&f);
}

Test(devices, mode_replicate_gives_readers_copies, .init = setup)
{
	struct fake_dev f;
	fake_open_mode(&f, as, 8 * MIB, 65536, true, GM_MMU_MODE_REPLICATE);
	unsigned char *p = map(as, MIB);
	p[0] = 1;
	cr_assert_eq(device_read(&f, p), 1);
	cr_assert_eq(query(p).where, GM_DUP);
	cr_assert_eq(fake_write(&f, p, 2), 0);
	cr_assert_eq(query(p).where, GM_DEVICE);
	cr_assert_eq(*(volatile unsigned char *)p, 2);
	cr_assert_eq(query(p).where, GM_DUP, "the CPU's read is a reader's too");
	p[0] = 3;
	cr_assert_eq(query(p).where, GM_HOST);
	cr_assert_eq(device_read(&f, p), 3);
	fake_close(&f);
}

Test(devices, spaces_are_independent)
{
	struct gm_as *one, *two;
	struct fake_dev a, b;
	gmi_opt.prefetch = GM_PREFETCH_NONE;
	cr_assert_eq(gm_as_create(0, 64 * MIB, &one), 0);
	cr_assert_eq(gm_as_create(0, 64 * MIB, &two), 0);
	fake_open(&a, one, 8 * MIB, 65536, true);
	fake_open(&b, two, 8 * MIB, 65536, true);
	unsigned char *p = map(one, MIB), *q = map(two, MIB), c;
	cr_assert_eq(gm_as_of(p), one);
	cr_assert_eq(gm_as_of(q), two);
	memset(p, 1, MIB);
	memset(q, 2, MIB);
	cr_assert_eq(device_read(&a, p), 1);
	cr_assert_eq(device_read(&b, q), 2);
	cr_assert_eq(gm_dev_fault(one, (uintptr_t)q, a.dev, GM_HINT_READ), -EFAULT);
	cr_assert_eq(gm_dev_fault(two, (uintptr_t)q, a.dev, GM_HINT_READ), -EINVAL, "not attached there");
	(void)c;
	cr_assert_eq(p[1], 1);
	cr_assert_eq(q[1], 2);
	fake_close(&a);
	cr_assert_eq(gm_as_destroy(one), 0);
	cr_assert_eq(device_read(&b, q), 2, "the other space lives on");
	fake_close(&b);
	cr_assert_eq(gm_as_destroy(two), 0);
}
