/*
 * What is said about ranges: hints and PTE attributes by range, what they make devices do, and
 * that they survive whatever happens to the range.
 */
#include "core/entry/hold.h"
#include "core/space/vm.h"
#include "fake_dev.h"
#include <gmem/sparse.h>
#include "random.h"
#include <sys/wait.h>

#define PAGE GM_PAGE_BYTES
#define MIB  ((size_t)1 << 20)

static struct gm_as *as;
static struct fake_dev a, b;
static int na, nb;

static unsigned char *map(size_t bytes)
{
	void *p = gm_mmap(as, NULL, bytes, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_PEER_SHARED, -1, 0);
	cr_assert_neq(p, MAP_FAILED);
	return p;
}

static struct gm_page_info query(const void *p)
{
	struct gm_page_info info;
	cr_assert_eq(gm_query((void *)((uintptr_t)p & ~(PAGE - 1)), PAGE, &info), 0);
	return info;
}

static struct gm_hints_info hints(const void *p)
{
	struct gm_hints_info info;
	cr_assert_eq(gm_query_hints(p, &info), 0);
	return info;
}

static unsigned char device_read(struct fake_dev *f, void *p)
{
	unsigned char c = 0;

	cr_assert_eq(fake_read(f, p, &c), 0);
	return c;
}

static struct fake_pte *pte(struct fake_dev *f, const void *p)
{
	return &f->pte[((uintptr_t)p - as->base) / PAGE];
}

/* Where the device's next touch leaves a page that was reached over the bus until now. */
static enum gm_where after_touch(unsigned char *p)
{
	cr_assert_eq(fake_write(&a, p, 9), 0);
	return query(p).where;
}

static void setup(void)
{
	gmi_opt.prefetch = GM_PREFETCH_NONE;
	cr_assert_eq(gm_as_create(0, 64 * MIB, &as), 0);
	fake_open(&a, as, 8 * MIB, variant_page, true);
	fake_open(&b, as, 8 * MIB, 4096, false);
	na = gm_dev_hnid(a.dev);
	nb = gm_dev_hnid(b.dev);
}
static void teardown(void)
{
	fake_close(&a);
	fake_close(&b);
	cr_assert_eq(gm_as_destroy(as), 0);
}
TestSuite(hints, .init = setup, .fini = teardown, .timeout = 60);

Test(hints, preferred_location_host_keeps_pages_there)
{
	unsigned char *p = map(MIB);

	p[0] = 1;
	cr_assert_eq(hmadvise(-1, p, MIB / 2, GM_MADV_PREFERRED_LOCATION), 0);
	cr_assert_eq(device_read(&a, p), 1);
	cr_assert_eq(query(p).where, GM_REMOTE);
	cr_assert_eq(fake_write(&a, p, 2), 0);
	cr_assert_eq(p[0], 2);
	p[MIB / 2] = 3;
	cr_assert_eq(device_read(&a, p + MIB / 2), 3);
	cr_assert_eq(query(p + MIB / 2).where, GM_DEVICE, "beyond the hint");
	cr_assert_eq(hmadvise(na, p, MIB, MADV_PREFETCH), 0);
	cr_assert_eq(query(p).where, GM_DEVICE, "an explicit prefetch comes first");
	cr_assert_eq(device_read(&a, p), 2);
	cr_assert_eq(query(p).where, GM_DEVICE);
	cr_assert_eq(hmadvise(-1, p, MIB, GM_MADV_UNSET_PREFERRED_LOCATION), 0);
	p[0] = 4;
	cr_assert_eq(device_read(&a, p), 4);
	cr_assert_eq(query(p).where, GM_DEVICE);
}

Test(hints, preferred_location_device_overrides_the_policy)
{
	unsigned char *p = map(4 * MIB);

	cr_assert_eq(gm_policy_set(as, a.dev, GM_POLICY_PLACEMENT, "remote"), 0);
	cr_assert_eq(hmadvise(na, p, 2 * MIB, GM_MADV_PREFERRED_LOCATION), 0);
	p[0] = 1;
	p[2 * MIB] = 2;
	cr_assert_eq(device_read(&a, p), 1);
	cr_assert_eq(query(p).where, GM_DEVICE);
	cr_assert_eq(device_read(&a, p + 2 * MIB), 2);
	cr_assert_eq(query(p + 2 * MIB).where, GM_REMOTE);
	cr_assert_eq(device_read(&b, p), 1, "moves as usual");
	cr_assert_eq(query(p).hnid, nb);
}

