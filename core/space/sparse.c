/*
 * sparse.c - sparse ranges: tables from device pages of addresses to pages of buffer objects.
 * The table is the truth, the device's entries are a cache of it, as everywhere. See sparse.h.
 */
#include "core/page/driver.h"
#include "core/space/sparse.h"
#include "core/page/entries.h"
#include "core/space/vm.h"
#include "core/space/vm_int.h"
#include "core/sys/inject.h"
#include <errno.h>
#include <sys/mman.h>

struct slot {
	struct gm_bo *bo; /* NULL: nothing is bound */
	uint64_t attr;
	uint32_t page; /* of bo */
	uint8_t prot;
};
/* A piece of the table, 3 KiB, there while anything of it is bound. */
#define PART_PAGES 127
struct part {
	uint64_t used;
	struct slot slot[PART_PAGES];
};
/* On its way to the driver. */
struct change {
	uint64_t first, n;
	struct slot to; /* of the first page; the others follow in the object */
};
/* changes that the device is told at a time: while a kernel runs, each time waits for it */
#define BATCH 256
struct gm_sparse {
	struct gm_sparse *next, *dev_next; /* of the space; of the device (purge.c) */
	struct gm_as *as;
	struct gm_dev *dev;
	uintptr_t va;
	uint64_t npages; /* of the device */
	uint64_t nparts; /* that are there */
	struct part **part;
	unsigned n; /* changes that are not yet told */
	struct change change[BATCH];
	struct gm_op op[BATCH];
};

/* The largest size of entries that a page is a multiple of. */
static uint32_t entry_bytes(const struct gm_dev *dev)
{
	unsigned fit = dev->orders & ((2u << dev->page_order) - 1);

	return (uint32_t)GM_PAGE_BYTES << (31 - __builtin_clz(fit));
}
static size_t bytes_of(const struct gm_sparse *s)
{
	return s->npages * gm_dev_page_bytes(s->dev);
}
static size_t parts_bytes(uint64_t npages)
{
	return (npages / PART_PAGES + 1) * sizeof(struct part *);
}
static struct slot slot_at(const struct gm_sparse *s, uint64_t page)
{
	const struct part *p = s->part[page / PART_PAGES];

	return p ? p->slot[page % PART_PAGES] : (struct slot){0};
}

/* NULL in a fork child, which has another device or none. */
static struct gm_ctx *ctx_of(const struct gm_sparse *s)
{
	struct gm_ctx *ctx = s->as->ctx[s->dev->index];

	return ctx && ctx->dev == s->dev ? ctx : NULL;
}

/* ---- changes on their way to the driver; sparse lock held ---- */

static struct gm_op op_of(const struct gm_sparse *s, const struct change *c, bool replace)
{
	const size_t page = gm_dev_page_bytes(s->dev);
	struct gm_op op = {.kind = GM_OP_UNMAP, .va = s->va + c->first * page, .len = c->n * page};

	if (c->to.bo) {
		op.kind = GM_OP_MAP;
		op.entry_bytes = entry_bytes(s->dev);
		op.prot = c->to.prot;
		op.flags = replace ? GM_OP_REPLACE : 0;
		op.mem = c->to.bo->as ? GM_MEM_HOST : GM_MEM_DEVICE;
		op.host = gmc_bo_host(c->to.bo, c->to.page * page);
		op.pa = c->to.bo->as ? gmc_bo_offset(c->to.bo) + c->to.page * page
				     : gmc_bo_pa(c->to.bo, c->to.page);
		op.attr = c->to.attr;
	}
	return op;
}

/* Pages [first, first + n) have their parts of the table. */
static int make_parts(struct gm_sparse *s, uint64_t first, uint64_t n)
{
	for (uint64_t i = first / PART_PAGES; i <= (first + n - 1) / PART_PAGES; i++) {
		if (s->part[i])
			continue;
		s->part[i] = gmi_alloc(sizeof *s->part[i]);
		if (!s->part[i])
			return -ENOMEM;
		s->nparts++;
	}
	return 0;
}

/* One page, whose part is there. */
static void note_page(struct gm_sparse *s, uint64_t page, struct slot to)
{
	struct part *p = s->part[page / PART_PAGES];
	struct slot *slot = &p->slot[page % PART_PAGES];

	if (slot->bo)
		atomic_fetch_sub_explicit(&slot->bo->bound, 1, memory_order_release);
	if (to.bo)
		atomic_fetch_add_explicit(&to.bo->bound, 1, memory_order_relaxed);
	p->used += (to.bo != NULL) - (uint64_t)(slot->bo != NULL);
	*slot = to;
}

