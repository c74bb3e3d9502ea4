/*
 * as_map.c - gm_as_map and gm_as_unmap: explicit mappings, for devices that cannot fault and for
 * programs that want no faults. What a block knows of them: page/premap.h.
 */
#include "core/page/activate.h"
#include "core/page/driver.h"
#include "core/page/premap.h"
#include "core/space/range.h"
#include <errno.h>

struct request {
	struct gm_ctx *ctx;
	uintptr_t lo, hi; /* whole pages */
	int prot;
	uintptr_t done; /* mapped so far: from lo to here */
};

static int map_block(struct gm_block *b, gm_bm unused, void *arg)
{
	struct request *q = arg;
	int err =
		gmc_premap_add(b, q->ctx, gm_block_pages(b, q->lo, q->hi), q->prot & GM_PROT_WRITE);

	if (!err)
		q->done = gm_min(b->va + GM_BLOCK_BYTES, q->hi);
	return err;
}

static int unmap_block(struct gm_block *b, gm_bm unused, void *arg)
{
	const struct request *q = arg;

	return gmc_premap_remove(b, q->ctx, gm_block_pages(b, q->lo, q->done));
}

static int undo_block(struct gm_block *b, gm_bm unused, void *arg)
{
	const struct request *q = arg;

	return gmc_premap_undo(b, q->ctx, gm_block_pages(b, q->lo, q->done),
			       q->prot & GM_PROT_WRITE);
}

static int check_request(struct gm_as *as, struct gm_dev *dev, const void *addr, size_t len,
			 struct request *q)
{
	uintptr_t lo = (uintptr_t)addr;

	if (!as || !dev || !addr || lo + len < lo || lo + len > UINTPTR_MAX - GM_PAGE_BYTES)
		return -EINVAL;
	*q = (struct request){.ctx = as->ctx[dev->index],
			      .lo = gm_align_down(lo, GM_PAGE_BYTES),
			      .hi = gm_align_up(lo + len, GM_PAGE_BYTES)};
	return q->ctx && q->ctx->dev == dev ? 0 : -EINVAL;
}

int gm_as_unmap(struct gm_as *as, struct gm_dev *dev, void *addr, size_t len)
{
	if (gmc_called_back(__func__))
		return -EDEADLK;
	struct request q;
	int err = check_request(as, dev, addr, len, &q);

	if (err || !len)
		return err;
	if (q.lo < as->base || q.hi > as->base + as->bytes)
		return -EINVAL;
	q.done = q.hi;
	return gmc_each_block(as, q.lo, q.hi, false, unmap_block, &q);
}

int gm_as_map(struct gm_as *as, struct gm_dev *dev, void *addr, size_t len, int prot)
{
	if (gmc_called_back(__func__))
		return -EDEADLK;
	struct request q;
	struct gm_as *in;
	int err = check_request(as, dev, addr, len, &q);

	if (err || !(prot & GM_PROT_READ) || prot & ~(GM_PROT_READ | GM_PROT_WRITE))
		return -EINVAL;
	if (!len)
		return 0;
	err = gmc_check_range(addr, len, &in);
	if (!err && in != as)
		err = -EFAULT;
	q.prot = prot;
	if (!err)
		err = gmi_activate();
	if (!err)
		err = gmc_each_block(as, q.lo, q.hi, true, map_block, &q);
	if (err && q.done) /* the block that failed has undone itself */
		gmc_each_block(as, q.lo, q.done, false, undo_block, &q);
	return err;
}
