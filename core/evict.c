/*
 * evict.c - device memory is full: which pages go home.
 *
 * Per device a list of blocks with resident pages, coldest first; a device fault moves its block to the end.
 * The victim's lock is only ever tried: whoever evicts holds a block already, and two of them must not wait
 * for each other.
 */
#include "migrate.h"
#include <errno.h>

static void unlink_lru(struct gm_dev *dev, struct gm_block_dev *bd)
{
	*(bd->lru_prev ? &bd->lru_prev->lru_next : &dev->lru_head) = bd->lru_next;
	*(bd->lru_next ? &bd->lru_next->lru_prev : &dev->lru_tail) = bd->lru_prev;
	bd->lru_prev = bd->lru_next = NULL;
	bd->on_lru = false;
}

void gm_lru_touch(struct gm_dev *dev, struct gm_block_dev *bd)
{
	gmi_lock(&dev->lock);
	if (dev->lru_tail != bd) {
		if (bd->on_lru)
			unlink_lru(dev, bd);
		bd->lru_prev = dev->lru_tail;
		*(dev->lru_tail ? &dev->lru_tail->lru_next : &dev->lru_head) = bd;
		dev->lru_tail = bd;
		bd->on_lru = true;
	}
	gmi_unlock(&dev->lock);
}

void gm_lru_remove(struct gm_dev *dev, struct gm_block_dev *bd)
{
	gmi_lock(&dev->lock);
	if (bd->on_lru)
		unlink_lru(dev, bd);
	gmi_unlock(&dev->lock);
}

/* What a policy takes of a victim block: pages of one device page at least. */
static gm_bm take_all(const struct gm_block_dev *bd, gm_bm valid)
{
	(void)bd;
	return valid;
}

static gm_bm take_one_page(const struct gm_block_dev *bd, gm_bm valid)
{
	unsigned first = gm_align_down(gm_bm_next(&valid, 0, true), 1u << bd->order);
	return gm_bm_and(valid, gm_bm_range(first, first + (1u << bd->order)));
}

static gm_bm (*const take[])(const struct gm_block_dev *, gm_bm) = {
	[GM_EVICT_LRU2M] = take_all,
	[GM_EVICT_LRU4K] = take_one_page,
};

/* The coldest block whose lock is free, locked; or `own` when it is the only one. NULL and *busy when all are
 * locked. */
static struct gm_block_dev *pick(struct gm_dev *dev, struct gm_block *own, bool *busy)
{
	struct gm_block_dev *bd, *mine = NULL;

	*busy = false;
	gmi_lock(&dev->lock);
	for (bd = dev->lru_head; bd; bd = bd->lru_next) {
		if (bd->block == own)
			mine = bd;
		else if (gmi_trylock(&bd->block->lock))
			break;
		else
			*busy = true;
	}
	gmi_unlock(&dev->lock);
	return bd ? bd : *busy ? NULL : mine;
}

int gm_evict(struct gm_dev *dev, struct gm_block *own, gm_bm keep)
{
	bool busy;
	struct gm_block_dev *bd = pick(dev, own, &busy);

	if (!bd)
		return busy ? -EAGAIN : -ENOSPC;
	struct gm_block *b = bd->block;
	gm_bm set = bd->valid;
	if (b == own) { /* whole device pages that hold nothing of `keep` */
		for (unsigned i = 0; i < GM_PAGES_PER_BLOCK; i += 1u << bd->order) {
			gm_bm page = gm_bm_range(i, i + (1u << bd->order));
			if (!gm_bm_empty(gm_bm_and(keep, page)))
				set = gm_bm_andnot(set, page);
		}
	}
	int err = -ENOSPC;
	if (!gm_bm_empty(set)) {
		uint64_t before = gmi_phys_used_bytes(dev->phys);
		set = take[gmi_opt.evict](bd, set);
		err = gm_migrate_to_cpu(b, set, true);
		if (!err && gmi_phys_used_bytes(dev->phys) >= before && b == own)
			err = -ENOSPC;
		if (!err)
			atomic_fetch_add_explicit(&gmi_stats->dev[dev->index].evicted_bytes,
						  gm_bm_count(set) * GM_PAGE_BYTES, memory_order_relaxed);
	}
	if (b != own)
		gmi_unlock(&b->lock);
	return err;
}
