/* Policies by name: who follows which, and what each one moves. */
#include "one_dev.h"
#include <sys/resource.h>
#include "core/care/counter.h"
#include "core/page/thread.h"
#include "core/rules/victims.h"
#include "core/space/vm.h"
#include "core/entry/hold.h"
#include "core/space/attach.h"
#include <gmem/policy.h>
#include <unistd.h>

static void open_all(size_t dev_bytes, size_t page_bytes)
{
	gmi_opt.retain_bytes = 8 * MIB;
	open_one(dev_bytes, page_bytes);
}

static unsigned char *map(size_t bytes)
{
	return map_with(bytes, PROT_READ | PROT_WRITE);
}

static void touch(unsigned char *p, size_t bytes, size_t step)
{
	for (size_t i = 0; i < bytes; i += step)
		cr_assert_eq(fake_write(&dev, p + i, (unsigned char)(i / step + 1)), 0);
}

static void choose(enum gm_policy_kind kind, const char *name)
{
	cr_assert_eq(gm_policy_set(NULL, dev.dev, kind, name), 0, "%s", name);
}

/* ---- names ---- */

Test(policy, every_policy_can_be_chosen_by_its_name)
{
	open_all(8 * MIB, 65536);
	for (unsigned kind = 0; kind < GM_POLICY_KINDS; kind++) {
		struct gm_policy_info info;
		unsigned n = 0;
		for (; gm_policy_list(kind, n, &info) == 0; n++) {
			cr_assert_eq(gm_policy_set(NULL, dev.dev, kind, info.name), 0);
			cr_expect_str_eq(gm_policy_get(NULL, dev.dev, kind), info.name);
			cr_expect_gt(strlen(info.meaning), 10);
		}
		cr_expect_geq(n, 2);
		cr_assert_eq(gm_policy_set(NULL, dev.dev, kind, NULL), 0);
	}
	cr_expect_str_eq(gm_policy_get(NULL, dev.dev, GM_POLICY_EVICT), "lru2m");
	close_all();
}

Test(policy, the_space_comes_before_the_device_and_the_device_before_the_environment)
{
	open_all(8 * MIB, 65536);
	cr_expect_str_eq(gm_policy_get(as, dev.dev, GM_POLICY_PREFETCH), "none");
	choose(GM_POLICY_PREFETCH, "tree:30");
	cr_expect_str_eq(gm_policy_get(as, dev.dev, GM_POLICY_PREFETCH), "tree");
	cr_assert_eq(gm_policy_set(as, dev.dev, GM_POLICY_PREFETCH, "seq64k"), 0);
	cr_expect_str_eq(gm_policy_get(as, dev.dev, GM_POLICY_PREFETCH), "seq64k");
	cr_expect_str_eq(gm_policy_get(NULL, dev.dev, GM_POLICY_PREFETCH), "tree");
	choose(GM_POLICY_PREFETCH, "none");
	cr_expect_str_eq(gm_policy_get(as, dev.dev, GM_POLICY_PREFETCH), "none", "all spaces");
	close_all();
}

Test(policy, bad_arguments)
{
	static const char *const bad[] = {
		"", "tre", "trees", "tree:", "tree:0", "tree:101", "tree:5x", "none:5"};
	struct gm_policy_info info;
	struct gm_as *other;

	open_all(8 * MIB, 65536);
	for (unsigned i = 0; i < GM_ARRAY_LEN(bad); i++)
		cr_expect_eq(gm_policy_set(NULL, dev.dev, GM_POLICY_PREFETCH, bad[i]), -EINVAL,
			     "%s", bad[i]);
	cr_expect_eq(gm_policy_set(NULL, NULL, GM_POLICY_PREFETCH, "tree"), -EINVAL);
	cr_expect_eq(gm_policy_set(NULL, dev.dev, GM_POLICY_KINDS, "tree"), -EINVAL);
	cr_expect_eq(gm_policy_set(as, dev.dev, GM_POLICY_EVICT, "lru4k"), -EINVAL,
		     "the device's own");
	cr_assert_eq(gm_as_create(0, 2 * MIB, &other), 0);
	cr_expect_eq(gm_policy_set(other, dev.dev, GM_POLICY_PREFETCH, "tree"), -ENODEV);
	cr_expect_null(gm_policy_get(other, dev.dev, GM_POLICY_PREFETCH));
	cr_assert_eq(gm_as_destroy(other), 0);
	cr_expect_eq(gm_policy_list(GM_POLICY_KINDS, 0, &info), -EINVAL);
	cr_expect_eq(gm_policy_list(GM_POLICY_EVICT, 100, &info), -ENOENT);
	close_all();
}

