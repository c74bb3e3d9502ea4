/* The prefetcher reproduces the published vectors (Ganguly et al., ISCA'19) and never asks for
 * what may not move. */
#include "core/rules/prefetch.h"
#include "random.h"
#include <criterion/criterion.h>

#define K64 65536u
#define MAX 32
static const gm_bm all = {{~0ull, ~0ull, ~0ull, ~0ull, ~0ull, ~0ull, ~0ull, ~0ull}};

static bool equal(gm_bm a, gm_bm b)
{
	return gm_bm_empty(gm_bm_andnot(a, b)) && gm_bm_empty(gm_bm_andnot(b, a));
}
static gm_bm page(unsigned i)
{
	return gm_bm_range(i, i + 1);
}
static gm_bm leaves(unsigned first, unsigned end) /* 64 KiB each */
{
	return gm_bm_range(first * 16, end * 16);
}

/* Touches 64 KiB leaves of an empty block one after the other; checks how many KiB come each
 * time. */
static void check_vector(enum gm_prefetch_kind kind, unsigned percent, size_t page_bytes,
			 const int *leaf, const int *kib)
{
	gm_bm resident = gm_bm_zero();

	for (unsigned i = 0; i < MAX && leaf[i] >= 0; i++) {
		gm_bm set = gmi_prefetch(kind, percent, page_bytes,
					 page((unsigned)leaf[i] * 16 + 5), resident, all);
		cr_assert(gm_bm_empty(gm_bm_and(set, resident)), "asks for what is there");
		cr_assert_eq(gm_bm_count(set) * 4, (unsigned)kib[i],
			     "fault %u, leaf %d: %u KiB, not %d", i, leaf[i], gm_bm_count(set) * 4,
			     kib[i]);
		resident = gm_bm_or(resident, set);
	}
}

Test(prefetch, published_vectors)
{
	static const struct {
		unsigned percent;
		int leaf[MAX], kib[MAX];
	} v[] = {
		{51, {0, 1, 2, 4, 8, 16, -1}, {64, 64, 128, 256, 512, 1024}},
		{51, {1, 3, 0, 4, 8, 16, -1}, {64, 64, 128, 256, 512, 1024}},
		{51, {1, 3, 5, 7, 0, 8, 16, -1}, {64, 64, 64, 64, 256, 512, 1024}},
		{1, {0, -1}, {2048}},
		{1, {31, -1}, {2048}},
	};
	for (unsigned i = 0; i < GM_ARRAY_LEN(v); i++)
		for (size_t page_bytes = 4096; page_bytes <= K64; page_bytes *= 16)
			check_vector(GM_PREFETCH_TREE, v[i].percent, page_bytes, v[i].leaf,
				     v[i].kib);
}

Test(prefetch, even_leaves_never_prefetch)
{
	int leaf[MAX], kib[MAX];

	for (int i = 0; i < 16; i++) {
		leaf[i] = 2 * i;
		kib[i] = 64;
	}
	leaf[16] = -1;
	check_vector(GM_PREFETCH_TREE, 51, K64, leaf, kib);
}

/* Sequential touches: the smallest percentage at which leaf 0 alone brings a subtree of 2^k
 * leaves is below 100 / 2^k. */
Test(prefetch, every_threshold)
{
	for (unsigned percent = 1; percent <= 100; percent++) {
		unsigned expect = 1;
		for (unsigned n = 2; n <= 32; n *= 2)
			if (100 > n * percent)
				expect = n;
		gm_bm set =
			gmi_prefetch(GM_PREFETCH_TREE, percent, K64, page(0), gm_bm_zero(), all);
		cr_assert(equal(set, leaves(0, expect)), "%u percent", percent);
	}
}

Test(prefetch, none_and_seq64k)
{
	gm_bm f = page(100);

	cr_assert(equal(gmi_prefetch(GM_PREFETCH_NONE, 51, 4096, f, gm_bm_zero(), all), f));
	cr_assert(
		equal(gmi_prefetch(GM_PREFETCH_NONE, 51, K64, f, gm_bm_zero(), all), leaves(6, 7)));
	cr_assert(equal(gmi_prefetch(GM_PREFETCH_SEQ64K, 51, 4096, f, gm_bm_zero(), all),
			leaves(6, 7)));
	cr_assert(equal(gmi_prefetch(GM_PREFETCH_SEQ64K, 51, 4096, f, page(97), all),
			gm_bm_andnot(leaves(6, 7), page(97))));
	cr_assert(equal(gmi_prefetch(GM_PREFETCH_NONE, 51, 2u << 20, f, gm_bm_zero(), all), all));
	cr_assert(equal(gmi_prefetch(GM_PREFETCH_TREE, 51, 2u << 20, f, leaves(0, 2), all),
			gm_bm_andnot(all, leaves(0, 2))));
}

