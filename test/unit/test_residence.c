/*
 * Pages stay a while on the device they have come to: the CPU waits, other devices are told so, and
 * eviction takes others first. What is only true until a time has passed is looked at only when it
 * has not: a slow machine proves less, and nothing wrong.
 */
#include "one_dev.h"
#include "core/entry/hold.h"
#include "core/page/activate.h"
#include "core/page/evict.h"
#include "core/page/residence.h"
#include <gmem/policy.h>

#define BLOCK GM_BLOCK_BYTES
#define LONG  ((uint64_t)1000000000) /* keep:1000 */
#define SHORT ((uint64_t)50000000)

static struct fake_dev other;

static void keep(const char *how)
{
	cr_assert_eq(gm_policy_set(NULL, dev.dev, GM_POLICY_RESIDENCE, how), 0);
}

static unsigned char *map(size_t bytes)
{
	return map_with(bytes, PROT_READ | PROT_WRITE);
}

static void setup(void)
{
	gmi_opt.reclaim_percent = 0;
	open_one(8 * MIB, 65536);
	fake_open(&other, as, 8 * MIB, 4096, true);
}
static void teardown(void)
{
	fake_close(&other);
	close_all();
}
TestSuite(residence, .init = setup, .fini = teardown, .timeout = 60);

Test(residence, the_cpu_waits_for_a_page_that_has_just_come)
{
	unsigned char *p = map(MIB);

	keep("keep:50");
	for (int call = 0; call < 2; call++) {
		uint64_t start = gmi_now_ns();
		cr_assert_eq(fake_write(&dev, p, 7), 0);
		if (call)
			gmi_unhold(gmi_hold(p, 1, false)); /* as a system call that reads it */
		cr_expect_eq(p[0], 7);
		cr_expect_geq(gmi_now_ns() - start, SHORT, "call %d", call);
		cr_expect_eq(where(p), GM_HOST);
	}
}

Test(residence, another_device_is_told_to_come_again)
{
	unsigned char *p = map(MIB), c;

	keep("keep:50");
	uint64_t start = gmi_now_ns();
	cr_assert_eq(fake_write(&dev, p, 7), 0);
	int err = gm_dev_fault(as, (uintptr_t)p, other.dev, GM_HINT_READ);
	if (gmi_now_ns() - start < SHORT)
		cr_expect_eq(err, -EAGAIN);
	cr_assert_eq(fake_read(&other, p, &c), 0);
	cr_expect_eq(c, 7);
	cr_expect_geq(gmi_now_ns() - start, SHORT);
	/* the time is the device's: it has none for the other */
	cr_assert_eq(fake_write(&other, p, 8), 0);
	cr_expect_eq(gm_dev_fault(as, (uintptr_t)p, dev.dev, GM_HINT_READ), 0);
}

Test(residence, company_of_a_fault_leaves_it_where_it_is)
{
	unsigned char *p = map(MIB), c;
	struct gm_page_info info;

	keep("keep:1000");
	cr_assert_eq(gm_policy_set(NULL, other.dev, GM_POLICY_PREFETCH, "tree:1"), 0);
	uint64_t start = gmi_now_ns();
	cr_assert_eq(fake_write(&dev, p, 7), 0);
	cr_assert_eq(fake_read(&other, p + MIB / 2, &c), 0);
	cr_assert_eq(gm_query(p, PAGE, &info), 0);
	if (gmi_now_ns() - start < LONG)
		cr_expect_eq(info.hnid, gm_dev_hnid(dev.dev));
	cr_expect_eq(where(p + MIB / 2 + 65536), GM_DEVICE, "its other neighbours come along");
}

/* Four blocks fit. */
Test(residence, eviction_takes_what_may_go_first)
{
	unsigned char *p = map(16 * MIB);
	uint64_t start = gmi_now_ns();

	keep("keep:1000");
	cr_assert_eq(fake_write(&dev, p, 1), 0);
	for (size_t i = 65536; i < BLOCK; i += 65536)
		cr_assert_eq(fake_write(&dev, p + i, 1), 0);
	keep("none");
	for (size_t i = BLOCK; i < 5 * BLOCK; i += 65536)
		cr_assert_eq(fake_write(&dev, p + i, 1), 0);
	int oldest = where(p), next = where(p + BLOCK);
	if (gmi_now_ns() - start < LONG) {
		cr_expect_eq(oldest, GM_DEVICE, "it has come first, and stays");
		cr_expect_eq(next, GM_HOST);
	}
	for (size_t i = 0; i < 5 * BLOCK; i += 65536)
		cr_expect_eq(p[i], 1);
}

Test(residence, what_is_needed_goes_when_there_is_nothing_else)
{
	static const char *const evict[] = {"lru2m", "lru4k", "tree", "access", "adaptive"};
	unsigned char *p = map(16 * MIB);

	for (size_t k = 0; k < sizeof evict / sizeof evict[0]; k++) {
		cr_assert_eq(gm_policy_set(NULL, dev.dev, GM_POLICY_EVICT, evict[k]), 0);
		keep("keep:1000");
		cr_assert_eq(hmadvise(-1, p, 16 * MIB, MADV_PREFETCH), 0, "that waits for nothing");
		uint64_t start = gmi_now_ns();
		for (size_t i = 0; i < 4 * BLOCK; i += 65536)
			cr_assert_eq(fake_write(&dev, p + i, 1), 0);
		gm_sigmask mask = gmi_block_signals();
		int ahead = gmc_evict_ahead(dev.dev);
		gmi_restore_signals(mask);
		if (gmi_now_ns() - start < LONG)
			cr_expect_eq(ahead, -ENOSPC, "%s: reclaim needs nothing", evict[k]);
		cr_assert_eq(fake_write(&dev, p + 4 * BLOCK, 2), 0);
		cr_expect_eq(where(p + 4 * BLOCK), GM_DEVICE, "%s", evict[k]);
	}
}

Test(residence, readers_of_copies_wait_for_nobody)
{
	unsigned char *p = map(MIB);
	struct gm_block *b = gm_block_find(as, (uintptr_t)p);

	keep("keep:1000");
	cr_assert_eq(hmadvise(-1, p, MIB, GM_MADV_READ_MOSTLY), 0);
	uint64_t start = gmi_now_ns();
	cr_assert_eq(fake_write(&dev, p, 7), 0);
	b = b ? b : gm_block_find(as, (uintptr_t)p);
	unsigned i = gm_page_index((uintptr_t)p);
	unsigned reader = gmc_residence_left_us(b, -1, i, false, gm_bm_zero()),
		 writer = gmc_residence_left_us(b, -1, i, true, gm_bm_zero());
	cr_expect_eq(reader, 0);
	if (gmi_now_ns() - start < LONG)
		cr_expect_gt(writer, 0);
	cr_expect_eq(p[0], 7);
	cr_expect_eq(where(p), GM_DUP);
}
