/*
 * vm_remap.c - mremap on a space. Shrinking and growing in place are munmap and mmap of the
 * tail; moving lets the kernel move its own anonymous pages, which is why they are brought home
 * first.
 */
#include "core/page/mapping.h"
#include "core/space/hint.h"
#include "core/space/vm_int.h"

struct remap {
	uintptr_t old, new_addr;
	size_t old_len, new_len;
	int flags;
	struct gm_range_value val; /* of the region at old */
};

static bool window_has(struct gm_as *as, uintptr_t lo, size_t len)
{
	return lo >= as->base && lo - as->base <= as->bytes && len <= as->base + as->bytes - lo;
}

static bool window_touches(struct gm_as *as, uintptr_t lo, size_t len)
{
	return lo < as->base + as->bytes && lo + gm_max(len, 1ul) > as->base;
}

/* Are old's pages one mapping, as mremap demands? Call sites do not matter; rights and kind do. */
static bool one_mapping(struct gm_as *as, struct remap *m)
{
	struct gm_range r;
	uintptr_t at = m->old, end = m->old + gm_max(m->old_len, GM_PAGE_BYTES);

	gm_vm_for_each_range (as, m->old, end, &r) {
		if (r.start != at || (at != m->old && r.val.v[0] != m->val.v[0]))
			return false;
		m->val = r.val;
		at = r.end;
	}
	return at == end;
}

/*
 * Moves pages between equally long ranges; what remains at `from` is mapped and empty
 * (DONTUNMAP), so that no other mapping can take its place. The kernel moves one VMA at a time,
 * and ours may be split where the program sees one: halve there.
 */
static int move_pages(uintptr_t from, uintptr_t to, size_t len)
{
	long p = gm_sys5(SYS_mremap, from, len, len,
			 MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP, to);
	if (p != -EFAULT || len <= GM_PAGE_BYTES)
		return p < 0 ? (int)p : 0;
	size_t half = gm_align_up(len / 2, GM_PAGE_BYTES);
	int err = move_pages(from, to, half);
	return err ? err : move_pages(from + half, to + half, len - half);
}

/* The longest part of [va, va+len) in one block, or outside of the space. */
static struct gm_vm_piece piece_at(struct gm_as *as, uintptr_t va, size_t len)
{
	struct gm_vm_piece p;

	if (window_has(as, va, 1) &&
	    gmc_vm_piece(as, va, gm_min(va + len, as->base + as->bytes), &p))
		return p;
	return (struct gm_vm_piece){.lo = va,
				    .hi = va < as->base ? gm_min(va + len, as->base) : va + len};
}

/* Either may be NULL, both may be the same. The second is only ever tried; where that fails it
 * is the next to wait for. */
static void lock_both(struct gm_block *a, struct gm_block *b)
{
	if (!a || a == b) {
		if (b)
			gmi_lock(&b->lock);
		return;
	}
	for (;;) {
		gmi_lock(&a->lock);
		if (!b || gmi_trylock(&b->lock))
			return;
		gmi_unlock(&a->lock);
		struct gm_block *c = a;
		a = b;
		b = c;
	}
}

static void unlock_both(struct gm_block *a, struct gm_block *b)
{
	if (a)
		gmi_unlock(&a->lock);
	if (b && b != a)
		gmi_unlock(&b->lock);
}

/*
 * move_pages with the blocks of both sides locked, piece by piece: a device that took a page
 * between its coming home and the kernel's moving it would keep its bytes. *done: bytes moved.
 */
static int move_locked(struct gm_as *as, uintptr_t from, uintptr_t to, size_t len,
		       const struct gm_range_value *v, size_t *done)
{
	int err = 0;

	for (*done = 0; *done < len && !err;) {
		struct gm_vm_piece src = piece_at(as, from + *done, len - *done);
		struct gm_vm_piece dst =
			piece_at(as, to + *done, gm_min(len - *done, src.hi - src.lo));
		size_t n = dst.hi - dst.lo;
		src = piece_at(as, src.lo, n);
		lock_both(src.b, dst.b);
		if (src.b)
			err = gmc_block_privatise(src.b, src.set);
		if (!err)
			err = move_pages(src.lo, dst.lo, n);
		if (!err && dst.b) {
			gmc_block_drop(dst.b, dst.set);
			err = gmc_vm_block_renewed(&dst, v);
		}
		unlock_both(src.b, dst.b);
		*done += err ? 0 : n;
	}
	return err;
}

