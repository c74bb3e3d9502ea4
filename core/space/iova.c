/*
 * iova.c - tables of device addresses that are not the CPU's (the calls are in gmem/sparse.h): an
 * allocator of addresses, and a page table of its own on one device, behind which memory of a
 * space lies.
 *
 * To the driver a table is one more space: gm_as_window() says its addresses, and the descriptor
 * is that of the space whose memory it maps, with offsets in which MAP counts. What is mapped is a
 * buffer object of the program's own memory (bo.c), which keeps the pages where they are. The map
 * is the truth, entries are a cache of it, as everywhere.
 */
#include "core/page/driver.h"
#include "core/page/entries.h"
#include "core/page/store.h"
#include "core/space/sparse.h"
#include "core/sys/inject.h"
#include <errno.h>

struct gm_iova {
	struct gm_as as; /* for the driver; not in the registry */
	struct gm_as *of;
	struct gm_dev *dev;
	struct gm_ctx ctx;
	struct gm_lock lock; /* rank block */
	/* whole entries; value: the object, GM_PROT_*, and a number of its own */
	struct gm_rangemap map;
	uint64_t serial;
	int pid;
};

static bool iova_alive(const struct gm_iova *v)
{
	return v->pid == (int)gm_sys0(SYS_getpid);
}
static size_t unit_of(const struct gm_iova *v)
{
	return (size_t)GM_PAGE_BYTES << v->dev->min_order;
}

static struct gm_op enter_op(const struct gm_iova *v, const struct gm_range *r)
{
	const struct gm_bo *bo = (const struct gm_bo *)r->val.v[0];

	return (struct gm_op){.kind = GM_OP_MAP,
			      .prot = (uint8_t)r->val.v[1],
			      .mem = GM_MEM_HOST,
			      .entry_bytes = (uint32_t)unit_of(v),
			      .va = r->start,
			      .len = r->end - r->start,
			      .pa = gmc_bo_offset(bo),
			      .host = gmc_bo_host(bo, 0)};
}

/* The lock is held, in both. */
static int take_addresses(struct gm_iova *v, struct gm_bo *bo, int prot, uint64_t *at)
{
	size_t len = bo->bytes;
	uint64_t lo = *at ? gm_align_down(*at, unit_of(v))
			  : gmi_rangemap_find_gap(&v->map, v->as.base, len, unit_of(v));

	if (*at && (lo < v->as.base || lo + len > v->as.base + v->as.bytes || lo + len < lo))
		return -EINVAL;
	if (!lo)
		return -ENOSPC;
	if (!gmi_rangemap_is_free(&v->map, lo, lo + len))
		return -EEXIST;
	struct gm_range r = {lo, lo + len, {{(uint64_t)bo, (uint64_t)prot, ++v->serial}}};
	int err = gmi_rangemap_assign(&v->map, r.start, r.end, &r.val);
	if (err)
		return err;
	struct gm_op op = enter_op(v, &r);
	err = gm_inject(GM_INJ_MAP) ? -EIO : gmc_ops_send(&v->ctx, &op, 1);
	*at = lo;
	if (!err)
		return 0;
	struct gm_op undo = {.kind = GM_OP_UNMAP, .va = lo, .len = len};
	if (!gmc_ops_send(&v->ctx, &undo, 1))
		gmi_rangemap_clear(&v->map, r.start, r.end);
	return err;
}

static int give_addresses(struct gm_iova *v, uint64_t lo, uint64_t hi, struct gm_bo **bo)
{
	struct gm_range r;

	if (!gmi_rangemap_find(&v->map, lo, &r) || r.start != lo || r.end != hi)
		return -ENOENT;
	struct gm_op op = {.kind = GM_OP_UNMAP, .va = lo, .len = hi - lo};
	int err = gm_inject(GM_INJ_UNMAP) ? -EIO : gmc_ops_send(&v->ctx, &op, 1);
	if (err)
		return err;
	*bo = (struct gm_bo *)r.val.v[0];
	return gmi_rangemap_clear(&v->map, lo, hi);
}

int gmc_iova_fault(struct gm_iova *v, uint64_t va, struct gm_dev *dev, bool write)
{
	struct gm_range r;
	gm_sigmask mask = gm_lock_masked(&v->lock);
	int err = 0;

	if (dev != v->dev || !gmi_rangemap_find(&v->map, va, &r))
		err = -EFAULT;
	else if (write && !(r.val.v[1] & GM_PROT_WRITE))
		err = -EPERM;
	struct gm_op op = err ? (struct gm_op){0} : enter_op(v, &r);
	if (!err)
		err = gmc_ops_send(&v->ctx, &op, 1);
	gm_unlock_masked(&v->lock, mask);
	return err;
}

