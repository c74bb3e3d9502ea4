/*
 * rights.c - what the CPU's and the devices' page tables allow for the pages of a block. Block
 * locked.
 *
 * Lowering the CPU: the bits go first, then the hardware (gmi_hold reads the bits without the
 * lock); raising: the hardware first. Whoever takes pages calls gmc_claim() before that, and
 * learns which of them a system call is using.
 */
#include "core/page/rights.h"
#include "core/page/cpu_mmu.h"
#include "core/page/store.h"
#include "core/page/thread.h"
#include "core/rules/state.h"
#include "core/sys/inject.h"
#include <errno.h>
#include <sys/mman.h>

static unsigned boundaries(gm_bm a)
{
	unsigned n = 0, carry = (unsigned)(a.w[0] & 1);
	for (int i = 0; i < 8; i++) {
		n += (unsigned)__builtin_popcountll(a.w[i] ^ (a.w[i] << 1 | carry));
		carry = (unsigned)(a.w[i] >> 63);
	}
	return n;
}

/* Upper estimate of the VMAs that this block costs beyond one; summed up for the space. */
static void recount_splits(struct gm_block *b)
{
	unsigned n = boundaries(b->adopted) + boundaries(b->cpu_r) + boundaries(b->cpu_w) +
		     boundaries(b->cpu_bus);
	if (n != b->splits)
		atomic_fetch_add_explicit(&b->as->vma_estimate, (long)n - (long)b->splits,
					  memory_order_relaxed);
	b->splits = n;
}

gm_bm gmc_claim(struct gm_block *b, gm_bm lose_all, gm_bm lose_write)
{
	gm_bm r = b->cpu_r, w = b->cpu_w;
	gm_bm_store(&b->cpu_r, gm_bm_andnot(r, lose_all));
	gm_bm_store(&b->cpu_w, gm_bm_andnot(w, gm_bm_or(lose_all, lose_write)));
	atomic_thread_fence(memory_order_seq_cst);
	gm_bm held = gm_bm_and(gmc_held_by_calls(b->va), gm_bm_or(lose_all, lose_write));
	/* their rights were never taken from the hardware: give the bits back */
	if (!gm_bm_empty(held)) {
		gm_bm_store(&b->cpu_r, gm_bm_or(b->cpu_r, gm_bm_and(r, held)));
		gm_bm_store(&b->cpu_w, gm_bm_or(b->cpu_w, gm_bm_and(w, held)));
	}
	return held;
}

int gmc_cpu_lower(struct gm_block *b, gm_bm set, gm_bm keep_read)
{
	gm_bm_store(&b->cpu_r, gm_bm_andnot(b->cpu_r, gm_bm_andnot(set, keep_read)));
	gm_bm_store(&b->cpu_w, gm_bm_andnot(b->cpu_w, set));
	int err = gmc_cpu->lower(b, set, keep_read);
	recount_splits(b);
	return err;
}

int gmc_cpu_raise(struct gm_block *b, gm_bm set, gm_bm r, gm_bm w)
{
	gm_bm have = gm_bm_not(gm_bm_or(gm_bm_andnot(r, b->cpu_r), gm_bm_andnot(w, b->cpu_w)));
	int err = gmc_cpu->raise(b, gm_bm_andnot(set, have), r, w);
	if (!err) {
		gm_bm_store(&b->cpu_r, gm_bm_merge(b->cpu_r, set, r));
		gm_bm_store(&b->cpu_w, gm_bm_merge(b->cpu_w, set, w));
	}
	recount_splits(b);
	return err;
}

void gmc_cpu_note(struct gm_block *b, gm_bm set, gm_bm r, gm_bm w)
{
	gm_bm_store(&b->cpu_r, gm_bm_merge(b->cpu_r, set, r));
	gm_bm_store(&b->cpu_w, gm_bm_merge(b->cpu_w, set, w));
	recount_splits(b);
}

int gmc_cpu_adopt(struct gm_block *b, unsigned first, unsigned end, bool present)
{
	uint64_t begin = gm_trace_begin();
	int err = gmc_cpu->adopt(b, first, end, present);
	if (!err)
		gmc_block_trace(GM_EV_ADOPT, b, -1, gm_bm_range(first, end), begin);
	if (!err)
		gm_bm_add(&b->adopted, gm_bm_range(first, end));
	return err;
}

int gmc_cpu_prog(struct gm_block *b, gm_bm set)
{
	return gmc_cpu->prog ? gmc_cpu->prog(b, set) : 0;
}

void gmc_cpu_settle(struct gm_block *b, unsigned i)
{
	if (gmc_cpu->settle)
		gmc_cpu->settle(b, i);
}

static void inherit(const struct gm_block *b, gm_bm set, int advice)
{
	gm_bm_for_each_run (&set, first, end)
		gm_sys3(SYS_madvise, b->va + first * GM_PAGE_BYTES, (end - first) * GM_PAGE_BYTES,
			advice);
}

/*
 * What the kernel may write for another thread's call stays writable (the call would end with
 * EFAULT), and is not mapped in the child, which could write into the parent's page before it
 * has its copy. That the child may see such a write is what it may see after any fork: rights go
 * page by page there too.
 */
void gmc_cpu_freeze(struct gm_block *b)
{
	gm_bm w = gm_bm_and(b->adopted, b->cpu_w);
	gm_bm used = gm_bm_and(gm_bm_or(gmc_claim(b, gm_bm_zero(), b->adopted), b->pinned), w);
	gm_bm set = gm_bm_andnot(b->adopted, used);

	inherit(b, used, MADV_DONTFORK);
	gmc_cpu->freeze(b, set, w);
	gmc_cpu_note(b, b->adopted, b->cpu_r, used);
}

int gmc_cpu_thaw(struct gm_block *b, gm_bm set, gm_bm w)
{
	inherit(b, gm_bm_and(b->adopted, b->cpu_w), MADV_DOFORK);
	int err = gmc_cpu->thaw ? gmc_cpu->thaw(b) : 0;
	return err ? err : gmc_cpu_raise(b, set, b->prog_r, w);
}
