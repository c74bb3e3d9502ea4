/*
 * migrate.c - where a page changes hands. Carries out plans (plan.h) on one locked block:
 * towards the CPU, towards a device.
 *
 * The order within each is what keeps it coherent: first nobody else can write, then the bytes
 * are copied, then the new holder may look. A step that fails leaves the page with a holder that
 * has its bytes.
 */
#include "core/page/migrate.h"
#include "core/care/background.h"
#include "core/entry/cpu.h"
#include "core/page/cpu_bus.h"
#include "core/page/dma.h"
#include "core/page/driver.h"
#include "core/space/hint.h"
#include "core/page/frames.h"
#include "core/sys/inject.h"
#include "core/page/cpu_mmu.h"
#include "core/page/plan.h"
#include "core/page/rights.h"
#include "core/count/site.h"
#include <errno.h>
#include <sys/mman.h>

#define va_of(b, i) ((b)->va + (uintptr_t)(i)*GM_PAGE_BYTES)
#define bytes_of(n) ((size_t)(n)*GM_PAGE_BYTES)

static struct gm_ctx *ctx_of(struct gm_block *b, int d)
{
	return b->as->ctx[d];
}

static void account(struct gm_ctx *ctx, uint64_t in, uint64_t out)
{
	gmc_driver(ctx->dev, GM_CB_ACCOUNT, (uintptr_t)ctx->pmap, in, out);
}

/* ---- frames ---- */

static void resident_add(struct gm_dev *dev, int64_t pages)
{
	struct gm_dev_stats *s = &gmi_stats->dev[dev->index];
	if (pages)
		gmi_gauge_add(&s->resident_bytes, &s->resident_peak_bytes,
			      pages * (int64_t)GM_PAGE_BYTES);
}

/* The device pages (first 4 KiB page i, set of pages) that have a page in `set`. */
#define for_each_device_page(set, order, i)                                                        \
	for (unsigned i = gm_bm_next((set), 0, true) & ~0u << (order); i < GM_PAGES_PER_BLOCK;     \
	     i = gm_bm_next((set), i + (1u << (order)), true) & ~0u << (order))

/*
 * A frame beside those of the neighbours, so that the block maps as one run; GM_PHYS_NONE when
 * it has none.
 */
static uint64_t preferred_frame(const struct gm_block_dev *bd, unsigned n)
{
	if (n && bd->frame[n - 1] != GM_NO_FRAME)
		return bytes_of(bd->frame[n - 1] + (1u << bd->order));
	if (n + 1 < GM_PAGES_PER_BLOCK >> bd->order && bd->frame[n + 1] != GM_NO_FRAME &&
	    bd->frame[n + 1] >= 1u << bd->order)
		return bytes_of(bd->frame[n + 1] - (1u << bd->order));
	return GM_PHYS_NONE;
}

static uint64_t free_frame(struct gm_dev *dev, uint64_t prefer)
{
	return gm_inject(GM_INJ_FRAME) ? GM_PHYS_NONE
				       : gmi_phys_alloc(dev->phys, dev->page_order, prefer);
}

/* The host has memory behind a frame that is used for the first time; false: it has none. */
static bool back_frame(struct gm_dev *dev, uint64_t frame)
{
	uint64_t i = frame >> (GM_PAGE_SHIFT + dev->page_order), bit = (uint64_t)1 << i % 64;

	if (!dev->aperture || __atomic_load_n(&dev->backed[i / 64], __ATOMIC_RELAXED) & bit)
		return true;
	if (gmc_populate(dev->aperture + dev->phys_begin + frame, GM_PAGE_BYTES << dev->page_order))
		return false;
	__atomic_fetch_or(&dev->backed[i / 64], bit, __ATOMIC_RELAXED);
	return true;
}

