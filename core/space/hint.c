/*
 * hint.c - hints and attributes by range, and their mirrors in the blocks. See hint.h.
 */
#include "core/page/driver.h"
#include "core/space/hint.h"
#include "core/entry/cpu.h"
#include "core/page/migrate.h"
#include "core/page/cpu_bus.h"
#include "core/page/plan.h"
#include "core/page/rights.h"
#include "core/space/vm_int.h"
#include <errno.h>

/* A range's hints: the words of its value. All zero: none, and not in the map. */
/* flag; 0 none, 1 host, 2 + device; BY() of devices and the CPU */
enum { READ_MOSTLY, PREFERRED, ACCESSED_BY };
#define HOST	  1
#define BY(d)	  (1ull << ((d) < 0 ? GM_MAX_DEV : (d)))
#define DEVICE(d) (2 + (uint64_t)(d))

static bool is_none(const struct gm_range_value *v)
{
	return !(v->v[0] | v->v[1] | v->v[2]);
}

static bool same(const struct gm_range_value *a, const struct gm_range_value *b)
{
	return a->v[0] == b->v[0] && a->v[1] == b->v[1] && a->v[2] == b->v[2];
}

/* ---- mirrors; region and block locked ---- */

static gm_bm part(const struct gm_block *b, uintptr_t lo, uintptr_t hi)
{
	return gm_bm_range((unsigned)((lo - b->va) >> GM_PAGE_SHIFT),
			   (unsigned)((hi - b->va) >> GM_PAGE_SHIFT));
}

static bool next_in(const struct gm_rangemap *m, uintptr_t at, uintptr_t hi, struct gm_range *r)
{
	if (at >= hi || !gmi_rangemap_next(m, at, r) || r->start >= hi)
		return false;
	r->start = gm_max(r->start, at);
	r->end = gm_min(r->end, hi);
	return true;
}
#define for_each_in(m, lo, hi, r)                                                                  \
	for (uintptr_t at_ = (lo); next_in((m), at_, (hi), (r)); at_ = (r)->end)

static struct gm_hints *mirror_of(struct gm_block *b)
{
	if (!b->hints)
		b->hints = gmi_alloc(sizeof *b->hints);
	return b->hints;
}

static void blank(struct gm_block *b, gm_bm set)
{
	struct gm_hints *h = b->hints;

	b->read_mostly = gm_bm_andnot(b->read_mostly, set);
	if (!h)
		return;
	h->prefer_host = gm_bm_andnot(h->prefer_host, set);
	h->accessed_by_cpu = gm_bm_andnot(h->accessed_by_cpu, set);
	for (unsigned d = 0; d < GM_MAX_DEV; d++) {
		h->prefer_dev[d] = gm_bm_andnot(h->prefer_dev[d], set);
		h->accessed_by[d] = gm_bm_andnot(h->accessed_by[d], set);
		for (unsigned i = gm_bm_next(&set, 0, true); h->attr[d] && i < GM_PAGES_PER_BLOCK;
		     i = gm_bm_next(&set, i + 1, true))
			h->attr[d][i] = 0;
	}
}

static int note(struct gm_block *b, gm_bm set, const struct gm_range_value *v)
{
	if (v->v[READ_MOSTLY])
		b->read_mostly = gm_bm_or(b->read_mostly, set);
	if (!v->v[PREFERRED] && !v->v[ACCESSED_BY])
		return 0;
	struct gm_hints *h = mirror_of(b);
	if (!h)
		return -ENOMEM;
	if (v->v[PREFERRED] == HOST)
		h->prefer_host = gm_bm_or(h->prefer_host, set);
	if (v->v[ACCESSED_BY] & BY(-1))
		h->accessed_by_cpu = gm_bm_or(h->accessed_by_cpu, set);
	for (unsigned d = 0; d < GM_MAX_DEV; d++) {
		if (v->v[PREFERRED] == DEVICE(d))
			h->prefer_dev[d] = gm_bm_or(h->prefer_dev[d], set);
		if (v->v[ACCESSED_BY] & BY((int)d))
			h->accessed_by[d] = gm_bm_or(h->accessed_by[d], set);
	}
	return 0;
}