/* ---- prefetch ---- */

Test(policy, prefetch_is_per_space)
{
	static const struct {
		const char *name;
		unsigned faults; /* of one sequential pass over 2 MiB with 4 KiB device pages */
	} expect[] = {{"none", 512}, {"seq64k", 32}, {"tree", 6}, {"tree:1", 1}};

	open_all(32 * MIB, PAGE);
	for (unsigned i = 0; i < GM_ARRAY_LEN(expect); i++) {
		unsigned char *p = map(2 * MIB);
		cr_assert_eq(gm_policy_set(as, dev.dev, GM_POLICY_PREFETCH, expect[i].name), 0);
		dev.faults = 0;
		touch(p, 2 * MIB, PAGE);
		cr_expect_eq(dev.faults, expect[i].faults, "%s: %u faults", expect[i].name,
			     dev.faults);
	}
	close_all();
}

/* ---- eviction ---- */

Test(policy, lru2m_evicts_whole_blocks_in_the_order_of_their_last_faults)
{
	open_all(8 * MIB, PAGE);
	unsigned char *p = map(10 * MIB);
	touch(p, 7 * MIB, PAGE);
	cr_assert_eq(fake_write(&dev, p + 7 * MIB, 1), 0);
	cr_assert_eq(hmadvise(-1, p, PAGE, MADV_PREFETCH), 0);
	cr_assert_eq(fake_write(&dev, p, 9), 0); /* the first block is the hottest now */
	touch(p + 7 * MIB, 2 * MIB, PAGE);
	cr_expect_eq(where(p), GM_DEVICE);
	cr_expect_eq(where(p + 2 * MIB), GM_HOST);
	cr_expect_eq(where(p + 4 * MIB - PAGE), GM_HOST, "all of it");
	cr_expect_eq(where(p + 4 * MIB), GM_DEVICE);
	cr_expect_eq(p[2 * MIB], 1, "pages are numbered from 1 again at 512 mod 256");
	close_all();
}

Test(policy, lru4k_evicts_single_pages_in_the_order_of_their_last_faults)
{
	open_all(4 * MIB, PAGE);
	choose(GM_POLICY_EVICT, "lru4k");
	unsigned char *p = map(6 * MIB);
	touch(p, 4 * MIB, PAGE);
	/* Pages 0 and 1 go home and come again: hottest. */
	cr_assert_eq(hmadvise(-1, p, 2 * PAGE, MADV_PREFETCH), 0);
	touch(p, 2 * PAGE, PAGE);
	touch(p + 4 * MIB, 10 * PAGE, PAGE);
	cr_expect_eq(where(p), GM_DEVICE);
	cr_expect_eq(where(p + PAGE), GM_DEVICE);
	for (int i = 2; i < 12; i++)
		cr_expect_eq(where(p + i * PAGE), GM_HOST, "page %d", i);
	cr_expect_eq(where(p + 12 * PAGE), GM_DEVICE);
	/* A working set of exactly the device's size behind it: strictly first in, first out. */
	touch(p + 4 * MIB, 2 * MIB, PAGE);
	cr_expect_eq(where(p + 500 * PAGE), GM_HOST);
	cr_expect_eq(where(p + PAGE), GM_DEVICE);
	cr_expect_eq(where(p + 600 * PAGE), GM_DEVICE);
	for (size_t i = 12; i < 1024; i++)
		cr_assert_eq(p[i * PAGE], (unsigned char)(i + 1));
	close_all();
}