/* ---- the calls ---- */

int gm_iova_map(struct gm_iova *v, void *addr, size_t len, int prot, uint64_t *at)
{
	if (gmc_called_back(__func__))
		return -EDEADLK;
	uintptr_t p = (uintptr_t)addr, lo, hi;
	struct gm_bo *bo;

	if (!v || !addr || !len || !at || p + len < p || p + len > UINTPTR_MAX - GM_BLOCK_BYTES)
		return -EINVAL;
	lo = gm_align_down(p, unit_of(v));
	hi = gm_align_up(p + len, unit_of(v));
	if (*at && *at % unit_of(v) != p % unit_of(v))
		return -EINVAL;
	if (!iova_alive(v))
		return -ENODEV;
	int err = gmc_bo_user(v->of, v->dev, lo, hi - lo, prot, &bo);
	if (err)
		return err;
	gm_sigmask mask = gm_lock_masked(&v->lock);
	err = take_addresses(v, bo, prot, at);
	gm_unlock_masked(&v->lock, mask);
	if (err)
		gm_bo_destroy(bo);
	else
		*at += p - lo;
	return err;
}

int gm_iova_unmap(struct gm_iova *v, uint64_t at, size_t len)
{
	if (gmc_called_back(__func__))
		return -EDEADLK;
	struct gm_bo *bo = NULL;

	if (!v || !len || at + len < at || at + len > UINT64_MAX - GM_BLOCK_BYTES)
		return -EINVAL;
	if (!iova_alive(v))
		return -ENODEV;
	gm_sigmask mask = gm_lock_masked(&v->lock);
	int err = give_addresses(v, gm_align_down(at, unit_of(v)),
				 gm_align_up(at + len, unit_of(v)), &bo);
	gm_unlock_masked(&v->lock, mask);
	return err ? err : gm_bo_destroy(bo);
}

/* Registry locked: the driver makes its part. */
static int open_iova_table(struct gm_iova *v)
{
	struct gm_ctx *of = v->of->ctx[v->dev->index];

	if (!of || of->dev != v->dev)
		return -EINVAL;
	v->as.store = v->of->store;
	int err = gmc_driver(v->dev, GM_CB_PMAP_CREATE, (uintptr_t)v->dev->data, (uintptr_t)&v->as,
			     (uintptr_t)&v->ctx.pmap);
	if (!err)
		of->nsparse++;
	return err;
}

int gm_iova_create(struct gm_as *as, struct gm_dev *dev, uint64_t begin, uint64_t end,
		   struct gm_iova **out)
{
	if (gmc_called_back(__func__))
		return -EDEADLK;
	if (!as || !dev || !out || !begin || end <= begin || (begin | end) % GM_BLOCK_BYTES)
		return -EINVAL;
	struct gm_iova *v = gmi_alloc(sizeof *v);
	if (!v)
		return -ENOMEM;
	v->as.base = begin;
	v->as.bytes = end - begin;
	v->as.iova = v;
	v->of = as;
	v->dev = dev;
	v->ctx = (struct gm_ctx){.as = &v->as, .dev = dev};
	v->pid = (int)gm_sys0(SYS_getpid);
	gm_lock_rank(&v->lock, GM_RANK_BLOCK);
	gmi_rangemap_init(&v->map, begin, end);
	gm_sigmask mask = gmc_registry_enter();
	int err = open_iova_table(v);
	gmc_registry_leave(mask);
	if (err)
		gmi_free(v, sizeof *v);
	else
		*out = v;
	return err;
}

int gm_iova_destroy(struct gm_iova *v)
{
	if (gmc_called_back(__func__))
		return -EDEADLK;
	struct gm_range r;
	int err = 0;

	if (!v)
		return -EINVAL;
	while (iova_alive(v) && !err && gmi_rangemap_next(&v->map, v->as.base, &r))
		err = gm_iova_unmap(v, r.start, r.end - r.start);
	if (err)
		return err;
	gm_sigmask mask = gmc_registry_enter();
	if (iova_alive(v)) {
		gmc_driver(v->dev, GM_CB_PMAP_DESTROY, (uintptr_t)v->ctx.pmap);
		v->of->ctx[v->dev->index]->nsparse--;
	}
	gmc_registry_leave(mask);
	gmi_rangemap_destroy(&v->map);
	gmi_free(v, sizeof *v);
	return 0;
}
