/*
 * vm.c - mmap, munmap and mprotect on a space: the region map, the blocks and the kernel's VMAs
 * changed together.
 *
 * The window is one reservation for ever: mapping puts memory over a piece of it with MAP_FIXED,
 * unmapping puts the reservation back, each in one mmap, so that no other mapping can slip in
 * between. Where a block exists the change is made under its lock, 2 MiB at a time, because
 * faults only take that lock.
 */
#include "core/space/vm.h"
#include "core/count/record.h"
#include "core/count/site.h"
#include "core/page/premap.h"
#include "core/care/spare.h"
#include "core/page/mapping.h"
#include "core/space/hint.h"
#include "core/space/sparse.h"
#include "core/space/vm_int.h"

#define RESERVATION    (MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE)
#define PLACEMENT      (MAP_FIXED | MAP_FIXED_NOREPLACE)
#define MAX_PEER_TRIES 10
#define PROT_KNOWN     (PROT_READ | PROT_WRITE | PROT_EXEC | 0x8 /* PROT_SEM */)

const struct gm_vm_memory gmc_vm_nothing = {.prot = PROT_NONE, .flags = RESERVATION, .fd = -1};

gm_sigmask gmc_vm_enter(struct gm_as *as)
{
	return gm_lock_masked(&as->region_lock);
}

void gmc_vm_leave(struct gm_as *as, gm_sigmask old)
{
	gm_unlock_masked(&as->region_lock, old);
}

/* ---- walking ---- */

bool gmc_vm_piece(struct gm_as *as, uintptr_t lo, uintptr_t hi, struct gm_vm_piece *p)
{
	if (lo >= hi)
		return false;
	uintptr_t block = gm_align_down(lo, GM_BLOCK_BYTES), end = block + GM_BLOCK_BYTES;

	p->lo = lo;
	p->b = gm_block_find(as, lo);
	while (!p->b && end < hi && !gm_block_find(as, end))
		end += GM_BLOCK_BYTES;
	p->hi = gm_min(end, hi);
	if (p->b)
		p->set = gm_block_pages(p->b, p->lo, p->hi);
	return true;
}

bool gmc_vm_range(struct gm_as *as, uintptr_t lo, uintptr_t hi, struct gm_range *r)
{
	if (lo >= hi || !gmi_rangemap_next(&as->regions, lo, r) || r->start >= hi)
		return false;
	r->start = gm_max(r->start, lo);
	r->end = gm_min(r->end, hi);
	return true;
}

static int spread_part(struct gm_as *as, const struct gm_vm_op *op, uintptr_t lo, uintptr_t hi,
		       int arg, bool within)
{
	if (!within)
		return (int)gm_sys3(op->nr, lo, hi - lo, arg);
	gm_sigmask old = gmc_vm_enter(as);
	int err = op->inside(as, lo, hi, arg);
	gmc_vm_leave(as, old);
	return err;
}

int gmc_vm_spread(struct gm_as *as, const struct gm_vm_op *op, uintptr_t lo, uintptr_t hi, int arg)
{
	uintptr_t begin = gm_max(lo, as->base), end = gm_min(hi, as->base + as->bytes);
	uintptr_t cut[] = {lo, begin, end, hi};
	int result = 0;

	for (int i = 0; i < 3; i++) {
		if (cut[i] >= cut[i + 1])
			continue;
		int err = spread_part(as, op, cut[i], cut[i + 1], arg, i == 1);
		if (err && !(op->go_on && err == -ENOMEM))
			return err;
		result = err ? err : result;
	}
	return result;
}

/* ---- the region map ---- */

/* What counts as managed: accessible memory that may migrate. Reserved address space is not
 * memory yet. */
static bool counts(const struct gm_range_value *v)
{
	return gm_vm_managed(v) && gm_vm_prot(v);
}

void gmc_vm_record(uintptr_t lo, uintptr_t hi, const struct gm_range_value *v)
{
	GM_RECORD(GM_RECORD_REGION, .addr = lo, .a = hi, .b = v ? v->v[0] | GM_RECORD_MAPPED : 0,
		  .site = v ? (unsigned)v->v[1] : 0);
}

/* What moves is counted by block: the site of its largest region gets it. */
static void note_block_site(struct gm_block *b)
{
	struct gm_range r;
	size_t largest = 0;
	uint64_t site = 0;

	gm_vm_for_each_range (b->as, b->va, b->va + GM_BLOCK_BYTES, &r) {
		if (r.end - r.start <= largest)
			continue;
		largest = r.end - r.start;
		site = r.val.v[1];
	}
	if (!site)
		site = gmc_site_sampled(b->va);
	atomic_store_explicit(&b->site, (uint8_t)site, memory_order_relaxed);
	GM_RECORD(GM_RECORD_SITE, .addr = b->va, .site = (unsigned)site);
}

