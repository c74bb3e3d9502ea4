/* What of a victim block goes home. See victims.h. */
#include "core/rules/victims.h"

int gmc_pick_block(const struct gm_policy_view *v, void *state, struct gm_policy_evict *e)
{
	if (!e->coldest(e, GM_POLICY_BY_BLOCK))
		return -1;
	e->go = e->may;
	return 0;
}

int gmc_pick_page(const struct gm_policy_view *v, void *state, struct gm_policy_evict *e)
{
	if (!e->coldest(e, GM_POLICY_BY_PAGE))
		return -1;
	unsigned pages = (unsigned)(e->page_bytes / GM_PAGE_BYTES);
	unsigned first = gm_bm_next(&e->may, 0, true) & ~(pages - 1);
	e->go = gm_bm_and(e->may, gm_bm_range(first, first + pages));
	return 0;
}

int gmc_pick_tree(const struct gm_policy_view *v, void *state, struct gm_policy_evict *e)
{
	if (!e->coldest(e, GM_POLICY_BY_BLOCK))
		return -1;
	e->go = gmc_victims_tree(e);
	return 0;
}

/* The leaf, as its number, with pages in `may` that was used longest ago. */
static unsigned coldest_leaf(const struct gm_policy_evict *e)
{
	unsigned best = 0;
	uint32_t age = 0;
	bool found = false;

	for (unsigned i = gm_bm_next(&e->may, 0, true); i < GM_PAGES_PER_BLOCK;) {
		unsigned leaf = i / GM_LEAF_PAGES;
		if (!found || e->now - e->used[leaf] > age) {
			best = leaf;
			age = e->now - e->used[leaf];
			found = true;
		}
		i = gm_bm_next(&e->may, (leaf + 1) * GM_LEAF_PAGES, true);
	}
	return best;
}

gm_bm gmc_victims_tree(const struct gm_policy_evict *e)
{
	unsigned leaf = coldest_leaf(e),
		 pages = gm_max(GM_LEAF_PAGES, (unsigned)(e->page_bytes / GM_PAGE_BYTES));
	unsigned first = leaf * GM_LEAF_PAGES & ~(pages - 1);
	gm_bm out = gm_bm_and(e->may, gm_bm_range(first, first + pages));

	for (pages *= 2; pages <= GM_PAGES_PER_BLOCK; pages *= 2) {
		first &= ~(pages - 1);
		gm_bm tree = gm_bm_range(first, first + pages);
		unsigned stay = gm_bm_count(gm_bm_and(tree, gm_bm_andnot(e->resident, out)));
		if (stay * 100 < gm_bm_count(gm_bm_and(tree, e->mapped)) * e->number)
			gm_bm_add(&out, gm_bm_and(tree, e->may));
	}
	return out;
}
