/*
 * attach.c - a device comes into a space, works there, and leaves it.
 */
#include "core/space/attach.h"
#include "core/care/background.h"
#include "core/page/cpu_mmu.h"
#include "core/page/driver.h"
#include "core/page/jobs.h"
#include "core/page/mapping.h"
#include "core/page/migrate.h"
#include "core/page/plugin.h"
#include "core/page/store.h"
#include "core/space/hint.h"
#include "core/space/setup.h"
#include "core/space/vm.h"
#include <errno.h>

int gmc_ctx_bring_home(struct gm_ctx *ctx)
{
	struct gm_block *b;
	int err = 0;

	atomic_store(&ctx->refuse, -EAGAIN);
	gm_for_each_block (ctx->as, b) {
		gmi_lock(&b->lock);
		struct gm_block_dev *bd = b->dev[ctx->dev->index];
		if (bd && !err)
			err = gmc_migrate_home(b, bd->valid, true);
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
	if (gm_likely(!gmc_policy_copies() && !dev->plugin))
		return;
	gm_sigmask mask = gmc_registry_enter();

	gm_for_each_space (as) {
		struct gm_ctx *ctx = as->ctx[dev->index];
		struct gm_block *b;
		gmc_plugin_look(dev, as, NULL);
		if (!ctx || !gm_policy_of(ctx, GM_POLICY_PLACEMENT).def->home_after_launch)
			continue;
		gm_for_each_block (as, b) {
			if (!__atomic_load_n(&b->dev[dev->index], __ATOMIC_ACQUIRE))
				continue;
			gmi_lock(&b->lock);
			const struct gm_block_dev *bd = b->dev[dev->index];
			int err = bd ? gmc_migrate_home(b, bd->valid, true) : 0;
			gmi_unlock(&b->lock);
			if (err) /* they come when they are asked for */
				gm_log(GM_LOG_WARN, "cannot copy back after a launch: error %d",
				       -err);
		}
	}
	gmc_registry_leave(mask);
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
static int ctx_attach(struct gm_as *as, struct gm_dev *dev, enum gm_mmu_mode mode)
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
	int err = gmc_check_attach(__func__, as, dev, mode);

	if (err)
		return err;
	gm_sigmask mask = gmc_registry_enter();

	if (as->ctx[dev->index])
		err = gmc_fail(-EEXIST, "driver \"%s\" is attached to this space already",
			       gmc_dev_name(dev));
	else if ((err = gmc_store_open(as)))
		gmc_fail(err, "the host has no room for a store of %lu GiB: error %d",
			 as->bytes >> 30, -err);
	if (!err)
		err = ctx_attach(as, dev, mode);
	if (!err)
		gmc_driver_attached(dev, true);
	if (!err && out)
		*out = as->ctx[dev->index];
	gmc_registry_leave(mask);
	if (!err)
		gmc_cpu_start();
	if (!err)
		gmc_background_start();
	if (!err && (!dev->patient || gmc_guard_always))
		gmc_job_wanted(GM_JOB_WATCH);
	/* spaces are always active: the flag selects a context on hardware that switches them */
	(void)activate;
	return err;
}

/* Nothing of the device is left in the space. Registry lock held. */
static void ctx_leave(struct gm_as *as, struct gm_ctx *ctx)
{
	struct gm_dev *dev = ctx->dev;

	gmi_lock(&as->region_lock); /* munmap asks attached devices */
	atomic_store(&ctx->refuse, -ENODEV);
	gmc_hints_forget_device(as, dev->index);
	as->ctx[dev->index] = NULL;
	gmi_unlock(&as->region_lock);
	gmc_driver(dev, GM_CB_PMAP_DESTROY, (uintptr_t)ctx->pmap);
	dev->attached--;
	gmc_driver_attached(dev, false);
}

int gm_as_detach(struct gm_as *as, struct gm_dev *dev)
{
	if (gmc_called_back(__func__))
		return -EDEADLK;
	if (!as || !dev)
		return -EINVAL;
	gm_sigmask mask = gmc_registry_enter();

	struct gm_ctx *ctx = as->ctx[dev->index];
	int err = !ctx ? -ENOENT : ctx->nsparse ? -EBUSY : gmc_ctx_bring_home(ctx);
	if (!err)
		ctx_leave(as, ctx);
	else if (ctx)
		atomic_store(&ctx->refuse, 0);
	gmc_registry_leave(mask);
	return err;
}