Test(hints, preferred_location_of_pages_of_the_host_alone)
{
	unsigned char *p = map(2 * MIB);

	memset(p, 3, 2 * MIB);
	cr_assert_eq(hmadvise(na, p, MIB, GM_MADV_PREFERRED_LOCATION_SYSTEM), 0);
	cr_expect_eq(hints(p).has_preferred, 2);
	cr_expect_eq(hints(p).preferred, na);
	cr_assert_eq(device_read(&a, p), 3);
	cr_expect_eq(query(p).where, GM_DEVICE, "it was the host's");
	cr_assert_eq(fake_write(&b, p + MIB / 2, 4), 0);
	cr_assert_eq(fake_write(&b, p + MIB, 5), 0);
	cr_assert_eq(query(p + MIB / 2).hnid, nb);
	cr_assert_eq(device_read(&a, p + MIB / 2), 4);
	cr_expect_eq(query(p + MIB / 2).where, GM_REMOTE, "it was b's: home, and over the bus");
	cr_expect_eq(query(p + MIB / 2).hnid, na);
	cr_assert_eq(fake_write(&a, p + MIB / 2, 6), 0);
	cr_expect_eq(query(p + MIB / 2).where, GM_REMOTE);
	cr_assert_eq(device_read(&a, p + MIB), 5);
	cr_expect_eq(query(p + MIB).where, GM_DEVICE, "nothing was said there");
	/* A prefetch is what the program asks for. */
	cr_assert_eq(hmadvise(na, p, MIB, MADV_PREFETCH), 0);
	cr_expect_eq(query(p + MIB / 2).where, GM_DEVICE);
	cr_expect_eq(device_read(&a, p + MIB / 2), 6);
	/* All pages again. */
	cr_assert_eq(fake_write(&b, p + MIB / 2, 7), 0);
	cr_assert_eq(device_read(&a, p + MIB / 2), 7);
	cr_assert_eq(query(p + MIB / 2).where, GM_REMOTE);
	cr_assert_eq(hmadvise(na, p, MIB, GM_MADV_PREFERRED_LOCATION), 0);
	cr_expect_eq(hints(p).has_preferred, 1);
	cr_expect_eq(after_touch(p + MIB / 2), GM_DEVICE);
	/* The host has no such policy: its pages are its own. */
	cr_assert_eq(hmadvise(-1, p, MIB, GM_MADV_PREFERRED_LOCATION_SYSTEM), 0);
	cr_expect_eq(hints(p).has_preferred, 1);
	cr_expect_eq(hints(p).preferred, -1);
}

Test(hints, accessed_by_maps_before_the_touch)
{
	unsigned char *p = map(MIB);

	for (size_t i = 0; i < MIB; i += PAGE)
		p[i] = (unsigned char)(i / PAGE);
	cr_assert_eq(gm_mprotect(p + MIB / 2, MIB / 4, PROT_READ), 0);
	cr_assert_eq(hmadvise(na, p, MIB, GM_MADV_ACCESSED_BY), 0);
	for (size_t i = 0; i < MIB; i += PAGE)
		cr_assert_eq(device_read(&a, p + i), (unsigned char)(i / PAGE));
	cr_assert_eq(fake_write(&a, p, 7), 0);
	cr_assert_eq(a.faults, 0, "every entry was there before");
	cr_assert_eq(p[0], 7);
	cr_assert_eq(fake_write(&a, p + MIB / 2, 7), -EPERM);
	/* Another device takes a page away; the CPU brings it home, and the entry comes back. */
	cr_assert_eq(fake_write(&b, p, 8), 0);
	cr_assert_eq(query(p).hnid, nb);
	cr_assert_eq(pte(&a, p)->prot, 0);
	cr_assert_eq(p[0], 8);
	/* Asks with the block locked: by userfaultfd the touch may be ahead of the end of its
	 * fault. */
	cr_assert_eq(query(p).where, GM_REMOTE);
	cr_assert_neq(pte(&a, p)->prot, 0);
	unsigned before = a.faults;
	cr_assert_eq(device_read(&a, p), 8);
	cr_assert_eq(a.faults, before);
	/* Pages that are touched for the first time later are reached by a fault, and stay. */
	unsigned char *q = map(MIB);
	cr_assert_eq(hmadvise(na, q, MIB, GM_MADV_ACCESSED_BY), 0);
	q[5] = 5;
	cr_assert_eq(device_read(&a, q + 5), 5);
	cr_assert_eq(query(q).where, GM_REMOTE);
}

/* ---- taken back ---- */

