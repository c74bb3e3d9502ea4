/* pin.c - pages for the kernel: made ready for a call (pin_call.c), or pinned for good. */
#include "core/entry/pin.h"
#include "core/entry/fault.h"
#include "core/entry/fork.h"
#include "core/page/activate.h"
#include "core/page/adopt.h"
#include "core/page/held.h"
#include "core/page/migrate.h"
#include "core/page/thread.h"
#include "core/space/range.h"
#include <errno.h>

/*
 * Pages that the kernel will write go into the store first (migrate.h, gmc_block_adopt), in
 * steps of 64 KiB.
 */
static void adopt_for_call(struct gm_as *as, uintptr_t lo, uintptr_t hi)
{
	for (uintptr_t va = gm_align_down(lo, GM_BLOCK_BYTES); va < hi; va += GM_BLOCK_BYTES) {
		struct gm_block *b = gmc_block_get(as, va);
		if (!b)
			return; /* no memory: the page is then only as safe as without adoption */
		bool locked = gmc_fork_lock_block(b);
		gm_bm set = gm_block_pages(b, gm_align_down(lo, GM_LEAF_BYTES),
					   gm_align_up(hi, GM_LEAF_BYTES));
		set = gm_bm_and(set, gm_bm_and(b->managed, b->prog_w));
		set = gm_bm_andnot(gm_bm_and(set, b->host), b->adopted);
		/* Never under another call's hands: what a thread has pinned for reading may be
		 * anonymous still. */
		set = gm_bm_and(set, b->cpu_w);
		if (!gm_bm_empty(set))
			gmc_block_adopt(b, set);
		if (locked)
			gmi_unlock(&b->lock);
	}
}

void gmc_pin_ready(const struct gm_pin_wish *w)
{
	/* Until every thread is ready, one may be in a call that writes to the same pages
	 * without a pin. */
	bool ready = !w->write || !gmi_activate();
	int err;

	do { /* -EAGAIN: a device is silent; signals come in between */
		gm_sigmask mask = gmi_block_signals();
		if (w->write && ready)
			adopt_for_call(w->as, w->lo, w->hi);
		err = gmi_cpu_make_resident(w->lo, w->hi - w->lo, w->write);
		gmi_restore_signals(mask);
	} while (err == -EAGAIN);
}

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
	int err = pin ? gmc_migrate_to_cpu(b, set, true) : 0;

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
