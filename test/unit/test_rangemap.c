/* The range map behaves like an array with one value per page, whatever is assigned and cleared
 * in whatever order. */
#include "core/sys/inject.h"
#include "core/sys/rangemap.h"
#include "random.h"
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#define LO    0x200000000000ul
#define PAGES 400u
#define HI    (LO + PAGES * GM_PAGE_BYTES)

static uintptr_t va(unsigned page)
{
	return LO + page * GM_PAGE_BYTES;
}
static struct gm_range_value value(unsigned v)
{
	return (struct gm_range_value){{v, v * 3, ~(uint64_t)v}};
}

/* ---- the model: model[page] is 0 for nothing, else the value ---- */

static uint8_t model[PAGES + 1];

static unsigned run_end(unsigned page)
{
	unsigned end = page;

	while (end < PAGES && model[end] == model[page])
		end++;
	return end;
}

/* Every range is a maximal run of the model, in order; the sums are right. */
static void check_ranges(const struct gm_rangemap *m)
{
	unsigned page = 0;
	size_t count = 0, bytes = 0;
	struct gm_range r;

	for (uintptr_t at = LO; gmi_rangemap_next(m, at, &r); at = r.end) {
		while (page < PAGES && !model[page])
			page++;
		cr_assert_eq(r.start, va(page));
		cr_assert_eq(r.end, va(run_end(page)));
		struct gm_range_value v = value(model[page]);
		cr_assert_eq(memcmp(&r.val, &v, sizeof v), 0);
		page = run_end(page);
		count++;
		bytes += r.end - r.start;
	}
	while (page < PAGES && !model[page])
		page++;
	cr_assert_eq(page, PAGES, "page %u is missing", page);
	cr_assert_eq(m->count, count);
	cr_assert_eq(m->bytes, bytes);
}

static uintptr_t model_gap(unsigned from, unsigned size, unsigned align)
{
	for (unsigned p = from; p + size <= PAGES; p++) {
		unsigned n = 0;
		while (n < size && !model[p + n])
			n++;
		if (n == size && va(p) % (align * GM_PAGE_BYTES) == 0)
			return va(p);
	}
	return 0;
}

static void check_questions(const struct gm_rangemap *m)
{
	unsigned a = rng_below(PAGES), len = 1 + rng_below(40), b = gm_min(PAGES, a + len);
	bool full = true, empty = true;
	struct gm_range r;

	for (unsigned p = a; p < b; p++) {
		full &= model[p] != 0;
		empty &= model[p] == 0;
	}
	cr_assert_eq(gmi_rangemap_covers(m, va(a), va(b)), full);
	cr_assert_eq(gmi_rangemap_is_free(m, va(a), va(b)), empty);
	cr_assert_eq(gmi_rangemap_find(m, va(a) + rng_below(GM_PAGE_BYTES), &r), model[a] != 0);
	if (model[a])
		cr_assert(r.start <= va(a) && va(a) < r.end);
	unsigned size = 1 + rng_below(12), align = 1u << rng_below(5);
	uintptr_t got =
		gmi_rangemap_find_gap(m, va(a), size * GM_PAGE_BYTES, align * GM_PAGE_BYTES);
	cr_assert_eq(got, model_gap(a, size, align), "gap of %u pages from %u align %u: %lx", size,
		     a, align, got);
}

static void random_change(struct gm_rangemap *m, unsigned longest, bool may_fail)
{
	unsigned a = rng_below(PAGES), len = 1 + rng_below(longest), b = gm_min(PAGES, a + len),
		 v = rng_below(4);
	struct gm_range_value val = value(v);

	if (may_fail)
		gmi_inject((const char *const[]){"alloc@1+", "alloc@2+", "alloc@3+"}[rng_below(3)]);
	int err = v ? gmi_rangemap_assign(m, va(a), va(b), &val)
		    : gmi_rangemap_clear(m, va(a), va(b));
	gmi_inject("");
	if (err) {
		cr_assert(may_fail);
		cr_assert_eq(err, -ENOMEM);
	} else {
		memset(model + a, (int)v, b - a);
	}
}

static void run_random(const char *name, unsigned longest, bool may_fail)
{
	struct gm_rangemap m;

	rng_seed(name);
	memset(model, 0, sizeof model);
	gmi_rangemap_init(&m, LO, HI);
	for (int i = 0; i < 20000; i++) {
		random_change(&m, longest, may_fail);
		check_ranges(&m);
		for (int k = 0; k < 8; k++)
			check_questions(&m);
	}
	gmi_rangemap_destroy(&m);
	cr_assert_eq(m.count, 0);
	cr_assert_eq(m.bytes, 0);
}