Test(policy, a_change_to_lru4k_finds_pages_that_came_before)
{
	open_all(4 * MIB, 65536);
	unsigned char *p = map(8 * MIB);
	touch(p, 4 * MIB, 65536);
	choose(GM_POLICY_EVICT, "lru4k");
	touch(p + 4 * MIB, 4 * MIB, 65536);
	for (size_t i = 0; i < 128; i++)
		cr_assert_eq(p[i * 65536], (unsigned char)((i & 63) + 1));
	close_all();
}

static gm_bm evict_tree(const struct gm_block_dev *bd)
{
	const struct gm_block *b = bd->block;
	struct gm_policy_evict in = {.may = bd->valid,
				     .resident = bd->valid,
				     .mapped =
					     gm_bm_or(bd->valid, gm_bm_and(b->prog_r, b->managed)),
				     .number = 50,
				     .page_bytes = GM_PAGE_BYTES,
				     .now = bd->now,
				     .used = bd->used};

	return gmc_victims_tree(&in);
}

/* ISCA'19, on a block of which 512 KiB take part, full. Leaves leave in the order 1, 3, 0, ... */
Test(policy, tree_victims_follow_the_published_rule)
{
	struct gm_block b = {0};
	struct gm_block_dev *bd = gmi_alloc(sizeof *bd);
	gm_bm part = gm_bm_range(0, 128); /* 8 leaves take part */
	static const unsigned order[] = {1, 3, 0, 2, 4, 5, 6, 7}, want[] = {1, 1, 2};

	b.prog_r = b.managed = bd->valid = part;
	bd->block = &b;
	bd->now = 100;
	for (unsigned i = 0; i < 8; i++)
		bd->used[order[i]] = i + 1;
	/*
	 * 1 goes: 7/8, 3/4 and 1/2 of its subtrees stay, and 1/2 is not less than half. 3 goes:
	 * again 1/2 each, 2/4, 6/8. 0 goes: 1/4 of the first four is less than half, so 2 goes
	 * with it, and 4/8 stay: not less than half.
	 */
	for (unsigned i = 0; i < 3; i++) {
		gm_bm out = evict_tree(bd);
		cr_assert_eq(gm_bm_count(out), want[i] * GM_LEAF_PAGES, "eviction %u: %u pages", i,
			     gm_bm_count(out));
		cr_assert(gm_bm_test(&out, order[i] * GM_LEAF_PAGES));
		bd->valid = gm_bm_andnot(bd->valid, out);
	}
	/* 4 goes: 3/8 stay, so everything does. */
	gm_bm out = evict_tree(bd);
	cr_assert_eq(gm_bm_count(out), 4 * GM_LEAF_PAGES);
	gmi_free(bd, sizeof *bd);
}

Test(policy, tree_evicts_a_leaf_and_what_it_leaves_nearly_empty)
{
	open_all(4 * MIB, PAGE);
	choose(GM_POLICY_EVICT, "tree");
	unsigned char *p = map(8 * MIB);
	touch(p, 4 * MIB, PAGE);
	touch(p + 4 * MIB, PAGE, PAGE);
	cr_expect_eq(where(p), GM_HOST);
	cr_expect_eq(where(p + 15 * PAGE), GM_HOST);
	cr_expect_eq(where(p + 16 * PAGE), GM_DEVICE);
	touch(p + 4 * MIB, 4 * MIB, PAGE);
	for (size_t i = 0; i < 2048; i++)
		cr_assert_eq(p[i * PAGE], (unsigned char)((i & 1023) + 1));
	close_all();
}

Test(policy, access_spares_blocks_that_the_device_uses)
{
	open_all(8 * MIB, 65536);
	choose(GM_POLICY_EVICT, "access");
	unsigned char *p = map(64 * MIB), c;
	touch(p, 2 * MIB, 65536); /* the hot block: never faults again, but is read all the time */
	for (size_t i = 2 * MIB; i < 64 * MIB; i += 65536) {
		cr_assert_eq(fake_write(&dev, p + i, 3), 0);
		cr_assert_eq(fake_read(&dev, p + MIB, &c), 0);
	}
	/* By the order of faults it would go home every third block; here once, before anything
	 * is known of it. */
	cr_expect_leq(dev.faults, 64 * 16 + 1, "%u faults", dev.faults);
	cr_expect_eq(where(p + MIB), GM_DEVICE);
	cr_expect_eq(where(p + 2 * MIB), GM_HOST);
	for (size_t i = 0; i < 64 * MIB; i += 65536)
		cr_assert_eq(p[i], i < 2 * MIB ? (unsigned char)(i / 65536 + 1) : 3);
	close_all();
}