int gmc_frame_take(struct gm_dev *dev, struct gm_block *own, gm_bm keep, uint64_t prefer,
		   uint64_t *frame)
{
	while ((*frame = free_frame(dev, prefer)) == GM_PHYS_NONE) {
		int err = gmc_evict(dev, own, keep);
		if (err)
			return err;
	}
	if (back_frame(dev, *frame))
		return 0;
	gmi_phys_free(dev->phys, *frame, dev->page_order);
	return -ENOMEM;
}

/* Every device page with a page in `set` has a frame, evicting if it must, but not `keep`. 0,
 * -EAGAIN, -ENOSPC, -ENOMEM */
static int take_frames(struct gm_block *b, struct gm_ctx *ctx, gm_bm set, gm_bm keep)
{
	struct gm_dev *dev = ctx->dev;
	struct gm_block_dev *bd = b->dev[dev->index];

	for_each_device_page (&set, bd->order, i) {
		unsigned n = i >> bd->order;
		uint64_t f;
		if (bd->frame[n] != GM_NO_FRAME)
			continue;
		int err = gmc_frame_take(dev, b, keep, preferred_frame(bd, n), &f);
		if (err)
			return err;
		__atomic_store_n(&bd->frame[n], (uint32_t)(f >> GM_PAGE_SHIFT), __ATOMIC_RELAXED);
	}
	return 0;
}

/* Frames of `set` in which no page is valid (any more) go back. */
static void drop_frames(struct gm_block *b, struct gm_dev *dev, gm_bm set)
{
	struct gm_block_dev *bd = b->dev[dev->index];

	for_each_device_page (&set, bd->order, i) {
		unsigned n = i >> bd->order;
		if (bd->frame[n] == GM_NO_FRAME ||
		    !gm_bm_empty(gm_bm_and(bd->valid, gm_bm_range(i, i + (1u << bd->order)))))
			continue;
		gmc_frames_gone(dev, bd->frame[n]);
		gmi_phys_free(dev->phys, bytes_of(bd->frame[n]), bd->order);
		__atomic_store_n(&bd->frame[n], GM_NO_FRAME,
				 __ATOMIC_RELAXED); /* frames.c looks without the lock */
	}
	if (gm_bm_empty(bd->valid))
		gmc_lru_remove(dev, bd);
}

static void set_valid(struct gm_block *b, struct gm_ctx *ctx, gm_bm valid)
{
	struct gm_block_dev *bd = b->dev[ctx->dev->index];
	int64_t before = gm_bm_count(bd->valid), after = gm_bm_count(valid);

	gm_bm lost = gm_bm_andnot(bd->valid, valid);
	bd->valid = valid;
	resident_add(ctx->dev, after - before);
	if (!gm_bm_empty(lost))
		drop_frames(b, ctx->dev, lost);
}

/* ---- bytes ---- */

/* Calls fn for runs of `set` that lie side by side in the device's memory. */
#define for_each_frame_run(set, bd, first, end)                                                    \
	for (unsigned first = gm_bm_next((set), 0, true), end;                                     \
	     first < GM_PAGES_PER_BLOCK && ((end) = frame_run_end((set), (bd), first), true);      \
	     first = gm_bm_next((set), end, true))

static unsigned frame_run_end(const gm_bm *set, const struct gm_block_dev *bd, unsigned i)
{
	unsigned j = i + 1;
	while (j < GM_PAGES_PER_BLOCK && gm_bm_test(set, j) &&
	       gm_frame_of(bd, j) == gm_frame_of(bd, i) + (j - i))
		j++;
	return j;
}

static int move(struct gm_ctx *ctx, enum gm_op_kind kind, void *host, uint64_t pa, size_t len)
{
	struct gm_dev *dev = ctx->dev;

	if (gm_inject(kind == GM_OP_ZERO      ? GM_INJ_ZERO
		      : kind == GM_OP_COPY_IN ? GM_INJ_COPYIN
					      : GM_INJ_COPYOUT))
		return -EIO;
	if (dev->aperture) {
		if (kind == GM_OP_ZERO)
			gm_zero(dev->aperture + pa, len);
		else if (kind == GM_OP_COPY_IN)
			gm_copy(dev->aperture + pa, host, len);
		else
			gm_copy(host, dev->aperture + pa, len);
		return 0;
	}
	struct gm_ops o = {.ctx = ctx};
	gmc_ops_add(&o, (struct gm_op){.kind = (uint8_t)kind, .host = host, .pa = pa, .len = len});
	return gmc_ops_flush(&o);
}

