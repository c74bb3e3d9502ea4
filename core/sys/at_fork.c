/* What a fork child must hear of. See at_fork.h. */
#include "core/sys/at_fork.h"

static void (*_Atomic child_hooks[8])(void);

/* Threads may come at once: each slot is filled once, from the first on, and stays. */
void gmi_at_fork_child(void (*fn)(void))
{
	for (unsigned i = 0; i < GM_ARRAY_LEN(child_hooks); i++) {
		void (*there)(void) = NULL;
		if (atomic_compare_exchange_strong(&child_hooks[i], &there, fn) || there == fn)
			return;
	}
	gm_assert(!"too many fork hooks");
}

void gmc_at_fork_run(void)
{
	void (*fn)(void);

	for (unsigned i = 0; i < GM_ARRAY_LEN(child_hooks) && (fn = child_hooks[i]); i++)
		fn();
}