/* All of it, or none. */
static int move_all(struct gm_as *as, uintptr_t from, uintptr_t to, size_t len,
		    const struct gm_range_value *v)
{
	size_t done, back;
	int err = gmc_vm_privatise(
		as, from,
		from + len); /* what can fail, as far as possible, before anything moves */

	if (!err && (err = move_locked(as, from, to, len, v, &done)))
		move_locked(as, to, from, done, v, &back);
	return err;
}

/* Fresh zeros of the old region's kind at [lo, hi), which replace what is there. */
static int fresh(struct gm_as *as, uintptr_t lo, uintptr_t hi, const struct gm_range_value *v)
{
	struct gm_vm_memory m = {.prot = gm_vm_prot(v),
				 .flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
				 .fd = -1,
				 .value = v};
	if (lo >= hi)
		return 0;
	return gmc_vm_put(as, lo, hi, &m);
}

/* Moves m to a place within the window, replacing what is there. */
static int move_within(struct gm_as *as, const struct remap *m, uintptr_t to)
{
	size_t keep = gm_min(m->old_len, m->new_len);
	/* Room for all of it, in the blocks and the map too; then the pages come over it. */
	int err = fresh(as, to, to + m->new_len, &m->val);

	if (!err)
		err = move_all(as, m->old, to, keep, &m->val);
	if (err && !(m->flags & MREMAP_FIXED))
		gmc_vm_replace(as, to, to + m->new_len, &gmc_vm_nothing);
	if (!err)
		gmc_hints_copy(as, m->old, to, keep);
	if (err || m->flags & MREMAP_DONTUNMAP)
		return err;
	return gmc_vm_replace(as, m->old, m->old + m->old_len, &gmc_vm_nothing);
}

