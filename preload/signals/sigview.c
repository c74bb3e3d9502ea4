/*
 * sigview.c - the program's view of signal actions.
 *
 * SIGSEGV and SIGSYS exist twice: our handler in the kernel, the program's action here. The
 * actions of all other signals are the kernel's, except that SIGSEGV and SIGSYS are taken out of
 * their masks, and that handlers are entered and return through our gate: there the two signals
 * become blocked in the program's view, in the frame and for the time of the handler. What the
 * program asked for is remembered and shown to it again.
 *
 * Lock: one for the table, taken with all signals blocked; user memory is never touched under
 * it.
 */
#include "preload/signals/signals.h"

#include <signal.h>
#include <string.h>
#include <ucontext.h>

#include "core/page/guard.h"
#include "preload/ground/gate.h"
#include "preload/ground/ground.h"
#include "preload/ground/real.h"
#include "preload/ground/thread.h"
#include "preload/signals/altstack.h"
#include "preload/signals/sighold.h"
#include "preload/signals/inherit.h"
#include "preload/signals/sigmask.h"
#include "preload/signals/sigwait.h"

static struct gm_lock lock;
static struct gm_ksigaction view[GMP_NSIG + 1];
static bool known[GMP_NSIG + 1];
static uint64_t interrupts; /* siginterrupt(sig, 1): signal() must not set SA_RESTART */

/* What gmp_handler_begins() needs without a lock: of the last action with a handler. */
static void *_Atomic handler_of[GMP_NSIG + 1];
static _Atomic uint64_t mask_of[GMP_NSIG + 1], flags_of[GMP_NSIG + 1];

#define LIBC_OWN(sig) ((sig) == 32 || (sig) == 33) /* SIGCANCEL, SIGSETXID */

static bool is_virtual(int sig)
{
	return sig == SIGSEGV || sig == SIGSYS;
}

static long kernel_action(int sig, const struct gm_ksigaction *act, struct gm_ksigaction *old)
{
	return gm_sys4(SYS_rt_sigaction, sig, act, old, 8);
}

bool gmp_small_stacks;

static void claim_signal(int sig)
{
	if (sig == SIGSYS)
		gmp_small_stacks = view[sig].flags & SA_ONSTACK;
	struct gm_ksigaction own = gmp_own_action(sig, view[sig].flags);
	kernel_action(sig, &own, NULL);
}

/* Where the kernel has something of ours, it gets what the program asked for. */
void gmp_signals_return(void)
{
	gm_sigmask mask = gmi_block_signals();

	gmi_lock(&lock);
	for (int sig = 1; sig <= GMP_NSIG; sig++) {
		struct gm_ksigaction now;
		bool ours = known[sig] || is_virtual(sig);
		if (!ours || kernel_action(sig, NULL, &now))
			continue;
		void *own = is_virtual(sig) ? gmp_own_action(sig, 0).handler : gmp_handler_enter;
		if (now.handler != own)
			continue;
		now = view[sig];
		now.flags |= GM_SA_RESTORER;
		now.restorer = gmp_restore_plain;
		kernel_action(sig, &now, NULL);
	}
	gmi_unlock(&lock);
	gmi_restore_signals(mask);
}

void gmp_signals_init(void)
{
	uint64_t inherited = 0, ours = GMP_VIRTUAL;

	gmp_inherit_init();
	gmi_release_hook = gmp_sig_release_held;
	/* what was inherited (SIG_IGN) or set by an earlier constructor is the program's */
	gmp_signals_reclaim();
	gm_sys4(SYS_rt_sigprocmask, SIG_UNBLOCK, &ours, &inherited, 8);
	gmp_set_view(gmp_self(), inherited);
}

/* In the place of SIG_DFL, while a plug-in is loaded. */
static bool is_guards(int sig, const struct gm_ksigaction *k)
{
	struct gm_ksigaction own;

	return gm_unlikely(gmi_guard_action(sig, &own)) && k->handler == own.handler;
}

/* What the program asked for, unless the kernel has something else by now (SA_RESETHAND, a raw
 * call). */
static struct gm_ksigaction shown(int sig, struct gm_ksigaction k)
{
	bool guarded = is_guards(sig, &k);
	bool ours = guarded || k.handler == gmp_handler_enter || k.handler == view[sig].handler;

