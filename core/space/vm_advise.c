/*
 * vm_advise.c - madvise, mincore and what the heap needs (discard, forget) on a space.
 *
 * Pages that are still the kernel's private anonymous memory get the advice from the kernel. For
 * adopted pages (the host store's, perhaps on a device) it would mean something else or nothing;
 * the table says what is done instead.
 */
#include "core/page/mapping.h"
#include "core/page/migrate.h"
#include "core/space/vm_int.h"

enum adopted {
	PASS,	 /* means the same on the store (or the kernel refuses it anyway) */
	SKIP,	 /* only about where bytes are cached: no duty */
	DISCARD, /* contents gone, zeros from now on */
	HOME,	 /* must be present now */
	/* a property of the VMA: private anonymous memory again, and never adopted from now on */
	STAY,
	/* -EINVAL, as for any anonymous memory; on the store it would punch the program's bytes */
	REFUSE,
};

/* By advice; those not listed are PASS. Numbers where older headers lack the names. */
static const uint8_t on_adopted[] = {
	[MADV_DONTNEED] = DISCARD,
	[MADV_FREE] = DISCARD,
	[MADV_REMOVE] = REFUSE,
	[MADV_DONTFORK] = STAY,
	[MADV_WIPEONFORK] = STAY,
	[MADV_MERGEABLE] = SKIP,
	[MADV_COLD] = SKIP,
	[MADV_PAGEOUT] = SKIP,
	[MADV_POPULATE_READ] = HOME,
	[MADV_POPULATE_WRITE] = HOME,
	[24 /* MADV_DONTNEED_LOCKED */] = DISCARD,
	[25 /* MADV_COLLAPSE */] = SKIP,
	[102 /* MADV_GUARD_INSTALL */] = STAY,
};

static int kernel_advise(uintptr_t lo, uintptr_t hi, int advice)
{
	return (int)gm_sys3(SYS_madvise, lo, hi - lo, advice);
}

static int advise_adopted(struct gm_block *b, gm_bm set, int advice, enum adopted what)
{
	switch (what) {
	case DISCARD:
		return gmc_block_discard(b, set);
	case HOME:
		return gmc_migrate_home(b, set, advice == MADV_POPULATE_WRITE);
	case REFUSE:
		return -EINVAL;
	case SKIP:
	default:
		return 0;
	}
}

/* Pages of b that some device holds or maps. */
static gm_bm on_devices(const struct gm_block *b)
{
	gm_bm set = gm_bm_zero();
	gm_for_each_dev (b, d)
		gm_bm_add(&set, gm_bm_or(b->dev[d]->valid, b->dev[d]->remote));
	return set;
}

/*
 * One block's pages: those adopted, or copied to a device (read-mostly pages may still be
 * anonymous here), as the table says, the others as the kernel does. Block locked.
 */
static int advise_block(const struct gm_vm_piece *p, int advice, enum adopted what)
{
	gm_bm adopted = gm_bm_and(p->set, gm_bm_or(p->b->adopted, on_devices(p->b)));
	int err = 0;

	if (what == STAY) {
		err = gmc_block_privatise(p->b, adopted);
		adopted = gm_bm_zero();
	}
	if (what == PASS)
		adopted = gm_bm_zero();
	if (!err && !gm_bm_empty(adopted))
		err = advise_adopted(p->b, adopted, advice, what);
	gm_bm plain = gm_bm_andnot(p->set, adopted);
	gm_bm_for_each_run (&plain, first, end) {
		if (err)
			break;
		err = kernel_advise(p->b->va + first * GM_PAGE_BYTES,
				    p->b->va + end * GM_PAGE_BYTES, advice);
	}
	if (!err && what == STAY) {
		gm_bm_remove(&p->b->managed, p->set);
		gm_block_check(p->b);
	}
	return err;
}

static int advise_range(struct gm_as *as, const struct gm_range *r, int advice, enum adopted what)
{
	struct gm_vm_piece p;
	int err = 0;

	gm_vm_for_each_piece (as, r->start, r->end, &p) {
		if (p.b) {
			gmi_lock(&p.b->lock);
			err = advise_block(&p, advice, what);
			gmi_unlock(&p.b->lock);
		} else {
			err = kernel_advise(p.lo, p.hi, advice);
		}
		if (err)
			break;
	}
	return err;
}

