/*
 * sighold.c - SIGSEGV and SIGSYS that were sent while the program blocks them. The kernel never
 * has them blocked, so what it would keep is kept here: for one thread, or for the process until
 * some thread opens the signal or waits for it.
 *
 * A thread is told that it can have one by the signal itself, with a value of ours: a nudge. The
 * held siginfo is what it then delivers. (Sending the held siginfo is no way: only a process's
 * main thread may send itself what kill() made.)
 *
 * Lock: gmp_threads_lock for what is the process's. What is the thread's is changed by its own
 * handlers only, and by itself with signals blocked.
 */
#include "preload/signals/sighold.h"

#include <errno.h>
#include <string.h>

#include "core/page/thread.h"

static _Atomic uint64_t process_pending;
static siginfo_t process_held[2];
static const char nudge_mark;

static const int sigs[] = {SIGSEGV, SIGSYS};

static unsigned slot(int sig)
{
	return sig == SIGSYS;
}

uint64_t gmp_sig_pending(const struct gmp_thread *t)
{
	return t->vpending | (atomic_load(&process_pending) & t->vmask);
}

static void nudge(int tid, int sig)
{
	siginfo_t info = {.si_signo = sig, .si_code = SI_QUEUE};

	info.si_value.sival_ptr = (void *)&nudge_mark;
	gm_sys4(SYS_rt_tgsigqueueinfo, gm_sys0(SYS_getpid), tid, sig, &info);
}

bool gmp_sig_is_nudge(const siginfo_t *info)
{
	return info->si_code == SI_QUEUE && info->si_value.sival_ptr == &nudge_mark;
}

bool gmp_sig_take(struct gmp_thread *t, int sig, siginfo_t *info)
{
	const uint64_t bit = gmp_bit(sig);
	bool got = false;

	if (t->vpending & bit) {
		*info = t->held[slot(sig)];
		atomic_fetch_and(&t->vpending, ~bit);
		return true;
	}
	if (!(atomic_load(&process_pending) & bit))
		return false;
	gmi_lock(&gmp_threads_lock);
	if (atomic_load(&process_pending) & bit) {
		*info = process_held[slot(sig)];
		atomic_fetch_and(&process_pending, ~bit);
		got = true;
	}
	gmi_unlock(&gmp_threads_lock);
	return got;
}

/* A thread that has the signal open, or waits for it. */
static int who_wants(uint64_t bit)
{
	for (struct gm_thread *g = gmi_threads; g; g = g->next) {
		const struct gmp_thread *p = g->preload;
		if (p && p->armed && !g->internal && g != gmi_self() &&
		    (!(p->vmask & bit) || (p->waiting & bit)))
			return atomic_load(&g->tid);
	}
	return 0;
}

/*
 * kill, timers and the like mean the process; tgkill and pthread_kill mean the thread. Our own
 * threads have SIGSEGV open, and get it when the others are in its handler.
 */
static bool is_for_process(const siginfo_t *info)
{
	return info->si_code != SI_TKILL || gmi_self()->internal;
}

static void hold_for_process(const struct gmp_thread *t, int sig, const siginfo_t *info)
{
	const uint64_t bit = gmp_bit(sig);
	int tid = 0;

	gm_sigmask old = gmi_block_signals();
	gmi_lock(&gmp_threads_lock);
	if (!(atomic_load(&process_pending) & bit))
		process_held[slot(sig)] = *info;
	atomic_fetch_or(&process_pending, bit);
	/* Pairs with gmp_sig_release() of a thread that has just opened the signal: one of the
	 * two sees the other. */
	atomic_thread_fence(memory_order_seq_cst);
	if (!(t->waiting & bit))
		tid = who_wants(bit);
	gmi_unlock(&gmp_threads_lock);
	if (tid)
		nudge(tid, sig);
	gmi_restore_signals(old);
}

void gmp_sig_hold(struct gmp_thread *t, int sig, const siginfo_t *info, bool in_core)
{
	if (is_for_process(info) && !in_core) {
		hold_for_process(t, sig, info);
		return;
	}
	if (!(t->vpending & gmp_bit(sig)))
		t->held[slot(sig)] = *info;
	atomic_fetch_or(&t->vpending, gmp_bit(sig));
}

static void nudge_self(uint64_t ready)
{
	for (unsigned i = 0; gm_unlikely(ready) && i < GM_ARRAY_LEN(sigs); i++)
		if (ready & gmp_bit(sigs[i]))
			nudge(gmi_gettid(), sigs[i]);
}

void gmp_sig_release(struct gmp_thread *t)
{
	atomic_thread_fence(memory_order_seq_cst);
	nudge_self((t->vpending | atomic_load(&process_pending)) & ~t->vmask);
}

void gmp_sig_renudge(void)
{
	uint64_t pending = atomic_load_explicit(&process_pending, memory_order_relaxed);

	if (gm_unlikely(pending) && !gmi_self()->internal)
		nudge_self(pending & (~gmp_self()->vmask | gmp_self()->waiting));
}

/* What came while the thread was in core and is the process's may be another thread's. */
void gmp_sig_release_held(void)
{
	struct gmp_thread *t = gmp_self();

	for (unsigned i = 0; i < GM_ARRAY_LEN(sigs); i++) {
		siginfo_t info = t->held[i];
		bool here = !(t->vmask & gmp_bit(sigs[i])) && !gmi_self()->internal;
		if (here || !(t->vpending & gmp_bit(sigs[i])) || !is_for_process(&info))
			continue;
		atomic_fetch_and(&t->vpending, ~gmp_bit(sigs[i]));
		hold_for_process(t, sigs[i], &info);
	}
	gmp_sig_release(t);
}

void gmp_sig_return(struct gmp_thread *t)
{
	siginfo_t info;

	for (unsigned i = 0; i < GM_ARRAY_LEN(sigs); i++)
		if (gmp_sig_take(t, sigs[i], &info) &&
		    gm_sys3(SYS_rt_sigqueueinfo, gm_sys0(SYS_getpid), sigs[i], &info) == -EPERM)
			gm_sys2(SYS_kill, gm_sys0(SYS_getpid), sigs[i]);
}

void gmp_sig_forget(struct gmp_thread *t)
{
	t->vpending = 0;
	atomic_store(&process_pending, 0);
}
