/*
 * altstack.h - the stack that our handlers run on, of every thread, and the program's view of it.
 * Signal-safe; each thread works on its own record.
 */
#ifndef GMP_ALTSTACK_H
#define GMP_ALTSTACK_H

#include <signal.h>
#include <stdint.h>
#include <ucontext.h>

#include "preload/ground/thread.h"

#ifndef SS_AUTODISARM
#define SS_AUTODISARM (1u << 31) /* of older headers */
#endif

struct gmp_thread *gmp_altstack_make(void); /* NULL: no memory */
void gmp_altstack_free(struct gmp_thread *t);
/* The process leaves: the calling thread has the altstack that the program set, or none. */
void gmp_altstack_return(struct gmp_thread *t);
/* Gives the kernel the calling thread's altstack, unless it is in use. */
void gmp_altstack_install(struct gmp_thread *t);
/* sigaltstack(2) as the program sees it; sp: its stack pointer. frame: of the signal handler
 * that we are in, which may run on the altstack: then to_install is left for the caller to give
 * to the kernel, outside of it. 0 or -errno. */
int gmp_sigaltstack(const stack_t *set, stack_t *old, uintptr_t sp, const ucontext_t *frame);
/* What the kernel has for t: the program's altstack or ours. */
stack_t gmp_altstack_in_use(const struct gmp_thread *t);
/* The calling thread's in the kernel is ours from now on, whatever calls that nobody saw have set
 * before; unless the thread is on it. */
void gmp_altstack_take(struct gmp_thread *t);
void gmp_altstack_take_in(struct gmp_thread *t, ucontext_t *uc); /* when uc returns */
/* Is a handler that asks for an altstack not on the one that the program means? uc: its frame. */
bool gmp_altstack_is_wrong(const struct gmp_thread *t, const ucontext_t *uc);
/* In a dispatched call: the kernel has the program's altstack from its return on, if stacks are
 * small since. */
void gmp_altstack_share(struct gmp_thread *t, ucontext_t *uc);
/* In the frame of a handler of the program's: its own altstack, as it will have it again. */
void gmp_altstack_show(const struct gmp_thread *t, ucontext_t *uc);
/* What the kernel has while a handler runs that is moved to the program's stack; uc: the frame of
 * the kernel's, of what was interrupted. */
stack_t gmp_altstack_below(const struct gmp_thread *t, const ucontext_t *uc);
/* Before the return by a frame that was shown. */
void gmp_altstack_returns(struct gmp_thread *t, ucontext_t *uc);
/* What the kernel had for the calling thread: the program may have set it by a call that nobody
 * saw. */
void gmp_altstack_seen(struct gmp_thread *t, const stack_t *now);
/* fn(arg), on the thread's own altstack if the stack in use lies in the window: fn may change
 * what is mapped there. */
void gmp_off_stack(void (*fn)(void *), void *arg);
/* A stack pointer was seen: if it lies in the window, its block stays on the host from now on. */
void gmp_pin_stack(uintptr_t sp);

#endif
