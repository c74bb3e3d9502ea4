/*
 * block.c - finding and making blocks; what must always be true of one.
 */
#include "core/page/registry.h"

/* Metadata is 0.1 % at most: a block and one device of 4 KiB pages that lie side by side, the rest
 * (64 B here) is shared. */
#ifndef GM_DEBUG
_Static_assert(sizeof(struct gm_block) + sizeof(struct gm_block_dev) + GM_ROWS(0) * 8 + 64 <=
		       GM_BLOCK_BYTES / 1000,
	       "a block's metadata");
_Static_assert(sizeof(struct gm_block_dev) + GM_ROWS(0) * 8 <= 896, "its size class in alloc.c");
#endif

struct gm_block_rare *gmc_block_rare(struct gm_block_dev *bd)
{
	if (!bd->rare)
		bd->rare = gmi_alloc(sizeof *bd->rare);
	return bd->rare;
}

static size_t block_dev_bytes(unsigned order)
{
	return sizeof(struct gm_block_dev) + GM_ROWS(order) * sizeof(uint64_t);
}

void gmc_block_dev_free(struct gm_block *b, unsigned d)
{
	struct gm_block_dev *bd = b->dev[d];

	__atomic_store_n(&b->dev[d], NULL, __ATOMIC_RELEASE);
	gmi_free(bd->rare, sizeof *bd->rare);
	gmi_free(bd, block_dev_bytes(bd->order));
}

/* Nothing is there, and nothing is remembered. */
static bool has_nothing(const struct gm_block_dev *bd)
{
	gm_bm any = gm_bm_or(gm_bm_or(bd->valid, bd->map_r), gm_bm_or(bd->remote, bd->evicted));

	return gm_bm_empty(any) && !bd->premap && !bd->unsure && !bd->on_lru;
}

void gmc_block_dev_sweep(struct gm_block *b, unsigned self)
{
	gm_for_each_dev (b, d)
		if (d != (int)self && has_nothing(b->dev[d]))
			gmc_block_dev_free(b, (unsigned)d);
}

struct gm_block_dev *gmc_block_dev_get(struct gm_block *b, struct gm_ctx *ctx)
{
	struct gm_dev *dev = ctx->dev;
	struct gm_block_dev *bd = b->dev[dev->index];

	if (bd)
		return bd;
	bd = gmi_alloc(block_dev_bytes(dev->page_order));
	if (!bd)
		return NULL;
	bd->block = b;
	bd->order = (uint8_t)dev->page_order;
	__atomic_store_n(&b->dev[dev->index], bd, __ATOMIC_RELEASE);
	return bd;
}

#ifdef GM_DEBUG
static gm_bm device_page(unsigned i, unsigned order)
{
	return gm_bm_range(i << order, (i + 1) << order);
}

static void check_device(struct gm_block *b, struct gm_block_dev *bd)
{
	/* its own copy or the bus, not both */
	gm_assert(gm_bm_empty(gm_bm_and(bd->valid, bd->remote)));
	gm_assert(gm_bm_empty(gm_bm_andnot(bd->map_w, bd->map_r)));
	gm_bm theirs = gm_bm_or(bd->remote, bd->peer);
	gm_assert(gm_bm_empty(gm_bm_andnot(bd->map_r, gm_bm_or(bd->valid, theirs))));
	gm_assert(gm_bm_empty(gm_bm_andnot(bd->peer, bd->map_r)));
	/* what has one other holder */
	gm_assert(gm_bm_empty(gm_bm_and(bd->peer, gm_bm_or(bd->valid, bd->remote))));
	gm_assert(gm_bm_empty(gm_bm_and(bd->peer, b->host)));
	gm_assert(gm_bm_empty(
		gm_bm_andnot(bd->map_w, b->prog_w))); /* never more than the program asked for */
	gm_assert(gm_bm_empty(
		gm_bm_and(bd->map_w, gm_bm_and(bd->valid, b->host)))); /* copies are read-only */
	gm_assert(gm_bm_empty(gm_bm_andnot(bd->remote, gm_bm_and(b->host, b->adopted))));
	for (unsigned i = 0; i < (GM_PAGES_PER_BLOCK >> bd->order); i++) {
		bool any = !gm_bm_empty(gm_bm_and(bd->valid, device_page(i, bd->order)));
		gm_assert(!any || gm_frame_at(bd, i) != GM_NO_FRAME); /* bytes have a place */
	}
}

void gm_block_check(struct gm_block *b)
{
	gm_bm any = gm_bm_zero(), several = any, peer = any;

	gm_assert(atomic_load_explicit(&b->lock.v, memory_order_relaxed) != 0);
	gm_for_each_dev (b, d) {
		gm_bm own_w = gm_bm_andnot(b->dev[d]->map_w, b->dev[d]->peer);
		gm_assert(gm_bm_empty(gm_bm_and(any, own_w)));
		check_device(b, b->dev[d]);
		gm_assert(
			gm_bm_empty(gm_bm_and(any, gm_bm_and(b->dev[d]->valid, b->dev[d]->map_w))));
		gm_bm_add(&several, gm_bm_and(any, b->dev[d]->valid));
		gm_bm_add(&any, b->dev[d]->valid);
		gm_bm_add(&peer, b->dev[d]->peer);
	}
	gm_assert(gm_bm_empty(gm_bm_andnot(peer, gm_bm_andnot(any, several))));
	gm_assert(gm_bm_empty(gm_bm_andnot(b->cpu_r, b->prog_r)));
	gm_assert(gm_bm_empty(gm_bm_andnot(b->cpu_w, b->prog_w)));
	/* the CPU reads only current bytes */
	gm_assert(gm_bm_empty(gm_bm_andnot(b->cpu_r, b->host)));
	/* and writes only what nobody else has */
	gm_assert(gm_bm_empty(gm_bm_and(b->cpu_w, any)));
	gm_assert(gm_bm_empty(gm_bm_and(gm_bm_andnot(any, b->host), gm_bm_not(b->adopted))));
	gm_assert(gm_bm_empty(gm_bm_andnot(b->backed, b->adopted)));
	gm_assert(gm_bm_empty(gm_bm_andnot(b->cpu_bus, gm_bm_and(any, b->adopted))));
	gm_assert(gm_bm_empty(gm_bm_and(b->cpu_bus, b->host)));
	gm_assert(gm_bm_empty(gm_bm_and(any, gm_bm_not(b->managed))));
}
#endif

void gmc_block_trace_set(enum gm_event_kind kind, const struct gm_block *b, int d, gm_bm set,
			 uint64_t begin_ns)
{
	if (!gm_bm_empty(set))
		gmi_trace_put((struct gm_event){
			.kind = (uint8_t)kind,
			.time_ns = begin_ns,
			.addr = b->va + gm_bm_next(&set, 0, true) * GM_PAGE_BYTES,
			.pages = gm_bm_count(set),
			.site = (uint16_t)b->site,
			.device = d < 0 ? GM_EV_NO_DEVICE : (uint8_t)d,
		});
}

bool gmc_all_blocks(bool (*fn)(struct gm_block *b))
{
	bool all = true;
	gm_sigmask mask = gmc_registry_enter();

	gm_for_each_space (as) {
		struct gm_block *b;
		gm_for_each_block (as, b) {
			gmi_lock(&b->lock);
			all &= fn(b);
			gmi_unlock(&b->lock);
		}
	}
	gmc_registry_leave(mask);
	return all;
}
