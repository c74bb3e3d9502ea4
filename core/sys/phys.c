/*
 * phys.c - frames of a device. Memory is cut into chunks of 2 MiB with one bit per 4 KiB page; a
 * chunk is in the list of its largest free frame. Buddies need no merging: an order is free
 * where its aligned bits are.
 */
#include "core/sys/phys.h"
#include "core/sys/bitmap.h"

#define ORDERS	   (GM_PHYS_MAX_ORDER + 1)
#define FULL	   ORDERS /* the list of chunks without a free page */
#define NO_CHUNK   UINT32_MAX
#define PLENTY_DIV 8 /* untouched chunks are plenty while at least 1/8 of all are untouched */

struct chunk {
	gm_bm used;
	uint32_t prev, next; /* in list[of] */
	uint32_t of;	     /* largest free order, or FULL */
};
struct gm_phys {
	struct gm_lock lock;
	uint32_t nchunks;
	uint32_t list[ORDERS + 1]; /* heads; list[GM_PHYS_MAX_ORDER] holds the untouched chunks */
	uint32_t untouched;
	_Atomic uint64_t used_bytes;
	struct chunk chunk[];
};

/* ---- bits of one chunk ---- */

/* runs[k]: a bit at the start of every aligned free frame of order k. */
struct free_frames {
	gm_bm runs[ORDERS];
};

/* The bits at multiples of 2^order within a word. */
static const uint64_t starts[6] = {
	~0ull,
	0x5555555555555555ull,
	0x1111111111111111ull,
	0x0101010101010101ull,
	0x0001000100010001ull,
	0x0000000100000001ull,
};

/* Frames of order k+1: both halves, frames of order k, are free. */
static gm_bm pair_up(gm_bm half, unsigned k)
{
	gm_bm out = gm_bm_zero();

	if (k < 6) {
		for (int i = 0; i < 8; i++)
			out.w[i] = half.w[i] & half.w[i] >> (1u << k) & (k < 5 ? starts[k + 1] : 1);
		return out;
	}
	unsigned words = 1u << (k - 6);
	for (unsigned i = 0; i < 8; i += 2 * words)
		out.w[i] = half.w[i] & half.w[i + words];
	return out;
}

/* The lower and the upper half of each frame of order k+1, as frames of order k. */
static gm_bm halves(gm_bm whole, unsigned k)
{
	gm_bm out = whole;

	for (unsigned i = 0; i < 8; i++)
		if (k < 6)
			out.w[i] |= whole.w[i] << (1u << k);
		else if (whole.w[i])
			out.w[i + (1u << (k - 6))] |= whole.w[i];
	return out;
}

static void find_free(const struct chunk *c, struct free_frames *f)
{
	f->runs[0] = gm_bm_not(c->used);
	for (unsigned k = 0; k < GM_PHYS_MAX_ORDER; k++)
		f->runs[k + 1] = pair_up(f->runs[k], k);
}

/* Best fit: the lowest frame of `order` inside the smallest free frame that holds one. The chunk
 * has one. */
static unsigned best_page(const struct chunk *c, unsigned order)
{
	struct free_frames f;

	find_free(c, &f);
	for (unsigned k = order; k < GM_PHYS_MAX_ORDER; k++) {
		gm_bm single = gm_bm_andnot(f.runs[k], halves(f.runs[k + 1], k));
		if (!gm_bm_empty(single))
			return gm_bm_next(&single, 0, true);
	}
	gm_assert(!gm_bm_empty(f.runs[GM_PHYS_MAX_ORDER]));
	return 0;
}

/* The largest order among whole free words of 64 pages; `words` is not 0. */
static unsigned order_of_words(unsigned words)
{
	if (words == 0xff)
		return 9;
	if ((words & 0x0f) == 0x0f || (words & 0xf0) == 0xf0)
		return 8;
	return words & words >> 1 & 0x55 ? 7 : 6;
}

/* Called at every change: looks at bits only when no word is free as a whole. */
static unsigned largest_free(const struct chunk *c)
{
	gm_bm frames = gm_bm_not(c->used), bigger;
	unsigned words = 0, k = 0;

	for (unsigned i = 0; i < 8; i++)
		words |= (unsigned)!c->used.w[i] << i;
	if (words)
		return order_of_words(words);
	if (gm_bm_empty(frames))
		return FULL;
	while (bigger = pair_up(frames, k), !gm_bm_empty(bigger)) {
		frames = bigger;
		k++;
	}
	return k;
}

static gm_bm bits_of(uint64_t frame, unsigned order)
{
	unsigned page = frame >> GM_PAGE_SHIFT & (GM_PAGES_PER_BLOCK - 1);

	return gm_bm_page_of_order(page, order);
}

/* ---- lists of chunks ---- */

static void list_remove(struct gm_phys *p, uint32_t i)
{
	struct chunk *c = &p->chunk[i];

	*(c->prev == NO_CHUNK ? &p->list[c->of] : &p->chunk[c->prev].next) = c->next;
	if (c->next != NO_CHUNK)
		p->chunk[c->next].prev = c->prev;
	p->untouched -= c->of == GM_PHYS_MAX_ORDER;
}

static void list_push(struct gm_phys *p, uint32_t i, unsigned of)
{
	struct chunk *c = &p->chunk[i];

	c->of = of;
	c->prev = NO_CHUNK;
	c->next = p->list[of];
	if (c->next != NO_CHUNK)
		p->chunk[c->next].prev = i;
	p->list[of] = i;
	p->untouched += of == GM_PHYS_MAX_ORDER;
}