/* ---- placement ---- */

/* 2 MiB of fours that the CPU has, before a device of 8 MiB. */
static unsigned char *placed_by(const char *placement)
{
	open_all(8 * MIB, 65536);
	choose(GM_POLICY_PLACEMENT, placement);
	unsigned char *p = map(2 * MIB);
	memset(p, 4, 2 * MIB);
	return p;
}

Test(policy, remote_placement_leaves_pages_on_the_host)
{
	open_all(8 * MIB, 65536);
	choose(GM_POLICY_PLACEMENT, "remote");
	unsigned char *p = map(MIB);
	p[0] = 4;
	touch(p, 65536, PAGE);
	cr_expect_eq(where(p), GM_REMOTE);
	uint64_t faults = gmi_stats->cpu_faults;
	cr_expect_eq(p[PAGE], 2);
	p[PAGE] = 8;
	cr_expect_eq(gmi_stats->cpu_faults, faults, "both have it");
	unsigned char c;
	cr_assert_eq(fake_read(&dev, p + PAGE, &c), 0);
	cr_expect_eq(c, 8);
	close_all();
}

Test(policy, duplicate_placement_gives_readers_copies)
{
	open_all(8 * MIB, 65536);
	choose(GM_POLICY_PLACEMENT, "duplicate");
	unsigned char *p = map(MIB), c;
	p[0] = 4;
	cr_assert_eq(fake_read(&dev, p, &c), 0);
	cr_expect_eq(c, 4);
	cr_expect_eq(where(p), GM_DUP);
	cr_assert_eq(fake_write(&dev, p, 5), 0);
	cr_expect_eq(where(p), GM_DEVICE);
	cr_expect_eq(p[0], 5);
	close_all();
}

/* Within some milliseconds, as the background does it. */
#define eventually(c)                                                                              \
	do {                                                                                       \
		for (int ms_ = 0; !(c) && ms_ < 5000; ms_++)                                       \
			usleep(1000);                                                              \
		cr_assert(c);                                                                      \
	} while (0)

/* A granule of 2 MiB is hot by the sum; what of it was not used stays. */
Test(policy, granules_of_counters_are_summed)
{
	open_all(8 * MIB, 65536);
	choose(GM_POLICY_PLACEMENT, "counted");
	unsigned char *p = map(4 * MIB), c;
	p = (unsigned char *)gm_align_up((uintptr_t)p, 2 * MIB);
	memset(p, 4, 2 * MIB);
	for (size_t at = 0; at < 2 * MIB; at += 65536)
		cr_assert_eq(fake_read(&dev, p + at, &c), 0);
	uint16_t accesses[GM_LEAVES] = {[3] = 128, [17] = 128};
	gmi_counter_note((uintptr_t)p, dev.dev, accesses, (struct gm_counting){256, GM_LEAVES});
	cr_expect_eq(where(p + 3 * 65536), GM_DEVICE);
	cr_expect_eq(where(p + 17 * 65536), GM_DEVICE);
	cr_expect_eq(where(p + 4 * 65536), GM_REMOTE);
	cr_expect_eq(gmi_stats->counted_pages, 32);
	close_all();
}

Test(policy, counted_placement_moves_pages_that_stay_hot)
{
	unsigned char *p = placed_by("counted"), c;

	cr_assert_eq(fake_read(&dev, p, &c), 0);
	cr_assert_eq(fake_read(&dev, p + MIB, &c), 0);
	cr_expect_eq(where(p), GM_REMOTE);
	uint16_t accesses[GM_LEAVES] = {100};
	struct gm_counting how = {256, 1};
	gmi_counter_note((uintptr_t)p, dev.dev, accesses, how);
	gmi_counter_note((uintptr_t)p, dev.dev, accesses, how);
	cr_expect_eq(where(p), GM_REMOTE, "200 of 256");
	accesses[0] = 56;
	accesses[16] = 255;
	gmi_counter_note((uintptr_t)p, dev.dev, accesses, how);
	cr_expect_eq(where(p), GM_DEVICE);
	cr_assert_eq(fake_read(&dev, p, &c), 0);
	cr_expect_eq(c, 4);
	cr_expect_eq(where(p + MIB), GM_REMOTE, "one less than hot");
	cr_expect_eq(gmi_stats->counted_pages, 16);
	cr_expect_eq(*(volatile unsigned char *)p, 4);
	cr_expect_eq(where(p), GM_HOST, "the CPU takes it back, and it is counted anew");
	close_all();
}

