/*
 * signals.h - SIGSEGV and SIGSYS are ours at kernel level; the program has its own view of them,
 * of the actions (sigview.c), the masks (mask.h), the altstack (altstack.h).
 *
 *	what  faults go to core; what is not ours is delivered as the kernel would (signal.c)
 *	who   the kernel by two handlers, the program by libc's functions, dispatch
 *	may   the kernel's actions and masks, the thread's record, the table of actions
 *	must  no managed memory is touched under a lock
 *	parts hold.h: sent while blocked; wait.h: calls that wait; inherit.h: what children find
 */
#ifndef GMP_SIGNALS_H
#define GMP_SIGNALS_H

#include <signal.h>
#include <stdbool.h>
#include <ucontext.h>

#include "core/sys/sigaction.h"

/* Our kernel-level action of SIGSEGV or SIGSYS; flags: of the program's action, some of which
 * count for ours. */
struct gm_ksigaction gmp_own_action(int sig, unsigned long flags);
/* The program wants even SIGSYS on the altstack: it runs on stacks that have no room for a
 * frame, as Go's goroutines do. */
extern bool gmp_small_stacks;
void gmp_signals_init(void);
/* Takes SIGSEGV and SIGSYS back if somebody replaced our handlers by a raw system call. */
void gmp_signals_reclaim(void);
/* The process leaves: the kernel gets the program's own actions. gmp_armed is still set. */
void gmp_signals_return(void);
/* rt_sigaction as the program sees it: 0 or -errno. act, old must be accessible. */
int gmp_sigaction(int sig, const struct gm_ksigaction *act, struct gm_ksigaction *old);
/* The program's action for a forward; consumes it when SA_RESETHAND. */
struct gm_ksigaction gmp_action_take(int sig);
/* A signal that is not for us goes to the program, as the kernel would have delivered it. Does
 * not always return. */
void gmp_forward(int sig, const siginfo_t *info, void *ctx, bool synchronous);

/*
 * Goes on in the program's handler, on the stack that its action asks for: what our handler was on
 * is free. blocked: in the handler. Signals are blocked (scratch).
 */
void gmp_deliver(int sig, const siginfo_t *info, ucontext_t *uc, const struct gm_ksigaction *act,
		 uint64_t blocked) __attribute__((noreturn));
/* Is there room for gmp_deliver()? SIGSEGV is open. If not, the kernel would send SIGSEGV: this
 * does, and the handler returns. */
bool gmp_has_room(int sig, ucontext_t *uc, const struct gm_ksigaction *act);
/* The process is about to die of sig, by its default action: if that leaves a core, what is away
 * comes home, so that the core shows it. */
void gmp_before_core(int sig);
/* In the way of the program's own rt_sigreturn: the frame may have the virtual bits. */
void gmp_sigreturn_plain(ucontext_t *uc);

#endif
