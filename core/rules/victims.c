/* What of a victim block goes home. See victims.h. */
#include "core/rules/victims.h"

gm_bm gmc_victims_all(const struct gm_block_dev *bd, gm_bm may, unsigned percent)
{
	(void)bd, (void)percent;
	return may;
}

static gm_bm device_page(const struct gm_block_dev *bd, unsigned i)
{
	unsigned first = i & ~0u << bd->order;

	return gm_bm_range(first, first + (1u << bd->order));
}

gm_bm gmc_victims_one_page(const struct gm_block_dev *bd, gm_bm may, unsigned percent)
{
	(void)percent;
	return gm_bm_and(may, device_page(bd, gm_bm_next(&may, 0, true)));
}

/* The leaf, as its number, with pages in `may` that was used longest ago. */
static unsigned coldest_leaf(const struct gm_block_dev *bd, gm_bm may)
{
	unsigned best = 0;
	uint32_t age = 0;
	bool found = false;

	for (unsigned i = gm_bm_next(&may, 0, true); i < GM_PAGES_PER_BLOCK;) {
		unsigned leaf = i / GM_LEAF_PAGES;
		if (!found || bd->now - bd->used[leaf] > age) {
			best = leaf;
			age = bd->now - bd->used[leaf];
			found = true;
		}
		i = gm_bm_next(&may, (leaf + 1) * GM_LEAF_PAGES, true);
	}
	return best;
}

gm_bm gmc_victims_tree(const struct gm_block_dev *bd, gm_bm may, unsigned percent)
{
	unsigned leaf = coldest_leaf(bd, may), pages = gm_max(GM_LEAF_PAGES, 1u << bd->order);
	unsigned first = leaf * GM_LEAF_PAGES & ~(pages - 1);
	gm_bm out = gm_bm_and(may, gm_bm_range(first, first + pages));
	gm_bm part = gm_bm_or(bd->valid, gm_bm_and(bd->block->prog_r, bd->block->managed));

	for (pages *= 2; pages <= GM_PAGES_PER_BLOCK; pages *= 2) {
		first &= ~(pages - 1);
		gm_bm tree = gm_bm_range(first, first + pages);
		unsigned stay = gm_bm_count(gm_bm_and(tree, gm_bm_andnot(bd->valid, out)));
		if (stay * 100 < gm_bm_count(gm_bm_and(tree, part)) * percent)
			out = gm_bm_or(out, gm_bm_and(tree, may));
	}
	return out;
}
