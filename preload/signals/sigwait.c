/*
 * sigwait.c - calls that put a mask in place while they wait (sigsuspend, ppoll, ...), and calls
 * that take signals synchronously (sigwait, ...), for a program that blocks SIGSEGV or SIGSYS,
 * which the kernel never has blocked.
 *
 * Neither may miss a signal that comes between the last look and the wait. The call is made in
 * gmp_gate_if(), which does not enter the kernel any more once thread.go is zero; a handler that
 * interrupts it before it does moves it to its end (gmp_leave_wait). So no signal is really
 * blocked at any time.
 *
 * During the call thread.vmask is the call's; thread.after is what comes back, and what
 * handlers' frames show.
 */
#include "preload/signals/sigwait.h"

#include <string.h>
#include <time.h>

#include "preload/ground/gate.h"
#include "preload/ground/ground.h"
#include "preload/ground/real.h"
#include "preload/ground/thread.h"
#include "preload/signals/sighold.h"
#include "preload/syscalls/held.h"

void gmp_leave_wait(struct gmp_thread *t, greg_t *g)
{
	t->go = 0;
	if (g[REG_RIP] >= (greg_t)gmp_gate_if_look && g[REG_RIP] < (greg_t)gmp_gate_if_end)
		g[REG_RIP] = (greg_t)gmp_gate_if_out;
}

uint64_t gmp_end_wait(struct gmp_thread *t, greg_t *g, uint64_t *now)
{
	uint64_t after = t->vmask;

	if (t->in_call) {
		after = t->after;
		*now = t->during;
		t->in_call = false;
	}
	t->waiting = 0; /* the handler may jump out of it */
	gmp_leave_wait(t, g);
	return after;
}

static long wait_masked(long nr, const long a[6], void *arg)
{
	struct gmp_thread *t = gmp_self();
	const uint64_t want = *(const uint64_t *)arg, after = t->vmask;

	t->during = want & ~(gmp_bit(SIGKILL) | gmp_bit(SIGSTOP));
	t->after = after;
	t->go = 1;
	atomic_signal_fence(memory_order_seq_cst);
	t->in_call = true;
	atomic_signal_fence(memory_order_seq_cst);
	t->vmask = want & GMP_VIRTUAL;
	gmp_sig_release(t);
	long r = 0;
	do {
		t->kept_out = false;
		r = gmp_gate_if(&t->go, nr, a);
		/* by one that is held: no reason to end */
	} while (r == -EINTR && t->kept_out && t->in_call);
	t->in_call = false;
	t->go = 0; /* for the call that this one's handler interrupted */
	t->vmask = after;
	gmp_sig_release(t);
	return r;
}

struct mask_pair { /* pselect6's last argument */
	const uint64_t *set;
	size_t bytes;
};

bool gmp_mask_of(const void *arg, enum gmp_mask_kind kind, uint64_t *mask)
{
	struct mask_pair pair;

	if (arg && kind == GMP_MASK_PAIR)
		arg = gmp_copy(&pair, arg, sizeof(pair)) || pair.bytes != sizeof(*mask) ? NULL
											: pair.set;
	return arg && !gmp_copy(mask, arg, sizeof(*mask));
}

long gmp_masked_syscall(long nr, const long a[6], unsigned i, enum gmp_mask_kind kind)
{
	uint64_t want, real;
	struct mask_pair pair = {&real, sizeof(real)};
	long b[6];

	if (!gmp_mask_of((void *)a[i], kind, &want))
		return gmp_held_syscall(nr, a);
	memcpy(b, a, sizeof(b));
	real = want & ~GMP_VIRTUAL;
	b[i] = kind == GMP_MASK_PAIR ? (long)&pair : (long)&real;
	return gmp_held_call(nr, b, wait_masked, &want);
}

struct taking {
	uint64_t set;
	siginfo_t *info;
};

static int take_any(struct gmp_thread *t, struct taking *w)
{
	static const int sigs[] = {SIGSEGV, SIGSYS};
	int sig = 0;

	gm_sigmask old = gmi_block_signals();
	for (unsigned i = 0; !sig && i < GM_ARRAY_LEN(sigs); i++)
		if ((w->set & gmp_bit(sigs[i])) && gmp_sig_take(t, sigs[i], w->info))
			sig = sigs[i];
	gmi_restore_signals(old);
	return sig;
}

static long wait_taking(long nr, const long a[6], void *arg)
{
	struct gmp_thread *t = gmp_self();
	struct taking *w = arg;

	t->go = 1;
	atomic_signal_fence(memory_order_seq_cst);
	t->waiting = w->set & GMP_VIRTUAL;
	atomic_thread_fence(memory_order_seq_cst); /* see gmp_sig_hold() */
	long r = take_any(t, w);
	while (!r) {
		t->kept_out = false;
		r = gmp_gate_if(&t->go, nr, a);
		/* the kernel took it for us: what it tells of is ours */
		bool nudge = r > 0 && gmp_sig_is_nudge(w->info);
		if (r != -EINTR && !nudge)
			break;
		bool handled = !t->waiting;
		int sig = take_any(t, w);
		if (sig)
			r = sig;
		else if (nudge || (t->kept_out && !handled)) { /* another thread had it first */
			t->go = 1;
			r = take_any(t, w);
		}
	}
	t->waiting = 0;
	t->go = 0;
	return r;
}

