/*
 * rights.c - what the CPU's and the devices' page tables allow for the pages of a block. Block
 * locked.
 *
 * Lowering the CPU: the bits go first, then the hardware (gmi_pin reads the bits without the
 * lock); raising: the hardware first. Whoever takes pages calls gmc_claim() before that, and
 * learns which of them a system call is using.
 */
#include "core/page/rights.h"
#include "core/page/cpu_mmu.h"
#include "core/page/driver.h"
#include "core/page/frame.h"
#include "core/page/hint_mirror.h"
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
	gm_bm pins = gm_bm_and(gmc_pinned_by_threads(b->va), gm_bm_or(lose_all, lose_write));
	/* their rights were never taken from the hardware: give the bits back */
	if (!gm_bm_empty(pins)) {
		gm_bm_store(&b->cpu_r, gm_bm_or(b->cpu_r, gm_bm_and(r, pins)));
		gm_bm_store(&b->cpu_w, gm_bm_or(b->cpu_w, gm_bm_and(w, pins)));
	}
	return pins;
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
	int err = gmc_cpu->adopt(b, first, end, present);
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

/* ---- devices ---- */

static const enum gm_callback small_step[] = {
	[GM_OP_MAP] = GM_CB_MAP,	  [GM_OP_UNMAP] = GM_CB_UNMAP,
	[GM_OP_PROTECT] = GM_CB_PROTECT,  [GM_OP_COPY_IN] = GM_CB_HMEMCPY,
	[GM_OP_COPY_OUT] = GM_CB_HMEMCPY, [GM_OP_ZERO] = GM_CB_HMEMCPY,
};

/* By the small callbacks. What lost rights leaves the TLB too, also when a later step failed. */
static int walk(struct gm_ctx *ctx, const struct gm_op *ops, unsigned count)
{
	struct gm_dev *dev = ctx->dev;
	uintptr_t pmap = (uintptr_t)ctx->pmap;
	struct gm_va_range lost[GM_OPS_MAX];
	unsigned n = 0;
	int err = 0, late = 0;

	for (unsigned i = 0; i < count && !err; i++) {
		const struct gm_op *op = &ops[i];
		err = gmc_driver(dev, small_step[op->kind], pmap, (uintptr_t)op);
		if (err || (op->kind != GM_OP_UNMAP && op->kind != GM_OP_PROTECT &&
			    !(op->flags & GM_OP_REPLACE)))
			continue;
		lost[n++] = (struct gm_va_range){op->va, op->len};
		if (!dev->mmu->tlb_invl_coalesced)
			err = gmc_driver(dev, GM_CB_TLB_INVL, pmap, op->va, op->len);
	}
	if (n)
		late = gmc_driver(dev, GM_CB_TLB_INVL_COALESCED, pmap, (uintptr_t)lost, n);
	return err ? err : late;
}

int gmc_ops_send(struct gm_ctx *ctx, const struct gm_op *ops, unsigned n)
{
	int err = 0;

	if (ctx->dev->mmu->batch)
		return n ? gmc_driver(ctx->dev, GM_CB_BATCH, (uintptr_t)ctx->pmap, (uintptr_t)ops,
				      n)
			 : 0;
	for (unsigned i = 0; i < n && !err; i += GM_OPS_MAX)
		err = walk(ctx, ops + i, gm_min(n - i, GM_OPS_MAX));
	return err;
}

int gmc_ops_flush(struct gm_ops *o)
{
	int err = gmc_ops_send(o->ctx, o->op, o->n);

	o->n = 0;
	o->err = o->err ? o->err : err;
	return o->err;
}

int gmc_ops_add(struct gm_ops *o, struct gm_op op)
{
	if (o->n == GM_ARRAY_LEN(o->op))
		gmc_ops_flush(o);
	o->op[o->n++] = op;
	return o->err;
}