Test(hints, what_is_taken_back_is_as_if_never_said)
{
	static const struct {
		const char *name;
		int set, unset;
		bool device;
	} hint[] = {{"PINNED", GM_MADV_PINNED, GM_MADV_UNPINNED, false},
		    {"PREFERRED_LOCATION", GM_MADV_PREFERRED_LOCATION,
		     GM_MADV_UNSET_PREFERRED_LOCATION, false},
		    {"ACCESSED_BY", GM_MADV_ACCESSED_BY, GM_MADV_UNSET_ACCESSED_BY, true}};

	for (size_t k = 0; k < sizeof hint / sizeof hint[0]; k++) {
		unsigned char *p = map(2 * MIB);
		int node = hint[k].device ? na : -1;
		memset(p, 4, 2 * MIB);
		cr_assert_eq(hmadvise(node, p, 2 * MIB, hint[k].set), 0);
		cr_assert_eq(after_touch(p), GM_REMOTE, "%s", hint[k].name);
		cr_assert_eq(after_touch(p + MIB), GM_REMOTE, "%s", hint[k].name);
		cr_assert_eq(hmadvise(node, p, MIB, hint[k].unset), 0);
		cr_expect_eq(after_touch(p), GM_DEVICE, "%s", hint[k].name);
		cr_expect_eq(after_touch(p + MIB), GM_REMOTE, "%s still holds there", hint[k].name);
		cr_expect_eq(p[0], 9);
		cr_expect_eq(query(p).where, GM_HOST,
			     "%s: home at the CPU's touch, not over the bus", hint[k].name);
	}
}

/* Two reasons, of which one goes. */
Test(hints, what_another_hint_or_pin_keeps_stays)
{
	unsigned char *p = map(MIB);

	memset(p, 4, MIB);
	cr_assert_eq(hmadvise(-1, p, MIB, GM_MADV_PINNED), 0);
	cr_assert_eq(hmadvise(-1, p, MIB, GM_MADV_PREFERRED_LOCATION), 0);
	cr_assert_eq(gm_as_map(as, a.dev, p + MIB / 2, MIB / 2, GM_PROT_READ | GM_PROT_WRITE), 0);
	cr_assert_eq(after_touch(p), GM_REMOTE);
	unsigned faults = a.faults;
	cr_assert_eq(hmadvise(-1, p, MIB, GM_MADV_UNPINNED), 0);
	cr_expect_eq(after_touch(p), GM_REMOTE, "preferred");
	cr_assert_eq(hmadvise(-1, p, MIB, GM_MADV_UNSET_PREFERRED_LOCATION), 0);
	cr_expect_eq(after_touch(p + MIB / 2), GM_REMOTE, "mapped by gm_as_map");
	cr_expect_eq(a.faults, faults, "no entry was taken away");
	cr_expect_eq(after_touch(p), GM_DEVICE);
}

Test(hints, a_new_preferred_location_holds_at_once)
{
	unsigned char *p = map(MIB);

	memset(p, 4, MIB);
	cr_assert_eq(hmadvise(-1, p, MIB, GM_MADV_PREFERRED_LOCATION), 0);
	cr_assert_eq(after_touch(p), GM_REMOTE);
	cr_assert_eq(hmadvise(na, p, MIB, GM_MADV_PREFERRED_LOCATION), 0);
	cr_expect_eq(after_touch(p), GM_DEVICE);
}

Test(hints, accessed_by_the_cpu)
{
	unsigned char *p = map(2 * MIB);
	struct gm_counters before, now;

	memset(p, 4, 2 * MIB);
	cr_assert_eq(hmadvise(-1, p, MIB, GM_MADV_ACCESSED_BY), 0);
	cr_expect_eq(hints(p).accessed_by_cpu, 1);
	cr_expect_eq(hints(p).accessed_by, 0);
	cr_assert_eq(fake_write(&a, p, 9), 0);
	cr_assert_eq(fake_write(&a, p + MIB, 9), 0);
	cr_expect_eq(query(p).cpu, GM_PROT_READ | GM_PROT_WRITE, "before it asks");
	gm_query_counters(&before, sizeof before);
	cr_expect_eq(p[0], 9);
	p[1] = 8;
	cr_expect_eq(query(p).where, GM_DEVICE, "it came to the page");
	cr_expect_eq(device_read(&a, p + 1), 8);
	gm_query_counters(&now, sizeof now);
	cr_expect_eq(now.cpu_faults, before.cpu_faults);
	cr_expect_eq(now.to_host_bytes, before.to_host_bytes);
	p[MIB] = 1;
	cr_expect_eq(query(p + MIB).where, GM_HOST, "nothing was said there");
	/* Where the host cannot address the device's memory, pages come home. */
	cr_assert_eq(fake_write(&b, p, 3), 0);
	cr_expect_eq(p[0], 3);
	cr_expect_eq(query(p).hnid, -1);
	/* Taken back: the next touch brings it home. */
	cr_assert_eq(fake_write(&a, p, 5), 0);
	cr_assert_eq(hmadvise(-1, p, MIB, GM_MADV_UNSET_ACCESSED_BY), 0);
	cr_expect_eq(hints(p).accessed_by_cpu, 0);
	cr_expect_eq(query(p).cpu, 0);
	cr_expect_eq(p[0], 5);
	cr_expect_eq(query(p).where, GM_HOST);
	cr_expect_eq(p[1], 8);
}