static int note_attr(struct gm_block *b, unsigned d, gm_bm set, uint64_t attr)
{
	struct gm_hints *h = mirror_of(b);

	if (h && !h->attr[d])
		h->attr[d] = gmi_alloc(GM_PAGES_PER_BLOCK * sizeof *h->attr[d]);
	if (!h || !h->attr[d])
		return -ENOMEM;
	for (unsigned i = gm_bm_next(&set, 0, true); i < GM_PAGES_PER_BLOCK;
	     i = gm_bm_next(&set, i + 1, true))
		h->attr[d][i] = attr;
	return 0;
}

/* The part of the block in [lo, hi) as the maps have it. */
static int refresh(struct gm_block *b, uintptr_t lo, uintptr_t hi)
{
	struct gm_range r;
	int err = 0;

	blank(b, part(b, lo, hi));
	for_each_in (&b->as->hints, lo, hi, &r)
		err = err ? err : note(b, part(b, r.start, r.end), &r.val);
	for (unsigned d = 0; d < GM_MAX_DEV; d++)
		for_each_in (&b->as->attrs[d], lo, hi, &r)
			err = err ? err : note_attr(b, d, part(b, r.start, r.end), r.val.v[0]);
	return err;
}

static bool nothing_said(const struct gm_as *as)
{
	size_t n = as->hints.count;

	for (unsigned d = 0; d < GM_MAX_DEV; d++)
		n += as->attrs[d].count;
	return n == 0;
}

bool gmc_hints_fill(struct gm_block *b)
{
	if (nothing_said(b->as) || !refresh(b, b->va, b->va + GM_BLOCK_BYTES))
		return true;
	gmc_hints_free_mirror(b);
	return false;
}

void gmc_hints_free_mirror(struct gm_block *b)
{
	for (unsigned d = 0; b->hints && d < GM_MAX_DEV; d++)
		gmi_free(b->hints->attr[d], GM_PAGES_PER_BLOCK * sizeof *b->hints->attr[d]);
	gmi_free(b->hints, sizeof *b->hints);
	b->hints = NULL;
}

/* Region locked: every block of [lo, hi) follows the maps; fn, if any, on each of them while it
 * is locked. */
static int refresh_all(struct gm_as *as, uintptr_t lo, uintptr_t hi,
		       int (*fn)(struct gm_block *b, gm_bm set, void *arg), void *arg)
{
	struct gm_vm_piece p;
	int err = 0;

	gm_vm_for_each_piece (as, lo, hi, &p) {
		if (!p.b)
			continue;
		gmi_lock(&p.b->lock);
		int e = refresh(p.b, p.lo, p.hi);
		if (!e && fn)
			e = fn(p.b, p.set, arg);
		gmi_unlock(&p.b->lock);
		err = err ? err : e;
	}
	return err;
}

/* ---- hints ---- */

static void read_mostly(struct gm_range_value *v, int d)
{
	v->v[READ_MOSTLY] = 1;
}
static void not_read_mostly(struct gm_range_value *v, int d)
{
	v->v[READ_MOSTLY] = 0;
}
static void prefer(struct gm_range_value *v, int d)
{
	v->v[PREFERRED] = d < 0 ? HOST : DEVICE(d);
}
static void prefer_nothing(struct gm_range_value *v, int d)
{
	v->v[PREFERRED] = 0;
}
static void accessed_by(struct gm_range_value *v, int d)
{
	v->v[ACCESSED_BY] |= BY(d);
}
static void not_accessed_by(struct gm_range_value *v, int d)
{
	v->v[ACCESSED_BY] &= ~BY(d);
}
static void forget_device(struct gm_range_value *v, int d)
{
	if (v->v[PREFERRED] == DEVICE(d))
		v->v[PREFERRED] = 0;
	not_accessed_by(v, d);
}

