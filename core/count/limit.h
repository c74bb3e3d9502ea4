/*
 * limit.h - GMEM_LIMIT: how much simulation is wanted at most.
 *
 * Whoever counts looks (gmc_limit_look); the first that finds a limit reached has the background
 * thread bring all pages home. From then on none goes to a device (page/migrate.c): devices work
 * over the bus, BLAS calls stay on the host, and launches count as not modelled. A child of fork
 * goes on as its parent was.
 *
 * Locks: none.
 */
#ifndef GM_CORE_LIMIT_H
#define GM_CORE_LIMIT_H

#include "core/count/stats.h"

enum gm_limit_kind { GM_LIMIT_NONE, GM_LIMIT_TIME, GM_LIMIT_FAULTS, GM_LIMIT_BYTES };
GM_EXPORT extern _Atomic bool gmi_limit_reached;

static inline bool gm_limit_reached(void)
{
	return atomic_load_explicit(&gmi_limit_reached, memory_order_relaxed);
}
/* True once: a limit is reached, and was not before. Signal-safe. */
bool gmc_limit_look(void);
/* Its word in the option; kind is not GM_LIMIT_NONE. */
const char *gm_limit_name(enum gm_limit_kind kind);
/* Until the limit of time, at least a millisecond; -1: there is none, or one was reached. */
int64_t gmc_limit_in_ns(void);
/* The pages are at home: it is said, and the program ended if that was asked for. */
void gmc_limit_tell(void);

#endif