/* ---- atomic access ---- */

/* What each attribute makes of the device's touch, and of the CPU's after it, where without one
 * the page would stay with the other. */
Test(hints, atomic_access_says_who_moves_the_page)
{
	static const struct {
		const char *name;
		int behavior, atomic;
		enum gm_where device, cpu; /* where the touch of each leaves the page */
	} row[] = {
		{"none", GM_MADV_UNSET_ATOMIC, GM_ATOMIC_NONE, GM_REMOTE, GM_DEVICE},
		{"device", GM_MADV_ATOMIC_DEVICE, GM_ATOMIC_DEVICE, GM_DEVICE, GM_DEVICE},
		{"global", GM_MADV_ATOMIC_GLOBAL, GM_ATOMIC_GLOBAL, GM_DEVICE, GM_HOST},
		{"cpu", GM_MADV_ATOMIC_CPU, GM_ATOMIC_CPU, GM_REMOTE, GM_HOST},
	};

	for (size_t k = 0; k < sizeof row / sizeof row[0]; k++) {
		unsigned char *p = map(6 * MIB);
		memset(p, 4, 6 * MIB);
		cr_assert_eq(gm_policy_set(as, a.dev, GM_POLICY_PLACEMENT, "remote"), 0);
		cr_assert_eq(hmadvise(-1, p + 2 * MIB, MIB, GM_MADV_PREFERRED_LOCATION), 0);
		cr_assert_eq(hmadvise(na, p + 3 * MIB, MIB, GM_MADV_ACCESSED_BY), 0);
		cr_assert_eq(hmadvise(-1, p + 4 * MIB, MIB, GM_MADV_ACCESSED_BY), 0);
		cr_assert_eq(after_touch(p), GM_REMOTE, "%s", row[k].name);
		cr_assert_eq(hmadvise(-1, p, 6 * MIB, row[k].behavior), 0);
		cr_expect_eq(hints(p).atomic, row[k].atomic);
		for (int i = 0; i < 4; i++) /* by policy, preferred location, ACCESSED_BY */
			cr_expect_eq(after_touch(p + i * MIB), row[k].device, "%s, %d", row[k].name,
				     i);
		/* the CPU may come to it in place */
		unsigned char *q = p + 4 * MIB;
		cr_assert_eq(hmadvise(na, q, MIB, MADV_PREFETCH), 0);
		q[0]++;
		cr_expect_eq(query(q).where, row[k].cpu, "%s", row[k].name);
		cr_expect_eq(q[0], 5);
		cr_assert_eq(hmadvise(-1, p, 6 * MIB, GM_MADV_UNSET_ATOMIC), 0);
		cr_expect_eq(hints(p).atomic, GM_ATOMIC_NONE);
		p[2 * MIB] = 1;
		cr_expect_eq(after_touch(p + 2 * MIB), GM_REMOTE, "%s, taken back", row[k].name);
		cr_assert_eq(gm_munmap(p, 6 * MIB), 0);
	}
}

Test(hints, atomic_access_of_the_cpu_has_the_pages_home)
{
	unsigned char *p = map(2 * MIB);

	memset(p, 4, 2 * MIB);
	cr_assert_eq(hmadvise(na, p, 2 * MIB, MADV_PREFETCH), 0);
	cr_assert_eq(hmadvise(na, p, 2 * MIB, GM_MADV_PREFERRED_LOCATION), 0);
	cr_assert_eq(hmadvise(-1, p, MIB, GM_MADV_ATOMIC_CPU), 0);
	cr_expect_eq(query(p).where, GM_HOST, "at once");
	cr_expect_eq(query(p + MIB).where, GM_DEVICE);
	cr_expect_eq(after_touch(p), GM_REMOTE, "whatever is preferred");
	cr_expect_eq(p[0], 9);
}