	if (guarded && !known[sig])
		return (struct gm_ksigaction){0};
	return known[sig] && ours ? view[sig] : k;
}

static long set_kernel(int sig, const struct gm_ksigaction *act, struct gm_ksigaction *old)
{
	struct gm_ksigaction k, was;
	bool handler = act && act->handler != (void *)SIG_DFL && act->handler != (void *)SIG_IGN;
	struct gm_ksigaction guard;

	if (act) {
		k = *act;
		k.mask &= ~GMP_VIRTUAL;
		if (handler) {
			atomic_store(&handler_of[sig], act->handler);
			atomic_store(&mask_of[sig], act->mask);
			atomic_store(&flags_of[sig], act->flags);
			k.handler = gmp_handler_enter;
			k.flags |= GM_SA_RESTORER;
			k.restorer = gmp_restore_plain;
		}
		/* a handler that wants no siginfo: gmi_guard_left() reads it all the same */
		if (gm_unlikely(gmi_guard_action(sig, &guard))) {
			k.flags |= handler ? SA_SIGINFO : 0;
			k = act->handler == (void *)SIG_DFL ? guard : k;
		}
	}
	long r = kernel_action(sig, act ? &k : NULL, &was);
	if (r)
		return r;
	*old = shown(sig, was);
	if (act) {
		view[sig] = *act;
		known[sig] = true;
	}
	return 0;
}

static void set_virtual(int sig, const struct gm_ksigaction *act, struct gm_ksigaction *old)
{
	*old = view[sig];
	if (!act)
		return;
	view[sig] = *act;
	view[sig].mask &= ~(gmp_bit(SIGKILL) | gmp_bit(SIGSTOP));
	claim_signal(sig);
}

/* What was set by calls that nobody saw. */
static void reclaim_virtual(int sig)
{
	struct gm_ksigaction now;

	if (!kernel_action(sig, NULL, &now) && now.handler != gmp_own_action(sig, 0).handler) {
		view[sig] = now;
		claim_signal(sig);
	}
}

/* A handler that asks for an altstack: the kernel has ours now. */
static void reclaim_on_altstack(int sig)
{
	struct gm_ksigaction now, was;

	if (LIBC_OWN(sig) || is_virtual(sig) || kernel_action(sig, NULL, &now) ||
	    is_guards(sig, &now))
		return;
	if ((now.flags & SA_ONSTACK) && now.handler != gmp_handler_enter &&
	    now.handler != (void *)SIG_DFL && now.handler != (void *)SIG_IGN)
		set_kernel(sig, &now, &was);
}

void gmp_signals_reclaim(void)
{
	gm_sigmask mask = gmi_block_signals();

	gmi_lock(&lock);
	reclaim_virtual(SIGSYS); /* says whether stacks are small */
	reclaim_virtual(SIGSEGV);
	for (int sig = 1; sig <= GMP_NSIG && !gmp_small_stacks; sig++)
		reclaim_on_altstack(sig);
	gmi_unlock(&lock);
	gmi_restore_signals(mask);
}

static void nothing(int sig)
{
}

/*
 * The kernel has put the frame on our altstack: on to the program's, if it has one, else to the
 * interrupted stack. A signal that comes before all are blocked finds us there, and leaves us
 * there (gmp_altstack_below).
 */
static void *move_handler(int sig, siginfo_t *info, ucontext_t *uc)
{
	const struct gm_ksigaction act = {.handler = atomic_load(&handler_of[sig]),
					  .flags = atomic_load(&flags_of[sig]),
					  .mask = atomic_load(&mask_of[sig])};
	uint64_t all = ~GMP_VIRTUAL, blocked = 0;

	gm_sys4(SYS_rt_sigprocmask, SIG_BLOCK, &all, &blocked, 8);
	if (gmp_has_room(sig, uc, &act))
		gmp_deliver(sig, info, uc, &act, blocked | gmp_self()->vmask);
	return (void *)nothing;
}

/*
 * A handler of the program's comes before a call that we wanted made again was made: it would have
 * ended the call, so it has.
 */
static void not_again(struct gmp_thread *t, greg_t *g)
{
	if (t->again_at && g[REG_RIP] == t->again_at && g[REG_RAX] == t->again_nr) {
		g[REG_RAX] = -EINTR;
		g[REG_RIP] += 2;
	}
	t->again_at = 0;
}