int gmc_dev_unmap(struct gm_block *b, struct gm_ctx *ctx, gm_bm set)
{
	struct gm_block_dev *bd = b->dev[ctx->dev->index];
	struct gm_ops o = {.ctx = ctx};
	gm_bm mapped = gm_bm_and(set, bd->map_r);

	gm_bm_for_each_run (&mapped, first, end)
		gmc_ops_add(&o, (struct gm_op){.kind = GM_OP_UNMAP,
					       .va = b->va + first * GM_PAGE_BYTES,
					       .len = (end - first) * GM_PAGE_BYTES});
	int err = gmc_ops_flush(&o);
	if (!err) {
		gm_bm_remove(&bd->map_r, set);
		gm_bm_remove(&bd->map_w, set);
		gm_bm_remove(&bd->remote, set);
	}
	return err;
}

int gmc_dev_write_protect(struct gm_block *b, struct gm_ctx *ctx, gm_bm set)
{
	struct gm_block_dev *bd = b->dev[ctx->dev->index];
	struct gm_ops o = {.ctx = ctx};
	gm_bm writable = gm_bm_and(set, bd->map_w);

	gm_bm_for_each_run (&writable, first, end)
		gmc_ops_add(&o, (struct gm_op){.kind = GM_OP_PROTECT,
					       .prot = GM_PROT_READ,
					       .va = b->va + first * GM_PAGE_BYTES,
					       .len = (end - first) * GM_PAGE_BYTES});
	int err = gmc_ops_flush(&o);
	if (!err)
		gm_bm_remove(&bd->map_w, set);
	return err;
}

/* One run of pages whose rights are uniform and whose targets lie side by side. */
static unsigned map_run(const struct gm_block *b, unsigned d, gm_bm set, gm_bm w, bool host,
			unsigned i)
{
	const struct gm_block_dev *bd = b->dev[d];
	unsigned j = i + 1;

	while (j < GM_PAGES_PER_BLOCK && gm_bm_test(&set, j) &&
	       gm_bm_test(&w, j) == gm_bm_test(&w, i) &&
	       (!b->hints || gm_attr_of(b, d, j) == gm_attr_of(b, d, i)) &&
	       (host || gm_frame_of(bd, j) == gm_frame_of(bd, i) + (j - i)))
		j++;
	return j;
}

int gmc_dev_map(struct gm_block *b, struct gm_ctx *ctx, gm_bm set, gm_bm w, bool host)
{
	struct gm_block_dev *bd = b->dev[ctx->dev->index];
	struct gm_ops o = {.ctx = ctx};

	if (gm_inject(GM_INJ_MAP))
		return -EIO;
	for (unsigned i = gm_bm_next(&set, 0, true), j; i < GM_PAGES_PER_BLOCK;
	     i = gm_bm_next(&set, j, true)) {
		j = map_run(b, ctx->dev->index, set, w, host, i);
		uint64_t pa = host ? b->va - b->as->base + i * GM_PAGE_BYTES
				   : ctx->dev->phys_begin + gm_frame_of(bd, i) * GM_PAGE_BYTES;
		gmc_ops_add(&o,
			    (struct gm_op){.kind = GM_OP_MAP,
					   .prot = GM_PROT_READ |
						   (gm_bm_test(&w, i) ? GM_PROT_WRITE : 0),
					   .mem = host ? GM_MEM_HOST : GM_MEM_DEVICE,
					   .va = b->va + i * GM_PAGE_BYTES,
					   .len = (j - i) * GM_PAGE_BYTES,
					   .pa = pa,
					   .host = host ? gm_alias(b->as, b->va + i * GM_PAGE_BYTES)
							: NULL,
					   .attr = gm_attr_of(b, ctx->dev->index, i)});
	}
	int err = gmc_ops_flush(&o);
	gm_bm_add(&bd->map_r, set);
	if (err) {
		/* the driver may have entered some of them before it failed */
		gmc_dev_unmap(b, ctx, set);
		return err;
	}
	bd->map_w = gm_bm_merge(bd->map_w, set, w);
	gm_bm_assign(&bd->remote, set, host);
	return 0;
}