/* A mapping of 96 KiB counts as a tree of 24 pages: its first 64 KiB are more than half, so the
 * rest comes along. */
Test(prefetch, short_mappings_grow_like_whole_blocks)
{
	gm_bm mapped = gm_bm_range(0, 24);

	cr_assert(equal(gmi_prefetch(GM_PREFETCH_TREE, 51, 4096, page(0), gm_bm_zero(), mapped),
			mapped));
	cr_assert(equal(gmi_prefetch(GM_PREFETCH_TREE, 51, 4096, page(20), gm_bm_zero(), mapped),
			gm_bm_range(16, 24)));
}

Test(prefetch, a_resident_page_that_faults_stays_in_the_answer)
{
	cr_assert(equal(gmi_prefetch(GM_PREFETCH_TREE, 51, 4096, page(7), leaves(0, 1), all),
			page(7)));
}

/* ---- against the definition, page by page ---- */

static gm_bm random_set(unsigned percent)
{
	gm_bm b = gm_bm_zero();

	for (unsigned i = 0; i < 512; i++)
		if (rng_below(100) < percent)
			b = gm_bm_or(b, page(i));
	return b;
}

static gm_bm naive(enum gm_prefetch_kind kind, unsigned percent, unsigned device_page, gm_bm fault,
		   gm_bm resident, gm_bm possible)
{
	gm_bm want = gm_bm_zero(), base;
	unsigned grain = kind == GM_PREFETCH_NONE ? device_page : gm_max(device_page, 16u);

	for (unsigned i = 0; i < 512; i++)
		if (gm_bm_test(&fault, i))
			for (unsigned k = i / grain * grain; k < i / grain * grain + grain; k++)
				if (gm_bm_test(&possible, k))
					want = gm_bm_or(want, page(k));
	base = gm_bm_or(want, resident);
	for (unsigned i = 0; kind == GM_PREFETCH_TREE && i < 512; i++) {
		for (unsigned n = 512; gm_bm_test(&fault, i) && n > 16; n /= 2) {
			gm_bm sub = gm_bm_range(i / n * n, i / n * n + n);
			unsigned have = gm_bm_count(gm_bm_and(sub, base));
			unsigned pages = gm_bm_count(gm_bm_and(sub, gm_bm_or(possible, base)));
			if (have * 100 <= pages * percent)
				continue;
			want = gm_bm_or(want, gm_bm_and(sub, possible));
			break;
		}
	}
	return gm_bm_or(fault, gm_bm_andnot(want, resident));
}

Test(prefetch, like_the_definition_with_holes)
{
	static const unsigned device_page[] = {1, 16, 512}, fill[] = {0, 3, 50, 97, 100};

	rng_seed("prefetch");
	for (int i = 0; i < 3000; i++) {
		gm_bm possible = random_set(fill[1 + rng_below(4)]),
		      resident = random_set(fill[rng_below(4)]);
		gm_bm fault = page(rng_below(512));
		if (rng_below(2))
			fault = gm_bm_or(fault, random_set(1));
		fault = gm_bm_and(fault, possible);
		if (rng_below(2)) /* coarse holes: whole leaves */
			possible =
				gm_bm_andnot(possible, leaves(rng_below(16), 16 + rng_below(17)));
		fault = gm_bm_and(fault, possible);
		enum gm_prefetch_kind kind = rng_below(3);
		unsigned percent = 1 + rng_below(100), dp = device_page[rng_below(3)];
		gm_bm got =
			gmi_prefetch(kind, percent, dp * GM_PAGE_BYTES, fault, resident, possible);
		cr_assert(equal(got, naive(kind, percent, dp, fault, resident, possible)), "run %d",
			  i);
		cr_assert(gm_bm_empty(gm_bm_andnot(got, possible)));
		cr_assert(gm_bm_empty(gm_bm_and(gm_bm_andnot(got, fault), resident)));
	}
}
