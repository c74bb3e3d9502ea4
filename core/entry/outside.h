/*
 * outside.h - memory of the program outside every window: mapped by a device from the object
 * behind it (devsim/driver/sim_outside.c), and told to it when the program changes its mappings.
 *
 * Whoever changes a mapping makes the system call first and then says so: a device keeps the
 * object that it has mapped, never an address of ours, so until then it works on what was there.
 * The device's side looks the mapping up after it has raised gmi_outside_live: either the change
 * is seen by the look, or the flag by the change.
 */
#ifndef GM_CORE_OUTSIDE_H
#define GM_CORE_OUTSIDE_H

#include "core/sys/sys.h"

/* A device has, or had, something mapped outside the windows. */
GM_EXPORT extern _Atomic bool gmi_outside_live;
/* Every change of this process's mappings is told (the preload library sees to it). */
GM_EXPORT extern bool gmi_outside_watched;
/* The driver's: all devices forget what they have mapped of [lo, hi). */
GM_EXPORT extern void (*gmi_outside_forget)(uint64_t lo, uint64_t hi);

/* Can kernels work in place on all of [p, p + bytes), which lies outside the windows? */
GM_EXPORT bool gmi_outside_reaches(const void *p, size_t bytes);

/* The mappings of [p, p + len) were changed. Signal-safe; not with a lock of core held. */
static inline void gmi_outside_changed(const void *p, size_t len)
{
	atomic_thread_fence(memory_order_seq_cst);
	if (gm_unlikely(atomic_load_explicit(&gmi_outside_live, memory_order_relaxed)) && len)
		gmi_outside_forget(gm_align_down((uintptr_t)p, GM_PAGE_BYTES),
				   (uintptr_t)p + gm_min(len, ~(uintptr_t)p));
}

#endif