/* ---- thrashing ---- */

/* n times there and back, as fast as that goes. */
static void ping_pong(unsigned char *p, unsigned n)
{
	for (unsigned k = 0; k < n; k++) {
		unsigned char v = (unsigned char)(2 * k + 1);
		cr_assert_eq(fake_write(&dev, p, v), 0);
		cr_assert_eq(*(volatile unsigned char *)p, v);
		*(volatile unsigned char *)p = (unsigned char)(v + 1);
	}
}

Test(policy, pages_that_thrash_are_throttled)
{
	open_all(8 * MIB, 65536);
	choose(GM_POLICY_THRASH, "throttle:30000");
	unsigned char *p = map(MIB);
	uint64_t start = gmi_now_ns();
	ping_pong(p, 20);
	uint64_t ms = (gmi_now_ns() - start) / 1000000;
	cr_expect_gt(gmi_stats->thrash_throttled, 10);
	cr_expect_eq(gmi_stats->thrash_pins, 0);
	cr_expect_eq(gmi_stats->thrash_leaves, 1);
	cr_expect_gt(ms, 300, "each has the page for 30 ms: %lu ms", (unsigned long)ms);
	close_all();
}

Test(policy, pages_that_thrash_on_are_pinned_for_a_while)
{
	open_all(8 * MIB, 65536);
	choose(GM_POLICY_THRASH, "pin:5000");
	unsigned char *p = map(MIB), c;
	for (int k = 0; k < 100 && !gmi_stats->thrash_pins; k++)
		ping_pong(p, 20);
	cr_assert_eq(gmi_stats->thrash_pins, 1);
	cr_assert_eq(fake_read(&dev, p, &c), 0);
	cr_expect_eq(where(p), GM_REMOTE);
	uint64_t faults = gmi_stats->cpu_faults;
	ping_pong(p, 20);
	cr_expect_eq(gmi_stats->cpu_faults, faults, "both have it");
	cr_expect_eq(where(p + 65536), GM_NOMAP, "its neighbour is its own");
	eventually(!fake_read(&dev, p, &c) && where(p) == GM_DEVICE);
	cr_expect_eq(c, 40);
	close_all();
}

/* A page that goes round once in 3 ms thrashes where the lapse is longer than that. */
Test(policy, the_lapse_of_thrashing_may_be_chosen)
{
	open_all(8 * MIB, 65536);
	choose(GM_POLICY_THRASH, "pin:1000");
	unsigned char *p = map(MIB);
	for (int k = 0; k < 20; k++) {
		ping_pong(p, 1);
		usleep(3000);
	}
	cr_expect_eq(gmi_stats->thrash_pins, 0);
	cr_expect_eq(gmi_stats->thrash_throttled, 0);
	choose(GM_POLICY_THRASH, "pin:100000");
	for (int k = 0; k < 20 && !gmi_stats->thrash_pins; k++) {
		ping_pong(p, 1);
		usleep(3000);
	}
	cr_expect_eq(gmi_stats->thrash_pins, 1);
	cr_expect_eq(gm_policy_set(NULL, dev.dev, GM_POLICY_THRASH, "pin:100001"), -EINVAL);
	cr_expect_eq(gm_policy_set(NULL, dev.dev, GM_POLICY_THRASH, "none:5"), -EINVAL);
	close_all();
}

Test(policy, thrashing_may_be_let_alone)
{
	open_all(8 * MIB, 65536);
	choose(GM_POLICY_THRASH, "none");
	unsigned char *p = map(MIB);
	ping_pong(p, 50);
	cr_expect_eq(gmi_stats->thrash_throttled, 0);
	cr_expect_eq(gmi_stats->thrash_pins, 0);
	cr_expect_eq(gmi_stats->thrash_leaves, 1, "it is still seen");
	cr_expect_eq(where(p), GM_HOST);
	close_all();
}

