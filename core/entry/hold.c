/*
 * hold.c - the holds of system calls. The protocol is told in page/thread.h.
 *
 * Called in the middle of the program's code (preload/dispatch/site_call.c), so it knows no vector
 * registers; what moves pages does, and gives them back.
 */
#include "core/entry/hold.h"
#include "core/page/activate.h"
#include "core/page/thread.h"
#include "core/space/range.h"
#include "core/sys/vectors.h"

#define LONG_BYTES ((uintptr_t)64 << 20) /* longer ones may name what is not there */

/* Is every page of [lo, hi) in place for the kernel? A look without locks: right, or followed by
 * the slow way. */
static bool in_place(struct gm_as *as, uintptr_t lo, uintptr_t hi, bool write)
{
	for (uintptr_t va = gm_align_down(lo, GM_PAGE_BYTES); va < hi; va += GM_PAGE_BYTES) {
		struct gm_block *b = gm_block_find(as, va);
		unsigned i = gm_page_index(va);
		if (!b) {
			if (write)
				return false; /* to be adopted first */
			va = gm_align_down(va, GM_BLOCK_BYTES) + GM_BLOCK_BYTES - GM_PAGE_BYTES;
		} else if (!gm_bm_test_relaxed(write ? &b->cpu_w : &b->cpu_r, i) ||
			   (write && !gm_bm_test_relaxed(&b->adopted, i))) {
			return false;
		}
	}
	return true;
}

static void fulfil_hold(void *wish)
{
	gmc_hold_ready(wish);
}

__attribute__((noinline, cold)) static void make_ready(struct gm_hold_wish *w)
{
	gmi_aside(fulfil_hold, w);
}

static void shorten_hold(void *wish)
{
	gmc_hold_shorten(wish);
}

__attribute__((noinline, cold)) static uintptr_t usable_end(struct gm_as *as, uintptr_t lo,
							    uintptr_t hi, bool write)
{
	struct gm_hold_wish w = {as, lo, hi, write};

	gmi_aside(shorten_hold, &w);
	return w.hi;
}

unsigned gmi_hold(const void *p, size_t len, bool write)
{
	uintptr_t lo = (uintptr_t)p, hi = lo + len;

	if (!len || hi < lo || !atomic_load_explicit(&gmi_active, memory_order_relaxed))
		return 0;
	struct gm_as *as = gmc_as_find(lo);
	if (!as && !(as = gmc_as_find(hi - 1)))
		return 0;
	lo = gm_max(lo, as->base);
	hi = gm_min(hi, as->base + as->bytes);
	if (gm_unlikely(hi - lo > LONG_BYTES) && (hi = usable_end(as, lo, hi, write)) <= lo)
		return 0;
	struct gm_thread *t = gmi_self();
	unsigned n = atomic_load_explicit(&t->nholds, memory_order_relaxed);
	/* deeper than ever seen: the last hold widens, and stays until the call below it ends */
	if (n == GM_MAX_HOLDS) {
		lo = gm_min(lo, atomic_load_explicit(&t->hold[n - 1].lo, memory_order_relaxed));
		hi = gm_max(hi, atomic_load_explicit(&t->hold[n - 1].hi, memory_order_relaxed));
		n--;
	}
	atomic_store_explicit(&t->hold[n].lo, lo, memory_order_relaxed);
	atomic_store_explicit(&t->hold[n].hi, hi, memory_order_relaxed);
	/* x86: a full fence. Who lowers rights sees the hold, or we see the new bits */
	atomic_exchange(&t->nholds, n + 1);
	atomic_signal_fence(memory_order_seq_cst);
	if (!in_place(as, lo, hi, write))
		make_ready(&(struct gm_hold_wish){as, lo, hi, write});
	gmc_thread_count_call(t);
	return n + 1;
}

void gmi_unhold(unsigned token)
{
	if (token)
		atomic_store_explicit(&gmi_self()->nholds, token - 1, memory_order_release);
}