static int move_set(struct gm_block *b, struct gm_ctx *ctx, enum gm_op_kind kind, gm_bm set,
		    bool from_va)
{
	struct gm_block_dev *bd = b->dev[ctx->dev->index];

	for_each_frame_run (&set, bd, first, end) {
		char *host = from_va ? (char *)va_of(b, first) : gm_alias(b->as, va_of(b, first));
		int err = move(ctx, kind, host,
			       ctx->dev->phys_begin + bytes_of(gm_frame_of(bd, first)),
			       bytes_of(end - first));
		if (err)
			return err;
	}
	return 0;
}

/* The store has memory for `set`. */
static int back_store(struct gm_block *b, gm_bm set)
{
	int err = 0;

	set = gm_bm_andnot(set, b->backed);
	gm_bm_for_each_run (&set, first, end)
		err = err ? err : gmc_store_populate(b->as, va_of(b, first), bytes_of(end - first));
	return err;
}

/*
 * `set` from whichever device has it into the host store. The pages are adopted; nobody can
 * write them now.
 */
static int fetch_home(struct gm_block *b, gm_bm set)
{
	for (int d = 0; d < GM_MAX_DEV; d++) {
		if (!b->dev[d])
			continue;
		gm_bm here = gm_bm_and(set, b->dev[d]->valid);
		if (gm_bm_empty(here))
			continue;
		int err = back_store(b, here);
		if (!err)
			err = move_set(b, ctx_of(b, d), GM_OP_COPY_OUT, here, false);
		if (err)
			return err;
		unsigned pages = gm_bm_count(here);
		account(ctx_of(b, d), 0, bytes_of(pages));
		GM_COUNT(d2h_bytes, bytes_of(pages));
		GM_COUNT(d2h_pages, pages);
		GM_COUNT_SITE(b->site, d2h_bytes, bytes_of(pages));
		b->backed = gm_bm_or(b->backed, here);
		b->host = gm_bm_or(b->host, here);
		set = gm_bm_andnot(set, here);
	}
	return 0;
}

/* Other holders than `self` (-1: the CPU) lose their entries of `set` (gone), or only the right
 * to write. */
static int quiet_devices(struct gm_block *b, int self, gm_bm gone, gm_bm readonly)
{
	for (int d = 0; d < GM_MAX_DEV; d++) {
		if (!b->dev[d] || d == self)
			continue;
		int err = 0;
		if (!gm_bm_empty(gone) && gm_inject(GM_INJ_UNMAP))
			err = -EIO;
		if (!gm_bm_empty(readonly) && gm_inject(GM_INJ_MPROTECT))
			err = -EIO;
		if (!err)
			err = gmc_dev_unmap(b, ctx_of(b, d), gone);
		if (!err)
			err = gmc_dev_write_protect(b, ctx_of(b, d), readonly);
		if (err)
			return err;
	}
	return 0;
}

static void drop_copies(struct gm_block *b, int self, gm_bm set)
{
	for (int d = 0; d < GM_MAX_DEV; d++)
		if (b->dev[d] && d != self && !gm_bm_empty(gm_bm_and(b->dev[d]->valid, set)))
			set_valid(b, ctx_of(b, d), gm_bm_andnot(b->dev[d]->valid, set));
}

/* ---- towards the CPU ---- */

