/*
 * sigmask.c - the program's view of signal masks: SIGSEGV and SIGSYS can be "blocked" for it,
 * per thread, while the kernel's mask never has them. One that arrives meanwhile is held back; a
 * fault kills, as the kernel would have done.
 */
#include "preload/signals/sigmask.h"

#include <setjmp.h>
#include <string.h>
#include <ucontext.h>

#include "core/entry/pin.h"
#include "preload/ground/ground.h"
#include "preload/ground/real.h"
#include "preload/ground/thread.h"
#include "preload/signals/sighold.h"
#include "preload/signals/inherit.h"

/* SIGCANCEL, SIGSETXID: libc never lets them be blocked */
#define LIBC_OWN (gmp_bit(32) | gmp_bit(33))

static bool apply_mask(int how, uint64_t set, uint64_t *mask)
{
	switch (how) {
	case SIG_BLOCK:
		*mask |= set;
		return true;
	case SIG_UNBLOCK:
		*mask &= ~set;
		return true;
	case SIG_SETMASK:
		*mask = set;
		return true;
	default:
		return false;
	}
}

/* kmask: in a frame. NULL: the thread's own, set by the kernel. */
static uint64_t kernel_mask(const uint64_t *kmask)
{
	uint64_t now = 0;

	if (kmask)
		return *kmask;
	gm_sys4(SYS_rt_sigprocmask, SIG_BLOCK, NULL, &now, 8);
	return now;
}

static void set_kernel_mask(uint64_t *kmask, uint64_t real)
{
	if (kmask)
		*kmask = real;
	else
		gm_sys4(SYS_rt_sigprocmask, SIG_SETMASK, &real, NULL, 8);
}

int gmp_sigmask(int how, const uint64_t *set, uint64_t *old, uint64_t *kmask)
{
	struct gmp_thread *t = gmp_self();
	const uint64_t virtual = gmp_armed ? GMP_VIRTUAL : 0;
	struct gmp_guest *guest = set && gmp_armed ? gmp_guest(t) : NULL;
	uint64_t *vmask = guest ? &guest->vmask : &t->vmask;
	uint64_t now = kernel_mask(kmask), view;

	if (gmp_armed && !guest)
		gmp_mask_seen(t, now);
	now = view = (now & ~virtual) | *vmask;
	if (set && !apply_mask(how, *set, &now))
		return -EINVAL;
	if (set) {
		if (guest)
			guest->vmask = now & virtual;
		else
			gmp_set_view(t, gmp_armed ? now : 0);
		set_kernel_mask(kmask, now & ~virtual);
	}
	if (old)
		*old = view;
	if (set && !guest)
		gmp_sig_release(t);
	return 0;
}

/* ---- libc's functions ---- */

static int change_mask(int how, const sigset_t *set, sigset_t *old)
{
	uint64_t in = 0, out;

	if (set) {
		memcpy(&in, set, sizeof(in));
		in &= ~LIBC_OWN;
	}
	int r = gmp_sigmask(how, set ? &in : NULL, &out, NULL);
	if (!r && old)
		memcpy(old, &out, sizeof(out)); /* libc writes the kernel's eight bytes only */
	return r;
}

GMP_HOOK int sigprocmask(int how, const sigset_t *set, sigset_t *old)
{
	if (!gmp_armed)
		return GMP_REAL(sigprocmask)(how, set, old);
	return (int)gmp_ret(change_mask(how, set, old));
}

GMP_HOOK int pthread_sigmask(int how, const sigset_t *set, sigset_t *old)
{
	if (!gmp_armed)
		return GMP_REAL(pthread_sigmask)(how, set, old);
	return -change_mask(how, set, old);
}

static int change_one(int how, int sig)
{
	uint64_t bit = gmp_bit(sig);
	return (int)gmp_ret(gmp_sigmask(how, &bit, NULL, NULL));
}

GMP_HOOK int sighold(int sig)
{
	if (!gmp_armed || (sig != SIGSEGV && sig != SIGSYS))
		return GMP_REAL(sighold)(sig);
	return change_one(SIG_BLOCK, sig);
}

GMP_HOOK int sigrelse(int sig)
{
	if (!gmp_armed || (sig != SIGSEGV && sig != SIGSYS))
		return GMP_REAL(sigrelse)(sig);
	return change_one(SIG_UNBLOCK, sig);
}

/* 4.2BSD: an int of the first 31 signals. */
static int bsd(int how, int mask)
{
	uint64_t set = (unsigned)mask, old = 0;

	gmp_sigmask(how, how < 0 ? NULL : &set, &old, NULL);
	return (int)old;
}

GMP_HOOK int sigblock(int mask)
{
	return bsd(SIG_BLOCK, mask);
}

GMP_HOOK int sigsetmask(int mask)
{
	return bsd(SIG_SETMASK, mask);
}

GMP_HOOK int siggetmask(void)
{
	return bsd(-1, 0);
}

GMP_HOOK int sigpending(sigset_t *set)
{
	uint64_t pending = 0;

	if (GMP_REAL(sigpending)(set))
		return -1;
	if (gmp_armed) {
		memcpy(&pending, set, sizeof(pending));
		pending |= gmp_sig_pending(gmp_self());
		memcpy(set, &pending, sizeof(pending));
	}
	return 0;
}

/* ---- jumps that restore a mask: libc does that by a call that no hook sees ---- */

static void jumping(struct __jmp_buf_tag env[1])
{
	uint64_t m;

	if (!gmp_armed || !env->__mask_was_saved)
		return;
	memcpy(&m, &env->__saved_mask, sizeof(m));
	gmp_set_view(gmp_self(), m);
	m &= ~GMP_VIRTUAL;
	memcpy(&env->__saved_mask, &m, sizeof(m));
}

/* One definition for all names: they differ only in whether sigsetjmp saved a mask, which the
 * buffer itself says. */
#define JUMP(name, real)                                                                           \
	GMP_HOOK void name(struct __jmp_buf_tag env[1], int val)                                   \
	{                                                                                          \
		jumping(env);                                                                      \
		GMP_REAL(real)(env, val);                                                          \
		__builtin_unreachable();                                                           \
	}
JUMP(longjmp, longjmp)
JUMP(_longjmp, longjmp)
JUMP(siglongjmp, siglongjmp)
JUMP(__longjmp_chk, __longjmp_chk)

/* Contexts: their mask is put in place in the same hidden way. */
static void switching(const ucontext_t *uc)
{
	uint64_t m;

	if (!gmp_armed)
		return;
	memcpy(&m, &uc->uc_sigmask, sizeof(m));
	gmp_set_view(gmp_self(), m);
	if (m & GMP_VIRTUAL) {
		m &= ~GMP_VIRTUAL;
		memcpy((void *)&uc->uc_sigmask, &m, sizeof(m));
	}
}

GMP_HOOK int setcontext(const ucontext_t *uc)
{
	switching(uc);
	return GMP_REAL(setcontext)(uc);
}

GMP_HOOK int swapcontext(ucontext_t *old, const ucontext_t *uc)
{
	switching(uc);
	return GMP_REAL(swapcontext)(old, uc);
}

/* makecontext.S: where to go on. A stack in the heap stays on the host: signal frames are
 * pushed onto it. */
void *gmp_before_makecontext(const ucontext_t *uc)
{
	if (gmp_armed && gmp_managed(uc->uc_stack.ss_sp, uc->uc_stack.ss_size))
		gmi_pin_range(uc->uc_stack.ss_sp, uc->uc_stack.ss_size, true);
	return (void *)&GMP_REAL(makecontext);
}