/* Memory full of what must stay: over the bus, but for what may not be there. */
Test(hints, atomic_access_without_room_is_an_error)
{
	unsigned char *p = map(2 * MIB), c;
	struct gm_bo *bo;

	memset(p, 4, 2 * MIB);
	cr_assert_eq(gm_bo_create(a.dev, 8 * MIB, &bo), 0);
	cr_assert_eq(hmadvise(-1, p, MIB, GM_MADV_ATOMIC_DEVICE), 0);
	cr_expect_eq(fake_read(&a, p, &c), -ENOSPC);
	cr_expect_eq(query(p).where, GM_HOST);
	cr_expect_eq(after_touch(p + MIB), GM_REMOTE);
	cr_assert_eq(gm_bo_destroy(bo), 0);
	cr_expect_eq(after_touch(p), GM_DEVICE);
	/* a pin comes first */
	cr_assert_eq(hmadvise(-1, p, MIB, GM_MADV_PINNED), 0);
	cr_expect_eq(after_touch(p), GM_REMOTE);
}

Test(hints, atomic_access_needs_no_move_where_the_bus_has_atomics)
{
	unsigned char *p = map(2 * MIB);

	a.dev->cap |= GM_DEV_CAP_BUS_ATOMICS;
	memset(p, 4, 2 * MIB);
	cr_assert_eq(hmadvise(-1, p, 2 * MIB, GM_MADV_PREFERRED_LOCATION), 0);
	cr_assert_eq(hmadvise(-1, p, 2 * MIB, GM_MADV_ATOMIC_GLOBAL), 0);
	cr_expect_eq(after_touch(p), GM_REMOTE);
	cr_assert_eq(fake_write(&b, p + MIB, 3), 0);
	cr_expect_eq(query(p + MIB).where, GM_DEVICE, "another device has none");
}

Test(hints, atomic_access_is_not_parked)
{
	unsigned char *p = map(MIB);

	cr_assert_eq(gm_policy_set(NULL, a.dev, GM_POLICY_THRASH, "pin:100000"), 0);
	for (int k = 0; k < 100 && !gmi_stats->thrash_pins; k++) {
		cr_assert_eq(fake_write(&a, p, 1), 0);
		p[0]++;
	}
	cr_assert_eq(gmi_stats->thrash_pins, 1);
	cr_assert_eq(hmadvise(-1, p, MIB, GM_MADV_ATOMIC_DEVICE), 0);
	cr_expect_eq(after_touch(p), GM_DEVICE);
}

Test(hints, prefetch_says_what_did_not_move)
{
	unsigned char *p = map(4 * MIB);

	memset(p, 4, 4 * MIB);
	cr_assert_eq(hmadvise(na, p, 4 * MIB, MADV_PREFETCH), 0);
	cr_assert_eq(hmadvise(-1, p, 4 * MIB, MADV_PREFETCH), 0);
	cr_assert_eq(hmadvise(-1, p + 2 * MIB, variant_page, GM_MADV_PINNED), 0);
	cr_expect_eq(hmadvise(na, p, 4 * MIB, MADV_PREFETCH), -EBUSY);
	cr_expect_eq(query(p).where, GM_DEVICE, "the others are there");
	cr_expect_eq(query(p + 2 * MIB).where, GM_HOST);
	cr_assert_eq(hmadvise(-1, p + 2 * MIB, variant_page, GM_MADV_UNPINNED), 0);
	cr_expect_eq(hmadvise(na, p, 4 * MIB, MADV_PREFETCH), 0);
	cr_expect_eq(query(p + 2 * MIB).where, GM_DEVICE);
	/* A system call's buffer. */
	cr_assert_eq(hmadvise(-1, p, 4 * MIB, MADV_PREFETCH), 0);
	unsigned hold = gmi_hold(p, 16, true);
	cr_expect_eq(hmadvise(na, p, 4 * MIB, MADV_PREFETCH), -EBUSY);
	gmi_unhold(hold);
	cr_expect_eq(hmadvise(na, p, 4 * MIB, MADV_PREFETCH), 0);
	/* Memory that it may not touch is no failure. */
	cr_assert_eq(hmadvise(-1, p, 4 * MIB, MADV_PREFETCH), 0);
	cr_assert_eq(gm_mprotect(p, 2 * MIB, PROT_NONE), 0);
	cr_expect_eq(hmadvise(na, p, 4 * MIB, MADV_PREFETCH), 0);
}

Test(hints, prefetch_moves_whatever_the_placement)
{
	unsigned char *p = map(MIB);

	memset(p, 4, MIB);
	cr_assert_eq(gm_policy_set(as, a.dev, GM_POLICY_PLACEMENT, "remote"), 0);
	cr_assert_eq(hmadvise(na, p, MIB, MADV_PREFETCH), 0);
	cr_expect_eq(query(p).where, GM_DEVICE);
	cr_expect_eq(device_read(&a, p), 4);
	cr_expect_eq(query(p).where, GM_DEVICE, "and it stays there");
	p[0] = 5;
	cr_expect_eq(device_read(&a, p), 5);
	cr_expect_eq(query(p).where, GM_REMOTE);
}

