/*
 * inject.h - failing on demand: every place where the system, the driver or the device can say
 * no has a name here.
 *
 * Always compiled in, so that what is tested is what is shipped: a place that is not armed costs
 * one load and a branch never taken. Armed by GMEM_INJECT or gmi_inject(); calls count from the
 * moment of arming. Thread-safe, signal-safe, no lock.
 */
#ifndef GM_CORE_INJECT_H
#define GM_CORE_INJECT_H

#include "core/sys/sys.h"

/* clang-format off */
/*	     name	    what then happens */
#define GM_INJ_SITES(X)                                                          \
	X(ALLOC,    "alloc",    "core gets no private memory")               \
	X(HOSTMEM,  "hostmem",  "the host has no memory for a store")        \
	X(MEMFD,    "memfd",    "no memfd can be made")                      \
	X(CPU_PROTECT, "protect",  "the kernel refuses new rights (VMAs)")      \
	X(REMAP,    "remap",    "the kernel refuses another backing (VMAs)") \
	X(PAGEMAP,  "pagemap",  "/proc/self/pagemap cannot be read")         \
	X(FORKWAIT, "forkwait", "a parent cannot wait for its child's copy") \
	X(FRAME,    "frame",    "the device has no free frame")              \
	X(BUSY,     "busy",     "an eviction finds every block locked")      \
	X(MAP,      "map",      "the driver cannot map")                     \
	X(UNMAP,    "unmap",    "the driver cannot unmap")                   \
	X(DEV_PROTECT, "mprotect", "the driver cannot lower rights")            \
	X(COPYIN,   "copyin",   "a copy to the device fails")                \
	X(COPYOUT,  "copyout",  "a copy from the device fails")              \
	X(COPYPEER, "copypeer", "a copy from another device fails")          \
	X(ZERO,     "zero",     "the device cannot zero a frame")            \
	X(RING,     "ring",     "the device's command ring is full")         \
	X(SPAWN,    "spawn",    "the device process does not start")         \
	X(DEVICE,   "device",   "the device process is killed")
/* clang-format on */

enum gm_inj {
#define X(id, name, what) GM_INJ_##id,
	GM_INJ_SITES(X)
#undef X
		GM_INJ_COUNT
};

GM_EXPORT extern _Atomic uint32_t gmi_inject_armed; /* a bit for each site */
GM_EXPORT bool gmi_inject_hit(enum gm_inj site);

/* Must this call fail? */
static inline bool gm_inject(enum gm_inj site)
{
	uint32_t armed = atomic_load_explicit(&gmi_inject_armed, memory_order_relaxed);

	return gm_unlikely(armed >> site & 1) && gmi_inject_hit(site);
}

/*
 * Arms sites: "SITE@N" the N-th call fails, "SITE@N+" it and all after it, "SITE%P" P of 100
 * calls, by chance; several separated by commas, "seed=N" for the chance. "" disarms all. 0, or
 * -EINVAL (nothing changed).
 */
GM_EXPORT int gmi_inject(const char *spec);
/* Calls of the site since it was armed. */
GM_EXPORT uint64_t gmi_inject_calls(enum gm_inj site);
GM_EXPORT const char *gmi_inject_name(enum gm_inj site);

#endif