/* ---- background reclaim ---- */

/* A device of 32 MiB that is full. */
static unsigned char *fill_the_device(void)
{
	gmi_opt.reclaim_percent = 25;
	open_all(32 * MIB, 65536);
	unsigned char *p = map(48 * MIB);
	touch(p, 32 * MIB, 65536);
	return p;
}

static void all_is_there(const unsigned char *p)
{
	for (size_t i = 0; i < 32 * MIB; i += 65536)
		cr_assert_eq(p[i], (unsigned char)(i / 65536 + 1));
	close_all();
}

Test(policy, reclaim_frees_frames_of_a_device_that_evicts)
{
	unsigned char *p = fill_the_device();
	usleep(20000);
	cr_expect_eq(gmi_phys_used_bytes(dev.dev->phys), 32 * MIB, "merely full: left alone");
	cr_assert_eq(fake_write(&dev, p + 32 * MIB, 1), 0); /* evicts one block */
	/* the page that made it necessary may come after the mark was reached */
	eventually(gmi_phys_used_bytes(dev.dev->phys) <= 24 * MIB + 65536);
	usleep(20000);
	cr_expect_geq(gmi_phys_used_bytes(dev.dev->phys), 22 * MIB,
		      "to the high watermark, not beyond");
	all_is_there(p);
}

/* A block that cannot go does not end it: the mark is reached by others. */
Test(policy, reclaim_reaches_its_mark_past_a_failure)
{
	unsigned char *p = fill_the_device();
	dev.fail_kind = GM_OP_UNMAP;
	dev.fail_after = 3; /* at 26 MiB: beyond the low watermark, before the high one */
	cr_assert_eq(fake_write(&dev, p + 32 * MIB, 1), 0);
	eventually(gmi_phys_used_bytes(dev.dev->phys) <= 24 * MIB + 65536);
	cr_expect_lt(dev.fail_after, 0, "it did fail");
	all_is_there(p);
}

/* ---- more placements ---- */

Test(policy, first_use_keeps_pages_on_the_device)
{
	unsigned char *p = placed_by("first-use"), c;

	touch(p, 2 * MIB, PAGE);
	uint64_t home = gmi_stats->d2h_bytes;
	for (size_t i = 0; i < 512; i++)
		cr_assert_eq(p[i * PAGE], (unsigned char)(i + 1));
	for (size_t i = 0; i < 512; i++)
		p[i * PAGE + 1] = (unsigned char)i;
	cr_expect_eq(gmi_stats->d2h_bytes, home, "nothing moved");
	cr_expect_eq(where(p), GM_DEVICE);
	for (size_t i = 0; i < 512; i++) {
		cr_assert_eq(fake_read(&dev, p + i * PAGE + 1, &c), 0);
		cr_assert_eq(c, (unsigned char)i);
	}
	/* The program's rights hold there too, and what is asked to come home comes. */
	cr_assert_eq(gmi_vm_protect(as, p, MIB, PROT_READ), 0);
	cr_expect_eq(p[PAGE], 2);
	cr_assert_eq(fake_write(&dev, p, 1), -EPERM);
	cr_assert_eq(gmi_vm_protect(as, p, MIB, PROT_READ | PROT_WRITE), 0);
	p[PAGE] = 7;
	cr_assert_eq(hmadvise(-1, p, MIB, MADV_PREFETCH), 0);
	cr_expect_eq(where(p), GM_HOST);
	cr_expect_eq(p[PAGE], 7);
	cr_expect_eq(where(p + MIB), GM_DEVICE);
	/* A system call's pin brings pages home. */
	cr_assert_eq(p[MIB], 257 & 255);
	unsigned hold = gmi_hold(p + MIB, PAGE, true);
	cr_expect_eq(where(p + MIB), GM_HOST);
	gmi_unhold(hold);
	close_all();
}

