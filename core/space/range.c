/* From addresses to blocks. See range.h. */
#include "core/space/range.h"
#include "core/space/hint.h"
#include "core/space/vm.h"
#include <errno.h>

/* Made under the region lock, so that vm.c, which holds it, sees either no block or one that
 * knows its regions. */
struct gm_block *gmc_block_get(struct gm_as *as, uintptr_t va)
{
	struct gm_block *b = gm_block_find(as, va);

	if (b)
		return b;
	gmi_lock(&as->region_lock);
	b = gm_block_find(as, va);
	if (!b && (b = gmi_alloc(sizeof *b))) {
		gm_lock_rank(&b->lock, GM_RANK_BLOCK);
		b->as = as;
		b->va = gm_align_down(va, GM_BLOCK_BYTES);
		gmc_vm_fill_block(b);
		if (!gmc_hints_fill(b)) {
			gmi_free(b, sizeof *b);
			gmi_unlock(&as->region_lock);
			return NULL;
		}
		b->host = gm_bm_all();
		b->cpu_r = b->prog_r;
		b->cpu_w = b->prog_w;
		b->next = as->blocks;
		atomic_store_explicit(&as->blocks, b, memory_order_release);
		atomic_store_explicit(&as->table[(va - as->base) >> GM_BLOCK_SHIFT], b,
				      memory_order_release);
	}
	gmi_unlock(&as->region_lock);
	return b;
}

int gmc_each_block(struct gm_as *as, uintptr_t start, uintptr_t end, bool create,
		   int (*fn)(struct gm_block *, gm_bm, void *), void *arg)
{
	int err = 0;

	for (uintptr_t va = gm_align_down(start, GM_BLOCK_BYTES); va < end && !err;
	     va += GM_BLOCK_BYTES) {
		do {
			gm_sigmask mask = gmi_block_signals();
			struct gm_block *b = create ? gmc_block_get(as, va) : gm_block_find(as, va);
			err = !b && create ? -ENOMEM : 0;
			if (b) {
				gmi_lock(&b->lock);
				err = fn(b, gm_bm_and(gm_block_pages(b, start, end), b->managed),
					 arg);
				gmi_unlock(&b->lock);
			}
			gmi_restore_signals(mask);
			if (err == -EAGAIN)
				gm_sys0(SYS_sched_yield);
		} while (err == -EAGAIN);
	}
	return err;
}

int gmc_check_range(const void *start, size_t len, struct gm_as **as)
{
	uintptr_t lo = (uintptr_t)start, hi = lo + len;

	if (!start || hi < lo)
		return -EINVAL;
	*as = gmc_as_find(lo);
	if (!*as || hi > (*as)->base + (*as)->bytes)
		return -EFAULT;
	gm_sigmask mask = gmi_block_signals();
	gmi_lock(&(*as)->region_lock);
	bool mapped = !len || gmi_rangemap_covers(&(*as)->regions, gm_align_down(lo, GM_PAGE_BYTES),
						  gm_align_up(hi, GM_PAGE_BYTES));
	gmi_unlock(&(*as)->region_lock);
	gmi_restore_signals(mask);
	return mapped ? 0 : -EFAULT;
}
