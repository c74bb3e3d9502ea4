/* The tables of spaces and devices. See registry.h. */
#include "core/page/registry.h"

struct gm_lock gmc_registry_lock = GM_LOCK_INIT(GM_RANK_REGISTRY);
struct gm_as *_Atomic gmc_spaces[GM_MAX_AS];
struct gm_dev *gmc_devs[GM_MAX_DEV];
static _Atomic unsigned nslots; /* slots ever used: what a lookup must look at */

gm_sigmask gmc_registry_enter(void)
{
	gm_sigmask mask = gmi_block_signals();

	gmi_lock(&gmc_registry_lock);
	return mask;
}

void gmc_registry_leave(gm_sigmask mask)
{
	gmi_unlock(&gmc_registry_lock);
	gmi_restore_signals(mask);
}

struct gm_as *gmc_registry_next(unsigned slot)
{
	for (; slot < GM_MAX_AS; slot++)
		if (gmc_spaces[slot])
			return gmc_spaces[slot];
	return NULL;
}

int gmc_registry_slot(void)
{
	for (int slot = 0; slot < GM_MAX_AS; slot++)
		if (!gmc_spaces[slot])
			return slot;
	return -1;
}

void gmc_registry_add(struct gm_as *as, unsigned slot)
{
	atomic_store_explicit(&gmc_spaces[slot], as, memory_order_release);
	if (slot >= nslots)
		nslots = slot + 1;
}

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

struct gm_dev *gmc_dev_by_hnid(int hnid)
{
	for (int i = 0; i < GM_MAX_DEV; i++)
		if (gmc_devs[i] && gmc_devs[i]->hnid >= 0 && gmc_devs[i]->hnid == hnid)
			return gmc_devs[i];
	return NULL;
}