int gmc_migrate_to_cpu(struct gm_block *b, gm_bm set, bool write)
{
	struct gm_plan p;
	int err;

	gmc_plan(b, -1, set, write, b->pinned, &p);
	err = gmc_bus_unmap(b, set);
	if (!err)
		err = quiet_devices(b, -1, p.revoke, p.protect);
	if (!err)
		err = fetch_home(b, gm_bm_andnot(p.copy, b->host));
	if (err)
		return err;
	drop_copies(b, -1, p.revoke);
	gmc_retain(b);
	/* Copies stay read-only as long as a device has one too. */
	gm_bm w = gm_bm_andnot(b->prog_w, p.next[GM_DUP]);
	err = gmc_cpu_raise(b, p.map, b->prog_r, w);
	gm_block_check(b);
	return err;
}

/* ---- towards a device ---- */

/* Unadopted pages of `set` move into the store and stay on the host: the kernel may be reading
 * them, so never absent. */
static int adopt_on_host(struct gm_block *b, gm_bm set)
{
	gm_assert(gmc_cpu_ready());
	set = gm_bm_andnot(set, b->adopted);
	gm_bm_for_each_run (&set, first, end) {
		gm_bm run = gm_bm_range(first, end);
		int err = gmc_protect_runs(b, run, run, gm_bm_zero());
		gm_bm touched = err ? gm_bm_zero() : gmc_touched(b, first, end);
		if (!err)
			err = back_store(b, touched);
		if (!err) {
			gm_bm_for_each_run (&touched, f, e)
				gm_copy(gm_alias(b->as, va_of(b, f)), (void *)va_of(b, f),
					bytes_of(e - f));
			err = gmc_cpu_adopt(b, first, end, true);
		}
		if (!err)
			b->backed = gm_bm_or(b->backed, run);
		/* The hardware has READ (failed) or READ|WRITE (adopted) now; give it what the
		 * program asked for. */
		gm_bm_store(&b->cpu_r, gm_bm_andnot(b->cpu_r, run));
		gm_bm_store(&b->cpu_w, gm_bm_andnot(b->cpu_w, run));
		int back = gmc_cpu_raise(b, run, b->prog_r, b->prog_w);
		if (err || back)
			return err ? err : back;
	}
	return 0;
}

int gmc_block_adopt(struct gm_block *b, gm_bm set)
{
	int err = adopt_on_host(b, set);
	gm_block_check(b);
	return err;
}

/*
 * Bytes of `copy` into the device's frames. Pages still in private anonymous memory are read at
 * their own VA (read-only by now, rule 1), and those that were never touched become zeros.
 * Returns the pages really copied in *moved.
 */
static int copy_in(struct gm_block *b, struct gm_ctx *ctx, gm_bm copy, gm_bm *zero, gm_bm *moved)
{
	gm_bm anon = gm_bm_and(gm_bm_andnot(copy, b->adopted), b->host);
	gm_bm_for_each_run (&anon, first, end) {
		gm_bm untouched = gm_bm_andnot(gm_bm_range(first, end), gmc_touched(b, first, end));
		anon = gm_bm_andnot(anon, untouched);
		copy = gm_bm_andnot(copy, untouched);
		*zero = gm_bm_or(*zero, untouched);
	}
	/* What only another device has goes through the host store. */
	int err = fetch_home(b, gm_bm_andnot(copy, b->host));
	if (!err)
		err = move_set(b, ctx, GM_OP_COPY_IN, anon, true);
	if (!err)
		err = move_set(b, ctx, GM_OP_COPY_IN, gm_bm_andnot(copy, anon), false);
	if (!err)
		err = move_set(b, ctx, GM_OP_ZERO, *zero, false);
	*moved = copy;
	return err;
}

/*
 * The CPU loses `set` for good. Store pages: rights. Anonymous pages: the store's VMA comes in
 * their place, absent. After an error *left says which have gone all the same: their bytes are
 * only where they were copied to.
 */
static int leave_cpu(struct gm_block *b, gm_bm set, gm_bm *left)
{
	gm_bm anon = gm_bm_andnot(set, b->adopted);

	int err = 0;

	gm_bm_for_each_run (&anon, first, end)
		err = err ? err : gmc_cpu_adopt(b, first, end, false);
	*left = err ? gm_bm_and(anon, b->adopted) : set;
	gm_bm_store(&b->host, gm_bm_andnot(b->host, *left));
	gmc_cpu_note(b, *left, gm_bm_zero(), gm_bm_zero());
	return err;
}

