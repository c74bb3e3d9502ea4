/*
 * vm_peers.c - every attached device has the same addresses reserved
 * (gm_mmu.peer_va_alloc_fixed): asking all of them, and taking it back from those already asked
 * when one refuses. Region lock held.
 *
 * What is mapped in the region map is reserved on every device that cares; nothing else is.
 */
#include "core/page/driver.h"
#include "core/space/vm_int.h"

static int peer_reserve(struct gm_ctx *ctx, uintptr_t lo, uintptr_t hi, int rights)
{
	return gmc_driver(ctx->dev, GM_CB_VA_ALLOC, (uintptr_t)ctx->pmap, lo, hi - lo,
			  (uintptr_t)rights);
}

static void peer_release(struct gm_ctx *ctx, uintptr_t lo, uintptr_t hi)
{
	gmc_driver(ctx->dev, GM_CB_VA_FREE, (uintptr_t)ctx->pmap, lo, hi - lo);
}

static bool nobody_cares(const struct gm_as *as)
{
	for (int d = 0; d < GM_MAX_DEV; d++)
		if (as->ctx[d] && (as->ctx[d]->dev->mmu->peer_va_alloc_fixed ||
				   as->ctx[d]->dev->mmu->peer_va_free))
			return false;
	return true;
}

static void release_all(struct gm_as *as, uintptr_t lo, uintptr_t hi, int ndev)
{
	for (int d = 0; d < ndev; d++)
		if (as->ctx[d])
			peer_release(as->ctx[d], lo, hi);
}

static int reserve_all(struct gm_as *as, uintptr_t lo, uintptr_t hi, int rights)
{
	for (int d = 0; d < GM_MAX_DEV; d++) {
		int err = as->ctx[d] ? peer_reserve(as->ctx[d], lo, hi, rights) : 0;
		if (err) {
			release_all(as, lo, hi, d);
			return err;
		}
	}
	return 0;
}

/* The next part of [lo, hi) where nothing is mapped. */
static bool gap(struct gm_as *as, uintptr_t lo, uintptr_t hi, uintptr_t *first, uintptr_t *end)
{
	struct gm_range r;

	while (lo < hi && gmi_rangemap_find(&as->regions, lo, &r))
		lo = r.end;
	if (lo >= hi)
		return false;
	*first = lo;
	*end = gmi_rangemap_next(&as->regions, lo, &r) ? gm_min(r.start, hi) : hi;
	return true;
}

void gmc_vm_peers_forget(struct gm_as *as, uintptr_t lo, uintptr_t hi)
{
	uintptr_t first, end;

	if (nobody_cares(as))
		return;
	for (; gap(as, lo, hi, &first, &end); lo = end)
		release_all(as, first, end, GM_MAX_DEV);
}

int gmc_vm_peers_reserve(struct gm_as *as, uintptr_t lo, uintptr_t hi, int prot)
{
	uintptr_t first, end;

	if (nobody_cares(as))
		return 0;
	for (uintptr_t at = lo; gap(as, at, hi, &first, &end); at = end) {
		int err = reserve_all(as, first, end, gm_vm_rights(prot));
		if (err) {
			gmc_vm_peers_forget(as, lo, first);
			return err;
		}
	}
	return 0;
}

void gmc_vm_peers_unmapped(struct gm_as *as, uintptr_t lo, uintptr_t hi)
{
	struct gm_range r;

	if (nobody_cares(as))
		return;
	gm_vm_for_each_range (as, lo, hi, &r)
		release_all(as, r.start, r.end, GM_MAX_DEV);
}

int gmc_vm_peer_joins(struct gm_as *as, struct gm_ctx *ctx)
{
	struct gm_range r, back;

	gm_vm_for_each_range (as, as->base, as->base + as->bytes, &r) {
		int err = peer_reserve(ctx, r.start, r.end, gm_vm_rights(gm_vm_prot(&r.val)));
		if (!err)
			continue;
		gm_vm_for_each_range (as, as->base, r.start, &back)
			peer_release(ctx, back.start, back.end);
		if (!ctx->dev->broken)
			gmc_fail(err,
				 "peer_va_alloc_fixed() refused %lx..%lx, where the space has "
				 "memory: error %d",
				 r.start, r.end, -err);
		return err;
	}
	return 0;
}
