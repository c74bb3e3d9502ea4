/*
 * api.c - what programs linked with libgmem call: hints, queries, opt-in allocation (gmem.h says
 * what each means).
 */
#include "core/entry/outside.h"
#include "core/entry/pin.h"
#include "core/entry/prefetch.h"
#include "core/page/activate.h"
#include "core/page/driver.h"
#include "core/page/premap.h"
#include "core/page/hint_mirror.h"
#include "core/page/mapping.h"
#include "core/page/migrate.h"
#include "core/page/plan.h"
#include "core/page/store.h"
#include "core/space/hint.h"
#include "core/space/range.h"
#include "core/space/vm.h"
#include "core/count/record.h"
#include "core/count/site.h"
#include "core/count/trace.h"
#include <errno.h>
#include <sys/mman.h>

static int do_home(struct gm_block *b, gm_bm set, void *arg)
{
	(void)arg;
	int err = gmc_migrate_home(b, gm_bm_and(set, b->prog_r), true);
	if (!err)
		gmc_hint_follow(b, set);
	return err;
}

static int do_pin(struct gm_block *b, gm_bm set, void *arg)
{
	(void)arg;
	return gmc_pin_pages(b, set, true);
}

static int do_unpin(struct gm_block *b, gm_bm set, void *arg)
{
	(void)arg;
	int err = gmc_pin_pages(b, set, false);
	return err ? err : gmc_hint_release(b, set);
}

static int do_discard(struct gm_block *b, gm_bm set, void *arg)
{
	(void)arg;
	int err = gmc_block_discard(b, set);
	return err ? err : gmc_premap_restore(b, set);
}

/* What is done at once. PREFETCH rounds outward, what drops contents inward. */
static const struct advice {
	int behavior;
	bool inward, create;
	bool takes; /* the CPU's rights, for a moment */
	int (*fn)(struct gm_block *, gm_bm, void *);
} advices[] = {
	{GM_MADV_PINNED, false, true, true, do_pin},
	{GM_MADV_UNPINNED, false, false, false, do_unpin},
	{GM_MADV_DISCARD, true, true, false, do_discard},
	{MADV_DONTNEED, true, true, false, do_discard},
};

/* What the table says is done at once; *known: it says something. */
static int advise_at_once(struct gm_as *as, uintptr_t lo, uintptr_t hi, int behavior, bool *known)
{
	const struct advice *a = advices;

	while (a < advices + GM_ARRAY_LEN(advices) && a->behavior != behavior)
		a++;
	*known = a < advices + GM_ARRAY_LEN(advices);
	if (!*known)
		return 0;
	if (a->inward) {
		lo = gm_align_up(lo, GM_PAGE_BYTES);
		hi = gm_align_down(hi, GM_PAGE_BYTES);
	}
	int err = a->takes && as->store.alias ? gmi_activate() : 0;
	return !err && lo < hi ? gmc_each_block(as, lo, hi, a->create, a->fn, NULL) : err;
}

/* dev NULL: home */
static int prefetch_to(struct gm_as *as, uintptr_t lo, uintptr_t hi, struct gm_dev *dev,
		       bool discard)
{
	bool known;
	int err = discard ? advise_at_once(as, lo, hi, GM_MADV_DISCARD, &known) : 0;

	if (err)
		return err;
	return dev ? gmc_prefetch(as, lo, hi, dev)
		   : gmc_each_block(as, lo, hi, false, do_home, NULL);
}

static int advise(int hnid, void *start, size_t len, int behavior)
{
	struct gm_as *as;
	uintptr_t lo = (uintptr_t)start, hi = lo + len;
	struct gm_dev *dev = hnid == -1 ? NULL : gmc_dev_by_hnid(hnid);
	int err;

	if (hnid < -1)
		return -EINVAL;
	if (hnid != -1 && !dev)
		return -ENODEV;
	err = gmc_check_range(start, len, &as);
	if (err == -EFAULT && !gm_as_of(start))
		return gmc_outside_advise(start, len, behavior, dev != NULL);
	if (err || !len)
		return err;
	if (behavior == MADV_PREFETCH || behavior == GM_MADV_DISCARD_PREFETCH)
		return prefetch_to(as, lo, hi, dev, behavior == GM_MADV_DISCARD_PREFETCH);
	bool known;
	err = advise_at_once(as, lo, hi, behavior, &known);
	if (known)
		return err;
	err = gmc_hint_set(as, gm_align_down(lo, GM_PAGE_BYTES), gm_align_up(hi, GM_PAGE_BYTES),
			   behavior, dev);
	if (!err && behavior == GM_MADV_ATOMIC_CPU) /* what is away comes home now */
		err = prefetch_to(as, lo, hi, NULL, false);
	return err == -ENOENT ? -EINVAL : err;
}

int hmadvise(int hnid, void *start, size_t len, int behavior)
{
	if (gmc_called_back(__func__))
		return -EDEADLK;
	uint8_t cause = gm_trace_cause(GM_CAUSE_ADVICE);
	int err = advise(hnid, start, len, behavior);
	if (!err)
		GM_RECORD(GM_RECORD_ADVICE, .addr = (uintptr_t)start, .a = len,
			  .b = (uint64_t)behavior, .site = hnid != -1);

	gm_trace_cause(cause);
	return err;
}

static int hnid_of(const struct gm_block *b, int d)
{
	return b->as->ctx[d]->dev->hnid;
}