/* Holes do not end the walk: the kernel advises what is there, and then says -ENOMEM. */
static int advise_as(struct gm_as *as, uintptr_t lo, uintptr_t hi, int advice, enum adopted what)
{
	struct gm_range r;
	uintptr_t at = lo;
	bool hole = false;

	gm_vm_for_each_range (as, lo, hi, &r) {
		bool managed = gm_vm_managed(&r.val);
		int err = advise_range(as, &r, advice, managed ? what : PASS);
		if (err)
			return err;
		if (managed && what == STAY) {
			struct gm_range_value v = r.val;
			v.v[0] |= GM_VM_STAY;
			err = gmc_vm_set_region(as, r.start, r.end, &v);
			if (err)
				return err;
		}
		hole |= r.start != at;
		at = r.end;
	}
	return hole || at != hi ? -ENOMEM : 0;
}

static int advise_inside(struct gm_as *as, uintptr_t lo, uintptr_t hi, int advice)
{
	enum adopted what = (unsigned)advice < GM_ARRAY_LEN(on_adopted) ? on_adopted[advice] : PASS;

	return advise_as(as, lo, hi, advice, what);
}

static int stay_inside(struct gm_as *as, uintptr_t lo, uintptr_t hi, int unused)
{
	return advise_as(as, lo, hi, MADV_NORMAL, STAY);
}

int gmi_vm_stay(struct gm_as *as, void *addr, size_t len)
{
	static const struct gm_vm_op op = {.nr = SYS_madvise, .inside = stay_inside, .go_on = true};
	uintptr_t lo = gm_align_down((uintptr_t)addr, GM_PAGE_BYTES),
		  hi = gm_align_up((uintptr_t)addr + len, GM_PAGE_BYTES);

	return hi <= lo ? -EINVAL : gmc_vm_spread(as, &op, lo, hi, MADV_NORMAL);
}

int gmi_vm_advise(struct gm_as *as, void *addr, size_t len, int advice)
{
	static const struct gm_vm_op op = {
		.nr = SYS_madvise, .inside = advise_inside, .go_on = true};
	uintptr_t lo = (uintptr_t)addr, hi = gm_align_up(lo + len, GM_PAGE_BYTES);
	/* Without a length the kernel checks the rest: unknown advice, an odd address. */
	int err = (int)gm_sys3(SYS_madvise, lo, 0, advice);

	if (err)
		return err;
	if (!len)
		return 0;
	if (hi <= lo)
		return -EINVAL;
	return gmc_vm_spread(as, &op, lo, hi, advice);
}

/* ---- the heap's own ---- */

int gmi_vm_discard(struct gm_as *as, void *addr, size_t len)
{
	struct gm_range r = {.start = (uintptr_t)addr, .end = (uintptr_t)addr + len};
	gm_sigmask old = gmc_vm_enter(as);
	int err = advise_range(as, &r, MADV_DONTNEED, DISCARD);
	gmc_vm_leave(as, old);
	return err;
}

/* The piece's pages that are discarded; *here: those that the CPU may write where they are. */
static int zero_block(struct gm_as *as, const struct gm_vm_piece *p, gm_bm *here)
{
	gm_sigmask old = gmc_vm_enter(as);

	gmi_lock(&p->b->lock);
	*here = gm_bm_and(p->set, gm_bm_and(p->b->cpu_w, p->b->host));
	struct gm_vm_piece rest = *p;
	rest.set = gm_bm_andnot(p->set, *here);
	int err = gm_bm_empty(rest.set) ? 0 : advise_block(&rest, MADV_DONTNEED, DISCARD);
	gmi_unlock(&p->b->lock);
	gmc_vm_leave(as, old);
	return err;
}

