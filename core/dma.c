/*
 * dma.c - gm_as_map and gm_as_unmap: explicit mappings, for devices that cannot fault and for programs that want no
 * faults. See dma.h.
 *
 * What a device holds (held_r, held_w) is the truth; its entries (map_r, map_w) may be taken away and made again.
 */
#include "dma.h"
#include "cpu.h"
#include "migrate.h"
#include "rights.h"
#include <errno.h>

#define for_each_bd(b, bd)                                                                                   \
	for (unsigned d_ = 0; d_ < GM_MAX_DEV; d_++)                                                         \
		for (struct gm_block_dev *bd = (b)->dev[d_]; bd; bd = NULL)

void gm_block_pin(struct gm_block *b, gm_bm set, bool pin)
{
	gm_bm held = gm_bm_zero();

	for_each_bd(b, bd)
	{
		if (pin) {
			bd->held_pins = gm_bm_andnot(bd->held_pins, set);
			continue;
		}
		gm_bm its = gm_bm_andnot(gm_bm_and(set, bd->held_r), held);
		bd->held_pins = gm_bm_or(bd->held_pins, its);
		held = gm_bm_or(held, its);
	}
	b->pinned = pin ? gm_bm_or(b->pinned, set) : gm_bm_andnot(b->pinned, gm_bm_andnot(set, held));
}

/* The device holds `set` no longer; what it alone had pinned is free. */
static void let_go(struct gm_block *b, struct gm_block_dev *bd, gm_bm set)
{
	gm_bm loose = gm_bm_and(bd->held_pins, set);

	bd->held_r = gm_bm_andnot(bd->held_r, set);
	bd->held_w = gm_bm_andnot(bd->held_w, set);
	bd->held_pins = gm_bm_andnot(bd->held_pins, set);
	for_each_bd(b, other)
	{
		gm_bm its = gm_bm_and(loose, other->held_r);
		other->held_pins = gm_bm_or(other->held_pins, its);
		loose = gm_bm_andnot(loose, its);
	}
	b->pinned = gm_bm_andnot(b->pinned, loose);
}

void gm_dma_drop(struct gm_block *b, gm_bm set)
{
	for_each_bd(b, bd) let_go(b, bd, set);
}

/* Makes the entries of what is held of `set`. */
static int enter(struct gm_block *b, struct gm_ctx *ctx, gm_bm set)
{
	struct gm_block_dev *bd = b->dev[ctx->dev->index];
	gm_bm w = gm_bm_and(gm_bm_and(set, bd->held_w), b->prog_w);
	gm_bm r = gm_bm_and(gm_bm_andnot(gm_bm_and(set, bd->held_r), w), b->prog_r);
	int err = gm_bm_empty(w) ? 0 : gm_map_remote(b, ctx, w, true);

	if (!err && !gm_bm_empty(r)) {
		err = gm_map_remote(b, ctx, r, false);
		if (!err)
			err = gm_dev_write_protect(b, ctx, r);
	}
	return err;
}

void gm_dma_forget(struct gm_block *b, struct gm_block_dev *bd)
{
	let_go(b, bd, bd->held_r);
}

int gm_dma_walk(struct gm_block *b, struct gm_ctx *ctx, unsigned i, bool write)
{
	const struct gm_block_dev *bd = b->dev[ctx->dev->index];
	unsigned first = i & ~((1u << bd->order) - 1);

	if (!gm_bm_test(&bd->held_r, i))
		return -EFAULT;
	if (write && !gm_bm_test(&bd->held_w, i))
		return -EPERM;
	return enter(b, ctx, gm_bm_range(first, first + (1u << bd->order)));
}

int gm_dma_restore(struct gm_block *b, gm_bm set)
{
	int err = 0;

	for_each_bd(b, bd)
	{
		gm_bm lost = gm_bm_andnot(gm_bm_and(set, bd->held_r), bd->map_r);
		lost = gm_bm_or(lost, gm_bm_andnot(gm_bm_and(set, bd->held_w), bd->map_w));
		if (!err && !gm_bm_empty(lost))
			err = enter(b, b->as->ctx[d_], lost);
	}
	return err;
}

