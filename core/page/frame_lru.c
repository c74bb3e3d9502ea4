/* The list of a device's frames. See frame_lru.h. */
#include "core/page/frame_lru.h"
#include "core/page/adapt.h"

#define NONE UINT32_MAX

/* One for each device page of the device's memory; owner NULL: in no list. */
struct gm_frame {
	uint32_t prev, next;
	struct gm_block_dev *owner;
	enum gm_frame_list list;
};
struct gm_frames {
	uint32_t n;
	struct {
		uint32_t head, tail, n;
	} list[GM_FRAME_LISTS];
	uint32_t at; /* of the walk */
	bool second; /* the walk has come to its second list */
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
		t->at = NONE;
		for (unsigned l = 0; l < GM_FRAME_LISTS; l++)
			t->list[l].head = t->list[l].tail = NONE;
	}
	__atomic_store_n(&dev->frames, t, __ATOMIC_RELEASE);
	return t; /* without memory the order of blocks decides */
}

static void lru_take_out(struct gm_frames *t, uint32_t i)
{
	struct gm_frame *f = &t->frame[i];

	*(f->prev == NONE ? &t->list[f->list].head : &t->frame[f->prev].next) = f->next;
	*(f->next == NONE ? &t->list[f->list].tail : &t->frame[f->next].prev) = f->prev;
	t->list[f->list].n--;
	f->owner = NULL;
}

static void lru_append(struct gm_frames *t, uint32_t i, struct gm_block_dev *owner,
		       enum gm_frame_list l)
{
	t->frame[i] =
		(struct gm_frame){.prev = t->list[l].tail, .next = NONE, .owner = owner, .list = l};
	*(t->list[l].tail == NONE ? &t->list[l].head : &t->frame[t->list[l].tail].next) = i;
	t->list[l].tail = i;
	t->list[l].n++;
}

/* Without a loop what has passed the recent list goes on into the main one: one order of coming. */
static void pass_on(struct gm_dev *dev, struct gm_frames *t)
{
	while (!gm_adapt_loops(dev) && t->list[GM_FRAMES_RECENT].n > gmc_adapt_recent_frames(dev)) {
		uint32_t f = t->list[GM_FRAMES_RECENT].head;
		struct gm_block_dev *owner = t->frame[f].owner;
		lru_take_out(t, f);
		lru_append(t, f, owner, GM_FRAMES_MAIN);
	}
}

void gmc_frame_lru_touch(struct gm_dev *dev, struct gm_block_dev *bd, gm_bm set)
{
	struct gm_frames *t = lru_table(dev);
	bool adaptive = gm_policy_of_dev(dev, GM_POLICY_EVICT).def->adaptive;

	for (unsigned i = gm_bm_next(&set, 0, true); t && i < GM_PAGES_PER_BLOCK;) {
		unsigned n = i >> bd->order;
		if (gm_frame_at(bd, n) != GM_NO_FRAME) {
			uint32_t f = gm_frame_at(bd, n) >> bd->order;
			enum gm_frame_list l = t->frame[f].list;
			if (t->frame[f].owner)
				lru_take_out(t, f);
			else
				l = adaptive && !gmc_adapt_promoted(bd, i) ? GM_FRAMES_RECENT
									   : GM_FRAMES_MAIN;
			lru_append(t, f, bd, l);
		}
		i = gm_bm_next(&set, (n + 1) << bd->order, true);
	}
	if (t && adaptive)
		pass_on(dev, t);
}

unsigned gmc_frame_lru_count(const struct gm_dev *dev, enum gm_frame_list l)
{
	return dev->frames ? dev->frames->list[l].n : 0;
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
	for (*n = 0; *n < pages - 1 && gm_frame_at(bd, *n) != frame; ++*n)
		;
	return bd;
}

struct gm_block_dev *gmc_frame_lru_first(struct gm_dev *dev, enum gm_frame_list l, unsigned *n)
{
	struct gm_frames *t = dev->frames;

	if (!t)
		return NULL;
	t->second = t->list[l].head == NONE;
	t->at = t->list[t->second ? !l : l].head;
	return found(t, n);
}

struct gm_block_dev *gmc_frame_lru_next(struct gm_dev *dev, unsigned *n)
{
	struct gm_frames *t = dev->frames;
	enum gm_frame_list l = t->frame[t->at].list;

	t->at = t->frame[t->at].next;
	if (t->at == NONE && !t->second) {
		t->second = true;
		t->at = t->list[!l].head;
	}
	return found(t, n);
}

gm_bm gmc_frame_lru_row(struct gm_dev *dev, const struct gm_block_dev *bd, unsigned i,
			unsigned most)
{
	struct gm_frames *t = dev->frames;
	gm_bm row = gm_bm_zero();
	uint32_t f = gm_frame_at(bd, i >> bd->order) >> bd->order;
	unsigned pages = GM_PAGES_PER_BLOCK >> bd->order;

	for (; t && most-- && f != NONE && t->frame[f].owner == bd; f = t->frame[f].next) {
		unsigned n = 0;
		while (n < pages && gm_frame_at(bd, n) != f << bd->order)
			n++;
		if (n < pages)
			row = gm_bm_or(row, gm_bm_range(n << bd->order, (n + 1) << bd->order));
	}
	return row;
}

void gmc_frame_lru_free(struct gm_dev *dev)
{
	if (dev->frames)
		gmi_free(dev->frames, lru_table_bytes(dev->frames->n));
	dev->frames = NULL;
}