void *gmp_handler_begins(int sig, siginfo_t *info, ucontext_t *uc)
{
	bool left = gm_unlikely(gmi_guard_action(sig, NULL)) && gmi_guard_left(info, uc);
	if (!gmp_armed)
		return left ? (void *)nothing : atomic_load(&handler_of[sig]);
	struct gmp_thread *t = gmp_self();
	uint64_t mask;

	memcpy(&mask, &uc->uc_sigmask, sizeof(mask));
	t->handlers++;
	not_again(t, uc->uc_mcontext.gregs);
	gmp_mask_seen(t, mask);
	if (!left && (atomic_load(&flags_of[sig]) & SA_ONSTACK) && gmp_altstack_is_wrong(t, uc))
		return move_handler(sig, info, uc);
	gmp_altstack_show(t, uc);
	uint64_t now = t->vmask;
	uint64_t after = gmp_end_wait(t, uc->uc_mcontext.gregs, &now) & GMP_VIRTUAL;
	mask = (mask & ~GMP_VIRTUAL) | after;
	memcpy(&uc->uc_sigmask, &mask, sizeof(mask));
	t->vmask = (now | atomic_load(&mask_of[sig])) & GMP_VIRTUAL;
	t->beside = 0;
	return left ? (void *)nothing : atomic_load(&handler_of[sig]);
}

/* A vfork child: the kernel's actions are its own, our tables are its parent's. */
static long guest_action(struct gmp_guest *g, int sig, const struct gm_ksigaction *act,
			 struct gm_ksigaction *old)
{
	const uint64_t bit = gmp_bit(sig);
	long r = 0;

	if (!is_virtual(sig)) {
		if (!(r = kernel_action(sig, act, old)))
			*old = shown(sig, *old);
		return r;
	}
	*old = view[sig];
	if (g->set & bit)
		*old = (struct gm_ksigaction){.handler = g->ignored & bit ? (void *)SIG_IGN
									  : (void *)SIG_DFL};
	if (act) {
		g->set |= bit;
		g->ignored = (g->ignored & ~bit) | (act->handler == (void *)SIG_IGN ? bit : 0);
	}
	return 0;
}

int gmp_sigaction(int sig, const struct gm_ksigaction *act, struct gm_ksigaction *old)
{
	struct gm_ksigaction set, was;
	struct gmp_guest *guest;
	long r = 0;

	if (sig < 1 || sig > GMP_NSIG)
		return -EINVAL;
	if (act)
		set = *act;
	if (gm_unlikely((guest = gmp_guest(gmp_self())) != NULL)) {
		r = guest_action(guest, sig, act ? &set : NULL, &was);
		if (!r && old)
			*old = was;
		return (int)r;
	}
	gm_sigmask mask = gmi_block_signals();
	gmi_lock(&lock);
	if (is_virtual(sig))
		set_virtual(sig, act ? &set : NULL, &was);
	else
		r = set_kernel(sig, act ? &set : NULL, &was);
	gmi_unlock(&lock);
	gmi_restore_signals(mask);
	if (!r && old)
		*old = was;
	return (int)r;
}

struct gm_ksigaction gmp_action_take(int sig)
{
	struct gm_ksigaction act = {0};

	gm_sigmask mask = gmi_block_signals();
	gmi_lock(&lock);
	if (is_virtual(sig))
		act = view[sig];
	else if (!kernel_action(sig, NULL, &act))
		act = shown(sig, act);
	if (act.flags & SA_RESETHAND) {
		struct gm_ksigaction dfl = act;
		dfl.handler = (void *)SIG_DFL;
		if (is_virtual(sig))
			view[sig] = dfl;
		else
			kernel_action(sig, &dfl, NULL);
	}
	gmi_unlock(&lock);
	gmi_restore_signals(mask);
	return act;
}

/* ---- libc's functions ---- */

/* As libc does, actions say SA_RESTORER: programs that compare flags see the same ones. */

/* Of a signal that no program may have, libc says so. */
static bool is_known(int sig)
{
	return sig >= 1 && sig <= GMP_NSIG && !LIBC_OWN(sig);
}

