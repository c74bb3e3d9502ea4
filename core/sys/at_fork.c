/* What a fork child must hear of. See at_fork.h. */
#include "core/sys/at_fork.h"
#include "core/sys/hook.h"

static gm_hook child_hooks[12];

void gmi_at_fork_child(void (*fn)(void))
{
	gmc_hook_add(child_hooks, GM_ARRAY_LEN(child_hooks), fn);
}

void gmc_at_fork_run(void)
{
	gmc_hooks_run(child_hooks, GM_ARRAY_LEN(child_hooks));
}
