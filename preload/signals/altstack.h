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
/* What the kernel had for the calling thread: the program may have set it by a call that nobody
 * saw. */
void gmp_altstack_seen(struct gmp_thread *t, const stack_t *now);
/* fn(arg), on the thread's own altstack if the stack in use lies in the window: fn may change
 * what is mapped there. */
void gmp_off_stack(void (*fn)(void *), void *arg);
/* A stack pointer was seen: if it lies in the window, its block stays on the host from now on. */
void gmp_pin_stack(uintptr_t sp);

#endif
