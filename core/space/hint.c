/*
 * hint.c - hints and attributes by range. See hint.h.
 */
#include "core/page/driver.h"
#include "core/space/hint.h"
#include "core/page/activate.h"
#include "core/page/hint_mirror.h"
#include "core/page/entries.h"
#include "core/space/range.h"
#include "core/space/vm_int.h"
#include <errno.h>

static bool is_none(const struct gm_range_value *v)
{
	return !(v->v[0] | v->v[1] | v->v[2]);
}

static bool same_hints(const struct gm_range_value *a, const struct gm_range_value *b)
{
	return a->v[0] == b->v[0] && a->v[1] == b->v[1] && a->v[2] == b->v[2];
}

/* ---- mirrors; region and block locked ---- */

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

/* The part of the block in [lo, hi) as the maps have it. */
static int refresh(struct gm_block *b, uintptr_t lo, uintptr_t hi)
{
	struct gm_range r;
	int err = 0;

	gmc_mirror_blank(b, gm_block_pages(b, lo, hi));
	for_each_in (&b->as->hints, lo, hi, &r)
		err = err ? err : gmc_mirror_note(b, gm_block_pages(b, r.start, r.end), &r.val);
	for (unsigned d = 0; d < GM_MAX_DEV; d++)
		for_each_in (&b->as->attrs[d], lo, hi, &r)
			err = err ? err
				  : gmc_mirror_note_attr(b, d, gm_block_pages(b, r.start, r.end),
							 r.val.v[0]);
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
	gmc_mirror_free(b);
	return false;
}

static int refresh_piece(const struct gm_vm_piece *p, void *arg)
{
	return refresh(p->b, p->lo, p->hi);
}

/* Region locked: every block of [lo, hi) follows the maps. */
static int refresh_all(struct gm_as *as, uintptr_t lo, uintptr_t hi)
{
	return gmc_vm_each_block(as, lo, hi, refresh_piece, NULL);
}

/* ---- hints ---- */

static void say_read_mostly(struct gm_range_value *v, int d)
{
	v->v[GM_SAID_FLAGS] |= GM_SAID_READ_MOSTLY;
}
static void unsay_read_mostly(struct gm_range_value *v, int d)
{
	v->v[GM_SAID_FLAGS] &= ~(uint64_t)GM_SAID_READ_MOSTLY;
}
static void prefer(struct gm_range_value *v, int d)
{
	v->v[GM_SAID_PREFERRED] = d < 0 ? GM_SAID_HOST : GM_SAID_DEVICE(d);
}
static void prefer_of_host(struct gm_range_value *v, int d)
{
	prefer(v, d);
	v->v[GM_SAID_PREFERRED] |= d < 0 ? 0 : GM_SAID_SYSTEM;
}
static void prefer_nothing(struct gm_range_value *v, int d)
{
	v->v[GM_SAID_PREFERRED] = 0;
}
static void accessed_by(struct gm_range_value *v, int d)
{
	v->v[GM_SAID_ACCESSED_BY] |= GM_SAID_BY(d);
}
static void not_accessed_by(struct gm_range_value *v, int d)
{
	v->v[GM_SAID_ACCESSED_BY] &= ~GM_SAID_BY(d);
}
static void say_atomic(struct gm_range_value *v, enum gm_atomic a)
{
	v->v[GM_SAID_FLAGS] = (v->v[GM_SAID_FLAGS] & GM_SAID_READ_MOSTLY) | GM_SAID_ATOMIC(a);
}
static void atomic_none(struct gm_range_value *v, int d)
{
	say_atomic(v, GM_ATOMIC_NONE);
}
static void atomic_device(struct gm_range_value *v, int d)
{
	say_atomic(v, GM_ATOMIC_DEVICE);
}
static void atomic_global(struct gm_range_value *v, int d)
{
	say_atomic(v, GM_ATOMIC_GLOBAL);
}
static void atomic_cpu(struct gm_range_value *v, int d)
{
	say_atomic(v, GM_ATOMIC_CPU);
}
static void forget_named(struct gm_range_value *v, int d)
{
	if ((v->v[GM_SAID_PREFERRED] & ~GM_SAID_SYSTEM) == GM_SAID_DEVICE(d))
		v->v[GM_SAID_PREFERRED] = 0;
	not_accessed_by(v, d);
}

static const struct hint {
	int behavior;
	enum { NOBODY, SOMEBODY } names;
	void (*change)(struct gm_range_value *v, int d);
} kept[] = {
	{GM_MADV_READ_MOSTLY, NOBODY, say_read_mostly},
	{GM_MADV_UNSET_READ_MOSTLY, NOBODY, unsay_read_mostly},
	{GM_MADV_PREFERRED_LOCATION, SOMEBODY, prefer},
	{GM_MADV_PREFERRED_LOCATION_SYSTEM, SOMEBODY, prefer_of_host},
	{GM_MADV_UNSET_PREFERRED_LOCATION, NOBODY, prefer_nothing},
	{GM_MADV_ACCESSED_BY, SOMEBODY, accessed_by},
	{GM_MADV_UNSET_ACCESSED_BY, SOMEBODY, not_accessed_by},
	{GM_MADV_ATOMIC_DEVICE, NOBODY, atomic_device},
	{GM_MADV_ATOMIC_GLOBAL, NOBODY, atomic_global},
	{GM_MADV_ATOMIC_CPU, NOBODY, atomic_cpu},
	{GM_MADV_UNSET_ATOMIC, NOBODY, atomic_none},
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
		if (same_hints(&v, &was))
			continue;
		err = is_none(&v) ? gmi_rangemap_clear(&as->hints, at, end)
				  : gmi_rangemap_assign(&as->hints, at, end, &v);
	}
	return err;
}

