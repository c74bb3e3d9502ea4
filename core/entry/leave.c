/* Devices at rest, and memory that is nobody's but the program's. See leave.h. */
#include "core/entry/leave.h"
#include "core/care/background.h"
#include "core/page/activate.h"
#include "core/page/cpu_mmu.h"
#include "core/page/mapping.h"
#include "core/page/migrate.h"
#include "core/page/premap.h"
#include "core/page/registry.h"
#include "core/page/thread.h"
#include "core/space/attach.h"
#include <errno.h>

static void rest(struct gm_ctx *ctx)
{
	int err = gmc_ctx_bring_home(ctx);

	atomic_store(&ctx->refuse, -ENODEV);
	if (err)
		gm_log(GM_LOG_ERROR, "not all pages came home from driver \"%s\": error %d",
		       ctx->dev->mmu->name, -err);
}

static void wake(struct gm_ctx *ctx)
{
	atomic_store(&ctx->refuse, 0);
}

static bool each_ctx(void (*fn)(struct gm_ctx *ctx))
{
	gm_sigmask mask = gmc_registry_enter();
	bool any = false;

	gm_for_each_space (as)
		for (unsigned d = 0; d < GM_MAX_DEV; d++)
			if (as->ctx[d]) {
				fn(as->ctx[d]);
				any = true;
			}
	gmc_registry_leave(mask);
	return any;
}

void gmi_devices_rest(void)
{
	gmc_background_rest();
	each_ctx(rest);
	if (gmc_cpu == &gmc_cpu_uffd)
		gmc_uffd_rest();
}

void gmi_devices_return(void)
{
	if (each_ctx(wake))
		gmc_background_start();
	if (gmc_cpu == &gmc_cpu_uffd && gmc_uffd_return())
		gm_log(GM_LOG_ERROR, "userfaultfd is not served any more: pages that are away "
				     "cannot be touched");
}

#define DEATH_NS 1000000000ull

static bool lock_until(struct gm_lock *l, uint64_t deadline)
{
	while (!gmi_trylock(l)) {
		if (gmi_now_ns() > deadline)
			return false;
		gm_sys0(SYS_sched_yield);
	}
	return true;
}

static bool block_home_until(struct gm_block *b, uint64_t deadline)
{
	bool home = lock_until(&b->lock, deadline);

	if (!home)
		return false;
	gm_for_each_dev (b, d)
		home &= !gmc_migrate_home(b, b->dev[d]->valid, true);
	gmi_unlock(&b->lock);
	return home;
}

bool gmi_all_home(bool for_good)
{
	const uint64_t deadline = gmi_now_ns() + DEATH_NS;
	gm_sigmask mask = gmi_block_signals();
	bool all = lock_until(&gmc_registry_lock, deadline);

	if (all) {
		gm_for_each_space (as) {
			struct gm_block *b;
			for (unsigned d = 0; d < GM_MAX_DEV; d++)
				if (as->ctx[d] && for_good)
					atomic_store(&as->ctx[d]->refuse, -ENODEV);
			gm_for_each_block (as, b)
				if (gmi_now_ns() < deadline)
					all &= block_home_until(b, deadline);
				else
					all = false;
		}
		gmi_unlock(&gmc_registry_lock);
	}
	gmi_restore_signals(mask);
	return all;
}

/* What another thread's system call may write to just now cannot be copied. */
static bool privatise_all(struct gm_block *b)
{
	if (gm_bm_empty(b->adopted))
		return true;
	gm_bm used = gm_bm_and(gmc_held_by_calls(b->va), b->adopted);
	int err = gmc_block_privatise(b, gm_bm_andnot(b->adopted, used));

	if (err)
		gm_log(GM_LOG_ERROR, "pages at %p stay in the store: error %d", (void *)b->va,
		       -err);
	return gm_bm_empty(b->adopted);
}

static bool is_loose(struct gm_block *b)
{
	return gm_bm_empty(gmc_premapped(b));
}

bool gmi_memory_loose(void)
{
	return gmc_all_blocks(is_loose);
}

bool gmi_memory_private(void)
{
	return gmc_all_blocks(privatise_all);
}

bool gmi_memory_leave(void)
{
	bool all = gmc_all_blocks(privatise_all);

	if (all && gmc_cpu == &gmc_cpu_uffd)
		gmc_uffd_leave();
	gmc_deactivate();
	return all;
}
