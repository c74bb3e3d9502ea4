/* pin.c - pages that stay on the host for good. */
#include "core/entry/pin.h"
#include "core/entry/fault.h"
#include "core/entry/fork.h"
#include "core/page/activate.h"
#include "core/page/adopt.h"
#include "core/page/premap.h"
#include "core/page/migrate.h"
#include "core/page/thread.h"
#include "core/space/range.h"
#include <errno.h>

/* Is all of it pinned? A look without locks: pins are for good, but for unpin and unmap, which
 * are the caller's to order. */
static bool all_pinned(struct gm_as *as, uintptr_t lo, uintptr_t hi)
{
	for (uintptr_t va = gm_align_down(lo, GM_PAGE_BYTES); va < hi; va += GM_PAGE_BYTES) {
		struct gm_block *b = gm_block_find(as, va);
		if (!b || !gm_bm_test_relaxed(&b->pinned, gm_page_index(va)))
			return false;
	}
	return true;
}

int gmc_pin_pages(struct gm_block *b, gm_bm set, bool pin)
{
	int err = pin ? gmc_migrate_home(b, set, true) : 0;

	if (!err && pin && b->as->store.alias)
		err = gmc_block_adopt(b, gm_bm_and(set, b->prog_w));
	if (!err)
		gmc_block_pin(b, set, pin);
	return err;
}

int gmi_pin_range(const void *p, size_t len, bool pin)
{
	uintptr_t lo = (uintptr_t)p, hi = lo + len;
	struct gm_as *as = gmc_as_find(lo);
	int err = 0;

	if (!as || !len || hi < lo)
		return 0;
	hi = gm_min(hi, as->base + as->bytes);
	if (pin && all_pinned(as, lo, hi))
		return 0;
	gm_sigmask mask = gmi_block_signals();
	for (uintptr_t va = gm_align_down(lo, GM_BLOCK_BYTES); va < hi && !err;
	     va += GM_BLOCK_BYTES) {
		struct gm_block *b = gmc_block_get(as, va);
		if (!b) {
			err = -ENOMEM;
			break;
		}
		bool locked = gmc_fork_lock_block(b);
		err = gmc_pin_pages(b, gm_bm_and(gm_block_pages(b, lo, hi), b->managed), pin);
		if (locked)
			gmi_unlock(&b->lock);
	}
	gmi_restore_signals(mask);
	return err;
}

void gmi_adopt_pinned(void)
{
	gm_sigmask mask = gmi_block_signals();

	gm_for_each_space (as) {
		struct gm_block *b;
		if (!as->store.alias)
			continue;
		gm_for_each_block (as, b) {
			bool locked = gmc_fork_lock_block(b);
			gmc_block_adopt(b, gm_bm_and(gm_bm_and(b->pinned, b->managed),
						     gm_bm_and(b->host, b->prog_w)));
			if (locked)
				gmi_unlock(&b->lock);
		}
	}
	gmi_restore_signals(mask);
}