static void relist(struct gm_phys *p, uint32_t i)
{
	unsigned of = largest_free(&p->chunk[i]);

	if (of == p->chunk[i].of)
		return;
	list_remove(p, i);
	list_push(p, i, of);
}

/* ---- policy ---- */

/* Is the wished-for frame free? Anything may be wished for: callers compute it from a
 * neighbour's frame. */
static bool wish_is_free(const struct gm_phys *p, uint64_t frame, unsigned order)
{
	uint64_t i = frame >> GM_BLOCK_SHIFT;

	if (i >= p->nchunks || frame & ((GM_PAGE_BYTES << order) - 1))
		return false;
	return gm_bm_empty(gm_bm_and(p->chunk[i].used, bits_of(frame, order)));
}

/* Steps 2 and 3 of the policy in phys.h. */
static uint64_t choose(const struct gm_phys *p, unsigned order, uint64_t prefer)
{
	uint64_t untouched = p->list[GM_PHYS_MAX_ORDER];

	if (untouched != NO_CHUNK && (uint64_t)p->untouched * PLENTY_DIV >= p->nchunks) {
		uint64_t offset = prefer == GM_PHYS_NONE ? 0 : prefer & (GM_BLOCK_BYTES - 1);
		return (untouched << GM_BLOCK_SHIFT) +
		       gm_align_down(offset, GM_PAGE_BYTES << order);
	}
	for (unsigned k = order; k < ORDERS; k++) {
		uint64_t i = p->list[k];
		if (i != NO_CHUNK)
			return (i << GM_BLOCK_SHIFT) +
			       best_page(&p->chunk[i], order) * GM_PAGE_BYTES;
	}
	return GM_PHYS_NONE;
}

static void take(struct gm_phys *p, uint64_t frame, unsigned order)
{
	uint32_t i = (uint32_t)(frame >> GM_BLOCK_SHIFT);
	gm_bm *used = &p->chunk[i].used, bits = bits_of(frame, order);

	gm_assert(gm_bm_empty(gm_bm_and(*used, bits)));
	gm_bm_add(used, bits);
	relist(p, i);
	atomic_fetch_add_explicit(&p->used_bytes, GM_PAGE_BYTES << order, memory_order_relaxed);
}

uint64_t gmi_phys_alloc(struct gm_phys *p, unsigned order, uint64_t prefer)
{
	gm_assert(order <= GM_PHYS_MAX_ORDER);
	gmi_lock(&p->lock);
	uint64_t frame = wish_is_free(p, prefer, order) ? prefer : choose(p, order, prefer);
	if (frame != GM_PHYS_NONE)
		take(p, frame, order);
	gmi_unlock(&p->lock);
	return frame;
}

bool gmi_phys_take(struct gm_phys *p, uint64_t frame, unsigned order)
{
	gm_assert(order <= GM_PHYS_MAX_ORDER);
	gmi_lock(&p->lock);
	bool is_free = wish_is_free(p, frame, order);
	if (is_free)
		take(p, frame, order);
	gmi_unlock(&p->lock);
	return is_free;
}

void gmi_phys_free(struct gm_phys *p, uint64_t frame, unsigned order)
{
	uint64_t i = frame >> GM_BLOCK_SHIFT;

	gm_assert(order <= GM_PHYS_MAX_ORDER && i < p->nchunks);
	gm_assert(!(frame & ((GM_PAGE_BYTES << order) - 1)));
	gm_bm bits = bits_of(frame, order);
	gmi_lock(&p->lock);
	gm_assert(gm_bm_empty(gm_bm_andnot(bits, p->chunk[i].used))); /* else freed twice */
	gm_bm_remove(&p->chunk[i].used, bits);
	relist(p, (uint32_t)i);
	atomic_fetch_sub_explicit(&p->used_bytes, GM_PAGE_BYTES << order, memory_order_relaxed);
	gmi_unlock(&p->lock);
}

/* ---- the rest ---- */

static size_t phys_size(uint64_t nchunks)
{
	return sizeof(struct gm_phys) + nchunks * sizeof(struct chunk);
}

struct gm_phys *gmi_phys_create(uint64_t bytes)
{
	uint64_t n = bytes >> GM_BLOCK_SHIFT;
	struct gm_phys *p = n < NO_CHUNK ? gmi_alloc(phys_size(n)) : NULL;

	if (!p)
		return NULL;
	gm_lock_rank(&p->lock, GM_RANK_PHYS);
	p->nchunks = (uint32_t)n;
	for (unsigned k = 0; k < GM_ARRAY_LEN(p->list); k++)
		p->list[k] = NO_CHUNK;
	for (uint32_t i = p->nchunks; i-- > 0;) /* the lowest comes to the head */
		list_push(p, i, GM_PHYS_MAX_ORDER);
	return p;
}

void gmi_phys_destroy(struct gm_phys *p)
{
	if (p)
		gmi_free(p, phys_size(p->nchunks));
}

uint64_t gmi_phys_used_bytes(const struct gm_phys *p)
{
	return atomic_load_explicit(&p->used_bytes, memory_order_relaxed);
}

uint64_t gmi_phys_total_bytes(const struct gm_phys *p)
{
	return (uint64_t)p->nchunks << GM_BLOCK_SHIFT;
}