long gmp_sigtimedwait(const long a[6])
{
	siginfo_t info;
	struct taking w = {.info = &info};

	if (a[3] != 8 || !gmp_mask_of((void *)a[0], GMP_MASK, &w.set) || !(w.set & GMP_VIRTUAL))
		return gmp_held_syscall(SYS_rt_sigtimedwait, a);
	const long b[6] = {a[0], (long)&info, a[2], a[3]};
	long r = gmp_held_call(SYS_rt_sigtimedwait, b, wait_taking, &w);
	if (r > 0 && a[1] && gmp_copy((void *)a[1], &info, sizeof(info)))
		return -EFAULT;
	return r;
}

/* ---- libc's functions: cancellation points ---- */

static long masked(long nr, const long a[6], unsigned i, enum gmp_mask_kind kind)
{
	int type = gmp_cancel_open();
	long r = gmp_masked_syscall(nr, a, i, kind);

	gmp_cancel_close(type);
	return gmp_ret(r);
}

/* libc's functions leave the caller's time alone, the calls do not. */
static struct timespec *copy_time(struct timespec *to, const struct timespec *from)
{
	return from ? memcpy(to, from, sizeof(*to)) : NULL;
}

GMP_HOOK int sigsuspend(const sigset_t *set)
{
	if (!gmp_armed)
		return GMP_REAL(sigsuspend)(set);
	return (int)masked(SYS_rt_sigsuspend, (long[6]){(long)set, 8}, 0, GMP_MASK);
}

GMP_HOOK int ppoll(struct pollfd *fds, nfds_t n, const struct timespec *timeout,
		   const sigset_t *set)
{
	struct timespec ts;

	if (!gmp_armed || !set)
		return GMP_REAL(ppoll)(fds, n, timeout, set);
	long a[6] = {(long)fds, (long)n, (long)copy_time(&ts, timeout), (long)set, 8};
	return (int)masked(SYS_ppoll, a, 3, GMP_MASK);
}

GMP_HOOK int pselect(int n, fd_set *r, fd_set *w, fd_set *e, const struct timespec *timeout,
		     const sigset_t *set)
{
	struct mask_pair pair = {(const uint64_t *)(const void *)set, 8};
	struct timespec ts;

	if (!gmp_armed || !set)
		return GMP_REAL(pselect)(n, r, w, e, timeout, set);
	long a[6] = {n, (long)r, (long)w, (long)e, (long)copy_time(&ts, timeout), (long)&pair};
	return (int)masked(SYS_pselect6, a, 5, GMP_MASK_PAIR);
}

GMP_HOOK int epoll_pwait(int fd, struct epoll_event *ev, int max, int timeout, const sigset_t *set)
{
	if (!gmp_armed || !set)
		return GMP_REAL(epoll_pwait)(fd, ev, max, timeout, set);
	return (int)masked(SYS_epoll_pwait, (long[6]){fd, (long)ev, max, timeout, (long)set, 8}, 4,
			   GMP_MASK);
}

GMP_HOOK int epoll_pwait2(int fd, struct epoll_event *ev, int max, const struct timespec *timeout,
			  const sigset_t *set)
{
	if (!gmp_armed || !set)
		return GMP_REAL(epoll_pwait2)(fd, ev, max, timeout, set);
	return (int)masked(SYS_epoll_pwait2,
			   (long[6]){fd, (long)ev, max, (long)timeout, (long)set, 8}, 4, GMP_MASK);
}

static long take_signal(const sigset_t *set, siginfo_t *info, const struct timespec *timeout)
{
	const long a[6] = {(long)set, (long)info, (long)timeout, 8};
	int type = gmp_cancel_open();
	long r = gmp_sigtimedwait(a);

	gmp_cancel_close(type);
	if (r > 0 && info && info->si_code == SI_TKILL)
		info->si_code = SI_USER; /* as in libc's */
	return r;
}

GMP_HOOK int sigtimedwait(const sigset_t *set, siginfo_t *info, const struct timespec *timeout)
{
	return gmp_armed ? (int)gmp_ret(take_signal(set, info, timeout))
			 : GMP_REAL(sigtimedwait)(set, info, timeout);
}

GMP_HOOK int sigwaitinfo(const sigset_t *set, siginfo_t *info)
{
	return gmp_armed ? (int)gmp_ret(take_signal(set, info, NULL))
			 : GMP_REAL(sigwaitinfo)(set, info);
}

GMP_HOOK int sigwait(const sigset_t *set, int *sig)
{
	long r = 0;

	if (!gmp_armed)
		return GMP_REAL(sigwait)(set, sig);
	do
		r = take_signal(set, NULL, NULL);
	while (r == -EINTR);
	if (r < 0)
		return (int)-r;
	*sig = (int)r;
	return 0;
}