Test(rangemap, like_an_array_of_pages_short_ranges)
{
	run_random("short", 6, false);
}

Test(rangemap, like_an_array_of_pages_long_ranges)
{
	run_random("long", 120, false);
}

Test(rangemap, out_of_memory_changes_nothing)
{
	run_random("enomem", 30, true);
}

Test(rangemap, refuses_empty_and_outside)
{
	struct gm_rangemap m;
	struct gm_range_value v = value(1);

	gmi_rangemap_init(&m, LO, HI);
	cr_assert_eq(gmi_rangemap_assign(&m, va(1), va(1), &v), -EINVAL);
	cr_assert_eq(gmi_rangemap_assign(&m, va(2), va(1), &v), -EINVAL);
	cr_assert_eq(gmi_rangemap_assign(&m, LO - 1, va(1), &v), -EINVAL);
	cr_assert_eq(gmi_rangemap_assign(&m, va(1), HI + 1, &v), -EINVAL);
	cr_assert_eq(gmi_rangemap_clear(&m, ~(uintptr_t)0, 0), -EINVAL);
	cr_assert_eq(m.count, 0);
}

Test(rangemap, gap_search_survives_nonsense)
{
	struct gm_rangemap m;
	struct gm_range_value v = value(1);

	gmi_rangemap_init(&m, LO, HI);
	cr_assert_eq(gmi_rangemap_assign(&m, va(3), va(5), &v), 0);
	cr_assert_eq(gmi_rangemap_find_gap(&m, 0, 0, 1), 0);
	cr_assert_eq(gmi_rangemap_find_gap(&m, 0, SIZE_MAX, 1), 0);
	cr_assert_eq(gmi_rangemap_find_gap(&m, 0, 4096, 3), 0);
	cr_assert_eq(gmi_rangemap_find_gap(&m, ~(uintptr_t)0, 4096, 4096), 0);
	cr_assert_eq(gmi_rangemap_find_gap(&m, 0, 4096, (size_t)1 << 63), 0);
	cr_assert_eq(gmi_rangemap_find_gap(&m, 0, (PAGES - 5) * GM_PAGE_BYTES, 4096), va(5));
	cr_assert_eq(gmi_rangemap_find_gap(&m, 0, (PAGES - 4) * GM_PAGE_BYTES, 4096), 0);
	gmi_rangemap_destroy(&m);
}

/* Of this thread: what others do on the machine does not count. */
static uint64_t cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Work per operation grows like log n, and leaves the caches: 64 times the ranges cost less than
 * 24 times as much an operation. */
static uint64_t fill_and_search(unsigned n /* a prime */)
{
	struct gm_rangemap m;
	struct gm_range_value v = value(1);
	struct gm_range r;

	gmi_rangemap_init(&m, LO, LO + ((uintptr_t)1 << 40));
	uint64_t start = cpu_ns();
	for (unsigned i = 0; i < n; i++) { /* every place once, in a mixed order */
		uintptr_t at = LO + (i * 2654435761ul % n) * 3 * GM_PAGE_BYTES;
		cr_assert_eq(gmi_rangemap_assign(&m, at, at + GM_PAGE_BYTES, &v), 0);
	}
	for (unsigned i = 0; i < n; i++) {
		uintptr_t at = LO + (i * 40503ul % n) * 3 * GM_PAGE_BYTES;
		cr_assert(gmi_rangemap_find(&m, at, &r));
		cr_assert_eq(gmi_rangemap_find_gap(&m, at, GM_PAGE_BYTES * 2, GM_PAGE_BYTES),
			     at + GM_PAGE_BYTES);
		cr_assert(gmi_rangemap_find_gap(&m, LO, GM_PAGE_BYTES * 3, GM_PAGE_BYTES) > at);
	}
	uint64_t ns = cpu_ns() - start;
	fprintf(stderr, "%u ranges: %lu ns an insertion and three searches\n", n, ns / n);
	gmi_rangemap_destroy(&m);
	return ns / n;
}

Test(rangemap, cost_grows_slowly)
{
	uint64_t few = UINT64_MAX, many = UINT64_MAX;

	/* Others empty the caches, which makes it slower: until one pair was undisturbed. */
	for (int i = 0; i < 5 && (!i || many >= few * 24); i++) {
		fill_and_search(1601); /* warm */
		few = gm_min(few, fill_and_search(1601));
		many = gm_min(many, fill_and_search(102407));
	}
	cr_assert_lt(many, few * 24);
}
