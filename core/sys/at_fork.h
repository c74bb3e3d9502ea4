/*
 * at_fork.h - who wants to know that this process is the child of a fork: files whose thread,
 * lock or descriptor has stayed with the parent.
 */
#ifndef GM_CORE_AT_FORK_H
#define GM_CORE_AT_FORK_H

#include "core/sys/sys.h"

/*
 * fn runs in every child from now on, in its only thread, after core's part (entry/fork.c) and
 * with every signal blocked. Once for each fn, however often it is given. Up to 12.
 */
GM_EXPORT void gmi_at_fork_child(void (*fn)(void));
void gmc_at_fork_run(void); /* for entry/fork.c */

#endif