static int to_remote(struct gm_block *b, struct gm_ctx *ctx, const struct gm_plan *p)
{
	int d = (int)ctx->dev->index;

	if (gm_bm_empty(p->map_remote))
		return 0;
	int err = quiet_devices(b, -1, gm_bm_and(p->map_remote, p->revoke), gm_bm_zero());
	if (!err)
		err = fetch_home(b, gm_bm_andnot(p->fetch, b->host));
	if (err)
		return err;
	drop_copies(b, -1, gm_bm_and(p->map_remote, p->revoke));
	err = adopt_on_host(b, p->map_remote);
	if (!err)
		err = gmc_cpu_raise(b, gm_bm_and(p->map_remote, p->revoke), b->prog_r, b->prog_w);
	if (!err)
		err = gmc_dev_map(b, ctx, p->map_remote,
				  gm_bm_andnot(b->prog_w, gmc_dma_readonly(b, ctx)), true);
	if (!err && gmc_policy_of(ctx, GM_POLICY_PLACEMENT).def->counted)
		gmc_background_wake(GM_BACKGROUND_COUNT);
	if (!err)
		atomic_fetch_add_explicit(&gmi_stats->dev[d].remote_bytes,
					  bytes_of(gm_bm_count(p->map_remote)),
					  memory_order_relaxed);
	return err;
}

/* Undo of a failed move: the CPU gets back what it can have of pages that never left. */
static void give_back(struct gm_block *b, gm_bm set)
{
	gm_bm any = gm_bm_zero();
	for (int d = 0; d < GM_MAX_DEV; d++)
		if (b->dev[d])
			any = gm_bm_or(any, b->dev[d]->valid);
	set = gm_bm_and(set, b->host);
	gmc_cpu_raise(b, set, b->prog_r, gm_bm_andnot(b->prog_w, any));
}

static int to_local(struct gm_block *b, struct gm_ctx *ctx, const struct gm_plan *p)
{
	int d = (int)ctx->dev->index;
	struct gm_block_dev *bd = b->dev[d];
	gm_bm gets = gm_bm_or(p->copy, p->zero), zero = p->zero, moved;
	gm_bm down = gm_bm_or(p->revoke, p->protect);

	/* Store pages go dark at once (their bytes are read through the alias); anonymous ones
	 * stay readable for the copy. */
	int err = gmc_cpu_lower(b, gm_bm_and(down, b->host),
				gm_bm_or(p->protect, gm_bm_andnot(p->revoke, b->adopted)));
	if (!err)
		err = quiet_devices(b, d, p->revoke, p->protect);
	if (!err) /* what it has had over the bus: its other threads write there */
		err = gmc_dev_unmap(b, ctx, gm_bm_and(bd->remote, gets));
	if (!err)
		err = copy_in(b, ctx, p->copy, &zero, &moved);
	if (err) {
		give_back(b, down);
		return err;
	}
	gm_bm left;
	err = leave_cpu(b, p->revoke, &left);
	if (err) { /* what has left must have arrived; the device will ask for the rest again */
		drop_copies(b, d, left);
		set_valid(b, ctx, gm_bm_or(bd->valid, gm_bm_and(gets, left)));
		give_back(b, gm_bm_andnot(down, left));
		return err;
	}
	drop_copies(b, d, p->revoke);
	set_valid(b, ctx, gm_bm_or(bd->valid, gets));
	unsigned pages = gm_bm_count(moved);
	account(ctx, bytes_of(pages), 0);
	atomic_fetch_add_explicit(&gmi_stats->dev[d].refetched_bytes,
				  bytes_of(gm_bm_count(gm_bm_and(moved, bd->evicted))),
				  memory_order_relaxed);
	atomic_fetch_add_explicit(&gmi_stats->dev[d].h2d_bytes, bytes_of(pages),
				  memory_order_relaxed);
	bd->evicted = gm_bm_andnot(bd->evicted, gets);
	GM_COUNT(h2d_bytes, bytes_of(pages));
	gmi_self()->h2d_bytes += bytes_of(pages);
	GM_COUNT(h2d_pages, pages);
	GM_COUNT_SITE(b->site, h2d_bytes, bytes_of(pages));
	GM_COUNT(zeroed_pages, gm_bm_count(zero));
	gmc_retain(b);
	/* else all that it has is mapped over the bus: nothing to evict there */
	if (!gm_bm_empty(bd->valid))
		gmc_lru_touch(ctx->dev, bd, gm_bm_or(p->map, gets));
	return gmc_dev_map(b, ctx, p->map, gm_bm_andnot(b->prog_w, p->next[GM_DUP]), false);
}