/* The six ways in which a range can lie to another one, and each page has what was said last. */
Test(hints, overlap)
{
	static const struct {
		unsigned lo, hi;
	} second[] = {{0, 10}, {0, 20}, {12, 18}, {10, 20}, {15, 25}, {5, 30}};
	enum { PAGES = 32 };

	for (unsigned w = 0; w < sizeof second / sizeof second[0]; w++) {
		unsigned char *p = map(PAGES * PAGE);
		cr_assert_eq(hmadvise(na, p + 10 * PAGE, 10 * PAGE, GM_MADV_PREFERRED_LOCATION), 0);
		cr_assert_eq(hmadvise(nb, p + second[w].lo * PAGE,
				      (second[w].hi - second[w].lo) * PAGE,
				      GM_MADV_PREFERRED_LOCATION),
			     0);
		/* splits the region */
		cr_assert_eq(gm_mprotect(p + 8 * PAGE, 7 * PAGE, PROT_READ), 0);
		/* merges it */
		cr_assert_eq(gm_mprotect(p + 8 * PAGE, 7 * PAGE, PROT_READ | PROT_WRITE), 0);
		for (unsigned i = 0; i < PAGES; i++) {
			bool two = i >= second[w].lo && i < second[w].hi, one = i >= 10 && i < 20;
			struct gm_hints_info h = hints(p + i * PAGE);
			cr_assert_eq(h.has_preferred, one || two, "way %u, page %u", w, i);
			cr_assert(!h.has_preferred || h.preferred == (two ? nb : na),
				  "way %u, page %u", w, i);
		}
		cr_assert_eq(gm_munmap(p, PAGES * PAGE), 0);
		cr_assert(!hints(p + 12 * PAGE).has_preferred, "gone with the mapping");
	}
}

/* Hints of all kinds on random ranges against a plain table; blocks exist or come later. */
struct hinted {
	bool mostly;
	int preferred; /* 0 none, 1 host, 2 a, 3 b */
	bool system;
	int atomic;
	bool by[2];
	uint64_t attr[2];
};
enum { HINT_ATTR = 10, HINTS };
static const int hint_behavior[HINT_ATTR] = {GM_MADV_READ_MOSTLY,
					     GM_MADV_UNSET_READ_MOSTLY,
					     GM_MADV_PREFERRED_LOCATION,
					     GM_MADV_PREFERRED_LOCATION,
					     GM_MADV_ACCESSED_BY,
					     GM_MADV_UNSET_ACCESSED_BY,
					     GM_MADV_UNSET_PREFERRED_LOCATION,
					     GM_MADV_PREFERRED_LOCATION_SYSTEM,
					     GM_MADV_ATOMIC_GLOBAL,
					     GM_MADV_UNSET_ATOMIC};

static void prefer_model(struct hinted *m, int where, bool system)
{
	m->preferred = where;
	m->system = system;
}

static void hint_model(struct hinted *m, unsigned what, unsigned d, uint64_t attr)
{
	switch (what) {
	case 0:
	case 1:
		m->mostly = what == 0;
		break;
	case 2:
		prefer_model(m, 1, false);
		break;
	case 3:
	case 7:
		prefer_model(m, 2 + (int)d, what == 7);
		break;
	case 4:
	case 5:
		m->by[d] = what == 4;
		break;
	case 6:
		prefer_model(m, 0, false);
		break;
	case 8:
	case 9:
		m->atomic = what == 8 ? GM_ATOMIC_GLOBAL : GM_ATOMIC_NONE;
		break;
	default:
		m->attr[d] = attr;
	}
}

static void hints_are(unsigned char *va, const struct hinted *m)
{
	struct fake_dev *dev[] = {&a, &b};
	struct gm_hints_info h = hints(va + 17);
	const struct gm_block *blk = gm_block_find(as, (uintptr_t)va);
	unsigned j = (unsigned)((uintptr_t)va / PAGE % GM_PAGES_PER_BLOCK);
	int want = m->preferred < 2 ? -1 : m->preferred == 2 ? na : nb;

	cr_assert_eq(h.read_mostly, m->mostly, "%p", va);
	cr_assert_eq(h.atomic, m->atomic, "%p", va);
	cr_assert_eq(h.has_preferred, (m->preferred != 0) + m->system, "%p", va);
	cr_assert_eq(h.preferred, want, "%p", va);
	cr_assert_eq(h.accessed_by, (uint32_t)(m->by[0] + m->by[1]), "%p", va);
	cr_assert_eq(gm_bm_test(&blk->read_mostly, j), m->mostly, "the block's mirror, %p", va);
	for (unsigned d = 0; d < 2; d++) {
		uint64_t attr;
		cr_assert_eq(gm_get_attr(as, dev[d]->dev, va, &attr), 0);
		cr_assert_eq(attr, m->attr[d], "%p", va);
		if (pte(dev[d], va)->prot)
			cr_assert_eq(pte(dev[d], va)->attr, attr, "entry of %p", va);
	}
}

