/*
 * outside.h - memory of the program outside every window: mapped by a device from the object
 * behind it (devsim/driver/sim_outside.c), and told to it when the program changes its mappings.
 *
 * Private memory has no object that another process could map. It gets one: a run of pages is
 * *adopted*, its bytes copied into a store (a memfd, offset = address) that takes their place
 * (outside_adopt.c). Nobody may store to them meanwhile: every other thread of the process is
 * stopped, which only the preload library can do. What the program had there is kept aside, and
 * comes back (*restored*) before the program changes the mapping or forks: so all that may be done
 * to memory of its own kind can be done to it.
 *
 * Whoever changes a mapping does so between gmi_outside_begin() and _end(), with signals blocked:
 * a stopped world has nobody in between. A device keeps the object that it has mapped, never an
 * address of ours, so until the change is told it works on what was there. The device's side looks
 * the mapping up after it has raised gmi_outside_live: either the change is seen by the look, or
 * the flag by the change.
 */
#ifndef GM_CORE_OUTSIDE_H
#define GM_CORE_OUTSIDE_H

#define GM_MADV_LAST GM_MADV_UNSET_ATOMIC /* of hmadvise's */

#include "core/sys/vma.h"

/* A device has, or had, something mapped outside the windows. */
GM_EXPORT extern _Atomic bool gmi_outside_live;
/* Every change of this process's mappings is told (the preload library sees to it). */
GM_EXPORT extern bool gmi_outside_watched;
/* The driver's: all devices forget what they have mapped of [lo, hi). */
GM_EXPORT extern void (*gmi_outside_forget)(uint64_t lo, uint64_t hi);

/* Can kernels work in place on all of [p, p + bytes), which lies outside the windows? */
GM_EXPORT bool gmi_outside_reaches(const void *p, size_t bytes);

/* For gm_query: an entry for each page of [lo, hi). 0; -EINVAL: part of it is in a space; -errno */
struct gm_page_info;
int gmc_outside_describe(uint64_t lo, uint64_t hi, struct gm_page_info *info);
/* For hmadvise: 0, or what is wrong with it. to_device: the node is one. */
int gmc_outside_advise(const void *p, size_t bytes, int behavior, bool to_device);

/* Its row of gmi_stats->object, by what it is (a file's path, "globals of libx.so", "stack of
 * main"), and *end: up to there all is the same. 0: nothing, or no row is left. No core lock is
 * held. */
GM_EXPORT unsigned gmi_outside_object(uint64_t va, uint64_t *end);
/* [lo, hi) of vma is about to be adopted, and its name with it. In a fork child: none is. */
void gmc_outside_name_adopted(uint64_t lo, uint64_t hi, const struct gm_vma *vma);
void gmc_outside_forget_names(void);

/* ---- changes of mappings; signal-safe, not with a lock of core held ---- */

struct gm_outside_change {
	uint64_t lo, hi;
	gm_sigmask mask;
	bool on, locked;
};
/* The mappings of [p, p + len) are about to change; and have changed. */
GM_EXPORT void gmi_outside_begin(struct gm_outside_change *c, const void *p, size_t len);
GM_EXPORT void gmi_outside_end(const struct gm_outside_change *c);
/* They were changed without that: nothing of them is ever adopted (GMEM_FOREIGN). */
static inline void gmi_outside_changed(const void *p, size_t len)
{
	atomic_thread_fence(memory_order_seq_cst);
	if (gm_unlikely(atomic_load_explicit(&gmi_outside_live, memory_order_relaxed)) && len)
		gmi_outside_forget(gm_align_down((uintptr_t)p, GM_PAGE_BYTES),
				   (uintptr_t)p + gm_min(len, ~(uintptr_t)p));
}
/* Around fork: nothing is adopted then. */
GM_EXPORT void gmi_outside_fork_prepare(void);
GM_EXPORT void gmi_outside_fork_done(void);

/* For good: the process goes on without us. */
GM_EXPORT void gmi_outside_leave(void);

/* ---- adoption ---- */

/* The preload's; NULL without it. gmi_world_stop: all other threads of the process wait, however
 * they were, and touch nothing until gmi_world_start(); false: one does not answer (nobody waits
 * then). gmi_world_run: calls fn on a stack that is never adopted; world locked. */
GM_EXPORT extern bool (*gmi_world_stop)(void);
GM_EXPORT extern void (*gmi_world_start)(void);
GM_EXPORT extern void (*gmi_world_run)(void (*fn)(void *), void *arg);
/* The module that `at` lies in is ours: its variables are never adopted. */
GM_EXPORT void gmi_outside_keep_module(const void *at);
/* Private memory at va becomes the store's. 0; -EAGAIN: later; -ENOTSUP: it cannot be. On a thread
 * of ours. */
int gmc_outside_adopt(uint64_t va);
bool gmc_outside_adoptable(const struct gm_vma *vma);
/* Ordinary private memory: it could be adopted. */
bool gmc_outside_is_plain(const struct gm_vma *vma);
/* All private memory of [lo, hi), which is mapped, readable and plain; and back. For gm_register.
 * 0; -EAGAIN, -ENOTSUP, -ENOMEM: none of it; restore: -ENOENT: none was. */
int gmc_outside_adopt_range(uint64_t lo, uint64_t hi);
int gmc_outside_restore_range(uint64_t lo, uint64_t hi);
/* The store, if that is its inode; else -1. */
int gmc_outside_store(uint64_t dev, uint64_t ino);
/* What is mapped is being changed: no entries now. */
bool gmc_outside_restoring(void);

#endif
