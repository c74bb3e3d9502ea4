/* The 512-bit sets behave like an array of bool. */
#include "core/sys/bitmap.h"
#include "random.h"
#include <criterion/criterion.h>

struct set {
	gm_bm bm;
	bool in[512];
};

static struct set random_set(void)
{
	struct set s = {.bm = gm_bm_zero()};
	unsigned run = 1 + rng_below(100);
	bool value = false;

	for (unsigned i = 0; i < 512; i++) { /* runs of all lengths */
		if (rng_below(run) == 0)
			value = !value;
		s.in[i] = value;
		if (value)
			s.bm.w[i / 64] |= 1ull << i % 64;
	}
	return s;
}

#define check(expr, want)                                                                          \
	do {                                                                                       \
		gm_bm got_ = (expr);                                                               \
		for (unsigned i = 0; i < 512; i++)                                                 \
			cr_assert_eq(gm_bm_test(&got_, i), (want), #expr " at %u", i);             \
	} while (0)

Test(bitmap, algebra)
{
	rng_seed("bitmap algebra");
	for (int n = 0; n < 500; n++) {
		struct set a = random_set(), b = random_set();
		check(gm_bm_and(a.bm, b.bm), a.in[i] && b.in[i]);
		check(gm_bm_or(a.bm, b.bm), a.in[i] || b.in[i]);
		check(gm_bm_andnot(a.bm, b.bm), a.in[i] && !b.in[i]);
		check(gm_bm_not(a.bm), !a.in[i]);
	}
}

Test(bitmap, every_range)
{
	for (unsigned first = 0; first <= 512; first++)
		for (unsigned end = 0; end <= 512; end += end % 64 > 61 ? 1 : 1 + first % 5) {
			gm_bm r = gm_bm_range(first, end);
			cr_assert_eq(gm_bm_count(r), end > first ? end - first : 0);
			cr_assert_eq(gm_bm_empty(r), end <= first);
			if (end > first) {
				cr_assert(gm_bm_test(&r, first));
				cr_assert(gm_bm_test(&r, end - 1));
			}
		}
}

Test(bitmap, next_and_runs)
{
	rng_seed("bitmap runs");
	for (int n = 0; n < 500; n++) {
		struct set a = random_set();
		unsigned at = rng_below(513), want = at;
		bool set = rng_below(2);
		while (want < 512 && a.in[want] != set)
			want++;
		cr_assert_eq(gm_bm_next(&a.bm, at, set), want);

		gm_bm seen = gm_bm_zero();
		unsigned last = 0, runs = 0;
		gm_bm_for_each_run (&a.bm, first, end) {
			cr_assert(first < end && end <= 512);
			cr_assert(runs == 0 || first > last, "runs that touch are one");
			seen = gm_bm_or(seen, gm_bm_range(first, end));
			last = end;
			runs++;
		}
		check(seen, a.in[i]);
	}
}

Test(bitmap, groups_that_are_whole_or_touched)
{
	rng_seed("bitmap groups");
	for (unsigned order = 0; order <= 9; order++)
		for (int round = 0; round < 50; round++) {
			unsigned n = 1u << order, at = rng_below(512 / n) * n;
			struct set a = random_set();
			if (round % 2) /* one group is whole, or all but whole */
				a.bm = gm_bm_or(a.bm, gm_bm_range(at, at + n));
			if (round % 4 == 3)
				a.bm = gm_bm_andnot(a.bm, gm_bm_range(at + n - 1, at + n));
			gm_bm whole = gm_bm_whole(a.bm, order), grown = gm_bm_grow(a.bm, order);
			for (unsigned i = 0; i < 512; i++) {
				unsigned first = i & ~(n - 1);
				gm_bm in = gm_bm_and(a.bm, gm_bm_range(first, first + n));
				cr_assert_eq(gm_bm_test(&whole, i), gm_bm_count(in) == n);
				cr_assert_eq(gm_bm_test(&grown, i), gm_bm_count(in) > 0);
			}
		}
}

Test(bitmap, store_publishes_every_word)
{
	rng_seed("bitmap store");
	struct set a = random_set();
	gm_bm to = gm_bm_not(gm_bm_zero());

	gm_bm_store(&to, a.bm);
	for (unsigned i = 0; i < 512; i++)
		cr_assert_eq(gm_bm_test_relaxed(&to, i), a.in[i]);
}
