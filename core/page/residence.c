/* How long a page stays on a device at least. See residence.h. */
#include "core/page/residence.h"
#include "core/page/plan.h"

_Atomic bool gmc_residence_used;

/* 0: never. The clock goes round in 71 minutes: more than may be left is what has long passed. */
static uint32_t residence_now_us(void)
{
	uint32_t now = (uint32_t)(gmi_now_ns() / 1000);

	return now ? now : 1;
}

static uint32_t left_us(uint32_t until_us, uint32_t now)
{
	uint32_t left = until_us - now;

	return until_us && left <= GM_RESIDENCE_MOST_MS * 1000 ? left : 0;
}

void gmc_residence_begin(struct gm_block_dev *bd, const struct gm_ctx *ctx, gm_bm set)
{
	struct gm_choice c = gm_policy_of(ctx, GM_POLICY_RESIDENCE);

	if (gm_likely(!c.def->keep))
		return;
	struct gm_block_rare *rare = gmc_block_rare(bd);
	if (!rare)
		return;
	atomic_store_explicit(&gmc_residence_used, true, memory_order_relaxed);
	uint32_t until = residence_now_us() + c.number * 1000;
	gm_bm_for_each_leaf (&set, i)
		rare->until_us[i / GM_LEAF_PAGES] = until ? until : 1;
}

gm_bm gmc_residence_kept(const struct gm_block_dev *bd)
{
	gm_bm set = gm_bm_zero();

	if (gm_likely(!bd->rare))
		return set;
	uint32_t now = residence_now_us();
	for (unsigned i = 0; i < GM_LEAVES; i++)
		if (left_us(bd->rare->until_us[i], now))
			gm_bm_add(&set, gm_bm_range(i * GM_LEAF_PAGES, (i + 1) * GM_LEAF_PAGES));
	/* a device page goes as a whole */
	return gm_bm_and(gm_bm_grow(set, bd->order), bd->valid);
}

gm_bm gmc_residence_elsewhere(const struct gm_block *b, int d)
{
	gm_bm set = gm_bm_zero();

	gm_for_each_dev (b, other)
		if (other != d)
			gm_bm_add(&set, gmc_residence_kept(b->dev[other]));
	return set;
}

unsigned gmc_residence_left_us(const struct gm_block *b, int d, unsigned i, bool write, gm_bm stays)
{
	struct gm_plan p;
	uint32_t most = 0, now;

	if (gm_likely(!atomic_load_explicit(&gmc_residence_used, memory_order_relaxed)))
		return 0;
	gmc_plan(b, d, gm_bm_page(i), write, stays, &p);
	if (!gm_bm_test(&p.revoke, i)) /* readers leave a copy where it is */
		return 0;
	now = residence_now_us();
	gm_for_each_dev (b, other) {
		const struct gm_block_dev *bd = b->dev[other];
		if (other != d && bd->rare && gm_bm_test(&bd->valid, i))
			most = gm_max(most, left_us(bd->rare->until_us[i / GM_LEAF_PAGES], now));
	}
	return most;
}
