/* What a fork child must hear of. See at_fork.h. */
#include "core/sys/at_fork.h"

static void (*child_hooks[8])(void);

void gmi_at_fork_child(void (*fn)(void))
{
	for (unsigned i = 0; i < GM_ARRAY_LEN(child_hooks); i++) {
		if (child_hooks[i] == fn)
			return;
		if (!child_hooks[i]) {
			child_hooks[i] = fn;
			return;
		}
	}
	gm_assert(!"too many fork hooks");
}

void gmc_at_fork_run(void)
{
	for (unsigned i = 0; i < GM_ARRAY_LEN(child_hooks) && child_hooks[i]; i++)
		child_hooks[i]();
}