void gmi_vm_sample_site(struct gm_as *as, const void *addr, unsigned site)
{
	struct gm_block *b = gm_block_find(as, (uintptr_t)addr);

	site = gmc_site_sample((uintptr_t)addr, site);
	if (!b || atomic_load_explicit(&b->site, memory_order_relaxed))
		return;
	atomic_store_explicit(&b->site, (uint8_t)site, memory_order_relaxed);
	GM_RECORD(GM_RECORD_SITE, .addr = b->va, .site = site);
}

int gmc_vm_set_region(struct gm_as *as, uintptr_t lo, uintptr_t hi, const struct gm_range_value *v)
{
	struct gm_range r;
	struct gm_vm_piece p;
	int64_t delta = v && counts(v) ? (int64_t)(hi - lo) : 0;

	gm_vm_for_each_range (as, lo, hi, &r)
		if (counts(&r.val))
			delta -= (int64_t)(r.end - r.start);
	int err = v ? gmi_rangemap_assign(&as->regions, lo, hi, v)
		    : gmi_rangemap_clear(&as->regions, lo, hi);
	if (err)
		return err;
	gmc_vm_record(lo, hi, v);
	if (delta)
		gmi_gauge_add(&gmi_stats->managed_bytes, &gmi_stats->managed_peak_bytes, delta);
	gm_vm_for_each_piece (as, lo, hi, &p)
		if (p.b)
			note_block_site(p.b);
	return 0;
}

int gmi_vm_note_site(struct gm_as *as, const void *addr, size_t len, unsigned site)
{
	uintptr_t lo = (uintptr_t)addr, hi = lo + len;
	struct gm_range r;
	int err = 0;

	gm_sigmask old = gmc_vm_enter(as);
	gm_vm_for_each_range (as, gm_align_down(lo, GM_PAGE_BYTES), gm_align_up(hi, GM_PAGE_BYTES),
			      &r) {
		struct gm_range_value v = r.val;
		v.v[1] = site;
		err = gmc_vm_set_region(as, r.start, r.end, &v);
		if (err)
			break;
	}
	gmc_vm_leave(as, old);
	return err;
}

void gmc_vm_fill_block(struct gm_block *b)
{
	struct gm_range r;

	note_block_site(b);

	gm_vm_for_each_range (b->as, b->va, b->va + GM_BLOCK_BYTES, &r) {
		gm_bm set = gm_block_pages(b, r.start, r.end);
		int rights = gm_vm_rights(gm_vm_prot(&r.val));
		if (rights & PROT_READ)
			gm_bm_add(&b->prog_r, set);
		if (rights & PROT_WRITE)
			gm_bm_add(&b->prog_w, set);
		if (gm_vm_managed(&r.val))
			gm_bm_add(&b->managed, set);
	}
}

bool gmi_vm_covered(struct gm_as *as, const void *addr, size_t len)
{
	uintptr_t lo = gm_max((uintptr_t)addr, as->base);
	uintptr_t hi =
		gm_min(gm_align_up((uintptr_t)addr + len, GM_PAGE_BYTES), as->base + as->bytes);

	if (lo >= hi)
		return true;
	gm_sigmask old = gmc_vm_enter(as);
	bool covered = gmi_rangemap_covers(&as->regions, lo, hi);
	gmc_vm_leave(as, old);
	return covered;
}

bool gmc_vm_sparse(struct gm_as *as, uintptr_t lo, uintptr_t hi)
{
	struct gm_range r;

	if (gm_likely(!gm_has_objects(as)))
		return false;
	if (gmc_bo_at(as, lo, hi))
		return true;
	gm_vm_for_each_range (as, lo, hi, &r)
		if (gm_vm_kind(&r.val) == GM_REGION_SPARSE)
			return true;
	return false;
}

/* ---- putting memory in place ---- */

int gmc_vm_block_renewed(const struct gm_vm_piece *p, const struct gm_range_value *v)
{
	int rights = v ? gm_vm_rights(gm_vm_prot(v)) : 0;
	return gmc_block_set_prog(p->b, p->set, rights, v && gm_vm_managed(v), true);
}