/* `pinned`: pages that do not migrate. */
static int to_device(struct gm_block *b, struct gm_ctx *ctx, gm_bm set, bool write, gm_bm pinned)
{
	int d = (int)ctx->dev->index;
	struct gm_plan p;

	gmc_plan(b, d, set, write, pinned, &p);
	int err = take_frames(b, ctx, gm_bm_or(p.copy, p.zero),
			      set); /* pages that it has stay: p maps them */
	if (err) {
		drop_frames(b, ctx->dev, set);
		return err;
	}
	gm_bm busy = gmc_claim(b, gm_bm_and(p.revoke, b->host), gm_bm_and(p.protect, b->host));
	if (!gm_bm_empty(busy)) /* system calls are using these: the device comes to them */
		gmc_plan(b, d, set, write, gm_bm_or(pinned, busy), &p);
	err = gmc_bus_unmap(b, gm_bm_or(p.revoke, p.protect));
	if (!err)
		err = to_remote(b, ctx, &p);
	p.revoke = gm_bm_andnot(p.revoke, p.map_remote); /* those are on the host now, and stay */
	if (err)
		give_back(b, set);
	else
		err = to_local(b, ctx, &p);
	if (err || !gm_bm_empty(busy))
		drop_frames(b, ctx->dev, set); /* those that nothing went into */
	gm_block_check(b);
	return err;
}

#define VMA_BUDGET 24000 /* of 65530, in an estimate that counts high */

bool gmc_vmas_short(struct gm_as *as)
{
	return atomic_load_explicit(&as->vma_estimate, memory_order_relaxed) > VMA_BUDGET;
}

/* Pages that the device's touch leaves on the host by its placement policy. */
static gm_bm stays_by_policy(const struct gm_block *b, const struct gm_ctx *ctx)
{
	const struct gm_policy_def *placement = gmc_policy_of(ctx, GM_POLICY_PLACEMENT).def;

	if (placement->touch != GM_POLICY_REMOTE)
		return gm_bm_zero();
	return gm_bm_not(
		gm_bm_or(gmc_hint_comes(b, ctx->dev->index), b->dev[ctx->dev->index]->valid));
}

static int migrate_to_dev(struct gm_block *b, struct gm_ctx *ctx, gm_bm set, bool write, bool asked)
{
	gm_bm may = gm_bm_and(b->managed, write ? b->prog_w : b->prog_r), pinned = b->pinned;
	int refused = gm_ctx_refuses(ctx);

	if (refused)
		return refused;
	if (!gmc_block_dev_get(b, ctx))
		return -ENOMEM;
	if (!ctx->dev->phys || ctx->mode == GM_MMU_MODE_SHARE) /* works on the host's memory */
		pinned = gm_bm_range(0, GM_PAGES_PER_BLOCK);
	else if (!asked)
		pinned = gm_bm_or(pinned, stays_by_policy(b, ctx));
	set = gm_bm_and(gmc_vmas_short(b->as) ? gm_bm_andnot(may, pinned) : set, may);
	int err = to_device(b, ctx, set, write, pinned);
	/* out of VMAs in spite of the budget: a uniform block needs the fewest */
	if (err == -ENOMEM)
		err = to_device(b, ctx, may, write, pinned);
	return err;
}