/* What the CPU reached over the bus and then has at home is no longer the device's frame. */
Test(policy, first_use_pages_that_came_home_are_written_at_home)
{
	unsigned char *p = placed_by("first-use"), c;

	touch(p, 2 * MIB, PAGE);
	for (size_t i = 0; i < 512; i++)
		cr_assert_eq(p[i * PAGE], (unsigned char)(i + 1));
	cr_assert_eq(hmadvise(-1, p, 2 * MIB, MADV_PREFETCH), 0);
	for (size_t i = 0; i < 512; i++)
		p[i * PAGE] = (unsigned char)(i + 100);
	for (size_t i = 0; i < 512; i++) {
		cr_assert_eq(fake_read(&dev, p + i * PAGE, &c), 0);
		cr_assert_eq(c, (unsigned char)(i + 100), "page %zu", i);
	}
	close_all();
}

Test(policy, first_use_under_eviction_and_unmapping)
{
	open_all(4 * MIB, PAGE);
	choose(GM_POLICY_PLACEMENT, "first-use");
	for (int round = 0; round < 5; round++) {
		unsigned char *p = map(8 * MIB);
		for (size_t i = 0; i < 2048; i++) {
			cr_assert_eq(fake_write(&dev, p + i * PAGE, (unsigned char)(i + round)), 0);
			p[i * PAGE + 1] = (unsigned char)i; /* over the bus */
			size_t old = i * 7919 % (i + 1);
			cr_assert_eq(p[old * PAGE], (unsigned char)(old + round));
			cr_assert_eq(p[old * PAGE + 1], (unsigned char)old);
		}
		cr_assert_eq(gmi_vm_discard(as, p, PAGE), 0);
		cr_assert_eq(p[1], 0);
		cr_assert_eq(gm_munmap(p, 8 * MIB), 0);
	}
	close_all();
}

Test(policy, copy_placement_brings_everything_home_after_a_launch)
{
	unsigned char *p = placed_by("copy"), c;

	cr_assert_eq(fake_read(&dev, p, &c), 0);
	cr_assert_eq(fake_write(&dev, p + MIB, 5), 0);
	cr_expect_eq(where(p), GM_DUP);
	cr_expect_eq(where(p + MIB), GM_DEVICE);
	gmc_launch_done(dev.dev);
	cr_expect_eq(where(p), GM_HOST);
	cr_expect_eq(where(p + MIB), GM_HOST);
	cr_expect_eq(gmi_stats->d2h_bytes, 65536, "only what was written is copied back");
	cr_expect_eq(p[MIB], 5);
	close_all();
}

Test(policy, zeroing_stores_where_the_pages_are_and_discards_what_a_device_has)
{
	struct rusage before, after;

	open_all(8 * MIB, 65536);
	unsigned char *p = map(8 * MIB), c;
	memset(p, 4, 8 * MIB);
	cr_assert_eq(fake_write(&dev, p, 5), 0);	   /* the device has it alone */
	cr_assert_eq(fake_write(&dev, p + 2 * MIB, 5), 0); /* back, in the store */
	cr_assert_eq(p[2 * MIB], 5);
	cr_assert_eq(fake_read(&dev, p + 2 * MIB + 65536, &c), 0); /* both have a copy */
	uint64_t home = gmi_stats->d2h_bytes;
	cr_assert_eq(getrusage(RUSAGE_SELF, &before), 0);
	cr_assert_eq(gmi_vm_zero(as, p, 8 * MIB), 0);
	for (size_t i = 0; i < 8 * MIB; i++)
		cr_assert_eq(p[i], 0, "at %zu", i);
	memset(p, 6, 8 * MIB);
	cr_assert_eq(getrusage(RUSAGE_SELF, &after), 0);
	cr_expect_eq(gmi_stats->d2h_bytes, home, "nothing was fetched to be overwritten");
	cr_expect_eq(where(p), GM_HOST);
	cr_expect_lt(after.ru_minflt - before.ru_minflt, 256, "2048 pages were not made anew");
	cr_assert_eq(gmi_vm_zero(as, p + PAGE, PAGE), 0);
	cr_expect(p[PAGE - 1] == 6 && p[PAGE] == 0 && p[2 * PAGE - 1] == 0 && p[2 * PAGE] == 6);
	close_all();
}

