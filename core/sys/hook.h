/*
 * hook.h - a list of functions to be called at some event. Signal-safe, without locks: a slot is
 * filled once, from the first on, and stays.
 */
#ifndef GM_CORE_HOOK_H
#define GM_CORE_HOOK_H

#include "core/sys/sys.h"

typedef void (*_Atomic gm_hook)(void);

/* Once for each fn, however often it is given, and by however many threads at once. */
static inline void gmc_hook_add(gm_hook *hooks, size_t n, void (*fn)(void))
{
	for (size_t i = 0; i < n; i++) {
		void (*there)(void) = NULL;
		if (atomic_compare_exchange_strong(&hooks[i], &there, fn) || there == fn)
			return;
	}
	gm_assert(!"too many hooks");
}
static inline void gmc_hooks_run(gm_hook *hooks, size_t n)
{
	void (*fn)(void);

	for (size_t i = 0; i < n && (fn = hooks[i]); i++)
		fn();
}

#endif