int gmc_migrate_to_dev(struct gm_block *b, struct gm_ctx *ctx, gm_bm set, bool write)
{
	return migrate_to_dev(b, ctx, set, write, false);
}

int gmc_migrate_asked(struct gm_block *b, struct gm_ctx *ctx, gm_bm set, bool write)
{
	return gm_bm_empty(set) ? 0 : migrate_to_dev(b, ctx, set, write, true);
}

int gmc_map_remote(struct gm_block *b, struct gm_ctx *ctx, gm_bm set, bool write)
{
	int refused = gm_ctx_refuses(ctx);

	if (refused)
		return refused;
	struct gm_block_dev *bd = gmc_block_dev_get(b, ctx);
	if (!bd)
		return -ENOMEM;
	set = gm_bm_and(set, gm_bm_and(b->managed, write ? b->prog_w : b->prog_r));
	return to_device(b, ctx, set, write, gm_bm_not(bd->valid));
}

/* ---- what the program does to its mappings ---- */

/* Every trace of `set` outside the host goes. */
static void forget_devices(struct gm_block *b, gm_bm set)
{
	for (int d = 0; d < GM_MAX_DEV; d++)
		if (b->dev[d] && gmc_dev_unmap(b, ctx_of(b, d), set))
			gm_log(GM_LOG_ERROR, "device %d cannot unmap memory that is gone, at %lx",
			       d, b->va);
	b->cpu_bus = gm_bm_andnot(b->cpu_bus, set); /* the VA has been mapped anew */
	drop_copies(b, -1, set);
}

void gmc_block_drop(struct gm_block *b, gm_bm set)
{
	forget_devices(b, set);
	gm_bm backed = gm_bm_and(b->backed, set);
	gm_bm_for_each_run (&backed, first, end)
		gmc_store_punch(b->as, va_of(b, first), bytes_of(end - first));
	b->backed = gm_bm_andnot(b->backed, set);
	b->adopted = gm_bm_andnot(b->adopted, set);
	b->pinned = gm_bm_andnot(b->pinned, set);
	gmc_dma_drop(b, set);
	gm_bm_store(&b->host, gm_bm_or(b->host, set));
	gmc_cpu_note(b, set, gm_bm_zero(), gm_bm_zero());
	gmc_retain(b);
}

/* Runs of uniform program rights within `set`, as PROT_ bits. */
static unsigned prog_run(const struct gm_block *b, unsigned i, unsigned end, int *prot)
{
	bool r = gm_bm_test(&b->prog_r, i), w = gm_bm_test(&b->prog_w, i);
	unsigned j = i + 1;
	while (j < end && gm_bm_test(&b->prog_r, j) == r && gm_bm_test(&b->prog_w, j) == w)
		j++;
	*prot = (r ? PROT_READ : 0) | (w ? PROT_READ | PROT_WRITE : 0);
	return j;
}

/* Private anonymous memory in place of the store's, with the program's rights. *done: as far as
 * that went. */
static int leave_store(struct gm_block *b, gm_bm set, bool copy, gm_bm *done)
{
	*done = gm_bm_zero();
	gm_bm_for_each_run (&set, first, end) {
		int prot, err;
		for (unsigned i = first, j; i < end; i = j) {
			j = prog_run(b, i, end, &prot);
			err = gmc_store_unmap(b->as, va_of(b, i), bytes_of(j - i), prot, copy);
			if (err)
				return err;
			gm_bm run = gm_bm_range(i, j), backed = gm_bm_and(b->backed, run);
			gm_bm_for_each_run (&backed, f, e)
				gmc_store_punch(b->as, va_of(b, f), bytes_of(e - f));
			b->backed = gm_bm_andnot(b->backed, run);
			b->adopted = gm_bm_andnot(b->adopted, run);
			*done = gm_bm_or(*done, run);
			gmc_cpu_note(b, run, b->prog_r, b->prog_w);
		}
	}
	return 0;
}

