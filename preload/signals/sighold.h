/*
 * sighold.h - SIGSEGV and SIGSYS that were sent while the program blocks them.
 */
#ifndef GMP_SIGHOLD_H
#define GMP_SIGHOLD_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "preload/ground/thread.h"

/* in_core: locks may be held; it is looked at again by gmp_sig_release_held(). */
void gmp_sig_hold(struct gmp_thread *t, int sig, const siginfo_t *info, bool in_core);
/* One that is held for the thread or the process; false: none (any more). Signals blocked. */
bool gmp_sig_take(struct gmp_thread *t, int sig, siginfo_t *info);
/* Is it only the news that a held signal can be had? */
bool gmp_sig_is_nudge(const siginfo_t *info);
/* Those that are held and no longer blocked come now. */
void gmp_sig_release(struct gmp_thread *t);
/* After a fault: the kernel drops a nudge that comes while the fault's own signal is on its way.
 * SIGSEGV blocked. */
void gmp_sig_renudge(void);
/* of the calling thread, when it has left core: gmi_release_hook */
void gmp_sig_release_held(void);
/* The process leaves, SIGSEGV and SIGSYS are really blocked where the program blocks them: what
 * is held goes to the kernel. */
void gmp_sig_return(struct gmp_thread *t);
uint64_t gmp_sig_pending(const struct gmp_thread *t);
void gmp_sig_forget(struct gmp_thread *t); /* in a forked child */

#endif
