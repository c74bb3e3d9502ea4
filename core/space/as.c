/*
 * as.c - address spaces, devices, and their attachment (the RFC's gm_as_* and gm_dev_*).
 */
#include "core/page/driver.h"
#include "core/space/setup.h"
#include "core/space/as.h"
#include "core/care/background.h"
#include "core/entry/cpu.h"
#include "core/page/cpu_mmu.h"
#include "core/page/frames.h"
#include "core/space/hint.h"
#include "core/page/migrate.h"
#include "core/care/thrash.h"
#include "core/space/vm.h"
#include <errno.h>
#include <sys/mman.h>

struct gm_lock gmc_registry_lock = GM_LOCK_INIT(GM_RANK_REGISTRY);
struct gm_as *_Atomic gmc_spaces[GM_MAX_AS];
struct gm_dev *gmc_devs[GM_MAX_DEV];
static _Atomic unsigned nslots; /* slots ever used: what a lookup must look at */
static struct gm_as *default_as;
static int next_hnid = 1024; /* above any NUMA node id of a host */

struct gm_as *gmc_as_find(uintptr_t va)
{
	unsigned n = atomic_load_explicit(&nslots, memory_order_relaxed);
	for (unsigned i = 0; i < n; i++) {
		struct gm_as *as = atomic_load_explicit(&gmc_spaces[i], memory_order_acquire);
		if (as && va - as->base < as->bytes)
			return as;
	}
	return NULL;
}

struct gm_as *gm_as_of(const void *addr)
{
	return gmc_as_find((uintptr_t)addr);
}

/* The window [base, base + bytes) is reserved already; makes the space around it. Registry lock
 * held. */
