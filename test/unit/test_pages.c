/*
 * Devices of several page sizes: a driver that refuses every step that is not of whole entries of
 * its own sizes (fake_dev.h checks each) runs the cases where pieces used to reach it, and random
 * programs.
 */
#include "fake_dev.h"
#include "random.h"
#include "core/entry/hold.h"

#define PAGE GM_PAGE_BYTES
#define MIB  ((size_t)1 << 20)
#define RW   (PROT_READ | PROT_WRITE)

static struct gm_as *as;
static struct fake_dev dev;
static int hnid;

static void open_sizes(uint64_t page, uint64_t sizes, bool aperture)
{
	gmi_opt.prefetch = GM_PREFETCH_NONE;
	fake_sizes = sizes;
	cr_assert_eq(gm_as_create(0, 64 * MIB, &as), 0);
	fake_open(&dev, as, 16 * MIB, page, aperture);
	hnid = gm_dev_hnid(dev.dev);
}

static void close_sizes(void)
{
	fake_close(&dev);
	cr_assert_eq(gm_as_destroy(as), 0);
}

static unsigned char *map(size_t bytes)
{
	unsigned char *p = gm_mmap(as, NULL, bytes, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	cr_assert_neq(p, MAP_FAILED);
	memset(p, 1, bytes);
	return p;
}

static struct gm_page_info query(const void *p)
{
	struct gm_page_info info;
	cr_assert_eq(gm_query((void *)((uintptr_t)p & ~(PAGE - 1)), PAGE, &info), 0);
	return info;
}

static uint32_t entry(const void *p)
{
	struct fake_pte *e = &dev.pte[((uintptr_t)p - as->base) / PAGE];
	return e->prot ? e->entry_bytes : 0;
}

TestSuite(pages, .timeout = 120);

Test(pages, beside_what_cannot_be_given_they_stay_on_the_host)
{
	open_sizes(65536, 4096 | 65536, true);
	unsigned char *p = map(8 * MIB), *small = map(PAGE), c;
	/* a hole, a pin, a system call's buffer, a small mapping */
	cr_assert_eq(gm_munmap(p + 4 * MIB + 2 * PAGE, PAGE), 0);
	cr_assert_eq(hmadvise(-1, p + 6 * MIB + PAGE, PAGE, GM_MADV_PINNED), 0);
	cr_assert_eq(fake_write(&dev, p, 2), 0);
	unsigned hold = gmi_hold(p + 2 * MIB + PAGE, 8, true);
	unsigned char *const at[] = {p + 4 * MIB, p + 6 * MIB, p + 2 * MIB, small};
	for (size_t i = 0; i < sizeof at / sizeof at[0]; i++) {
		cr_assert_eq(fake_write(&dev, at[i], 5), 0);
		cr_expect_eq(query(at[i]).where, GM_REMOTE, "case %zu", i);
		cr_expect_eq(entry(at[i]), i == 1 || i == 2 ? 65536 : 4096, "case %zu", i);
		cr_expect_eq(at[i][0], 5);
	}
	gmi_unhold(hold);
	unsigned faults = dev.faults;
	for (int i = 3; i < 16; i++) /* beside the hole: they came together */
		cr_assert_eq(fake_read(&dev, p + 4 * MIB + i * PAGE, &c), 0);
	cr_expect_eq(dev.faults, faults);
	cr_expect_eq(query(p).where, GM_DEVICE);
	cr_expect_eq(entry(p), 65536);
	/* A page that the program may only read is there, with what rights it has. */
	cr_assert_eq(gm_mprotect(p + MIB + PAGE, PAGE, PROT_READ), 0);
	cr_assert_eq(fake_write(&dev, p + MIB, 7), 0);
	cr_expect_eq(query(p + MIB).where, GM_DEVICE);
	cr_expect_eq(entry(p + MIB), 4096);
	cr_expect_eq(fake_write(&dev, p + MIB + PAGE, 7), -EPERM);
	cr_expect_eq(fake_read(&dev, p + MIB + PAGE, &c), 0);
	cr_expect_eq(p[MIB], 7);
	close_sizes();
}

Test(pages, split_when_a_part_goes_and_one_again_when_whole)
{
	open_sizes(65536, 4096 | 65536 | 2 * MIB, true);
	unsigned char *p = map(4 * MIB);
	p = (unsigned char *)(((uintptr_t)p + 2 * MIB - 1) & -(2 * MIB));
	cr_assert_eq(hmadvise(hnid, p, 2 * MIB, MADV_PREFETCH), 0);
	cr_expect_eq(entry(p), 2 * MIB, "contiguous and aligned: one entry");
	p[MIB] = 3; /* the CPU takes one device page */
	cr_expect_eq(entry(p), 65536);
	cr_expect_eq(entry(p + MIB), 0);
	cr_expect_eq(entry(p + MIB + 65536), 65536);
	cr_assert_eq(gm_mprotect(p + 5 * PAGE, PAGE, PROT_READ), 0);
	cr_expect_eq(entry(p), 4096);
	cr_expect_eq(entry(p + 65536), 65536);
	cr_assert_eq(gm_mprotect(p + 5 * PAGE, PAGE, RW), 0);
	cr_assert_eq(fake_write(&dev, p + 5 * PAGE, 4), 0);
	cr_expect_eq(entry(p), 65536, "promoted");
	cr_assert_eq(fake_write(&dev, p + MIB, 4), 0);
	cr_expect_geq(entry(p + MIB), 65536);
	cr_expect_eq(p[5 * PAGE], 4);
	cr_expect_eq(p[MIB], 4);
	close_sizes();
}

Test(pages, without_small_entries_such_pages_are_out_of_reach)
{
	open_sizes(65536, 65536, true);
	unsigned char *p = map(MIB), *small = map(PAGE), c;

	cr_expect_eq(fake_write(&dev, p, 2), 0);
	cr_expect_eq(entry(p), 65536);
	cr_expect_eq(fake_write(&dev, small, 2), -EOPNOTSUPP);
	cr_assert_eq(gm_mprotect(p + PAGE, PAGE, PROT_READ), 0);
	cr_expect_eq(fake_write(&dev, p, 2), -EOPNOTSUPP, "the entry would let it write both");
	cr_expect_eq(fake_read(&dev, p, &c), 0);
	cr_assert_eq(gm_mprotect(p + PAGE, PAGE, RW), 0);
	cr_expect_eq(fake_write(&dev, p, 3), 0);
	cr_expect_eq(p[0], 3);
	close_sizes();
}

/* ---- random programs ---- */

enum { N = 1536 };
static unsigned char model[N];
static uint8_t prot[N]; /* PROT_*; 0xff: not mapped */
static unsigned char *at;

static bool whole(size_t i, uint64_t bytes)
{
	size_t n = bytes / PAGE, first = i & ~(n - 1);

	for (size_t k = first; k < first + n; k++)
		if (k >= N || prot[k] != prot[i])
			return false;
	return true;
}

static void device_step(size_t i, uint64_t least)
{
	unsigned char c = 0, v = (unsigned char)rng();
	bool write = rng_below(2);
	int err = write ? fake_write(&dev, at + i * PAGE, v) : fake_read(&dev, at + i * PAGE, &c);

	if (prot[i] == 0xff || prot[i] == PROT_NONE)
		cr_assert_eq(err, -EFAULT);
	else if (write && !(prot[i] & PROT_WRITE))
		cr_assert_eq(err, -EPERM);
	else if (err == -EOPNOTSUPP)
		cr_assert(!whole(i, least), "page %zu", i);
	else
		cr_assert(!err && (write || c == model[i]), "page %zu: %d, %d for %d", i, err, c,
			  model[i]);
	if (write && !err)
		model[i] = v;
}

static void change_rights(size_t i, size_t n)
{
	static const int choices[] = {PROT_NONE, PROT_READ, RW, RW, RW};
	int to = choices[rng_below(5)];

	for (size_t k = i; k < i + n; k++)
		if (prot[k] == 0xff)
			return;
	cr_assert_eq(gm_mprotect(at + i * PAGE, n * PAGE, to), 0);
	memset(prot + i, to, n);
}

static void remap(size_t i, size_t n)
{
	if (rng_below(2)) {
		cr_assert_eq(gm_munmap(at + i * PAGE, n * PAGE), 0);
		memset(prot + i, 0xff, n);
		return;
	}
	cr_assert_eq(gm_mmap(as, at + i * PAGE, n * PAGE, RW,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0),
		     at + i * PAGE);
	memset(prot + i, RW, n);
	memset(model + i, 0, n);
}

static void random_program(uint64_t page, uint64_t sizes, bool aperture, unsigned steps)
{
	open_sizes(page, sizes, aperture);
	uint64_t least = sizes & -sizes;
	unsigned char *p = gm_mmap(as, NULL, 16 * MIB, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	at = (unsigned char *)(((uintptr_t)p + 2 * MIB - 1) &
			       -(2 * MIB)); /* the rest stays around it */
	memset(prot, RW, sizeof prot);
	memset(model, 0, sizeof model);
	for (unsigned s = 0; s < steps; s++) {
		size_t i = rng_below(N), n = 1 + rng_below(rng_below(4) ? 8 : 300);
		n = i + n > N ? N - i : n;
		switch (rng_below(12)) {
		case 0:
			change_rights(i, n);
			break;
		case 1:
			remap(i, n);
			break;
		case 2:
			hmadvise(hnid, at + i * PAGE, n * PAGE, MADV_PREFETCH);
			break;
		case 3:
			hmadvise(-1, at + i * PAGE, n * PAGE,
				 rng_below(2) ? GM_MADV_PINNED : GM_MADV_UNPINNED);
			break;
		case 4:
			hmadvise(-1, at + i * PAGE, n * PAGE,
				 rng_below(2) ? GM_MADV_READ_MOSTLY : GM_MADV_UNSET_READ_MOSTLY);
			break;
		case 5:
			gm_set_attr(as, dev.dev, at + i * PAGE, n * PAGE, rng_below(3));
			break;
		case 6:
			if (prot[i] == RW)
				at[i * PAGE] = model[i] = (unsigned char)s;
			break;
		case 7:
			if (prot[i] != 0xff && prot[i] & PROT_READ)
				cr_assert_eq(at[i * PAGE], model[i], "page %zu", i);
			break;
		default:
			device_step(i, least);
		}
	}
	close_sizes();
}

Test(pages, random_programs_of_all_sizes)
{
	static const struct {
		uint64_t page, sizes;
	} kinds[] = {
		{65536, 65536},
		{2 * MIB, 2 * MIB},
		{65536, 4096 | 65536},
		{2 * MIB, 4096 | 2 * MIB},
		{65536, 65536 | 2 * MIB},
		{65536, 4096 | 65536 | 2 * MIB | 1 << 30},
		{4096, 4096 | 65536 | 2 * MIB},
		{16384, 4096 | 8192 | 16384 | 32768},
	};

	rng_seed("pages");
	for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++)
		random_program(kinds[k].page, kinds[k].sizes, k % 2, 3000);
}