/* Managed pages leave for a place outside the window. */
static long move_out(struct gm_as *as, const struct remap *m)
{
	void *p = gm_sys_mmap((void *)m->new_addr, m->new_len, gm_vm_prot(&m->val),
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
	int err = gm_is_err(p) ? gm_err(p)
			       : move_all(as, m->old, m->new_addr, gm_min(m->old_len, m->new_len),
					  &m->val);

	if (!err && !(m->flags & MREMAP_DONTUNMAP))
		err = gmc_vm_replace(as, m->old, m->old + m->old_len, &gmc_vm_nothing);
	return err ? err : (long)m->new_addr;
}

/* Foreign mappings, and what comes into the window from elsewhere: the kernel's own mremap; then
 * the map and the blocks follow. (17 branches: each undoes or follows one thing that the kernel did
 * or did not do.) */
static long move_by_kernel(struct gm_as *as, const struct remap *m)
{
	bool from_us = window_touches(as, m->old, m->old_len);
	uintptr_t lo = gm_max(m->new_addr, as->base);
	uintptr_t hi = gm_min(m->new_addr + m->new_len, as->base + as->bytes);
	bool into_us = m->flags & MREMAP_FIXED && lo < hi;
	int err = 0;

	/* nothing there that a device could take; as in the kernel, gone even if the move fails */
	if (into_us)
		err = gmc_vm_replace(as, lo, hi, &gmc_vm_nothing);
	if (!err && into_us)
		err = gmc_vm_peers_reserve(as, lo, hi, gm_vm_prot(&m->val));
	if (err)
		return err;
	long p = gm_sys5(SYS_mremap, m->old, m->old_len, m->new_len, m->flags, m->new_addr);
	if (p < 0 && into_us)
		gmc_vm_peers_forget(as, lo, hi);
	if (p < 0)
		return p;
	if (window_touches(as, (uintptr_t)p, m->new_len)) {
		struct gm_range_value v =
			from_us ? m->val
				: gm_vm_value(PROT_READ | PROT_WRITE, GM_REGION_FOREIGN, 0);
		err = gmc_vm_replaced(as, (uintptr_t)p, (uintptr_t)p + m->new_len, &v);
	}
	bool gone =
		from_us && m->old_len && (uintptr_t)p != m->old && !(m->flags & MREMAP_DONTUNMAP);
	if (gone && !err)
		err = gmc_vm_replace(as, m->old, m->old + m->old_len, &gmc_vm_nothing);
	return err ? err : p;
}

/* Moves m to where the space and every device have room. */
static long move_anywhere(struct gm_as *as, const struct remap *m, size_t align)
{
	int err = -EBUSY, tries = 0;

	for (uintptr_t to = gmi_rangemap_find_gap(&as->regions, as->base, m->new_len, align);
	     to && err == -EBUSY; to = gmc_vm_another_place(as, to, m->new_len, align, &tries)) {
		err = move_within(as, m, to);
		if (!err)
			return (long)to;
	}
	return err == -EBUSY ? -ENOMEM : err;
}

static long remap_grow(struct gm_as *as, const struct remap *m)
{
	uintptr_t end = m->old + m->old_len, new_end = m->old + m->new_len;
	bool room = window_has(as, m->old, m->new_len) &&
		    gmi_rangemap_is_free(&as->regions, end, new_end);

	if (room && !fresh(as, end, new_end, &m->val))
		return (long)m->old;
	if (!(m->flags & MREMAP_MAYMOVE))
		return -ENOMEM;
	size_t align = m->new_len >= GM_BLOCK_BYTES ? GM_BLOCK_BYTES : GM_PAGE_BYTES;
	return move_anywhere(as, m, align);
}

/* The cases of mremap one after the other. (21 branches: the kernel's checks, in its order.) */
static long remap_locked(struct gm_as *as, struct remap *m)
{
	bool fixed = m->flags & MREMAP_FIXED, dontunmap = m->flags & MREMAP_DONTUNMAP;

	if (gmc_vm_sparse(as, m->old, m->old + gm_max(m->old_len, 1ul)) ||
	    (fixed && gmc_vm_sparse(as, m->new_addr, m->new_addr + m->new_len)))
		return -EBUSY;
	if (!window_touches(as, m->old, m->old_len)) /* into the window from elsewhere */
		return move_by_kernel(as, m);
	if (!window_has(as, m->old, m->old_len) || !one_mapping(as, m))
		return -EFAULT;
	if (gm_vm_kind(&m->val) == GM_REGION_FOREIGN)
		return m->new_len <= m->old_len || fixed ? move_by_kernel(as, m) : -ENOMEM;
	if (!m->old_len) /* duplicates shared mappings; to the program this is none */
		return -EINVAL;
	if (fixed && !window_touches(as, m->new_addr, m->new_len))
		return move_out(as, m);
	if (fixed && !window_has(as, m->new_addr, m->new_len))
		/* half in the window: as if something in between could not be replaced */
		return -ENOMEM;
	if (fixed) {
		int err = move_within(as, m, m->new_addr);
		return err ? err : (long)m->new_addr;
	}
	if (dontunmap)
		return move_anywhere(as, m, GM_PAGE_BYTES);
	if (m->new_len > m->old_len)
		return remap_grow(as, m);
	int err = m->new_len < m->old_len ? gmc_vm_replace(as, m->old + m->new_len,
							   m->old + m->old_len, &gmc_vm_nothing)
					  : 0;
	return err ? err : (long)m->old;
}

void *gmi_vm_remap(struct gm_as *as, void *old, size_t old_len, size_t new_len, int flags,
		   void *new_addr)
{
	struct remap m = {.old = (uintptr_t)old,
			  .new_addr = (uintptr_t)new_addr,
			  .old_len = gm_align_up(old_len, GM_PAGE_BYTES),
			  .new_len = gm_align_up(new_len, GM_PAGE_BYTES),
			  .flags = flags};
	bool fixed = flags & MREMAP_FIXED, maymove = flags & MREMAP_MAYMOVE,
	     dontunmap = flags & MREMAP_DONTUNMAP;

	if (flags & ~(MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP) ||
	    ((fixed || dontunmap) && !maymove) || (dontunmap && m.old_len != m.new_len) ||
	    m.old & (GM_PAGE_BYTES - 1) || !m.new_len ||
	    ((fixed || dontunmap) &&
	     (m.new_addr & (GM_PAGE_BYTES - 1) ||
	      (m.new_addr < m.old + m.old_len && m.new_addr + m.new_len > m.old))))
		return (void *)(intptr_t)-EINVAL;
	gm_sigmask saved = gmc_vm_enter(as);
	long p = remap_locked(as, &m);
	gmc_vm_leave(as, saved);
	return (void *)p;
}