static int replace_piece(const struct gm_vm_piece *p, uint64_t off, const struct gm_vm_memory *m)
{
	int flags = (m->flags & ~PLACEMENT) | MAP_FIXED;

	if (p->b)
		gmi_lock(&p->b->lock);
	/* The kernel's refusals (a bad descriptor, no right) come before it takes the old
	 * mapping away. */
	void *r = gm_sys_mmap((void *)p->lo, p->hi - p->lo, m->prot, flags, m->fd, off);
	int err = gm_is_err(r) ? gm_err(r) : 0;
	if (p->b) {
		if (!err) {
			gmc_block_drop(p->b, p->set);
			err = gmc_vm_block_renewed(p, m->value);
		}
		gmi_unlock(&p->b->lock);
	}
	return err;
}

int gmc_vm_replace(struct gm_as *as, uintptr_t lo, uintptr_t hi, const struct gm_vm_memory *m)
{
	struct gm_vm_piece p;
	uintptr_t done = lo;
	int err = 0, map_err = 0;

	gm_vm_for_each_piece (as, lo, hi, &p) {
		err = replace_piece(&p, m->off + (m->flags & MAP_ANONYMOUS ? 0 : p.lo - lo), m);
		if (err)
			break;
		done = p.hi;
	}
	if (done > lo) {
		if (!m->value)
			gmc_vm_peers_unmapped(as, lo, done);
		map_err = gmc_vm_set_region(as, lo, done, m->value);
		gmc_hints_clear(as, lo, done);
	}
	return err ? err : map_err;
}

int gmc_vm_place(struct gm_as *as, uintptr_t lo, uintptr_t hi, const struct gm_vm_memory *m)
{
	struct gm_vm_piece p;
	int err = gmc_vm_set_region(as, lo, hi, m->value);

	if (err)
		return err;
	int flags = (m->flags & ~PLACEMENT) | MAP_FIXED;
	void *r = gm_sys_mmap((void *)lo, hi - lo, m->prot, flags, m->fd, m->off);
	if (gm_is_err(r)) {
		gmc_vm_set_region(as, lo, hi, NULL);
		return gm_err(r);
	}
	gm_vm_for_each_piece (as, lo, hi, &p) {
		if (!p.b)
			continue;
		gmi_lock(&p.b->lock);
		/* rights only grow from none: no device is asked, nothing can fail */
		gmc_vm_block_renewed(&p, m->value);
		gmi_unlock(&p.b->lock);
	}
	return 0;
}

int gmc_vm_replaced(struct gm_as *as, uintptr_t lo, uintptr_t hi, const struct gm_range_value *v)
{
	struct gm_vm_piece p;

	gm_vm_for_each_piece (as, lo, hi, &p) {
		if (!p.b)
			continue;
		gmi_lock(&p.b->lock);
		gmc_block_drop(p.b, p.set);
		gmc_vm_block_renewed(&p, v);
		gmi_unlock(&p.b->lock);
	}
	gmc_hints_clear(as, lo, hi);
	return gmc_vm_set_region(as, lo, hi, v);
}

int gmc_vm_each_block(struct gm_as *as, uintptr_t lo, uintptr_t hi,
		      int (*fn)(const struct gm_vm_piece *p, void *arg), void *arg)
{
	struct gm_vm_piece p;
	int err = 0;

	gm_vm_for_each_piece (as, lo, hi, &p) {
		if (!p.b)
			continue;
		gmi_lock(&p.b->lock);
		int e = fn(&p, arg);
		gmi_unlock(&p.b->lock);
		err = err ? err : e;
	}
	return err;
}

static int privatise_piece(const struct gm_vm_piece *p, void *arg)
{
	return gmc_block_privatise(p->b, p->set);
}

int gmc_vm_privatise(struct gm_as *as, uintptr_t lo, uintptr_t hi)
{
	return gmc_vm_each_block(as, lo, hi, privatise_piece, NULL);
}

/* ---- mmap ---- */

uintptr_t gmc_vm_another_place(struct gm_as *as, uintptr_t taken, size_t len, size_t align,
			       int *tries)
{
	size_t room = as->base + as->bytes - taken;
	/* Ever longer steps, so that small mappings get past large ranges too. */
	size_t step = gm_min(GM_PAGE_BYTES << 3 * *tries, gm_align_down(room / 4, GM_PAGE_BYTES));

	step = gm_max(step, len);
	if (++*tries >= MAX_PEER_TRIES || room <= step)
		return 0;
	return gmi_rangemap_find_gap(&as->regions, taken + step, len, align);
}