static int refresh_and_release(const struct gm_vm_piece *p, void *arg)
{
	int err = refresh(p->b, p->lo, p->hi);

	return err ? err : gmc_hint_release(p->b, p->set);
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
	int mirrored = attached ? gmc_vm_each_block(as, lo, hi, refresh_and_release, NULL) : 0;
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
		info->read_mostly = r.val.v[GM_SAID_FLAGS] & GM_SAID_READ_MOSTLY;
		info->atomic = (uint8_t)gm_said_atomic(&r.val);
		info->accessed_by_cpu = (r.val.v[GM_SAID_ACCESSED_BY] & GM_SAID_BY(-1)) != 0;
		uint64_t preferred = r.val.v[GM_SAID_PREFERRED] & ~GM_SAID_SYSTEM;
		info->has_preferred =
			(preferred != 0) + ((r.val.v[GM_SAID_PREFERRED] & GM_SAID_SYSTEM) != 0);
		if (preferred > GM_SAID_HOST)
			info->preferred = as->ctx[preferred - GM_SAID_DEVICE(0)]->dev->hnid;
		for (unsigned d = 0; d < GM_MAX_DEV; d++)
			if (r.val.v[GM_SAID_ACCESSED_BY] & GM_SAID_BY((int)d))
				info->accessed_hnid[info->accessed_by++] = as->ctx[d]->dev->hnid;
	}
	gmc_vm_leave(as, mask);
	return 0;
}

/* ---- attributes ---- */

/*
 * The mirror of a piece follows the maps, and entries that the device has carry the new attributes
 * from now on. They go before that: which ones there are depends on the attributes (entries.c).
 */
static int change_attrs(const struct gm_vm_piece *p, void *arg)
{
	struct gm_ctx *ctx = arg;
	struct gm_block *b = p->b;
	struct gm_block_dev *bd = b->dev[ctx->dev->index];
	gm_bm mapped = bd ? gm_bm_and(p->set, bd->map_r) : gm_bm_zero(), at[3], w;

	if (gm_bm_empty(mapped))
		return refresh(b, p->lo, p->hi);
	w = bd->map_w;
	at[GM_MEM_HOST] = gm_bm_and(mapped, bd->remote);
	at[GM_MEM_PEER] = gm_bm_and(mapped, bd->peer);
	at[GM_MEM_DEVICE] = gm_bm_andnot(mapped, gm_bm_or(bd->remote, bd->peer));
	int err = gmc_dev_unmap(b, ctx, mapped);
	int mirrored = refresh(b, p->lo, p->hi);
	err = err ? err : mirrored;
	for (unsigned mem = 0; mem < GM_ARRAY_LEN(at) && !err; mem++)
		if (!gm_bm_empty(at[mem]))
			err = gmc_dev_map(b, ctx, at[mem], w, (enum gm_mem)mem);
	return err;
}

/* Region locked. */
static int set_attr(struct gm_as *as, struct gm_ctx *ctx, uintptr_t lo, uintptr_t hi, uint64_t attr)
{
	struct gm_rangemap *map = &as->attrs[ctx->dev->index];
	struct gm_range_value v = {{attr}};

	if (!gmi_rangemap_covers(&as->regions, lo, hi))
		return -EFAULT;
	int err = attr ? gmi_rangemap_assign(map, lo, hi, &v) : gmi_rangemap_clear(map, lo, hi);
	return err ? err : gmc_vm_each_block(as, lo, hi, change_attrs, ctx);
}

int gm_set_attr(struct gm_as *as, struct gm_dev *dev, void *addr, size_t len, uint64_t attr)
{
	if (gmc_called_back(__func__))
		return -EDEADLK;
	uintptr_t lo = (uintptr_t)addr, hi = lo + len;
	int err = 0;

	if (!as || !dev || (lo | len) % GM_PAGE_BYTES || hi < lo)
		return -EINVAL;
	if (lo < as->base || hi > as->base + as->bytes)
		return -EFAULT;
	gm_sigmask mask = gmc_vm_enter(as);
	struct gm_ctx *ctx = as->ctx[dev->index];
	if (!ctx || ctx->dev != dev)
		err = -EINVAL;
	else if (len)
		err = set_attr(as, ctx, lo, hi, attr);
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
	refresh_all(as, lo, hi);
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
	refresh_all(as, to, to + len);
}

static void forget_in_maps(struct gm_as *as, unsigned d)
{
	change_all(as, as->base, as->base + as->bytes, forget_named, (int)d);
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