/* Nothing is on its way: parts of [first, first + n) that hold nothing go. */
static void free_parts(struct gm_sparse *s, uint64_t first, uint64_t n)
{
	for (uint64_t i = first / PART_PAGES; i <= (first + n - 1) / PART_PAGES && s->nparts; i++) {
		if (!s->part[i] || s->part[i]->used)
			continue;
		gmi_free(s->part[i], sizeof *s->part[i]);
		s->part[i] = NULL;
		s->nparts--;
	}
}

/* The device has done so: the table says it too. */
static void note_bound(struct gm_sparse *s, const struct change *c, bool bound)
{
	struct slot to = bound ? c->to : (struct slot){0};

	for (uint64_t i = 0, next; i < c->n && (to.bo || s->nparts); i = next) {
		next = i + 1;
		if (s->part[(c->first + i) / PART_PAGES])
			note_page(s, c->first + i, to);
		else /* nothing was bound in all of it */
			next = i + PART_PAGES - (c->first + i) % PART_PAGES;
		to.page += to.bo ? 1 : 0;
	}
}

/* What the device did of these changes is not known: it shall have none of the pages. */
static void withdraw(struct gm_sparse *s, struct gm_ctx *ctx, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		s->op[i] =
			op_of(s, &(struct change){.first = s->change[i].first, .n = s->change[i].n},
			      true);
	bool gone = !gm_inject(GM_INJ_UNMAP) && !gmc_ops_send(ctx, s->op, n);
	for (unsigned i = 0; i < n; i++) {
		const struct change *c = &s->change[i];
		if (gone)
			note_bound(s, c, false);
		else if (c->to.bo)
			/* it may reach the old pages and the new: neither are ever given back */
			atomic_fetch_add_explicit(&c->to.bo->bound, c->n, memory_order_relaxed);
		if (!gone && c->to.bo)
			atomic_fetch_add(&c->to.bo->users, 1); /* nor taken */
	}
	if (!gone)
		gm_log(GM_LOG_ERROR,
		       "device %u neither binds nor unbinds: buffer objects stay in use",
		       s->dev->index);
}

static int changes_send(struct gm_sparse *s, struct gm_ctx *ctx)
{
	unsigned n = s->n;

	s->n = 0;
	if (!n)
		return 0;
	bool refused = gm_inject(s->change[0].to.bo ? GM_INJ_MAP : GM_INJ_UNMAP);
	int err = refused ? -EIO : gmc_ops_send(ctx, s->op, n);
	if (err)
		withdraw(s, ctx, n);
	for (unsigned i = 0; i < n && !err; i++)
		note_bound(s, &s->change[i], true);
	for (unsigned i = 0; i < n; i++)
		free_parts(s, s->change[i].first, s->change[i].n);
	return err;
}

static int change_add(struct gm_sparse *s, struct gm_ctx *ctx, const struct change *c)
{
	int err = s->n == BATCH ? changes_send(s, ctx) : 0;

	if (!err && c->to.bo)
		err = make_parts(s, c->first, c->n);
	if (err)
		return err;
	s->change[s->n] = *c;
	s->op[s->n++] = op_of(s, c, true);
	return 0;
}

static int bind_one(struct gm_sparse *s, struct gm_ctx *ctx, const struct gm_bind *b)
{
	const size_t page = gm_dev_page_bytes(s->dev);
	uint64_t first = b->offset / page, n = b->bytes / page, at = b->bo_offset / page, k;
	int err = 0;

	for (uint64_t i = 0; i < n && !err; i += k) {
		k = b->bo ? gmc_bo_run(b->bo, at + i, n - i) : n - i;
		struct change c = {.first = first + i, .n = k};
		if (b->bo)
			c.to = (struct slot){b->bo, b->attr, (uint32_t)(at + i), (uint8_t)b->prot};
		err = change_add(s, ctx, &c);
	}
	return err;
}

/* ---- the calls ---- */

static bool part_fits(uint64_t offset, uint64_t bytes, uint64_t size, size_t page)
{
	return (offset | bytes) % page == 0 && offset <= size && bytes <= size - offset;
}

static bool bind_ok(const struct gm_sparse *s, const struct gm_bind *b)
{
	const size_t page = gm_dev_page_bytes(s->dev);

	if (!part_fits(b->offset, b->bytes, bytes_of(s), page))
		return false;
	if (!b->bo)
		return b->prot == 0;
	return (b->bo->dev ? b->bo->dev == s->dev : b->bo->as == s->as) &&
	       (!b->bo->as || gmc_bo_alive(b->bo)) &&
	       part_fits(b->bo_offset, b->bytes, b->bo->bytes, page) && b->prot & GM_PROT_READ &&
	       !(b->prot & ~b->bo->prot);
}