static uintptr_t map_anywhere(struct gm_as *as, size_t len, size_t align,
			      const struct gm_vm_memory *m)
{
	int err = -EBUSY, tries = 0;

	for (uintptr_t lo = gmi_rangemap_find_gap(&as->regions, as->base, len, align);
	     lo && err == -EBUSY; lo = gmc_vm_another_place(as, lo, len, align, &tries)) {
		err = gmc_vm_peers_reserve(as, lo, lo + len, m->prot);
		if (err)
			continue;
		err = gmc_vm_place(as, lo, lo + len, m);
		if (!err)
			return lo;
		gmc_vm_peers_forget(as, lo, lo + len);
	}
	return (uintptr_t)(intptr_t)(err == -EBUSY ? -ENOMEM : err);
}

void *gmi_vm_map(struct gm_as *as, size_t len, size_t align, int prot, int flags,
		 enum gm_region_kind kind, unsigned site)
{
	struct gm_range_value v = gm_vm_value(prot, kind, site);
	struct gm_vm_memory m = {.prot = prot, .flags = flags, .fd = -1, .value = &v};

	if (!len)
		return (void *)(intptr_t)-EINVAL;
	if (len > as->bytes)
		return (void *)(intptr_t)-ENOMEM;
	len = gm_align_up(len, GM_PAGE_BYTES);
	if (!align)
		align = len >= GM_BLOCK_BYTES ? GM_BLOCK_BYTES : GM_PAGE_BYTES;
	if (len >= GM_BLOCK_BYTES)
		gmc_spare_leave(len);
	gm_sigmask old = gmc_vm_enter(as);
	uintptr_t va = map_anywhere(as, len, gm_max(align, GM_PAGE_BYTES), &m);
	gmc_vm_leave(as, old);
	return (void *)va;
}

uintptr_t gmc_vm_usable_end(struct gm_as *as, uintptr_t lo, uintptr_t hi, bool write)
{
	const int needs = write ? PROT_WRITE : PROT_READ;
	gm_sigmask old = gmc_vm_enter(as);
	struct gm_range r;

	while (lo < hi && gmi_rangemap_find(&as->regions, lo, &r) &&
	       gm_vm_rights(gm_vm_prot(&r.val)) & needs)
		lo = r.end;
	gmc_vm_leave(as, old);
	return gm_min(lo, hi);
}

bool gmi_vm_may_migrate(int prot, int flags)
{
	const int odd = MAP_STACK | MAP_GROWSDOWN | MAP_HUGETLB | MAP_32BIT;

	return (flags & (MAP_TYPE | MAP_ANONYMOUS | odd)) == (MAP_PRIVATE | MAP_ANONYMOUS) &&
	       !(prot & PROT_EXEC);
}

static enum gm_region_kind region_kind(int prot, int flags)
{
	return gmi_vm_may_migrate(prot, flags) ? GM_REGION_ANON : GM_REGION_FOREIGN;
}

/* The parts of a fixed mapping outside the window: the kernel's business, with the program's own
 * flags. */
static int map_outside(uintptr_t at, uintptr_t lo, uintptr_t hi, const struct gm_vm_memory *m)
{
	if (lo >= hi)
		return 0;
	uint64_t off = m->off + (m->flags & MAP_ANONYMOUS ? 0 : lo - at);
	void *p = gm_sys_mmap((void *)lo, hi - lo, m->prot, m->flags, m->fd, off);
	return gm_is_err(p) ? gm_err(p) : 0;
}

int gmc_vm_put(struct gm_as *as, uintptr_t lo, uintptr_t hi, const struct gm_vm_memory *m)
{
	int err = gmc_vm_peers_reserve(as, lo, hi, m->prot);

	if (err)
		return err;
	err = gmc_vm_replace(as, lo, hi, m);
	if (err)
		gmc_vm_peers_forget(as, lo, hi);
	return err;
}

/* Its part inside. */
static int map_window_part(struct gm_as *as, uintptr_t at, uintptr_t lo, uintptr_t hi,
			   const struct gm_vm_memory *m)
{
	struct gm_vm_memory inner = *m;

	inner.off += m->flags & MAP_ANONYMOUS ? 0 : lo - at;
	return gmc_vm_put(as, lo, hi, &inner);
}