static const struct hint {
	int behavior;
	enum { NOBODY, SOMEBODY } names;
	void (*change)(struct gm_range_value *v, int d);
} kept[] = {
	{GM_MADV_READ_MOSTLY, NOBODY, read_mostly},
	{GM_MADV_UNSET_READ_MOSTLY, NOBODY, not_read_mostly},
	{GM_MADV_PREFERRED_LOCATION, SOMEBODY, prefer},
	{GM_MADV_UNSET_PREFERRED_LOCATION, NOBODY, prefer_nothing},
	{GM_MADV_ACCESSED_BY, SOMEBODY, accessed_by},
	{GM_MADV_UNSET_ACCESSED_BY, SOMEBODY, not_accessed_by},
};

/* Every value in [lo, hi) is changed; where there is none it starts from nothing. Region locked. */
static int change_all(struct gm_as *as, uintptr_t lo, uintptr_t hi,
		      void (*change)(struct gm_range_value *v, int d), int d)
{
	int err = 0;

	for (uintptr_t at = lo, end; at < hi && !err; at = end) {
		struct gm_range r;
		struct gm_range_value was = {{0}};
		end = hi;
		if (next_in(&as->hints, at, hi, &r)) {
			end = r.start > at ? r.start : r.end;
			was = r.start > at ? was : r.val;
		}
		struct gm_range_value v = was;
		change(&v, d);
		if (same(&v, &was))
			continue;
		err = is_none(&v) ? gmi_rangemap_clear(&as->hints, at, end)
				  : gmi_rangemap_assign(&as->hints, at, end, &v);
	}
	return err;
}

static int release_one(struct gm_block *b, gm_bm set, void *arg)
{
	return gmc_hint_release(b, set);
}

static int follow_one(struct gm_block *b, gm_bm set, void *arg)
{
	gmc_hint_follow(b, set);
	return 0;
}

/* Blocks are made as needed: the device gets entries. */
static void follow_all(struct gm_as *as, uintptr_t lo, uintptr_t hi)
{
	gmc_each_block(as, lo, hi, true, follow_one, NULL);
}

int gmc_hint_set(struct gm_as *as, uintptr_t lo, uintptr_t hi, int behavior, struct gm_dev *dev)
{
	const struct hint *h = NULL;

	for (unsigned i = 0; i < GM_ARRAY_LEN(kept); i++)
		if (kept[i].behavior == behavior)
			h = &kept[i];
	if (!h)
		return -ENOENT;
	gm_sigmask mask = gmc_vm_enter(as);
	bool attached = h->names == NOBODY || !dev || as->ctx[dev->index];
	int err =
		attached ? change_all(as, lo, hi, h->change, dev ? (int)dev->index : -1) : -ENODEV;
	int mirrored = attached ? refresh_all(as, lo, hi, release_one, NULL) : 0;
	gmc_vm_leave(as, mask);
	err = err ? err : mirrored;
	if (!err && behavior == GM_MADV_ACCESSED_BY) {
		err = gmi_activate();
		if (!err)
			follow_all(as, lo, hi);
	}
	return err;
}

int gm_query_hints(const void *addr, struct gm_hints_info *info)
{
	if (gmc_called_back(__func__))
		return -EDEADLK;
	struct gm_as *as = gm_as_of(addr);
	struct gm_range r;

	if (!as || !info)
		return -EINVAL;
	*info = (struct gm_hints_info){.preferred = -1};
	gm_sigmask mask = gmc_vm_enter(as);
	if (gmi_rangemap_find(&as->hints, (uintptr_t)addr, &r)) {
		info->read_mostly = r.val.v[READ_MOSTLY] != 0;
		info->accessed_by_cpu = (r.val.v[ACCESSED_BY] & BY(-1)) != 0;
		info->has_preferred = r.val.v[PREFERRED] != 0;
		if (r.val.v[PREFERRED] > HOST)
			info->preferred = as->ctx[r.val.v[PREFERRED] - DEVICE(0)]->dev->hnid;
		for (unsigned d = 0; d < GM_MAX_DEV; d++)
			if (r.val.v[ACCESSED_BY] & BY((int)d))
				info->accessed_hnid[info->accessed_by++] = as->ctx[d]->dev->hnid;
	}
	gmc_vm_leave(as, mask);
	return 0;
}