Test(hints, random_ranges_against_a_table)
{
	enum { PAGES = 1400, STEPS = 4000 };
	static struct hinted model[PAGES];
	struct fake_dev *dev[] = {&a, &b};
	unsigned char *p = map(PAGES * PAGE);

	rng_seed("hints");
	for (int step = 0; step < STEPS; step++) {
		unsigned lo = rng_below(PAGES), n = 1 + rng_below(step % 7 ? 40 : PAGES - lo);
		unsigned what = rng_below(HINTS), d = rng_below(2);
		uint64_t attr = rng_below(4);
		n = lo + n > PAGES ? PAGES - lo : n;
		int hnid = what == 2 ? -1 : gm_dev_hnid(dev[d]->dev);
		int err = what == HINT_ATTR
				  ? gm_set_attr(as, dev[d]->dev, p + lo * PAGE, n * PAGE, attr)
				  : hmadvise(hnid, p + lo * PAGE, n * PAGE, hint_behavior[what]);
		cr_assert_eq(err, 0);
		for (unsigned i = lo; i < lo + n; i++)
			hint_model(&model[i], what, d, attr);
		unsigned i = rng_below(PAGES);
		if (step % 3 == 0)
			fake_write(dev[d], p + i * PAGE, 1); /* blocks come to be, pages move */
	}
	for (unsigned i = 0; i < PAGES; i++)
		hints_are(p + i * PAGE, &model[i]);
}

Test(hints, attributes_travel_with_the_page)
{
	unsigned char *p = map(MIB), *q = map(MIB);
	uint64_t attr;

	p[0] = 1;
	cr_assert_eq(device_read(&a, p), 1);
	cr_assert_eq(pte(&a, p)->attr, 0);
	cr_assert_eq(gm_set_attr(as, a.dev, p, MIB, 0xabcdef0123456789), 0);
	cr_assert_eq(pte(&a, p)->attr, 0xabcdef0123456789, "the entry it had");
	cr_assert_eq(device_read(&b, p), 1);
	cr_assert_eq(pte(&b, p)->attr, 0, "another device's are its own");
	p[0] = 2;
	cr_assert_eq(device_read(&a, p), 2);
	cr_assert_eq(pte(&a, p)->attr, 0xabcdef0123456789, "after it was away");
	/* Part of the range gets others: one fault's entries are split. */
	cr_assert_eq(gm_set_attr(as, a.dev, p + 3 * PAGE, PAGE, 5), 0);
	cr_assert_eq(hmadvise(na, p, MIB, MADV_PREFETCH), 0);
	cr_assert_eq(pte(&a, p + 2 * PAGE)->attr, 0xabcdef0123456789);
	cr_assert_eq(pte(&a, p + 3 * PAGE)->attr, 5);
	cr_assert_eq(pte(&a, p + 4 * PAGE)->attr, 0xabcdef0123456789);
	/* mremap takes them along, munmap ends them. */
	cr_assert_eq(gm_mremap(p, MIB, MIB, MREMAP_MAYMOVE | MREMAP_FIXED, q), q);
	cr_assert_eq(q[0], 2);
	cr_assert_eq(gm_get_attr(as, a.dev, q + 3 * PAGE, &attr), 0);
	cr_assert_eq(attr, 5);
	cr_assert_eq(device_read(&a, q), 2);
	cr_assert_eq(pte(&a, q)->attr, 0xabcdef0123456789);
	cr_assert_eq(gm_munmap(q, MIB), 0);
	cr_assert_eq(gm_get_attr(as, a.dev, q + 3 * PAGE, &attr), 0);
	cr_assert_eq(attr, 0);
}

