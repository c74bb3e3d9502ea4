/*
 * fork.h - the three atfork parts. prepare freezes every space; the child gets a private heap and
 * no device.
 */
#ifndef GM_CORE_FORK_H
#define GM_CORE_FORK_H

#include "core/sys/sys.h"

struct gm_block;

GM_EXPORT void gmi_fork_prepare(void);
/*
 * The same for a thread whose stack or altstack may lie in the window: those pages become the
 * kernel's own memory first, because parent and child both write there before the child has its
 * copy. Called on another stack, as gmi_fork_parent() then is.
 */
struct gm_span {
	uintptr_t lo, hi;
};
#define GM_FORK_STACKS 2u
GM_EXPORT void gmi_fork_prepare_stacks(const struct gm_span *stacks, unsigned n);
GM_EXPORT void gmi_fork_parent(void);
GM_EXPORT void gmi_fork_child(void);

/*
 * Locks a block for the CPU's side. The thread that is inside fork() holds every block already
 * (and in the child is the only thread): then false, and the caller must not unlock. In the
 * child it first makes the heap private.
 */
bool gmc_fork_lock_block(struct gm_block *b);

#endif