static int as_make(uintptr_t base, size_t bytes, struct gm_as **out)
{
	size_t table_bytes = (bytes >> GM_BLOCK_SHIFT) * sizeof(struct gm_block *);
	unsigned slot = 0;

	while (slot < GM_MAX_AS && gmc_spaces[slot])
		slot++;
	if (slot == GM_MAX_AS)
		return -ENOSPC;
	struct gm_as *as = gmi_alloc(sizeof *as);
	if (!as)
		return -ENOMEM;
	as->table = gm_sys_mmap(NULL, table_bytes, PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (gm_is_err(as->table)) {
		int err = gm_err(as->table);
		gmi_free(as, sizeof *as);
		return err;
	}
	as->base = base;
	as->bytes = bytes;
	as->slot = slot;
	gm_lock_rank(&as->region_lock, GM_RANK_REGION);
	gm_lock_rank(&as->sparse_lock, GM_RANK_BLOCK);
	as->store.fd = -1;
	gmi_rangemap_init(&as->regions, base, base + bytes);
	gmi_rangemap_init(&as->hints, base, base + bytes);
	for (int d = 0; d < GM_MAX_DEV; d++)
		gmi_rangemap_init(&as->attrs[d], base, base + bytes);
	atomic_store_explicit(&gmc_spaces[slot], as, memory_order_release);
	if (slot >= nslots)
		nslots = slot + 1;
	*out = as;
	return 0;
}

int gm_as_create(uint64_t begin, uint64_t end, struct gm_as **out)
{
	if (gmc_called_back(__func__))
		return -EDEADLK;
	if (!out || end <= begin || (begin | end) % GM_BLOCK_BYTES)
		return -EINVAL;
	size_t bytes = end - begin, span = begin ? bytes : bytes + GM_BLOCK_BYTES;
	int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | (begin ? MAP_FIXED_NOREPLACE : 0);
	gm_sigmask mask = gmi_block_signals();
	gmi_lock(&gmc_registry_lock);
	char *p = gm_sys_mmap((void *)begin, span, PROT_NONE, flags, -1, 0);
	int err = gm_is_err(p) ? gm_err(p) : 0;
	if (!err) {
		uintptr_t base = gm_align_up((uintptr_t)p, GM_BLOCK_BYTES);
		if (base > (uintptr_t)p)
			gm_sys_munmap(p, base - (uintptr_t)p);
		if ((uintptr_t)p + span > base + bytes)
			gm_sys_munmap((void *)(base + bytes), (uintptr_t)p + span - base - bytes);
		err = as_make(base, bytes, out);
		if (err)
			gm_sys_munmap((void *)base, bytes);
	}
	gmi_unlock(&gmc_registry_lock);
	gmi_restore_signals(mask);
	return err;
}

struct gm_as *gm_as_default(void)
{
	if (default_as)
		return default_as;
	gm_sigmask mask = gmi_block_signals();
	gmi_lock(&gmc_registry_lock);
	uintptr_t base;
	size_t bytes;
	struct gm_as *as;
	if (!default_as && !gmc_window_reserve(&base, &bytes)) {
		if (as_make(base, bytes, &as))
			gm_sys_munmap((void *)base, bytes);
		else
			__atomic_store_n(&default_as, as, __ATOMIC_RELEASE);
	}
	gmi_unlock(&gmc_registry_lock);
	gmi_restore_signals(mask);
	return default_as;
}

static void free_blocks(struct gm_as *as)
{
	for (struct gm_block *b = as->blocks, *next; b; b = next) {
		next = b->next;
		for (int d = 0; d < GM_MAX_DEV; d++)
			gm_assert(!b->dev[d]);
		gmc_thrash_free(b);
		gmc_hints_free_mirror(b);
		gmi_free(b, sizeof *b);
	}
}

int gm_as_destroy(struct gm_as *as)
{
	if (gmc_called_back(__func__))
		return -EDEADLK;
	if (!as || as == default_as)
		return -EINVAL;
	gm_sigmask mask = gmi_block_signals();
	gmi_lock(&gmc_registry_lock);
	int err = as->sparse ? -EBUSY : 0; /* in a fork child, where no device is attached */
	for (int d = 0; d < GM_MAX_DEV; d++)
		if (as->ctx[d])
			err = -EBUSY;
	if (!err) {
		atomic_store_explicit(&gmc_spaces[as->slot], NULL, memory_order_release);
		gmi_gauge_add(&gmi_stats->managed_bytes, &gmi_stats->managed_peak_bytes,
			      -(int64_t)as->regions.bytes);
		free_blocks(as);
		gm_sys_munmap((void *)as->base, as->bytes);
		gmc_store_close(as);
		gm_sys_munmap((void *)as->table,
			      (as->bytes >> GM_BLOCK_SHIFT) * sizeof as->table[0]);
		gmi_rangemap_destroy(&as->regions);
		gmc_hints_destroy(as);
		for (int d = 0; d < GM_MAX_DEV; d++)
			gmi_free(as->ctx_room[d], sizeof *as->ctx_room[d]);
		gmi_free(as, sizeof *as);
	}
	gmi_unlock(&gmc_registry_lock);
	gmi_restore_signals(mask);
	return err;
}

/* ---- devices ---- */

int gm_dev_create(const struct gm_mmu *mmu, void *dev_data, uint64_t cap, struct gm_dev **out)
{
	if (gmc_called_back(__func__))
		return -EDEADLK;
	int err = gmc_check_dev(mmu, cap, out);

	if (err)
		return err;
	gm_sigmask mask = gmi_block_signals();
	err = -ENOSPC;
	gmi_lock(&gmc_registry_lock);
	for (unsigned i = 0; i < GM_MAX_DEV && err == -ENOSPC; i++) {
		if (gmc_devs[i])
			continue;
		struct gm_dev *dev = gmi_alloc(sizeof *dev);
		err = dev ? 0 : -ENOMEM;
		if (err)
			break;
		dev->index = i;
		gm_lock_rank(&dev->lock, GM_RANK_DEVICE);
		dev->mmu = mmu;
		dev->data = dev_data;
		dev->cap = cap;
		dev->hnid = -1;
		dev->page_order = (unsigned)__builtin_ctzll(mmu->page_bytes) - GM_PAGE_SHIFT;
		dev->aperture = gmc_driver_aperture(dev);
		err = gmc_check_aperture(dev);
		if (err) {
			gmi_free(dev, sizeof *dev);
			break;
		}
		gmc_devs[i] = *out = dev;
	}
	gmi_unlock(&gmc_registry_lock);
	gmi_restore_signals(mask);
	if (err == -ENOSPC)
		gmc_fail(err, "there are %d devices already, which is the most", GM_MAX_DEV);
	return err;
}

static size_t backed_bytes(const struct gm_dev *dev, uint64_t mem_bytes)
{
	return (mem_bytes >> (GM_PAGE_SHIFT + dev->page_order)) / 8 + sizeof(uint64_t);
}

static void forget_physmem(struct gm_dev *dev)
{
	gmc_frames_free(dev);
	if (dev->phys)
		gmi_free(dev->backed, backed_bytes(dev, gmi_phys_total_bytes(dev->phys)));
	gmi_phys_destroy(dev->phys);
	dev->phys = NULL;
}

int gm_dev_destroy(struct gm_dev *dev)
{
	if (gmc_called_back(__func__))
		return -EDEADLK;
	if (!dev)
		return -EINVAL;
	gm_sigmask mask = gmi_block_signals();
	int err = -EBUSY;
	gmi_lock(&gmc_registry_lock);
	if (!dev->attached && !dev->nbos) {
		err = 0;
		gmc_devs[dev->index] = NULL;
		forget_physmem(dev);
		gmi_free(dev, sizeof *dev);
	}
	gmi_unlock(&gmc_registry_lock);
	gmi_restore_signals(mask);
	return err;
}

int gm_dev_register_physmem(struct gm_dev *dev, uint64_t begin, uint64_t end)
{
	if (gmc_called_back(__func__))
		return -EDEADLK;
	int err = gmc_check_physmem(dev, begin, end);

	if (err)
		return err;
	gm_sigmask mask = gmi_block_signals();
	struct gm_phys *phys = gmi_phys_create(end - begin);
	uint64_t *backed = gmi_alloc(backed_bytes(dev, end - begin));
	if (!phys || !backed) {
		gmi_phys_destroy(phys);
		gmi_free(backed, backed_bytes(dev, end - begin));
		phys = NULL;
	}
	if (phys) {
		gmi_lock(&gmc_registry_lock);
		dev->phys_begin = begin;
		dev->hnid = next_hnid++;
		dev->phys = phys;
		dev->backed = backed;
		gmi_unlock(&gmc_registry_lock);
	}
	gmi_restore_signals(mask);
	return phys ? 0 : -ENOMEM;
}

/*
 * Everything the device holds or maps in the space goes home. Its faults are refused meanwhile:
 * whoever saw that they are not has the lock of its block, and the block is in the list.
 * Registry lock held.
 */
static int bring_all_home(struct gm_ctx *ctx)
{
	struct gm_block *b;
	int err = 0;

	atomic_store(&ctx->refuse, -EAGAIN);
	gm_for_each_block (ctx->as, b) {
		gmi_lock(&b->lock);
		struct gm_block_dev *bd = b->dev[ctx->dev->index];
		if (bd && !err)
			err = gmc_migrate_to_cpu(b, bd->valid, true);
		if (bd && !err)
			err = gmc_block_forget(b, ctx);
		gmi_unlock(&b->lock);
	}
	return err;
}

/* The blocks stay while the space does, and that while the device is attached: the registry
 * lock. */
void gmc_launch_done(struct gm_dev *dev)
{
	if (gm_likely(!gmc_policy_copies()))
		return;
	gm_sigmask mask = gmi_block_signals();

	gmi_lock(&gmc_registry_lock);
	for (int i = 0; i < GM_MAX_AS; i++) {
		struct gm_as *as = gmc_spaces[i];
		struct gm_ctx *ctx = as ? as->ctx[dev->index] : NULL;
		struct gm_block *b;
		if (!ctx || !gmc_policy_of(ctx, GM_POLICY_PLACEMENT).def->home_after_launch)
			continue;
		gm_for_each_block (as, b) {
			if (!__atomic_load_n(&b->dev[dev->index], __ATOMIC_ACQUIRE))
				continue;
			gmi_lock(&b->lock);
			int err = gmc_migrate_to_cpu(b, b->dev[dev->index]->valid, true);
			gmi_unlock(&b->lock);
			if (err) /* they come when they are asked for */
				gm_log(GM_LOG_WARN, "cannot copy back after a launch: error %d",
				       -err);
		}
	}
	gmi_unlock(&gmc_registry_lock);
	gmi_restore_signals(mask);
}

int gm_dev_unregister_physmem(struct gm_dev *dev, int hnid)
{
	if (gmc_called_back(__func__))
		return -EDEADLK;
	if (!dev || dev->hnid < 0 || dev->hnid != hnid)
		return -EINVAL;
	gm_sigmask mask = gmi_block_signals();
	gmi_lock(&gmc_registry_lock);
	int err = dev->nbos ? -EBUSY : 0;
	for (int i = 0; i < GM_MAX_AS && !err; i++)
		if (gmc_spaces[i] && gmc_spaces[i]->ctx[dev->index])
			err = bring_all_home(gmc_spaces[i]->ctx[dev->index]);
	if (!err) {
		forget_physmem(dev);
		dev->hnid = -1;
	}
	for (int i = 0; i < GM_MAX_AS; i++)
		if (gmc_spaces[i] && gmc_spaces[i]->ctx[dev->index])
			atomic_store(&gmc_spaces[i]->ctx[dev->index]->refuse, 0);
	gmi_unlock(&gmc_registry_lock);
	gmi_restore_signals(mask);
	return err;
}

/* Contexts are never freed before their space is: a fault that comes too late still finds one
 * that refuses. */
static struct gm_ctx *ctx_room(struct gm_as *as, unsigned d)
{
	if (!as->ctx_room[d])
		as->ctx_room[d] = gmi_alloc(sizeof *as->ctx_room[d]);
	return as->ctx_room[d];
}

/* The driver makes its part, and has nothing else where the space has mapped something. Registry
 * lock held. */
static int attach(struct gm_as *as, struct gm_dev *dev, enum gm_mmu_mode mode)
{
	struct gm_ctx *ctx = ctx_room(as, dev->index);
	int err = 0;

	if (!ctx)
		return -ENOMEM;
	*ctx = (struct gm_ctx){.as = as, .dev = dev, .mode = mode};
	err = gmc_driver(dev, GM_CB_PMAP_CREATE, (uintptr_t)dev->data, (uintptr_t)as,
			 (uintptr_t)&ctx->pmap);
	if (err && !dev->broken)
		gmc_fail(err, "pmap_create() of driver \"%s\" returned error %d", gmc_dev_name(dev),
			 -err);
	if (err)
		return err;
	gmi_lock(&as->region_lock);
	err = gmc_vm_peer_joins(as, ctx);
	if (!err)
		as->ctx[dev->index] = ctx;
	gmi_unlock(&as->region_lock);
	if (!err)
		dev->attached++;
	else
		gmc_driver(dev, GM_CB_PMAP_DESTROY, (uintptr_t)ctx->pmap);
	return err;
}

int gm_as_attach(struct gm_as *as, struct gm_dev *dev, enum gm_mmu_mode mode, int activate,
		 struct gm_ctx **out)
{
	if (gmc_called_back(__func__))
		return -EDEADLK;
	int err = gmc_check_attach(as, dev, mode);

	if (err)
		return err;
	gm_sigmask mask = gmi_block_signals();
	gmi_lock(&gmc_registry_lock);
	if (as->ctx[dev->index])
		err = gmc_fail(-EEXIST, "driver \"%s\" is attached to this space already",
			       gmc_dev_name(dev));
	else if ((err = gmc_store_open(as)))
		gmc_fail(err, "the host has no room for a store of %lu GiB: error %d",
			 as->bytes >> 30, -err);
	if (!err)
		err = attach(as, dev, mode);
	if (!err && out)
		*out = as->ctx[dev->index];
	gmi_unlock(&gmc_registry_lock);
	gmi_restore_signals(mask);
	if (!err)
		gmc_cpu_start();
	if (!err)
		gmc_background_start();
	if (!err && !dev->patient)
		gmc_background_wake(GM_BACKGROUND_WATCH);
	/* spaces are always active: the flag selects a context on hardware that switches them */
	(void)activate;
	return err;
}

/* Nothing of the device is left in the space. Registry lock held. */
static void leave(struct gm_as *as, struct gm_ctx *ctx)
{
	struct gm_dev *dev = ctx->dev;

	gmi_lock(&as->region_lock); /* munmap asks attached devices */
	atomic_store(&ctx->refuse, -ENODEV);
	gmc_hints_forget_device(as, dev->index);
	as->ctx[dev->index] = NULL;
	gmi_unlock(&as->region_lock);
	gmc_driver(dev, GM_CB_PMAP_DESTROY, (uintptr_t)ctx->pmap);
	dev->attached--;
}

int gm_as_detach(struct gm_as *as, struct gm_dev *dev)
{
	if (gmc_called_back(__func__))
		return -EDEADLK;
	if (!as || !dev)
		return -EINVAL;
	gm_sigmask mask = gmi_block_signals();
	gmi_lock(&gmc_registry_lock);
	struct gm_ctx *ctx = as->ctx[dev->index];
	int err = !ctx ? -ENOENT : ctx->nsparse ? -EBUSY : bring_all_home(ctx);
	if (!err)
		leave(as, ctx);
	else if (ctx)
		atomic_store(&ctx->refuse, 0);
	gmi_unlock(&gmc_registry_lock);
	gmi_restore_signals(mask);
	return err;
}

uint64_t gm_as_window(const struct gm_as *as, uint64_t *bytes, int *store_fd)
{
	if (bytes)
		*bytes = as->bytes;
	if (store_fd)
		*store_fd = as->store.fd;
	return as->base;
}

const char *gm_version(void)
{
	return GMEM_VERSION;
}
