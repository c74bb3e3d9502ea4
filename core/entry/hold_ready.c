/* hold_ready.c - pages that a system call holds are brought to where the kernel can use them. */
#include "core/entry/fault.h"
#include "core/entry/fork.h"
#include "core/entry/hold.h"
#include "core/page/activate.h"
#include "core/page/adopt.h"
#include "core/space/range.h"
#include "core/space/vm.h"
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
		/* Never under another call's hands: what a thread holds for reading may be
		 * anonymous still. */
		set = gm_bm_and(set, b->cpu_w);
		if (!gm_bm_empty(set))
			gmc_block_adopt(b, set);
		if (locked)
			gmi_unlock(&b->lock);
	}
}

void gmc_hold_shorten(struct gm_hold_wish *w)
{
	w->hi = gmc_vm_usable_end(w->as, w->lo, w->hi, w->write);
}

void gmc_hold_ready(const struct gm_hold_wish *w)
{
	/* Until every thread is ready, one may be in a call that writes to the same pages
	 * without a hold. */
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
