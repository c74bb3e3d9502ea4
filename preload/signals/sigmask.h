/*
 * sigmask.h - the program's view of signal masks: SIGSEGV and SIGSYS can be blocked for it. Results
 * are 0 or -errno; signal-safe.
 */
#ifndef GMP_SIGMASK_H
#define GMP_SIGMASK_H

#include <stdbool.h>
#include <stdint.h>
#include <ucontext.h>

#include "preload/ground/ground.h"
#include "preload/ground/thread.h"

/* rt_sigprocmask as the program sees it; set, old must be accessible. */
/* kmask: the kernel's mask to edit in place (a signal frame's), NULL: the thread's own. */
int gmp_sigmask(int how, const uint64_t *set, uint64_t *old, uint64_t *kmask);
/* The program has set its mask: its view, from now on, of the calling thread's. */
static inline void gmp_set_view(struct gmp_thread *t, uint64_t mask)
{
	t->vmask = mask & GMP_VIRTUAL;
	t->beside = gmp_selector ? 0 : mask & ~(GMP_VIRTUAL | gmp_bit(SIGKILL) | gmp_bit(SIGSTOP));
}
/*
 * mask: what is really blocked. Before the first page leaves, nobody sees a mask that is set by
 * a call of the program's own (Go's): when signals were opened behind our back, so were the two.
 */
static inline void gmp_mask_seen(struct gmp_thread *t, uint64_t mask)
{
	if (gm_unlikely(t->vmask && !t->in_call && (t->beside & ~mask)))
		t->vmask = 0;
}

/* makecontext.S: the function to go on in. */
void *gmp_before_makecontext(const ucontext_t *uc);

#endif