gm_bm gmc_hint_stays(const struct gm_block *b, unsigned d)
{
	const struct gm_hints *h = b->hints;

	return h ? gm_bm_andnot(gm_bm_or(h->prefer_host, h->accessed_by[d]), h->prefer_dev[d])
		 : gm_bm_zero();
}

gm_bm gmc_hint_comes(const struct gm_block *b, unsigned d)
{
	return b->hints ? b->hints->prefer_dev[d] : gm_bm_zero();
}

void gmc_hint_follow(struct gm_block *b, gm_bm set)
{
	if (!b->hints)
		return;
	struct gm_places at;
	gmc_places(b, &at);
	gm_bm here =
		gm_bm_and(set, gm_bm_and(b->managed, gm_bm_or(at.in[GM_HOST], at.in[GM_REMOTE])));
	for (unsigned d = 0; d < GM_MAX_DEV; d++) {
		struct gm_ctx *ctx = b->as->ctx[d];
		gm_bm want =
			gm_bm_and(here, gm_bm_and(b->hints->accessed_by[d], gmc_hint_stays(b, d)));
		if (!ctx || gm_bm_empty(want))
			continue;
		if (b->dev[d])
			want = gm_bm_andnot(want, b->dev[d]->map_r);
		gm_bm w = gm_bm_and(want, b->prog_w),
		      r = gm_bm_and(gm_bm_andnot(want, w), b->prog_r);
		if (!gm_bm_empty(w))
			gmc_map_remote(b, ctx, w, true);
		if (!gm_bm_empty(r))
			gmc_map_remote(b, ctx, r, false);
	}
	gm_bm away = gm_bm_and(set, gm_bm_and(at.in[GM_DEVICE], b->hints->accessed_by_cpu));
	if (!gm_bm_empty(away))
		gmc_bus_map(b, away);
}

int gmc_hint_release(struct gm_block *b, gm_bm set)
{
	int err = gmc_bus_unmap(b, gm_bm_andnot(gm_bm_and(set, b->cpu_bus), gmc_bus_stays(b)));

	set = gm_bm_andnot(set, b->pinned); /* gm_as_map pins, too */
	for (unsigned d = 0; d < GM_MAX_DEV && !err; d++)
		if (b->dev[d])
			err = gmc_dev_unmap(b, b->as->ctx[d],
					    gm_bm_andnot(gm_bm_and(set, b->dev[d]->remote),
							 gmc_hint_stays(b, d)));
	return err;
}

/* ---- attributes ---- */

/* Entries that the device has carry the new attributes from now on. */
static int enter_again(struct gm_block *b, gm_bm set, void *arg)
{
	struct gm_ctx *ctx = arg;
	struct gm_block_dev *bd = b->dev[ctx->dev->index];

	if (!bd)
		return 0;
	gm_bm mapped = gm_bm_and(set, bd->map_r), w = bd->map_w;
	gm_bm remote = gm_bm_and(mapped, bd->remote), own = gm_bm_andnot(mapped, remote);
	int err = gmc_dev_unmap(b, ctx, mapped);
	if (!err && !gm_bm_empty(own))
		err = gmc_dev_map(b, ctx, own, w, false);
	if (!err && !gm_bm_empty(remote))
		err = gmc_dev_map(b, ctx, remote, w, true);
	return err;
}

