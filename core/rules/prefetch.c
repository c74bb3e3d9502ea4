/*
 * prefetch.c - what comes along with a fault. NVIDIA's tree rule counts in the pages of a block
 * that take part at all, as UVM's does with blocks smaller than 2 MiB: a short allocation at the
 * edge of a block grows like a whole one.
 */
#include "core/rules/prefetch.h"

#define LEAF_PAGES 16 /* 64 KiB */
#define LEAVES	   (GM_PAGES_PER_BLOCK / LEAF_PAGES)

/* Every naturally aligned group of `pages` that holds a page of `set`, whole. */
static gm_bm grow(gm_bm set, unsigned pages)
{
	gm_bm out = set;

	if (pages <= 1)
		return out;
	for (unsigned i = gm_bm_next(&set, 0, true); i < GM_PAGES_PER_BLOCK;) {
		unsigned first = i / pages * pages;
		gm_bm_add(&out, gm_bm_range(first, first + pages));
		i = gm_bm_next(&set, first + pages, true);
	}
	return out;
}

/* The bits of each 16-bit part of x, counted in place: four leaves at once. */
static uint64_t count_parts(uint64_t x)
{
	x -= x >> 1 & 0x5555555555555555;
	x = (x & 0x3333333333333333) + (x >> 2 & 0x3333333333333333);
	x = (x + (x >> 4)) & 0x0f0f0f0f0f0f0f0f;
	return (x + (x >> 8)) & 0x00ff00ff00ff00ff;
}

static void count_leaves(const gm_bm *b, unsigned n[LEAVES])
{
	for (unsigned w = 0; w < 8; w++) {
		uint64_t parts = count_parts(b->w[w]);
		for (unsigned i = 0; i < 4; i++)
			n[w * 4 + i] = parts >> (i * 16) & 0xffff;
	}
}

/* One level up: the sums of two neighbours move to the front. */
static void add_pairs(unsigned *n, unsigned pairs)
{
	for (unsigned i = 0; i < pairs; i++)
		n[i] = n[2 * i] + n[2 * i + 1];
}

/* The union of the largest subtrees around the faults that are more than `percent` full. One
 * pass, counts as they were. */
static gm_bm dense_subtrees(gm_bm fault, gm_bm have, gm_bm all, unsigned percent)
{
	unsigned fault_n[LEAVES], have_n[LEAVES], all_n[LEAVES];
	gm_bm out = gm_bm_zero();

	count_leaves(&fault, fault_n);
	count_leaves(&have, have_n);
	count_leaves(&all, all_n);
	for (unsigned pages = 2 * LEAF_PAGES; pages <= GM_PAGES_PER_BLOCK; pages *= 2) {
		unsigned subtrees = GM_PAGES_PER_BLOCK / pages;
		add_pairs(fault_n, subtrees);
		add_pairs(have_n, subtrees);
		add_pairs(all_n, subtrees);
		for (unsigned i = 0; i < subtrees; i++)
			if (fault_n[i] && have_n[i] * 100 > all_n[i] * percent)
				gm_bm_add(&out, gm_bm_range(i * pages, (i + 1) * pages));
	}
	return out;
}

gm_bm gmi_prefetch(enum gm_prefetch_kind kind, unsigned percent, size_t page_bytes, gm_bm fault,
		   gm_bm resident, gm_bm possible)
{
	unsigned device_page = (unsigned)(page_bytes >> GM_PAGE_SHIFT);

	fault = gm_bm_and(fault, possible);
	gm_bm want = grow(fault, device_page);
	if (kind != GM_PREFETCH_NONE)
		want = grow(want, LEAF_PAGES);
	want = gm_bm_and(want, possible);
	if (kind == GM_PREFETCH_TREE) {
		gm_bm have = gm_bm_or(resident, want);
		gm_bm_add(&want, dense_subtrees(fault, have, gm_bm_or(possible, have), percent));
	}
	return gm_bm_or(fault, gm_bm_andnot(gm_bm_and(want, possible), resident));
}