/* ---- the calls ---- */

struct request {
	struct gm_ctx *ctx;
	uintptr_t lo, hi;
	int prot;
};

static gm_bm pages_of(const struct request *q, const struct gm_block *b)
{
	uintptr_t lo = gm_max(q->lo, b->va), hi = gm_min(q->hi, b->va + GM_BLOCK_BYTES);

	return gm_bm_range((unsigned)((lo - b->va) >> GM_PAGE_SHIFT),
			   (unsigned)((hi - b->va) >> GM_PAGE_SHIFT));
}

static int map_block(struct gm_block *b, gm_bm unused, void *arg)
{
	struct request *q = arg;
	gm_bm set = pages_of(q, b);
	bool write = q->prot & GM_PROT_WRITE;

	if (!gm_bm_empty(gm_bm_andnot(set, gm_bm_and(b->prog_r, b->managed))))
		return -EFAULT;
	if (write && !gm_bm_empty(gm_bm_andnot(set, b->prog_w)))
		return -EPERM;
	int err = gm_ctx_refuses(q->ctx);
	struct gm_block_dev *bd = err ? NULL : gm_block_dev_get(b, q->ctx);
	if (!bd)
		return err ? err : -ENOMEM;
	err = gm_migrate_to_cpu(b, set, true);
	if (err)
		return err;
	bd->held_pins = gm_bm_or(bd->held_pins, gm_bm_andnot(set, b->pinned));
	bd->held_r = gm_bm_or(bd->held_r, set);
	bd->held_w = write ? gm_bm_or(bd->held_w, set) : gm_bm_andnot(bd->held_w, set);
	b->pinned = gm_bm_or(b->pinned, set);
	err = enter(b, q->ctx, set);
	if (err && !gm_dev_unmap(b, q->ctx, set))
		let_go(b, bd, set);
	return err;
}

static int unmap_block(struct gm_block *b, gm_bm unused, void *arg)
{
	struct request *q = arg;
	struct gm_block_dev *bd = b->dev[q->ctx->dev->index];

	if (!bd)
		return 0;
	gm_bm set = gm_bm_and(pages_of(q, b), bd->held_r);
	int err = gm_dev_unmap(b, q->ctx, set);
	if (!err)
		let_go(b, bd, set);
	return err;
}

static int check(struct gm_as *as, struct gm_dev *dev, const void *addr, size_t len, struct request *q)
{
	uintptr_t lo = (uintptr_t)addr;

	if (!as || !dev || !addr || (lo | len) % GM_PAGE_BYTES || lo + len < lo)
		return -EINVAL;
	*q = (struct request){.ctx = as->ctx[dev->index], .lo = lo, .hi = lo + len};
	return q->ctx && q->ctx->dev == dev ? 0 : -EINVAL;
}

int gm_as_unmap(struct gm_as *as, struct gm_dev *dev, void *addr, size_t len)
{
	struct request q;
	int err = check(as, dev, addr, len, &q);

	if (err || !len)
		return err;
	if (q.lo < as->base || q.hi > as->base + as->bytes)
		return -EINVAL;
	return gm_each_block(as, q.lo, q.hi, false, unmap_block, &q);
}

int gm_as_map(struct gm_as *as, struct gm_dev *dev, void *addr, size_t len, int prot)
{
	struct request q;
	struct gm_as *in;
	int err = check(as, dev, addr, len, &q);

	if (err || !(prot & GM_PROT_READ) || prot & ~(GM_PROT_READ | GM_PROT_WRITE))
		return -EINVAL;
	err = gm_check_range(addr, len, &in);
	if (err || !len)
		return err;
	if (in != as)
		return -EFAULT;
	q.prot = prot;
	err = gmi_activate();
	if (!err)
		err = gm_each_block(as, q.lo, q.hi, true, map_block, &q);
	if (err)
		gm_as_unmap(as, dev, addr, len);
	return err;
}