/* Sparse lock held: who takes an object's frames comes by it. */
static int usable(const struct gm_bind *bind, size_t n)
{
	int err = 0;

	for (size_t i = 0; i < n && !err; i++)
		err = bind[i].bo ? gmc_bo_usable(bind[i].bo) : 0;
	return err;
}

int gm_sparse_bind(struct gm_sparse *s, const struct gm_bind *bind, size_t n)
{
	if (gmc_called_back(__func__))
		return -EDEADLK;
	if (!s || (n && !bind))
		return -EINVAL;
	for (size_t i = 0; i < n; i++)
		if (!bind_ok(s, &bind[i]))
			return -EINVAL;
	gm_sigmask mask = gm_lock_masked(&s->as->sparse_lock);
	struct gm_ctx *ctx = ctx_of(s);
	int err = ctx ? usable(bind, n) : -ENODEV;
	for (size_t i = 0; i < n && !err; i++)
		err = bind_one(s, ctx, &bind[i]);
	if (!err)
		err = changes_send(s, ctx);
	gm_unlock_masked(&s->as->sparse_lock, mask);
	return err;
}

int gm_sparse_query(struct gm_sparse *s, uint64_t offset, struct gm_bind *bind)
{
	if (gmc_called_back(__func__))
		return -EDEADLK;
	if (!s || !bind || offset >= bytes_of(s))
		return -EINVAL;
	const size_t page = gm_dev_page_bytes(s->dev);
	gm_sigmask mask = gm_lock_masked(&s->as->sparse_lock);
	const struct slot slot = slot_at(s, offset / page);
	*bind = (struct gm_bind){.offset = offset / page * page,
				 .bytes = page,
				 .bo = slot.bo,
				 .bo_offset = slot.page * page,
				 .prot = slot.prot,
				 .attr = slot.attr};
	gm_unlock_masked(&s->as->sparse_lock, mask);
	return 0;
}

void *gm_sparse_addr(const struct gm_sparse *s)
{
	return s ? (void *)s->va : NULL;
}

int gmc_sparse_fault(struct gm_as *as, uint64_t va, struct gm_dev *dev, bool write)
{
	gm_sigmask mask = gm_lock_masked(&as->sparse_lock);
	int err = -ENOENT;

	for (struct gm_sparse *s = as->sparse; s && err == -ENOENT; s = s->next) {
		if (va - s->va >= bytes_of(s))
			continue;
		uint64_t page = (va - s->va) / gm_dev_page_bytes(s->dev);
		struct change c = {.first = page, .n = 1, .to = slot_at(s, page)};
		struct gm_ctx *ctx = ctx_of(s);
		bool lost = c.to.bo && atomic_load(&c.to.bo->need) == GM_BO_LOST;
		err = !c.to.bo || lost || s->dev != dev || !ctx ? -EFAULT : 0;
		if (!err && write && !(c.to.prot & GM_PROT_WRITE))
			err = -EPERM;
		struct gm_op op = op_of(s, &c, false);
		if (!err)
			err = gmc_ops_send(ctx, &op, 1);
	}
	gm_unlock_masked(&as->sparse_lock, mask);
	return err;
}

/* ---- for whoever takes an object's frames (purge.c) ---- */

/* The pages from `page` on that have the object's bound, in the same part of the table. */
static uint64_t bound_run(const struct gm_sparse *s, uint64_t page, const struct gm_bo *bo)
{
	const struct part *p = s->part[page / PART_PAGES];
	uint64_t n = 0, i = page % PART_PAGES;

	while (p && i + n < PART_PAGES && p->slot[i + n].bo == bo)
		n++;
	return n;
}

static int hide_in(struct gm_sparse *s, const struct gm_bo *bo)
{
	struct gm_ctx *ctx = ctx_of(s);
	int err = gm_inject(GM_INJ_UNMAP) ? -EIO : 0;
	unsigned nops = 0;

	for (uint64_t page = 0, n; ctx && page < s->npages && !err; page += n) {
		n = PART_PAGES - page % PART_PAGES;
		if (!s->part[page / PART_PAGES])
			continue;
		n = bound_run(s, page, bo);
		if (n)
			s->op[nops++] = op_of(s, &(struct change){.first = page, .n = n}, true);
		n = gm_max(n, (uint64_t)1);
		if (nops < BATCH)
			continue;
		err = gmc_ops_send(ctx, s->op, nops);
		nops = 0;
	}
	return err || !nops ? err : gmc_ops_send(ctx, s->op, nops);
}