int gmc_block_forget(struct gm_block *b, struct gm_ctx *ctx)
{
	struct gm_block_dev *bd = b->dev[ctx->dev->index];
	int err = gmc_dev_unmap(b, ctx, gm_bm_range(0, GM_PAGES_PER_BLOCK));

	if (err)
		return err;
	set_valid(b, ctx, gm_bm_zero()); /* copies of a DUP page: the host has it too */
	gmc_dma_forget(b, ctx->dev->index);
	b->dev[ctx->dev->index] = NULL;
	gmi_free(bd, sizeof *bd + (GM_PAGES_PER_BLOCK >> bd->order) * sizeof bd->frame[0]);
	return 0;
}

int gmc_block_discard(struct gm_block *b, gm_bm set)
{
	gm_bm done;

	set = gm_bm_and(set, b->managed);
	/* Adopted or not: fresh memory is one mmap, and the program's rights are there again.
	 * Where that fails the old bytes stay. */
	int err = leave_store(b, set, false, &done);
	forget_devices(b, done);
	gm_bm_store(&b->host, gm_bm_or(b->host, done));
	gmc_retain(b);
	gm_block_check(b);
	return err;
}

int gmc_block_privatise(struct gm_block *b, gm_bm set)
{
	set = gm_bm_and(set, b->managed);
	gm_bm store = gm_bm_and(set, b->adopted), done;
	int err = gmc_migrate_to_cpu(b, set, true);

	if (!err)
		err = quiet_devices(b, -1, set, gm_bm_zero()); /* remote entries */
	if (!err)
		err = gmc_cpu_lower(b, store,
				    gm_bm_and(store, b->prog_r)); /* nobody writes meanwhile */
	if (!err)
		err = leave_store(b, store, true, &done);
	gmc_retain(b);
	gm_block_check(b);
	return err;
}

int gmc_block_set_prog(struct gm_block *b, gm_bm set, int prot, bool managed, bool quiet)
{
	bool r = prot & (PROT_READ | PROT_WRITE), w = prot & PROT_WRITE;
	int err = quiet_devices(b, -1, r ? gm_bm_zero() : set, w ? gm_bm_zero() : set);

	if (!err && !quiet)
		err = gmc_bus_unmap(b, set);

	if (err)
		return err;
	gm_bm old_r = b->prog_r, old_w = b->prog_w, old_managed = b->managed;
	b->prog_r = r ? gm_bm_or(b->prog_r, set) : gm_bm_andnot(b->prog_r, set);
	b->prog_w = w ? gm_bm_or(b->prog_w, set) : gm_bm_andnot(b->prog_w, set);
	b->managed = managed ? gm_bm_or(b->managed, set) : gm_bm_andnot(b->managed, set);
	if (quiet) {
		gmc_cpu_note(b, set, b->prog_r, b->prog_w);
	} else {
		struct gm_places at;
		gmc_places(b, &at);
		gm_bm can_r = gm_bm_and(b->prog_r, b->host), can_w = gm_bm_and(b->prog_w, b->host);
		can_w = gm_bm_andnot(can_w, at.in[GM_DUP]);
		err = gmc_cpu_prog(b, set);
		gm_bm lose = gm_bm_and(set, gm_bm_or(gm_bm_andnot(b->cpu_r, can_r),
						     gm_bm_andnot(b->cpu_w, can_w)));
		if (!err)
			err = gmc_cpu_lower(b, lose, can_r);
		if (!err)
			err = gmc_cpu_raise(b, set, can_r, can_w);
		if (err) {
			b->prog_r = old_r;
			b->prog_w = old_w;
			b->managed = old_managed;
			gmc_cpu_prog(b, set);
			gmc_cpu_lower(
				b, set,
				gm_bm_and(old_r,
					  b->host)); /* the next touch gets what it may have */
			gmc_cpu_note(b, set, gm_bm_zero(), gm_bm_zero());
		}
	}
	gm_block_check(b);
	return err;
}