/* ---- adaptive ---- */

/* MiB that come to a device of 8 MiB when n MiB are written in order, so many times. */
static double fetched(const char *evict, const char *prefetch, size_t n, unsigned passes)
{
	open_all(8 * MIB, 65536);
	choose(GM_POLICY_EVICT, evict);
	choose(GM_POLICY_PREFETCH, prefetch);
	unsigned char *p = map(n * MIB);
	memset(p, 1, n * MIB);
	uint64_t before = gmi_stats->h2d_bytes;
	for (unsigned i = 0; i < passes; i++)
		touch(p, n * MIB, 65536);
	double in = (double)(gmi_stats->h2d_bytes - before) / MIB;
	close_all();
	return in;
}

/* The optimum keeps 8 of 12 MiB: 12 + 3 * 4 = 24 come. LRU always evicts what is needed next. */
Test(policy, adaptive_keeps_its_part_of_a_loop)
{
	cr_expect_geq(fetched("lru2m", "tree:51", 12, 4), 48);
	double in = fetched("adaptive", "adaptive", 12, 4);
	cr_expect_leq(in, 24 * 1.2, "%f", in);
	cr_expect_geq(in, 24);
}

Test(policy, adaptive_goes_in_order_where_nothing_comes_back)
{
	cr_expect_eq(fetched("adaptive", "adaptive", 24, 1), 24);
}

Test(policy, adaptive_is_as_tree_where_memory_suffices)
{
	for (int adaptive = 0; adaptive < 2; adaptive++) {
		open_all(8 * MIB, 65536);
		choose(GM_POLICY_EVICT, adaptive ? "adaptive" : "lru2m");
		choose(GM_POLICY_PREFETCH, adaptive ? "adaptive" : "tree:51");
		unsigned char *p = map(4 * MIB),
			      *at = (unsigned char *)gm_align_up((uintptr_t)p, 2 * MIB);
		memset(p, 1, 4 * MIB);
		uint64_t faults = dev.faults;
		touch(at, 2 * MIB, 65536);
		cr_expect_eq(dev.faults - faults, 6);
		close_all();
	}
}

/* What is used again and again beside a loop stays, though the loop alone is longer than memory. */
Test(policy, adaptive_learns_what_is_hot_beside_a_loop)
{
	open_all(8 * MIB, 65536);
	choose(GM_POLICY_EVICT, "adaptive");
	choose(GM_POLICY_PREFETCH, "adaptive");
	unsigned char *p = map(13 * MIB), *hot = p + 12 * MIB;
	memset(p, 1, 13 * MIB);
	uint64_t faults = 0;
	for (unsigned pass = 0; pass < 6; pass++)
		for (size_t i = 0; i < 12 * MIB / 65536; i++) {
			cr_assert_eq(fake_write(&dev, p + i * 65536, 2), 0);
			uint64_t before = dev.faults;
			cr_assert_eq(fake_write(&dev, hot + i * 7 % 16 * 65536, 3), 0);
			faults += pass >= 3 ? dev.faults - before : 0;
		}
	cr_expect_leq(faults, 3 * 16, "%zu faults on 16 hot pages in 3 passes of 192 touches",
		      (size_t)faults);
	close_all();
}

Test(policy, adaptive_works_with_every_page_size)
{
	static const size_t sizes[] = {4096, 65536, 2 * MIB};

	for (unsigned s = 0; s < GM_ARRAY_LEN(sizes); s++) {
		open_all(8 * MIB, sizes[s]);
		choose(GM_POLICY_EVICT, "adaptive");
		choose(GM_POLICY_PREFETCH, "adaptive");
		unsigned char *p = map(12 * MIB), c;
		memset(p, 1, 12 * MIB);
		for (unsigned pass = 1; pass <= 3; pass++)
			for (size_t i = 0; i < 12 * MIB; i += 65536) {
				cr_assert_eq(fake_read(&dev, p + i, &c), 0);
				cr_assert_eq(c, pass);
				cr_assert_eq(fake_write(&dev, p + i, (unsigned char)(pass + 1)), 0);
			}
		cr_expect_gt(gmi_stats->dev[0].refetched_bytes, 0);
		close_all();
	}
}
