/*
 * One decision is one call of the driver: what a device gets to hear is counted, event by event,
 * with an aperture and without.
 */
#include "fake_dev.h"
#include <gmem/policy.h>

#define PAGE GM_PAGE_BYTES
#define LEAF ((size_t)65536)
#define MIB  ((size_t)1 << 20)

static struct gm_as *as;
static struct fake_dev f, g;
static volatile unsigned calls[2]; /* of f's driver; of g's */
static unsigned char *p;

static int count_batch(void *pmap, const struct gm_op *ops, unsigned n)
{
	int err = 0;

	calls[pmap == &g]++;
	for (unsigned i = 0; i < n && !err; i++)
		err = fake_op(pmap, &ops[i]);
	return err;
}

static void set_up(bool aperture, size_t page_bytes)
{
	gmi_opt.prefetch = GM_PREFETCH_NONE;
	cr_assert_eq(gm_as_create(0, 256 * MIB, &as), 0);
	fake_open(&f, as, 16 * MIB, page_bytes, aperture);
	fake_open(&g, as, 16 * MIB, page_bytes, aperture);
	f.mmu.batch = g.mmu.batch = count_batch;
	p = gm_mmap(as, NULL, 64 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	cr_assert_neq(p, MAP_FAILED);
	memset(p, 5, 32 * MIB);
}

static void tear_down(void)
{
	fake_close(&f);
	fake_close(&g);
	cr_assert_eq(gm_as_destroy(as), 0);
}

static int away(unsigned char *at, size_t len, struct fake_dev *dev)
{
	return hmadvise(gm_dev_hnid(dev->dev), at, len, MADV_PREFETCH);
}

/* What happens between two looks at the counters. */
#define EVENT(what, of_f, of_g)                                                                    \
	do {                                                                                       \
		calls[0] = calls[1] = 0;                                                           \
		what;                                                                              \
		cr_expect_eq(calls[0], (of_f), "%s: %u", #what, calls[0]);                         \
		cr_expect_eq(calls[1], (of_g), "%s: %u of the other", #what, calls[1]);            \
	} while (0)

static void events(bool aperture)
{
	unsigned char c;

	EVENT(fake_write(&f, p, 1), 1, 0);
	EVENT(fake_write(&f, p + 40 * MIB, 1), 1, 0); /* zeros */
	EVENT(fake_read(&f, p + 40 * MIB + LEAF, &c), 1, 0);
	EVENT(p[0]++, 1, 0);
	EVENT(fake_write(&f, p, 1), 1, 0); /* it is in the store by now */
	EVENT(fake_write(&g, p, 2), 1, 1); /* from device to device */
	EVENT(p[0]++, 0, 1);
	cr_expect_eq(p[0], 3);

	/* Copies, and the writer that ends them. */
	cr_assert_eq(hmadvise(-1, p + 2 * MIB, LEAF, GM_MADV_READ_MOSTLY), 0);
	EVENT(fake_read(&f, p + 2 * MIB, &c), 1, 0);
	EVENT(fake_read(&g, p + 2 * MIB, &c), 0, 1);
	EVENT(fake_write(&g, p + 2 * MIB, 9), 1, 1);
	EVENT(cr_expect_eq(p[2 * MIB], 9), 0, 1);
	EVENT(p[2 * MIB]++, 0, 1);

	/* Over the bus, and from there to the device: where core copies the device stops before. */
	cr_assert_eq(hmadvise(-1, p + 4 * MIB, LEAF, GM_MADV_PREFERRED_LOCATION), 0);
	EVENT(fake_write(&f, p + 4 * MIB, 1), 1, 0);
	EVENT(away(p + 4 * MIB, LEAF, &f), aperture ? 2 : 1, 0);
	EVENT(cr_expect_eq(p[4 * MIB], 1), 1, 0);

	/* Beside a page that stays. */
	cr_assert_eq(hmadvise(-1, p + 6 * MIB + PAGE, PAGE, GM_MADV_PINNED), 0);
	EVENT(fake_write(&f, p + 6 * MIB, 1), 1, 0);

	/* Rights, contents, mappings. */
	EVENT(fake_write(&f, p + 8 * MIB, 1), 1, 0);
	EVENT(gm_mprotect(p + 8 * MIB, LEAF, PROT_READ), 1, 0);
	EVENT(gm_mprotect(p + 8 * MIB, LEAF, PROT_READ | PROT_WRITE), 0, 0);
	EVENT(fake_write(&f, p + 8 * MIB, 1), 1, 0);
	EVENT(hmadvise(-1, p + 8 * MIB, LEAF, GM_MADV_DISCARD), 1, 0);
	EVENT(fake_write(&f, p + 8 * MIB, 1), 1, 0);
	EVENT(gm_munmap(p + 8 * MIB, LEAF), 1, 0);
	tear_down();
}
Test(calls, of_one_event_with_an_aperture)
{
	set_up(true, LEAF);
	events(true);
}
Test(calls, of_one_event_where_the_driver_copies)
{
	set_up(false, LEAF);
	events(false);
}

/* A fault that needs room: one call for what goes, one for what comes. */
static void when_full(bool aperture)
{
	set_up(aperture, LEAF);
	cr_assert_eq(away(p, 16 * MIB, &f), 0);
	EVENT(fake_write(&f, p + 20 * MIB, 1), 2, 0);
	for (size_t i = 0; i < 16 * MIB; i += PAGE)
		cr_assert_eq(p[i], 5);
	tear_down();
}
Test(calls, of_a_fault_that_evicts)
{
	when_full(true);
}
Test(calls, of_a_fault_that_evicts_where_the_driver_copies)
{
	when_full(false);
}

/* 8 MiB in at most two calls, wherever they begin; also when frames lie in all directions. */
static void prefetches(bool aperture, size_t page_bytes)
{
	set_up(aperture, page_bytes);
	for (size_t at = 0; at < 2 * MIB; at += MIB + 3 * LEAF) {
		calls[0] = 0;
		cr_assert_eq(away(p + at, 8 * MIB, &f), 0);
		cr_expect_leq(calls[0], 2, "from %zx: %u calls", at, calls[0]);
		for (size_t i = 0; i < 8 * MIB; i += PAGE)
			cr_assert_eq(p[at + i]++, 5 + (at && i < 7 * MIB - 3 * LEAF));
	}
	for (size_t i = 0; i < 4096; i++) /* every page of 16 MiB, in another order */
		cr_assert_eq(fake_write(&f, p + 16 * MIB + i * 1021 % 4096 * PAGE, 7), 0);
	for (size_t i = 0; i < 16 * MIB; i += 2 * page_bytes)
		p[16 * MIB + i] = 8;
	calls[0] = 0;
	cr_assert_eq(away(p + 34 * MIB, 7 * MIB, &f), 0);
	cr_expect_leq(calls[0], 2, "scattered: %u calls", calls[0]);
	unsigned char c = 1;
	for (size_t i = 0; i < 7 * MIB; i += PAGE)
		cr_assert(!fake_read(&f, p + 34 * MIB + i, &c) && !c);
	tear_down();
}
Test(calls, of_a_prefetch_of_8_MiB, .timeout = 60)
{
	prefetches(true, LEAF);
}
Test(calls, of_a_prefetch_of_8_MiB_where_the_driver_copies, .timeout = 60)
{
	prefetches(false, LEAF);
}
Test(calls, of_a_prefetch_of_8_MiB_in_small_pages, .timeout = 60)
{
	prefetches(false, PAGE);
}

/* What cannot come is told as if each block were alone: rights that differ, no room. */
Test(calls, a_prefetch_with_trouble_in_it)
{
	set_up(true, LEAF);
	cr_assert_eq(gm_mprotect(p + 3 * MIB, PAGE, PROT_READ), 0);
	cr_assert_eq(hmadvise(-1, p + 5 * MIB, PAGE, GM_MADV_PINNED), 0);
	cr_expect_eq(away(p, 8 * MIB, &f), -EBUSY, "the pin");
	struct gm_page_info info[8 * MIB / PAGE];
	cr_assert_eq(gm_query(p, 8 * MIB, info), 0);
	for (size_t i = 0; i < 8 * MIB / PAGE; i++) {
		bool stays = i / 16 == 5 * MIB / LEAF;
		cr_assert_eq(info[i].where == GM_DEVICE, !stays, "page %zu is at %d", i,
			     info[i].where);
	}
	cr_assert_eq(hmadvise(-1, p + 5 * MIB, PAGE, GM_MADV_UNPINNED), 0);
	cr_expect_eq(away(p, 32 * MIB, &f), 0, "what came first makes room");
	for (size_t i = 0; i < 32 * MIB; i += PAGE)
		cr_assert_eq(p[i], 5);
	f.fail_kind = GM_OP_MAP;
	f.fail_after = 2;
	away(p, 8 * MIB, &f);
	f.fail_kind = -1;
	for (size_t i = 0; i < 32 * MIB; i += PAGE)
		cr_assert_eq(p[i], 5);
	tear_down();
}