Test(hints, attributes_survive_eviction_and_another_device)
{
	const size_t bytes = 12 * MIB; /* more than a has */
	unsigned char *p = map(bytes);

	for (size_t i = 0; i < bytes / MIB; i++)
		cr_assert_eq(gm_set_attr(as, a.dev, p + i * MIB, MIB, 100 + i), 0);
	for (int round = 0; round < 3; round++)
		for (size_t i = 0; i < bytes; i += PAGE) {
			struct fake_dev *f = round == 1 && i % MIB == 0 ? &b : &a;
			cr_assert_eq(fake_write(f, p + i, (unsigned char)round), 0);
			cr_assert_eq(pte(f, p + i)->attr, f == &a ? 100 + i / MIB : 0);
		}
	cr_assert_gt(atomic_load(&gmi_stats->dev[a.dev->index].evicted_bytes), 0);
	/* Over the bus too. */
	cr_assert_eq(hmadvise(-1, p, MIB, GM_MADV_PINNED), 0);
	cr_assert_eq(device_read(&a, p), 2);
	cr_assert_eq(query(p).where, GM_REMOTE);
	cr_assert_eq(pte(&a, p)->attr, 100);
}

Test(hints, a_detached_device_is_no_longer_named)
{
	struct fake_dev c;
	unsigned char *p = map(MIB);
	uint64_t attr;

	p[0] = 1;
	fake_open(&c, as, 8 * MIB, 4096, true);
	cr_assert_eq(hmadvise(gm_dev_hnid(c.dev), p, MIB, GM_MADV_PREFERRED_LOCATION), 0);
	cr_assert_eq(hmadvise(gm_dev_hnid(c.dev), p, MIB, GM_MADV_ACCESSED_BY), 0);
	cr_assert_eq(hmadvise(na, p, PAGE, GM_MADV_ACCESSED_BY), 0);
	cr_assert_eq(gm_set_attr(as, c.dev, p, MIB, 9), 0);
	fake_close(&c);
	fake_open(&c, as, 8 * MIB, 4096, true); /* the same index */
	cr_assert_eq(hints(p).accessed_by, 1);
	cr_assert_eq(hints(p).accessed_hnid[0], na);
	cr_assert(!hints(p).has_preferred);
	cr_assert_eq(gm_get_attr(as, c.dev, p, &attr), 0);
	cr_assert_eq(attr, 0);
	cr_assert_eq(device_read(&c, p), 1);
	cr_assert_eq(pte(&c, p)->attr, 0);
	fake_close(&c);
}

Test(hints, a_fork_child_keeps_what_names_no_device)
{
	unsigned char *p = map(MIB);
	int status;

	p[0] = 1;
	cr_assert_eq(hmadvise(-1, p, MIB, GM_MADV_READ_MOSTLY), 0);
	cr_assert_eq(hmadvise(na, p, MIB / 2, GM_MADV_PREFERRED_LOCATION), 0);
	cr_assert_eq(hmadvise(na, p, MIB, GM_MADV_ACCESSED_BY), 0);
	cr_assert_eq(gm_set_attr(as, a.dev, p, MIB, 3), 0);
	cr_assert_eq(device_read(&b, p), 1);
	pid_t child = fork();
	if (child == 0) {
		struct gm_hints_info h = {0};
		int err = gm_query_hints(p, &h);
		_exit(!err && h.read_mostly && !h.has_preferred && !h.accessed_by && p[0] == 1 ? 0
											       : 1);
	}
	cr_assert_eq(waitpid(child, &status, 0), child);
	cr_expect_eq(status, 0);
	cr_expect_eq(hints(p).preferred, na);
	cr_expect_eq(hints(p).accessed_by, 1);
}

Test(hints, bad_arguments)
{
	unsigned char *p = map(MIB);
	struct gm_hints_info h;
	uint64_t attr;

	cr_expect_eq(hmadvise(-2, p, MIB, GM_MADV_ACCESSED_BY), -EINVAL);
	cr_expect_eq(hmadvise(4711, p, MIB, GM_MADV_ACCESSED_BY), -ENODEV);
	cr_expect_eq(hmadvise(-1, p, MIB, 0x1ff), -EINVAL);
	cr_expect_eq(hmadvise(na, p + MIB, MIB, GM_MADV_PREFERRED_LOCATION), -EFAULT);
	cr_expect_eq(gm_set_attr(as, a.dev, p + 1, PAGE, 1), -EINVAL);
	cr_expect_eq(gm_set_attr(as, a.dev, p, PAGE - 1, 1), -EINVAL);
	cr_expect_eq(gm_set_attr(as, a.dev, p, 2 * MIB, 1), -EFAULT);
	cr_expect_eq(gm_set_attr(as, NULL, p, MIB, 1), -EINVAL);
	cr_expect_eq(gm_set_attr(NULL, a.dev, p, MIB, 1), -EINVAL);
	cr_expect_eq(gm_get_attr(as, a.dev, &h, &attr), -EINVAL);
	cr_expect_eq(gm_query_hints(&h, &h), -EINVAL);
	cr_expect_eq(gm_query_hints(p, NULL), -EINVAL);
	cr_expect(!hints(p).has_preferred && !hints(p).accessed_by);
}
