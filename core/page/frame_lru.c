/* The list of a device's frames. See frame_lru.h. */
#include "core/page/frame_lru.h"

#define NONE UINT32_MAX

/* One for each device page of the device's memory; owner NULL: not in the list. */
struct gm_frame {
	uint32_t prev, next;
	struct gm_block_dev *owner;
};
struct gm_frames {
	uint32_t n, head, tail, at; /* at: of the walk */
	struct gm_frame frame[];
};

static size_t lru_table_bytes(uint64_t n)
{
	return sizeof(struct gm_frames) + n * sizeof(struct gm_frame);
}

static struct gm_frames *lru_table(struct gm_dev *dev)
{
	uint64_t n = gmi_phys_total_bytes(dev->phys) >> (GM_PAGE_SHIFT + dev->page_order);

	if (dev->frames || n >= NONE)
		return dev->frames;
	struct gm_frames *t = gmi_alloc(lru_table_bytes(n));
	if (t) {
		t->n = (uint32_t)n;
		t->head = t->tail = t->at = NONE;
	}
	__atomic_store_n(&dev->frames, t, __ATOMIC_RELEASE);
	return t; /* without memory the order of blocks decides */
}

static void lru_take_out(struct gm_frames *t, uint32_t i)
{
	struct gm_frame *f = &t->frame[i];

	*(f->prev == NONE ? &t->head : &t->frame[f->prev].next) = f->next;
	*(f->next == NONE ? &t->tail : &t->frame[f->next].prev) = f->prev;
	f->owner = NULL;
}

static void lru_append(struct gm_frames *t, uint32_t i, struct gm_block_dev *owner)
{
	t->frame[i] = (struct gm_frame){.prev = t->tail, .next = NONE, .owner = owner};
	*(t->tail == NONE ? &t->head : &t->frame[t->tail].next) = i;
	t->tail = i;
}

void gmc_frame_lru_touch(struct gm_dev *dev, struct gm_block_dev *bd, gm_bm set)
{
	struct gm_frames *t = lru_table(dev);

	for (unsigned i = gm_bm_next(&set, 0, true); t && i < GM_PAGES_PER_BLOCK;) {
		unsigned n = i >> bd->order;
		if (bd->frame[n] != GM_NO_FRAME) {
			uint32_t f = bd->frame[n] >> bd->order;
			if (t->frame[f].owner)
				lru_take_out(t, f);
			lru_append(t, f, bd);
		}
		i = gm_bm_next(&set, (n + 1) << bd->order, true);
	}
}

void gmc_frame_lru_gone(struct gm_dev *dev, uint32_t frame)
{
	struct gm_frames *t = __atomic_load_n(&dev->frames, __ATOMIC_ACQUIRE);

	if (gm_likely(!t))
		return;
	gmi_lock(&dev->lock);
	if (t->frame[frame >> dev->page_order].owner)
		lru_take_out(t, frame >> dev->page_order);
	gmi_unlock(&dev->lock);
}

/* Which device page of its owner lies in the frame. The owner's lock is not held: its frame
 * cannot go while it is in the list, and its place in the block never changes. */
static struct gm_block_dev *found(struct gm_frames *t, unsigned *n)
{
	if (t->at == NONE)
		return NULL;
	struct gm_block_dev *bd = t->frame[t->at].owner;
	uint32_t frame = t->at << bd->order;
	unsigned pages = GM_PAGES_PER_BLOCK >> bd->order;
	for (*n = 0; *n < pages - 1 && __atomic_load_n(&bd->frame[*n], __ATOMIC_RELAXED) != frame;
	     ++*n)
		;
	return bd;
}

struct gm_block_dev *gmc_frame_lru_first(struct gm_dev *dev, unsigned *n)
{
	struct gm_frames *t = dev->frames;

	if (!t)
		return NULL;
	t->at = t->head;
	return found(t, n);
}

struct gm_block_dev *gmc_frame_lru_next(struct gm_dev *dev, unsigned *n)
{
	struct gm_frames *t = dev->frames;

	t->at = t->frame[t->at].next;
	return found(t, n);
}

void gmc_frame_lru_free(struct gm_dev *dev)
{
	if (dev->frames)
		gmi_free(dev->frames, lru_table_bytes(dev->frames->n));
	dev->frames = NULL;
}
