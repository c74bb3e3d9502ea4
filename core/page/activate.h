/*
 * activate.h - the moment before the first page leaves the CPU: from then on somebody must serve
 * CPU faults, and system calls must hold what they use.
 */
#ifndef GM_CORE_ACTIVATE_H
#define GM_CORE_ACTIVATE_H

#include "core/sys/sys.h"

/*
 * Not GM_INACTIVE: calls hold what they use, because a page of some space has left the CPU or may
 * do so soon. Pages leave once it is GM_ACTIVE: then every thread and every handler is ready for
 * that. Only gmi_activate changes it, and a fork in the child.
 */
enum gm_active { GM_INACTIVE, GM_ACTIVATING, GM_ACTIVE };
GM_EXPORT extern _Atomic uint8_t gmi_active;

/*
 * Called once, before the first page leaves the CPU. libgmem_preload.so sets its own (selector
 * on, threads kicked); without one the handler of entry/segv.c is installed. Returns 0 or
 * -errno: then no device runs.
 */
GM_EXPORT extern int (*gmi_activate_hook)(void);
/*
 * libgmem_preload.so's start, which sets the hook; NULL: it is not loaded. Its constructor runs it,
 * after those of the program's libraries; one of them may be what moves the first page. Returns
 * when it is done, by whoever.
 */
extern void gmi_preload_start(void) __attribute__((weak, visibility("default")));
/* For entry/segv.c, before main: what is done when there is no hook. */
void gmc_activate_by_default(int (*plain)(void));
/*
 * Returns when gmi_active is GM_ACTIVE (0), or the hook's error. Whoever takes rights from the
 * CPU, if only for a moment, calls it first, without locks. Within the hook: 0 at once.
 */
GM_EXPORT int gmi_activate(void);
void gmc_activation_forked(void);
/* Nothing is away any more, and the handlers and hooks are gone. */
void gmc_deactivate(void);
/* For assertions: a CPU fault would find a handler (the preload's is there from the start). */
bool gmc_cpu_ready(void);

#endif
