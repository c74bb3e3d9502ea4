/* What the adaptive policies remember. See adapt.h. */
#include "core/page/adapt.h"
#include "core/page/driver.h"

#define FULL	    1024 /* of the share that asks back */
#define LOOPS_FROM  200
#define LOOPS_UNTIL 48
/* the share comes up fast: what a tree brings meanwhile displaces what is needed next */
#define RISE	    4
#define FALL	    32
#define MEAN_WEIGHT 16
#define RUN_MAX	    8
#define RECENT	    4 /* leaves, and so many more for each stream */
#define RECENT_MAX  28
#define ACTIVE	    16 /* a stream is, if one of so many last faults was its */

static unsigned leaves(const struct gm_dev *dev)
{
	return (unsigned)gm_min(gmi_phys_total_bytes(dev->phys) / GM_LEAF_BYTES,
				(uint64_t)INT16_MAX);
}

unsigned gmc_adapt_recent_frames(const struct gm_dev *dev)
{
	const struct gm_adapt *a = &dev->adapt;
	unsigned n = RECENT + RUN_MAX;

	for (unsigned i = 0, first = 1; i < GM_ARRAY_LEN(a->stream); i++) {
		if (a->stream[i].run < 2 || a->faults - a->stream[i].last >= ACTIVE)
			continue;
		n += first ? 0 : RUN_MAX;
		first = 0;
	}
	n = gm_min(gm_min(n, (unsigned)RECENT_MAX), leaves(dev) / 8) * GM_LEAF_PAGES >>
	    dev->page_order;
	return gm_max(n, 1u);
}

/*
 * How far the fault is from the eviction of what it asks for: the refault distance. Device locked.
 */
static void refault(struct gm_dev *dev, struct gm_block_dev *bd, unsigned leaf)
{
	struct gm_adapt *a = &dev->adapt;
	unsigned distance = (uint16_t)(a->clock - bd->gone[leaf]);
	bool back = bd->gone[leaf] && distance < 2 * leaves(dev);

	if (!a->clock)
		return; /* it has never had to evict */
	a->share =
		(uint16_t)(back ? a->share + (FULL - a->share) / RISE : a->share - a->share / FALL);
	a->loops = a->share > (a->loops ? LOOPS_UNTIL : LOOPS_FROM);
	bd->gone[leaf] = 0;
	if (!back)
		return;
	if (a->distance && 2 * distance < a->distance)
		bd->promoted |= 1u << leaf;
	int change = a->distance ? ((int)distance - (int)a->distance) / MEAN_WEIGHT : (int)distance;
	a->distance = (uint16_t)(a->distance + change);
}

/* Is everything between the two on the device? Only looked at inside one block. */
static bool resident_between(const struct gm_block_dev *bd, uint64_t from, uint64_t to)
{
	uint64_t va = bd->block->va;

	if (from == to)
		return true;
	if (from > to || from < va || to - va >= GM_BLOCK_BYTES)
		return false;
	gm_bm gap = gm_bm_range((unsigned)((from - va) / GM_PAGE_BYTES),
				(unsigned)((to - va) / GM_PAGE_BYTES));
	return gm_bm_empty(gm_bm_andnot(gap, bd->valid));
}

/*
 * The stream of faults that goes on here, or a new one in the place of the one longest idle: its
 * run doubles.
 */
static unsigned stream_run(struct gm_dev *dev, const struct gm_block_dev *bd, unsigned leaf)
{
	struct gm_adapt *a = &dev->adapt;
	uint64_t at = bd->block->va + leaf * GM_LEAF_BYTES;
	unsigned oldest = 0, i;

	a->faults++;
	for (i = 0; i < GM_ARRAY_LEN(a->stream); i++) {
		if (a->stream[i].run && resident_between(bd, a->stream[i].next, at))
			break;
		if (a->faults - a->stream[i].last > a->faults - a->stream[oldest].last)
			oldest = i;
	}
	bool goes_on = i < GM_ARRAY_LEN(a->stream);
	i = goes_on ? i : oldest;
	unsigned run = goes_on ? gm_min(2u * a->stream[i].run, (unsigned)RUN_MAX) : 1;
	run = gm_min(run, GM_LEAVES - leaf);
	a->stream[i].run = (uint8_t)run;
	a->stream[i].next = at + run * GM_LEAF_BYTES;
	a->stream[i].last = a->faults;
	return run;
}

unsigned gmc_adapt_fault(struct gm_dev *dev, struct gm_block_dev *bd, unsigned i)
{
	unsigned leaf = i / GM_LEAF_PAGES;

	if (!dev->phys)
		return 0;
	gmi_lock(&dev->lock);
	refault(dev, bd, leaf);
	unsigned run = stream_run(dev, bd, leaf);
	run = dev->adapt.loops ? run : 0;
	gmi_unlock(&dev->lock);
	return run;
}

void gmc_adapt_evicted(struct gm_dev *dev, struct gm_block_dev *bd, gm_bm set)
{
	gmi_lock(&dev->lock);
	gm_bm_for_each_leaf (&set, i) {
		if (dev->adapt.clock && bd->gone[i / GM_LEAF_PAGES] == dev->adapt.clock)
			continue; /* smaller device pages: one more of the same 64 KiB */
		dev->adapt.clock += dev->adapt.clock == UINT16_MAX ? 2 : 1; /* never 0 again */
		bd->gone[i / GM_LEAF_PAGES] = dev->adapt.clock;
	}
	gmi_unlock(&dev->lock);
}

bool gmc_adapt_promoted(struct gm_block_dev *bd, unsigned i)
{
	uint32_t bit = 1u << i / GM_LEAF_PAGES;
	bool yes = bd->promoted & bit;

	bd->promoted &= ~bit;
	return yes;
}

bool gmc_adapt_in_use(struct gm_dev *dev, struct gm_block_dev *bd, unsigned i)
{
	struct gm_ctx *ctx = bd->block->as->ctx[dev->index];
	gm_bm touched = gm_bm_zero();

	gmi_lock(&dev->lock); /* faults of other blocks change both */
	unsigned clock = dev->adapt.clock, distance = dev->adapt.distance;
	gmi_unlock(&dev->lock);
	unsigned since = (uint16_t)(clock - (uint16_t)bd->asked);
	/* once round the loop, and some: what it comes to later is in use as well */
	if (bd->asked && since < gm_max(leaves(dev) / 8, distance * 3u / 2))
		return bd->lately >> i / GM_LEAF_PAGES & 1;
	if (!dev->mmu->accessed || gmc_driver(dev, GM_CB_ACCESSED, (uintptr_t)ctx->pmap,
					      bd->block->va, GM_BLOCK_BYTES, (uintptr_t)touched.w))
		return false;
	bd->lately = 0;
	gm_bm_for_each_leaf (&touched, p)
		bd->lately |= 1u << p / GM_LEAF_PAGES;
	bd->asked = clock;
	return bd->lately >> i / GM_LEAF_PAGES & 1;
}