GMP_HOOK int sigaction(int sig, const struct sigaction *act, struct sigaction *old)
{
	struct gm_ksigaction set, was;

	if (!gmp_armed || LIBC_OWN(sig))
		return GMP_REAL(sigaction)(sig, act, old);
	if (act) {
		set = (struct gm_ksigaction){.handler = (void *)act->sa_handler,
					     .flags = (unsigned)act->sa_flags | GM_SA_RESTORER,
					     .restorer = gmp_restore_plain};
		memcpy(&set.mask, &act->sa_mask, sizeof(set.mask));
	}
	int r = gmp_sigaction(sig, act ? &set : NULL, &was);
	if (r)
		return (int)gmp_ret(r);
	if (old) {
		memset(old, 0, sizeof(*old));
		old->sa_handler = (__sighandler_t)was.handler;
		old->sa_flags = (int)was.flags;
		old->sa_restorer = (void (*)(void))was.restorer;
		memcpy(&old->sa_mask, &was.mask, sizeof(was.mask));
	}
	return 0;
}

GMP_HOOK int __sigaction(int sig, const struct sigaction *act, struct sigaction *old)
{
	return sigaction(sig, act, old);
}

static __sighandler_t set_simple(int sig, __sighandler_t handler, unsigned long flags,
				 uint64_t mask)
{
	struct gm_ksigaction set = {.handler = (void *)handler,
				    .flags = flags | GM_SA_RESTORER,
				    .mask = mask},
			     was;

	if (handler == SIG_ERR) {
		errno = EINVAL;
		return SIG_ERR;
	}
	int r = gmp_sigaction(sig, &set, &was);
	return r ? (errno = -r, SIG_ERR) : (__sighandler_t)was.handler;
}

GMP_HOOK __sighandler_t signal(int sig, __sighandler_t handler)
{
	if (!gmp_armed || !is_known(sig))
		return GMP_REAL(signal)(sig, handler);
	return set_simple(sig, handler, interrupts & gmp_bit(sig) ? 0 : SA_RESTART, gmp_bit(sig));
}

GMP_HOOK __sighandler_t bsd_signal(int sig, __sighandler_t handler)
{
	return signal(sig, handler);
}

GMP_HOOK __sighandler_t ssignal(int sig, __sighandler_t handler)
{
	return signal(sig, handler);
}

GMP_HOOK __sighandler_t sysv_signal(int sig, __sighandler_t handler)
{
	if (!gmp_armed || !is_known(sig))
		return GMP_REAL(sysv_signal)(sig, handler);
	return set_simple(sig, handler, (unsigned)SA_RESETHAND | SA_NODEFER, 0);
}

GMP_HOOK __sighandler_t __sysv_signal(int sig, __sighandler_t handler)
{
	return sysv_signal(sig, handler);
}

GMP_HOOK __sighandler_t sigset(int sig, __sighandler_t handler)
{
	uint64_t bit, was;

	if (!gmp_armed || !is_known(sig))
		return GMP_REAL(sigset)(sig, handler);
	bit = gmp_bit(sig);
	if (handler == (__sighandler_t)2) { /* SIG_HOLD */
		struct gm_ksigaction now;
		gmp_sigmask(SIG_BLOCK, &bit, &was, NULL);
		gmp_sigaction(sig, NULL, &now);
		return was & bit ? handler : (__sighandler_t)now.handler;
	}
	__sighandler_t old = set_simple(sig, handler, 0, 0);
	if (old == SIG_ERR)
		return old;
	gmp_sigmask(SIG_UNBLOCK, &bit, &was, NULL);
	return was & bit ? (__sighandler_t)2 : old;
}

GMP_HOOK int sigignore(int sig)
{
	if (!gmp_armed || !is_known(sig))
		return GMP_REAL(sigignore)(sig);
	return set_simple(sig, SIG_IGN, 0, 0) == SIG_ERR ? -1 : 0;
}

GMP_HOOK int siginterrupt(int sig, int on)
{
	struct gm_ksigaction act;

	if (!gmp_armed || !is_known(sig))
		return GMP_REAL(siginterrupt)(sig, on);
	gmp_sigaction(sig, NULL, &act);
	if (on) {
		interrupts |= gmp_bit(sig);
		act.flags &= ~(unsigned long)SA_RESTART;
	} else {
		interrupts &= ~gmp_bit(sig);
		act.flags |= SA_RESTART;
	}
	return (int)gmp_ret(gmp_sigaction(sig, &act, NULL));
}