static void describe_page(const struct gm_block *b, const struct gm_places *at,
			  const gm_bm *untouched, unsigned i, struct gm_page_info *info)
{
	*info = (struct gm_page_info){.hnid = -1};
	for (int w = 0; w < GM_STATES; w++)
		if (gm_bm_test(&at->in[w], i))
			info->where = (uint8_t)w;
	if (info->where == GM_HOST && gm_bm_test(untouched, i))
		info->where = GM_NOMAP;
	info->cpu = (uint8_t)(gm_bm_test(&b->cpu_r, i) * GM_PROT_READ |
			      gm_bm_test(&b->cpu_w, i) * GM_PROT_WRITE);
	if (gm_bm_test(&b->cpu_bus, i)) /* over the bus, with the program's rights */
		info->cpu = (uint8_t)(gm_bm_test(&b->prog_r, i) * GM_PROT_READ |
				      gm_bm_test(&b->prog_w, i) * GM_PROT_WRITE);
	info->pinned = gm_bm_test(&b->pinned, i);
	for (int d = 0; d < GM_MAX_DEV; d++) {
		const struct gm_block_dev *bd = b->dev[d];
		if (!bd || !(gm_bm_test(&bd->valid, i) || gm_bm_test(&bd->remote, i)))
			continue;
		info->hnid = (int16_t)hnid_of(b, d);
		info->device = (uint8_t)(gm_bm_test(&bd->map_r, i) * GM_PROT_READ |
					 gm_bm_test(&bd->map_w, i) * GM_PROT_WRITE);
		break;
	}
}

int gm_query(const void *start, size_t len, struct gm_page_info *info)
{
	if (gmc_called_back(__func__))
		return -EDEADLK;
	struct gm_as *as = gm_as_of(start);
	uintptr_t lo = (uintptr_t)start, hi = lo + len;

	if (!info || hi < lo || (lo | len) % GM_PAGE_BYTES || (as && hi > as->base + as->bytes))
		return -EINVAL;
	if (!as)
		return gmc_outside_describe(lo, hi, info);
	for (uintptr_t va = gm_align_down(lo, GM_BLOCK_BYTES); va < hi; va += GM_BLOCK_BYTES) {
		gm_sigmask mask = gmi_block_signals();
		struct gm_block *b = gmc_block_get(as, va);
		if (!b) {
			gmi_restore_signals(mask);
			return -ENOMEM;
		}
		gm_bm set = gm_block_pages(b, lo, hi);
		struct gm_places at;
		gmi_lock(&b->lock);
		gmc_places(b, &at);
		gm_bm anon = gm_bm_andnot(set, b->adopted), untouched = gm_bm_zero();
		gm_bm_for_each_run (&anon, first, end) {
			gm_bm run = gm_bm_range(first, end);
			gm_bm_add(&untouched, gm_bm_andnot(run, gmc_touched(b, first, end)));
		}
		for (unsigned i = gm_bm_next(&set, 0, true); i < GM_PAGES_PER_BLOCK;
		     i = gm_bm_next(&set, i + 1, true))
			describe_page(b, &at, &untouched, i,
				      &info[(va + i * GM_PAGE_BYTES - lo) >> GM_PAGE_SHIFT]);
		gmi_unlock(&b->lock);
		gmi_restore_signals(mask);
	}
	return 0;
}

/* What lies beside a space is not ours to change. */
static bool within(const struct gm_as *as, const void *addr, size_t len)
{
	uintptr_t at = (uintptr_t)addr - as->base;

	return at < as->bytes && len <= as->bytes - at;
}

void *gm_mmap(struct gm_as *as, void *addr, size_t len, int prot, int flags, int fd, off_t off)
{
	if (gmc_called_back(__func__)) {
		errno = EDEADLK;
		return MAP_FAILED;
	}
	void *p;
	const int placed = MAP_FIXED | MAP_FIXED_NOREPLACE;

	as = as ? as : gm_as_default();
	flags &= ~MAP_PEER_SHARED;
	unsigned site = gmc_site_of(__builtin_return_address(0));
	if (!as || !len || ((flags & placed) && !within(as, addr, len)) ||
	    (flags & (MAP_SHARED | MAP_ANONYMOUS | MAP_PRIVATE)) != (MAP_PRIVATE | MAP_ANONYMOUS))
		p = (void *)-EINVAL;
	else if (flags & placed)
		p = gmi_vm_map_fixed(as, addr, len, prot, flags, fd, (uint64_t)off, site);
	else
		p = gmi_vm_map(as, len, 0, prot, flags, GM_REGION_ANON, site);
	if (!gm_is_err(p))
		return p;
	errno = -gm_err(p);
	return MAP_FAILED;
}

int gm_munmap(void *addr, size_t len)
{
	if (gmc_called_back(__func__))
		return -EDEADLK;
	struct gm_as *as = gm_as_of(addr);

	return as && within(as, addr, len) ? gmi_vm_unmap(as, addr, len) : -EINVAL;
}

int gm_mprotect(void *addr, size_t len, int prot)
{
	if (gmc_called_back(__func__))
		return -EDEADLK;
	struct gm_as *as = gm_as_of(addr);

	return as && within(as, addr, len) ? gmi_vm_protect(as, addr, len, prot) : -EINVAL;
}

void *gm_mremap(void *old, size_t old_len, size_t new_len, int flags, void *new_addr)
{
	if (gmc_called_back(__func__)) {
		errno = EDEADLK;
		return MAP_FAILED;
	}
	struct gm_as *as = gm_as_of(old);
	bool inside = as && within(as, old, old_len) &&
		      (!(flags & MREMAP_FIXED) || within(as, new_addr, new_len));
	void *p = inside ? gmi_vm_remap(as, old, old_len, new_len, flags, new_addr)
			 : (void *)(intptr_t)-EINVAL;

	if (!gm_is_err(p))
		return p;
	errno = -gm_err(p);
	return MAP_FAILED;
}

const char *gm_version(void)
{
	return GMEM_VERSION;
}