int gm_set_attr(struct gm_as *as, struct gm_dev *dev, void *addr, size_t len, uint64_t attr)
{
	if (gmc_called_back(__func__))
		return -EDEADLK;
	uintptr_t lo = (uintptr_t)addr, hi = lo + len;
	struct gm_range_value v = {{attr}};
	int err = 0;

	if (!as || !dev || (lo | len) % GM_PAGE_BYTES || hi < lo)
		return -EINVAL;
	if (lo < as->base || hi > as->base + as->bytes)
		return -EFAULT;
	gm_sigmask mask = gmc_vm_enter(as);
	struct gm_ctx *ctx = as->ctx[dev->index];
	if (!ctx || ctx->dev != dev)
		err = -EINVAL;
	else if (len && !gmi_rangemap_covers(&as->regions, lo, hi))
		err = -EFAULT;
	else if (len)
		err = attr ? gmi_rangemap_assign(&as->attrs[dev->index], lo, hi, &v)
			   : gmi_rangemap_clear(&as->attrs[dev->index], lo, hi);
	if (!err && len)
		err = refresh_all(as, lo, hi, enter_again, ctx);
	gmc_vm_leave(as, mask);
	return err;
}

int gm_get_attr(struct gm_as *as, struct gm_dev *dev, const void *addr, uint64_t *attr)
{
	if (gmc_called_back(__func__))
		return -EDEADLK;
	struct gm_range r;

	if (!as || !dev || !attr || gm_as_of(addr) != as)
		return -EINVAL;
	gm_sigmask mask = gmc_vm_enter(as);
	bool found = gmi_rangemap_find(&as->attrs[dev->index], (uintptr_t)addr, &r);
	*attr = found ? r.val.v[0] : 0;
	gmc_vm_leave(as, mask);
	return 0;
}

/* ---- what happens to ranges ---- */

void gmc_hints_clear(struct gm_as *as, uintptr_t lo, uintptr_t hi)
{
	if (nothing_said(as))
		return;
	/* Without memory for a split something stays said that nobody meant: no harm. */
	gmi_rangemap_clear(&as->hints, lo, hi);
	for (unsigned d = 0; d < GM_MAX_DEV; d++)
		gmi_rangemap_clear(&as->attrs[d], lo, hi);
	refresh_all(as, lo, hi, NULL, NULL);
}

static void copy_ranges(struct gm_rangemap *m, uintptr_t from, uintptr_t to, size_t len)
{
	struct gm_range r;

	for_each_in (m, from, from + len, &r)
		gmi_rangemap_assign(m, r.start - from + to, r.end - from + to, &r.val);
}

void gmc_hints_copy(struct gm_as *as, uintptr_t from, uintptr_t to, size_t len)
{
	if (nothing_said(as))
		return;
	copy_ranges(&as->hints, from, to, len);
	for (unsigned d = 0; d < GM_MAX_DEV; d++)
		copy_ranges(&as->attrs[d], from, to, len);
	refresh_all(as, to, to + len, NULL, NULL);
}

static void forget_in_maps(struct gm_as *as, unsigned d)
{
	change_all(as, as->base, as->base + as->bytes, forget_device, (int)d);
	gmi_rangemap_clear(&as->attrs[d], as->base, as->base + as->bytes);
}

void gmc_hints_forget_device(struct gm_as *as, unsigned d)
{
	if (nothing_said(as))
		return;
	struct gm_block *b;

	forget_in_maps(as, d);
	gm_for_each_block (as, b) {
		gmi_lock(&b->lock);
		/* less than before: no memory is needed */
		refresh(b, b->va, b->va + GM_BLOCK_BYTES);
		gmi_unlock(&b->lock);
	}
}

void gmc_hints_forked(struct gm_as *as)
{
	struct gm_block *b;

	if (nothing_said(as))
		return;
	for (unsigned d = 0; d < GM_MAX_DEV; d++)
		forget_in_maps(as, d);
	gm_for_each_block (as, b)
		refresh(b, b->va, b->va + GM_BLOCK_BYTES);
}

void gmc_hints_destroy(struct gm_as *as)
{
	gmi_rangemap_destroy(&as->hints);
	for (unsigned d = 0; d < GM_MAX_DEV; d++)
		gmi_rangemap_destroy(&as->attrs[d]);
}
