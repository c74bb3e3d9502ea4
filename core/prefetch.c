/*
 * prefetch.c - what comes along with a fault. NVIDIA's tree rule counts in the pages of a block that take
 * part at all, as UVM's does with blocks smaller than 2 MiB: a short allocation at the edge of a block grows
 * like a whole one.
 */
#include "prefetch.h"

#define LEAF_PAGES 16 /* 64 KiB */
#define LEAVES	   (GM_PAGES_PER_BLOCK / LEAF_PAGES)

/* Every naturally aligned group of `pages` that holds a page of `set`, whole. */
static gm_bm grow(gm_bm set, unsigned pages)
{
	gm_bm out = set;

	for (unsigned i = 0; pages > 1 && i < GM_PAGES_PER_BLOCK; i += pages) {
		gm_bm group = gm_bm_range(i, i + pages);
		if (!gm_bm_empty(gm_bm_and(set, group)))
			out = gm_bm_or(out, group);
	}
	return out;
}

static unsigned leaf_count(const gm_bm *b, unsigned leaf)
{
	return (unsigned)__builtin_popcountll(b->w[leaf / 4] >> (leaf % 4 * LEAF_PAGES) & 0xffff);
}

/* The union of the largest subtrees around the faults that are more than `percent` full. One pass, counts as
 * they were. */
static gm_bm dense_subtrees(gm_bm fault, gm_bm have, gm_bm all, unsigned percent)
{
	unsigned fault_n[LEAVES], have_n[LEAVES], all_n[LEAVES];
	gm_bm out = gm_bm_zero();

	for (unsigned i = 0; i < LEAVES; i++) {
		fault_n[i] = leaf_count(&fault, i);
		have_n[i] = leaf_count(&have, i);
		all_n[i] = leaf_count(&all, i);
	}
	for (unsigned leaves = 2; leaves <= LEAVES; leaves *= 2) {
		for (unsigned i = 0; i < LEAVES / leaves; i++) {
			/* Level by level the sums of two neighbours move to the front of the arrays. */
			fault_n[i] = fault_n[2 * i] + fault_n[2 * i + 1];
			have_n[i] = have_n[2 * i] + have_n[2 * i + 1];
			all_n[i] = all_n[2 * i] + all_n[2 * i + 1];
			unsigned first = i * leaves * LEAF_PAGES;
			if (fault_n[i] && have_n[i] * 100 > all_n[i] * percent)
				out = gm_bm_or(out, gm_bm_range(first, first + leaves * LEAF_PAGES));
		}
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
		want = gm_bm_or(want, dense_subtrees(fault, have, gm_bm_or(possible, have), percent));
	}
	return gm_bm_or(fault, gm_bm_andnot(gm_bm_and(want, possible), resident));
}
