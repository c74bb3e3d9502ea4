/*
 * sigwait.h - calls that wait with a mask of their own, or for signals.
 */
#ifndef GMP_SIGWAIT_H
#define GMP_SIGWAIT_H

#include <stdbool.h>
#include <stdint.h>
#include <ucontext.h>

#include "preload/ground/thread.h"

enum gmp_mask_kind { GMP_MASK, GMP_MASK_PAIR /* pointer and size, as pselect6 has it */ };
/* A call whose i-th argument is a mask that holds while it waits. Result or -errno. */
long gmp_masked_syscall(long nr, const long a[6], unsigned i, enum gmp_mask_kind kind);
/* false: none, or not readable */
bool gmp_mask_of(const void *arg, enum gmp_mask_kind kind, uint64_t *mask);
long gmp_sigtimedwait(const long a[6]);
/* A signal came: the call that is about to be made in gmp_gate_if() ends at once with -EINTR. */
void gmp_leave_wait(struct gmp_thread *t, greg_t *g);
/*
 * A handler is about to run, and ends the call that the thread is in. now: the mask that it
 * finds, set when the call has put one in place. Gives the virtual bits that come back after the
 * handler. g: the interrupted registers.
 */
uint64_t gmp_end_wait(struct gmp_thread *t, greg_t *g, uint64_t *now);

#endif
