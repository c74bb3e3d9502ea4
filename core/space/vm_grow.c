/*
 * vm_grow.c - MAP_GROWSDOWN in the window. What is free there is our reservation, so the kernel
 * lets nothing grow into it: the fault does that here, by the kernel's rules.
 */
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "core/space/vm_int.h"

#define GUARD_GAP ((uintptr_t)256 * GM_PAGE_BYTES) /* the kernel's stack_guard_gap, as it comes */

/* What can be accessed keeps its distance; region lock held. */
static bool is_clear(const struct gm_as *as, uintptr_t lo, uintptr_t hi)
{
	struct gm_range r;
	uintptr_t at = lo - as->base > GUARD_GAP ? lo - GUARD_GAP : as->base;

	for (; gmi_rangemap_next(&as->regions, at, &r) && r.start < hi; at = r.end)
		if (r.end > lo || (gm_vm_prot(&r.val) && !(r.val.v[0] & GM_VM_GROWS)))
			return false;
	return true;
}

bool gmc_vm_grow(struct gm_as *as, uintptr_t addr)
{
	const uintptr_t lo = gm_align_down(addr, GM_PAGE_BYTES);
	struct gm_range r;
	bool grown = false;

	if (gm_likely(!atomic_load_explicit(&as->grows, memory_order_relaxed)))
		return false;
	gm_sigmask old = gmc_vm_enter(as);
	if (gmi_rangemap_next(&as->regions, lo, &r) && (r.val.v[0] & GM_VM_GROWS)) {
		const struct gm_vm_memory m = {.prot = gm_vm_prot(&r.val),
					       .flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN,
					       .fd = -1,
					       .value = &r.val};
		grown = r.start > lo && is_clear(as, lo, r.start) &&
			r.end - lo <= gmc_limit(RLIMIT_STACK) && !gmc_vm_put(as, lo, r.start, &m);
	}
	gmc_vm_leave(as, old);
	return grown;
}