int gmc_sparse_hide(struct gm_dev *dev, const struct gm_bo *bo)
{
	int err = 0;

	for (struct gm_sparse *s = dev->ranges; s && !err; s = s->dev_next) {
		if (!gmi_trylock(&s->as->sparse_lock))
			return -EAGAIN;
		err = atomic_load(&bo->bound) ? hide_in(s, bo) : 0;
		gmi_unlock(&s->as->sparse_lock);
	}
	return err;
}

/* ---- making and giving back ---- */

/* Registry lock held, in both. */
static void link_in(struct gm_sparse *s)
{
	struct gm_ctx *ctx = ctx_of(s);

	if (ctx)
		ctx->nsparse++;
	gmi_lock(&s->as->sparse_lock);
	s->next = s->as->sparse;
	__atomic_store_n(&s->as->sparse, s, __ATOMIC_RELEASE);
	gmi_unlock(&s->as->sparse_lock);
	if (!ctx)
		return;
	gmi_lock(&s->dev->purge_lock);
	s->dev_next = s->dev->ranges;
	s->dev->ranges = s;
	gmi_unlock(&s->dev->purge_lock);
}

static void unlink_from(struct gm_sparse *s)
{
	struct gm_sparse **at = &s->as->sparse;
	struct gm_ctx *ctx = ctx_of(s);

	if (ctx) {
		ctx->nsparse--;
		gmi_lock(&s->dev->purge_lock);
		struct gm_sparse **link = &s->dev->ranges;
		while (*link != s)
			link = &(*link)->dev_next;
		*link = s->dev_next;
		gmi_unlock(&s->dev->purge_lock);
	}
	gmi_lock(&s->as->sparse_lock);
	while (*at != s)
		at = &(*at)->next;
	__atomic_store_n(at, s->next, __ATOMIC_RELEASE);
	gmi_unlock(&s->as->sparse_lock);
}

/* Addresses and table. */
static int reserve_addresses(struct gm_sparse *s)
{
	struct part **table = gmi_alloc(parts_bytes(s->npages));

	if (!table)
		return -ENOMEM;
	void *p = gmi_vm_map(s->as, bytes_of(s), GM_BLOCK_BYTES, PROT_NONE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, GM_REGION_SPARSE, 0);
	if (gm_is_err(p)) {
		gmi_free(table, parts_bytes(s->npages));
		return gm_err(p);
	}
	s->part = table;
	s->va = (uintptr_t)p;
	return 0;
}

/* In the kernel, too; the device has no entry there any more. */
static int give_addresses_back(struct gm_sparse *s)
{
	gm_sigmask mask = gmc_vm_enter(s->as);
	int err = gmc_vm_replace(s->as, s->va, s->va + bytes_of(s), &gmc_vm_nothing);

	gmc_vm_leave(s->as, mask);
	for (uint64_t i = 0; !err && s->nparts; i++) /* in a fork child they are still there */
		if (s->part[i]) {
			gmi_free(s->part[i], sizeof *s->part[i]);
			s->nparts--;
		}
	if (!err)
		gmi_free(s->part, parts_bytes(s->npages));
	return err;
}

int gm_sparse_create(struct gm_as *as, struct gm_dev *dev, size_t bytes, struct gm_sparse **out)
{
	if (gmc_called_back(__func__))
		return -EDEADLK;
	if (!as || !dev || !out || !bytes || bytes % gm_dev_page_bytes(dev))
		return -EINVAL;
	struct gm_sparse *s = gmi_alloc(sizeof *s);
	if (!s)
		return -ENOMEM;
	s->as = as;
	s->dev = dev;
	s->npages = bytes / gm_dev_page_bytes(dev);
	gm_sigmask mask = gmc_registry_enter();
	/* it stays attached meanwhile */
	int err = !ctx_of(s) ? -EINVAL : bytes > as->bytes ? -ENOMEM : reserve_addresses(s);
	if (!err)
		link_in(s);
	gmc_registry_leave(mask);
	if (err)
		gmi_free(s, sizeof *s);
	else
		*out = s;
	return err;
}

int gm_sparse_destroy(struct gm_sparse *s)
{
	if (gmc_called_back(__func__))
		return -EDEADLK;
	struct gm_bind nothing = {0};

	if (!s)
		return -EINVAL;
	nothing.bytes = bytes_of(s);
	int err = gm_sparse_bind(s, &nothing, 1);
	if (err && err != -ENODEV)
		return err;
	gm_sigmask mask = gmc_registry_enter();

	unlink_from(s); /* faults look at the table no longer */
	err = give_addresses_back(s);
	if (err)
		link_in(s);
	gmc_registry_leave(mask);
	if (!err)
		gmi_free(s, sizeof *s);
	return err;
}
