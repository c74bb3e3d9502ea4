/* GMEM_CHAOS's picks and changes of place: only what can migrate, always the same for a seed,
 * and without a trace. */
#include "one_dev.h"
#include "core/entry/chaos.h"
#include "core/entry/pin.h"
#include "core/page/activate.h"
#include "core/page/thread.h"
#include "core/space/vm.h"

static void open_all(size_t page_bytes)
{
	open_one(8 * MIB, page_bytes);
}

static struct gm_page_info info(const void *p)
{
	struct gm_page_info i;
	cr_assert_eq(gm_query(p, PAGE, &i), 0);
	return i;
}

static bool within(uintptr_t va, const void *p, size_t bytes)
{
	return va - (uintptr_t)p < bytes;
}

Test(chaos, picks_used_pages_of_every_region_that_can_migrate)
{
	enum { PICKS = 4000 };
	struct gm_chaos_map m;
	struct gm_chaos_page page;
	uint64_t random = 1;
	unsigned small = 0, used = 0, other = 0;

	open_all(PAGE);
	unsigned char *none = map_with(4 * MIB, PROT_NONE), *tiny = map_with(PAGE, PROT_READ),
		      *big = map_with(64 * MIB, PROT_READ | PROT_WRITE);
	big[3 * PAGE] = 1;
	big[33 * MIB + 5 * PAGE] = 2;
	(void)*(volatile unsigned char *)tiny;
	gmi_chaos_look(as, &m, &random);
	cr_assert_eq(m.n, 2);
	cr_assert_eq(m.bytes, 64 * MIB + PAGE);
	for (int i = 0; i < PICKS; i++) {
		if (!gmi_chaos_pick(as, &m, &random, &page))
			continue;
		cr_assert(within(page.va, tiny, PAGE) || within(page.va, big, 64 * MIB));
		cr_assert_not(within(page.va, none, 4 * MIB));
		cr_assert_eq(page.writable, within(page.va, big, 64 * MIB));
		if (within(page.va, tiny, PAGE))
			small++;
		else if (page.va == (uintptr_t)big + 3 * PAGE ||
			 page.va == (uintptr_t)big + 33 * MIB + 5 * PAGE)
			used++;
		else
			other++;
	}
	cr_expect_gt(small, PICKS / 8);
	cr_expect_gt(used, PICKS / 32);
	cr_expect_gt(other, 0, "pages that nobody touched come, too");
	cr_expect_lt(other, PICKS / 8);
	close_all();
}

Test(chaos, follows_pages_that_are_away)
{
	struct gm_chaos_map m;
	struct gm_chaos_page page;
	uint64_t random = 7;
	unsigned away = 0;

	open_all(PAGE);
	unsigned char *p = map_with(2 * MIB, PROT_READ | PROT_WRITE);
	cr_assert_eq(fake_write(&dev, p + 9 * PAGE, 1), 0);
	gmi_chaos_look(as, &m, &random);
	for (int i = 0; i < 200; i++)
		away += gmi_chaos_pick(as, &m, &random, &page) &&
			page.va == (uintptr_t)p + 9 * PAGE;
	cr_expect_gt(away, 100);
	close_all();
}

Test(chaos, the_same_seed_picks_the_same_pages)
{
	uintptr_t first[100];

	open_all(PAGE);
	unsigned char *p = map_with(16 * MIB, PROT_READ | PROT_WRITE);
	memset(p, 1, 16 * MIB);
	for (int turn = 0; turn < 2; turn++) {
		struct gm_chaos_map m;
		struct gm_chaos_page page;
		uint64_t random = 42;
		gmi_chaos_look(as, &m, &random);
		for (int i = 0; i < 100; i++) {
			cr_assert(gmi_chaos_pick(as, &m, &random, &page));
			cr_expect(!turn || page.va == first[i]);
			first[i] = page.va;
		}
	}
	close_all();
}

Test(chaos, more_regions_than_room_are_sampled)
{
	struct gm_chaos_map m;
	uint64_t random = 3;

	open_all(PAGE);
	unsigned char *p = map_with(2000 * 2 * PAGE, PROT_READ | PROT_WRITE);
	for (int i = 0; i < 2000; i++)
		cr_assert_eq(gmi_vm_protect(as, p + (size_t)i * 2 * PAGE, PAGE, PROT_READ), 0);
	gmi_chaos_look(as, &m, &random);
	cr_expect_gt(m.n, GM_CHAOS_REGIONS / 2);
	cr_expect_gt(m.r[m.n - 1].lo, (uintptr_t)p + 3000ul * PAGE, "from one end to the other");
	close_all();
}

Test(chaos, changes_the_place_and_nothing_else)
{
	static const uint8_t places[] = {GM_DEVICE, GM_DUP, GM_REMOTE};

	open_all(PAGE);
	unsigned char *p = map_with(2 * MIB, PROT_READ | PROT_WRITE);
	for (unsigned round = 0; round < 9; round++) {
		unsigned char *q = p + round * PAGE, from = places[round / 3],
			      to = places[round % 3];
		*q = (unsigned char)(round + 1);
		cr_assert_eq(gmi_chaos_place(as, dev.dev, (uintptr_t)q, from), 0);
		cr_expect_eq(info(q).where, from);
		cr_assert_eq(gmi_chaos_place(as, dev.dev, (uintptr_t)q, to), 0);
		if (from != GM_DEVICE || to == GM_DEVICE) /* the device keeps what it has */
			cr_expect(info(q).where == to || (from == GM_DUP && to == GM_REMOTE),
				  "%d -> %d: %d", from, to, info(q).where);
		cr_expect_eq(*q, round + 1);
	}
	cr_assert_eq(gmi_chaos_place(as, dev.dev, (uintptr_t)p, GM_DEVICE), 0);
	*p = 77; /* the hint that DUP needed is gone */
	cr_expect_eq(info(p).where, GM_HOST);
	close_all();
}

Test(chaos, pins_and_rights_hold)
{
	open_all(65536);
	unsigned char *p = map_with(2 * MIB, PROT_READ | PROT_WRITE),
		      *none = map_with(2 * MIB, PROT_NONE);
	/* as in a preloaded process, before pages are pinned for good */
	cr_assert_eq(gmi_activate(), 0);
	cr_assert_eq(gmi_pin_range(p, PAGE, true), 0);
	cr_assert_eq(gmi_chaos_place(as, dev.dev, (uintptr_t)p, GM_DEVICE), 0);
	cr_expect_neq(info(p).where, GM_DEVICE);
	cr_assert_eq(gmi_chaos_place(as, dev.dev, (uintptr_t)none, GM_DEVICE), -EFAULT);
	cr_assert_eq(gmi_vm_protect(as, p + 16 * PAGE, PAGE, PROT_READ), 0);
	cr_assert_eq(gmi_chaos_place(as, dev.dev, (uintptr_t)p + 16 * PAGE, GM_DEVICE), 0);
	cr_expect_eq(fake_write(&dev, p + 16 * PAGE, 1), -EPERM);
	close_all();
}
