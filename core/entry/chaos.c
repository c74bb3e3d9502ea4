/* Which page is taken away next, and its change of place. See chaos.h. */
#include "core/entry/chaos.h"
#include "core/page/activate.h"
#include "core/page/holders.h"
#include "core/page/migrate.h"
#include "core/space/range.h"
#include "core/space/vm_int.h"
#include <errno.h>

#define TRIES		 4 /* blocks that are looked at for a used page */
#define UNTOUCHED_ONE_IN 32

uint64_t gmi_chaos_random(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

static uint64_t random_below(uint64_t *random, uint64_t n)
{
	return gmi_chaos_random(random) % n;
}

/* With more regions than room, every step-th of them, from a random one on. */
void gmi_chaos_look(struct gm_as *as, struct gm_chaos_map *map, uint64_t *random)
{
	uintptr_t at = as->base;
	struct gm_range r;

	map->n = 0;
	map->bytes = 0;
	gm_sigmask mask = gmc_vm_enter(as);
	uint64_t step = as->regions.count / GM_CHAOS_REGIONS + 1, skip = random_below(random, step);
	for (; map->n < GM_CHAOS_REGIONS && gmi_rangemap_next(&as->regions, at, &r); at = r.end) {
		if (!gm_vm_managed(&r.val) || !(gm_vm_rights(gm_vm_prot(&r.val)) & PROT_READ))
			continue;
		if (skip--)
			continue;
		skip = step - 1;
		map->r[map->n++] =
			(struct gm_chaos_region){r.start, r.end, gm_vm_prot(&r.val) & PROT_WRITE};
		map->bytes += r.end - r.start;
	}
	gmc_vm_leave(as, mask);
}

static const struct gm_chaos_region *random_region(const struct gm_chaos_map *map, uint64_t *random,
						   uintptr_t *va)
{
	const struct gm_chaos_region *r = &map->r[random_below(random, map->n)];

	if (random_below(random, 2)) {
		*va = r->lo + random_below(random, r->hi - r->lo);
		return r;
	}
	uint64_t at = random_below(random, map->bytes);
	for (r = map->r; at >= r->hi - r->lo; r++)
		at -= r->hi - r->lo;
	*va = r->lo + at;
	return r;
}

/*
 * Pages first..end of the block at va that somebody has used: what lies in the store or on a
 * device by the block's bits (read without its lock: a guess is enough), the kernel's own memory
 * by its page tables.
 */
static gm_bm used_pages(struct gm_as *as, uintptr_t va, unsigned first, unsigned end)
{
	const struct gm_block *b = gm_block_find(as, va);
	unsigned char present[GM_PAGES_PER_BLOCK];
	gm_bm set = gm_bm_zero();

	if (!gm_sys3(SYS_mincore, va + (uintptr_t)first * GM_PAGE_BYTES,
		     (size_t)(end - first) * GM_PAGE_BYTES, present))
		for (unsigned i = first; i < end; i++)
			if (present[i - first] & 1)
				gm_bm_add(&set, gm_bm_page(i));
	if (!b)
		return set;
	gm_bm ours = gm_bm_or(gmc_on_devices(b), gm_bm_and(b->adopted, b->host));
	return gm_bm_and(gm_bm_or(gm_bm_andnot(set, b->adopted), ours), gm_bm_range(first, end));
}

static unsigned page_index(uintptr_t base, uintptr_t va)
{
	return va <= base ? 0
			  : (unsigned)gm_min((uint64_t)(va - base) >> GM_PAGE_SHIFT,
					     (uint64_t)GM_PAGES_PER_BLOCK);
}

bool gmi_chaos_pick(struct gm_as *as, const struct gm_chaos_map *map, uint64_t *random,
		    struct gm_chaos_page *page)
{
	for (int i = 0; map->n && i < TRIES; i++) {
		uintptr_t va;
		const struct gm_chaos_region *r = random_region(map, random, &va);
		page->va = gm_align_down(va, GM_PAGE_BYTES);
		page->writable = r->writable;
		if (!random_below(random, UNTOUCHED_ONE_IN))
			return true;
		uintptr_t base = gm_align_down(va, GM_BLOCK_BYTES);
		gm_bm set = used_pages(as, base, page_index(base, r->lo), page_index(base, r->hi));
		unsigned n = gm_bm_count(set);
		if (!n)
			continue;
		unsigned at = gm_bm_next(&set, 0, true);
		for (uint64_t k = random_below(random, n); k; k--)
			at = gm_bm_next(&set, at + 1, true);
		page->va = base + (uintptr_t)at * GM_PAGE_BYTES;
		return true;
	}
	return false;
}

/* Block locked; all of one device page, as far as the program may use it. */
static int chaos_place(struct gm_block *b, struct gm_ctx *ctx, unsigned i, enum gm_where where)
{
	struct gm_block_dev *bd = gmc_block_dev_get(b, ctx);

	if (!bd)
		return -ENOMEM;
	if (!gm_bm_test(&b->managed, i) || !gm_bm_test(&b->prog_r, i))
		return -EFAULT;
	bool write = where != GM_DUP && gm_bm_test(&b->prog_w, i);
	unsigned first = i & ~((1u << bd->order) - 1);
	gm_bm set = gm_bm_and(gm_bm_page_of_order(first, bd->order), write ? b->prog_w : b->prog_r);
	if (where == GM_REMOTE)
		return gmc_map_remote(b, ctx, set, write);
	gm_bm hint = b->read_mostly;
	b->read_mostly = where == GM_DUP ? gm_bm_or(hint, set) : gm_bm_andnot(hint, set);
	int err = gmc_migrate_asked(b, ctx, set, write);
	b->read_mostly = hint;
	return err;
}

int gmi_chaos_place(struct gm_as *as, struct gm_dev *dev, uintptr_t va, enum gm_where where)
{
	struct gm_ctx *ctx = as->ctx[dev->index];
	int err = ctx ? gmi_activate() : -EINVAL;

	if (err)
		return err;
	gm_sigmask mask = gmi_block_signals();
	struct gm_block *b = gmc_block_get(as, va);
	err = -ENOMEM;
	if (b) {
		gmi_lock(&b->lock);
		err = chaos_place(b, ctx, (va - b->va) >> GM_PAGE_SHIFT, where);
		gmi_unlock(&b->lock);
	}
	gmi_restore_signals(mask);
	return err;
}
