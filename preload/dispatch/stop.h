/* stop.h - stopping all other threads: see stop.c. What activate.c's handler hands on. */
#ifndef GMP_STOP_H
#define GMP_STOP_H

#include <signal.h>
#include <stdbool.h>
#include <ucontext.h>

void gmp_stop_init(void);
/* Is this kick one of a stop? In the handler: waits until it is over. */
bool gmp_stop_asked(const siginfo_t *info);
/* In a handler of ours: the call that it ended, of those that libc makes (mov $nr, %eax; syscall)
 * and nobody has dispatched, is made again. */
void gmp_call_again(ucontext_t *uc);
void gmp_stop_wait(const siginfo_t *info, ucontext_t *uc);
/* Somebody who is no thread works on our memory: no stop succeeds any more. */
void gmp_stop_never(void);

/* ---- activate.c ---- */
/* All other threads of the process, until `each` says so. False: it did, or there is no /proc. */
bool gmp_each_thread(bool (*each)(int tid, void *arg), void *arg);
#define GMP_KICK_SIGNAL 33     /* libc's SIGSETXID: no program can block or claim it */
void gmp_kick_installed(void); /* it is ours from now on */

#endif