void *gmi_vm_map_fixed(struct gm_as *as, void *addr, size_t len, int prot, int flags, int fd,
		       uint64_t off, unsigned site)
{
	struct gm_range_value v = gm_vm_value(prot, region_kind(prot, flags), site);
	struct gm_vm_memory m = {.prot = prot, .flags = flags, .fd = fd, .off = off, .value = &v};
	uintptr_t at = (uintptr_t)addr, hi = gm_align_up(at + len, GM_PAGE_BYTES);
	uintptr_t begin = gm_max(at, as->base), end = gm_min(hi, as->base + as->bytes);

	if (!len || at & (GM_PAGE_BYTES - 1))
		return (void *)(intptr_t)-EINVAL;
	if (hi < at || len > SIZE_MAX - GM_PAGE_BYTES)
		return (void *)(intptr_t)-ENOMEM;
	if (flags & MAP_GROWSDOWN) {
		v.v[0] |= GM_VM_GROWS;
		atomic_store(&as->grows, true);
	}
	bool noreplace = flags & MAP_FIXED_NOREPLACE;
	gm_sigmask old = gmc_vm_enter(as);
	int err = noreplace && !gmi_rangemap_is_free(&as->regions, begin, end) ? -EEXIST : 0;
	if (!err && gmc_vm_sparse(as, begin, end))
		err = -EBUSY;
	if (!err)
		err = map_outside(at, at, begin, &m);
	if (!err)
		err = map_window_part(as, at, begin, end, &m);
	if (!err)
		err = map_outside(at, end, hi, &m);
	gmc_vm_leave(as, old);
	return err ? (void *)(intptr_t)err : addr;
}

/* ---- munmap ---- */

static int unmap_inside(struct gm_as *as, uintptr_t lo, uintptr_t hi, int arg)
{
	if (gmi_rangemap_is_free(&as->regions, lo, hi))
		return 0;
	if (gmc_vm_sparse(as, lo, hi))
		return -EBUSY;
	return gmc_vm_replace(as, lo, hi, &gmc_vm_nothing);
}

int gmi_vm_unmap(struct gm_as *as, void *addr, size_t len)
{
	static const struct gm_vm_op op = {.nr = SYS_munmap, .inside = unmap_inside};
	uintptr_t lo = (uintptr_t)addr, hi = gm_align_up(lo + len, GM_PAGE_BYTES);

	if (!len || lo & (GM_PAGE_BYTES - 1) || hi <= lo)
		return -EINVAL;
	return gmc_vm_spread(as, &op, lo, hi, 0);
}

/* ---- mprotect ---- */

static int protect_piece(const struct gm_vm_piece *p, const struct gm_range_value *was,
			 const struct gm_range_value *v)
{
	int prot = gm_vm_prot(v), rights = gm_vm_rights(prot), err = 0;

	if (!p->b)
		return gm_sys_mprotect((void *)p->lo, p->hi - p->lo, prot);
	gmi_lock(&p->b->lock);
	if (gm_vm_managed(was) && gm_vm_managed(v)) {
		err = gmc_block_set_prog(p->b, p->set, rights, true, false);
		if (!err)
			err = gmc_premap_restore(p->b, p->set);
	} else { /* becomes or was memory that never leaves: its VMAs are the kernel's own */
		if (gm_vm_managed(was))
			err = gmc_block_privatise(p->b, p->set);
		if (!err)
			err = gm_sys_mprotect((void *)p->lo, p->hi - p->lo, prot);
		if (!err)
			err = gmc_block_set_prog(p->b, p->set, rights, gm_vm_managed(v), true);
	}
	gmi_unlock(&p->b->lock);
	return err;
}

/* As in the kernel, what lies before a hole or a refusal is changed. */
static int protect_inside(struct gm_as *as, uintptr_t lo, uintptr_t hi, int prot)
{
	struct gm_range r;
	struct gm_vm_piece p;
	uintptr_t at = lo;

	if (gmc_vm_sparse(as, lo, hi))
		return -EBUSY;
	gm_vm_for_each_range (as, lo, hi, &r) {
		if (r.start != at)
			break;
		struct gm_range_value v = r.val;
		v.v[0] = (v.v[0] & ~(uint64_t)GM_VM_PROT) | (uint64_t)(prot & GM_VM_PROT);
		gm_vm_for_each_piece (as, r.start, r.end, &p) {
			int err = protect_piece(&p, &r.val, &v);
			if (!err)
				err = gmc_vm_set_region(as, p.lo, p.hi, &v);
			if (err)
				return err;
		}
		at = r.end;
	}
	return at == hi ? 0 : -ENOMEM;
}

int gmi_vm_protect(struct gm_as *as, void *addr, size_t len, int prot)
{
	static const struct gm_vm_op op = {.nr = SYS_mprotect, .inside = protect_inside};
	uintptr_t lo = (uintptr_t)addr, hi = gm_align_up(lo + len, GM_PAGE_BYTES);

	/* PROT_GROWSDOWN and _UP: no region grows */
	if (lo & (GM_PAGE_BYTES - 1) || prot & ~PROT_KNOWN)
		return -EINVAL;
	if (!len)
		return 0;
	if (hi <= lo)
		return -ENOMEM;
	return gmc_vm_spread(as, &op, lo, hi, prot);
}