int gmi_vm_zero(struct gm_as *as, void *addr, size_t len)
{
	uintptr_t lo = (uintptr_t)addr;
	struct gm_vm_piece p;

	/*
	 * Stores are cheaper than fresh pages: the kernel clears those as well, and takes a fault
	 * for each. What is asked for in a very large piece is often not touched as a whole.
	 */
	if (len > GM_ZERO_STORE_MAX)
		return gmi_vm_discard(as, addr, len);
	gm_vm_for_each_piece (as, lo, lo + len, &p) {
		gm_bm here;
		int err = p.b ? zero_block(as, &p, &here) : 0;
		if (err)
			return err;
		/* No lock is held: a device that takes pages meanwhile gives them back by
		 * faults. */
		if (!p.b)
			gm_zero((void *)p.lo, p.hi - p.lo);
		else
			gm_bm_for_each_run (&here, first, end)
				gm_zero((void *)gm_va_of(p.b, first), gm_bytes_of(end - first));
	}
	return 0;
}

/* A look without locks, for the common case that no device has any of it. A device that takes
 * pages at this very moment uses memory that is being freed: then they stay there, which is
 * slower, not wrong. */
static bool any_away(struct gm_as *as, uintptr_t lo, uintptr_t hi)
{
	for (uintptr_t at = gm_align_down(lo, GM_BLOCK_BYTES); at < hi; at += GM_BLOCK_BYTES) {
		struct gm_block *b = gm_block_find(as, at);
		for (int d = 0; b && d < GM_MAX_DEV; d++)
			if (__atomic_load_n(&b->dev[d], __ATOMIC_RELAXED))
				return true;
	}
	return false;
}

void gmi_vm_forget(struct gm_as *as, void *addr, size_t len)
{
	uintptr_t lo = gm_max(gm_align_up((uintptr_t)addr, GM_PAGE_BYTES), as->base);
	uintptr_t hi =
		gm_min(gm_align_down((uintptr_t)addr + len, GM_PAGE_BYTES), as->base + as->bytes);
	struct gm_vm_piece p;

	if (lo >= hi || !any_away(as, lo, hi))
		return;
	gm_sigmask old = gmc_vm_enter(as);
	gm_vm_for_each_piece (as, lo, hi, &p) {
		if (!p.b)
			continue;
		gmi_lock(&p.b->lock);
		gm_bm away = gm_bm_and(p.set, on_devices(p.b));
		if (!gm_bm_empty(away))
			gmc_block_discard(
				p.b,
				away); /* failing, they stay where they are: slower, not wrong */
		gmi_unlock(&p.b->lock);
	}
	gmc_vm_leave(as, old);
}

/* ---- mincore ---- */

/* Up to where [lo, hi) is mapped. */
static uintptr_t covered_to(struct gm_as *as, uintptr_t lo, uintptr_t hi)
{
	uintptr_t at = lo;
	struct gm_range r;

	gm_sigmask old = gmc_vm_enter(as);
	gm_vm_for_each_range (as, lo, hi, &r) {
		if (r.start > at)
			break;
		at = r.end;
	}
	gmc_vm_leave(as, old);
	return gm_min(at, hi);
}

/* As the kernel: what lies before a hole is told all the same. */
int gmi_vm_mincore(struct gm_as *as, void *addr, size_t len, unsigned char *vec)
{
	struct gm_vm_piece p;
	uintptr_t lo = (uintptr_t)addr, hi = gm_align_up(lo + len, GM_PAGE_BYTES);
	uintptr_t from = gm_max(lo, as->base), end = gm_min(hi, as->base + as->bytes);
	uintptr_t to = covered_to(as, from, end);
	int err = (int)gm_sys3(SYS_mincore, addr, to < end ? to - lo : len, vec);

	if (err)
		return err;
	for (uintptr_t at = from; gmc_vm_piece(as, at, to, &p); at = p.hi) {
		if (!p.b)
			continue;
		gm_sigmask old = gmi_block_signals();
		gmi_lock(&p.b->lock);
		gm_bm away = gm_bm_and(p.set, on_devices(p.b));
		gmi_unlock(&p.b->lock);
		gmi_restore_signals(old);
		/* vec is the program's: written without a lock. */
		gm_bm_for_each_run (&away, first, end)
			for (unsigned i = first; i < end; i++)
				vec[(p.b->va + i * GM_PAGE_BYTES - lo) >> GM_PAGE_SHIFT] |= 1;
	}
	return to < end ? -ENOMEM : 0;
}
