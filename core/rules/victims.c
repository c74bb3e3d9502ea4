/* What of a victim block goes home. See victims.h. */
#include "core/rules/victims.h"

gm_bm gmc_victims_all(const struct gm_victims *in)
{
	return in->may;
}

static gm_bm victim_page(const struct gm_victims *in, unsigned i)
{
	unsigned first = i & ~0u << in->order;

	return gm_bm_page_of_order(first, in->order);
}

gm_bm gmc_victims_one_page(const struct gm_victims *in)
{
	return gm_bm_and(in->may, victim_page(in, gm_bm_next(&in->may, 0, true)));
}

/* The leaf, as its number, with pages in `may` that was used longest ago. */
static unsigned coldest_leaf(const struct gm_victims *in)
{
	unsigned best = 0;
	uint32_t age = 0;
	bool found = false;

	for (unsigned i = gm_bm_next(&in->may, 0, true); i < GM_PAGES_PER_BLOCK;) {
		unsigned leaf = i / GM_LEAF_PAGES;
		if (!found || in->now - in->used[leaf] > age) {
			best = leaf;
			age = in->now - in->used[leaf];
			found = true;
		}
		i = gm_bm_next(&in->may, (leaf + 1) * GM_LEAF_PAGES, true);
	}
	return best;
}

gm_bm gmc_victims_tree(const struct gm_victims *in)
{
	unsigned leaf = coldest_leaf(in), pages = gm_max(GM_LEAF_PAGES, 1u << in->order);
	unsigned first = leaf * GM_LEAF_PAGES & ~(pages - 1);
	gm_bm out = gm_bm_and(in->may, gm_bm_range(first, first + pages));

	for (pages *= 2; pages <= GM_PAGES_PER_BLOCK; pages *= 2) {
		first &= ~(pages - 1);
		gm_bm tree = gm_bm_range(first, first + pages);
		unsigned stay = gm_bm_count(gm_bm_and(tree, gm_bm_andnot(in->valid, out)));
		if (stay * 100 < gm_bm_count(gm_bm_and(tree, in->part)) * in->percent)
			gm_bm_add(&out, gm_bm_and(tree, in->may));
	}
	return out;
}
