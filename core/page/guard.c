/* Calls of code that is not ours. See guard.h. */
#include "core/page/guard.h"
#include "core/page/thread.h"
#include <errno.h>
#include <sys/ucontext.h>

long gmc_guarded_call(void *fn, const uintptr_t args[4], void **sp); /* call_x86_64.S */
extern void gmc_guarded_leave(void);

static __thread struct gm_guard *volatile innermost; /* what this thread is in */

bool gmc_guard_always;
int64_t gmc_guard_limit_ns = 10000000000;

/* Our own threads have SIGSEGV blocked: a bad access would kill the process without a word. */
static gm_sigmask open_sigsegv(void)
{
	gm_sigmask segv = 1ull << (SIGSEGV - 1), old = 0;

	gm_sys4(SYS_rt_sigprocmask, SIG_UNBLOCK, &segv, &old, sizeof old);
	return old;
}

long gmc_guard_call(struct gm_guard *g, void *fn, const uintptr_t args[4])
{
	struct gm_thread *t = g->watched ? gmi_self() : NULL;
	uint64_t since = t ? atomic_load_explicit(&t->guarded_ns, memory_order_relaxed) : 0;

	g->outer = innermost;
	if (t && !since)
		atomic_store_explicit(&t->guarded_ns, gmi_now_ns(), memory_order_release);
	innermost = g;
	gm_sigmask old = g->watched ? open_sigsegv() : 0;
	long r = gmc_guarded_call(fn, args, &g->sp);
	innermost = g->outer;
	if (g->watched)
		gm_sys4(SYS_rt_sigprocmask, SIG_SETMASK, &old, NULL, sizeof old);
	if (t && !since)
		atomic_store_explicit(&t->guarded_ns, 0, memory_order_release);
	return r;
}

static bool no_breach(struct gm_guard *g, enum gm_breach kind, const void *what)
{
	return false;
}

void gmc_guard_pause(struct gm_guard *g)
{
	*g = (struct gm_guard){.breach = no_breach, .outer = innermost};
	innermost = g->outer ? g : NULL;
}

void gmc_guard_resume(struct gm_guard *g)
{
	innermost = g->outer;
}

int gmc_called_back(const char *name)
{
	struct gm_guard *g = innermost;

	return gm_unlikely(g) && g->breach(g, GM_BREACH_CALL, name) ? -EDEADLK : 0;
}

static const char watch_mark;

bool gmi_guard_left(const void *info, void *context)
{
	struct gm_guard *g = innermost;
	const siginfo_t *si = info;
	greg_t *r = ((ucontext_t *)context)->uc_mcontext.gregs;
	bool late = si->si_code == SI_QUEUE && si->si_value.sival_ptr == (void *)&watch_mark;

	if (gm_likely(!g)) /* or no longer: then nothing is wrong with it */
		return late;
	if (!g->breach(g, late ? GM_BREACH_TIME : GM_BREACH_SIGNAL, si))
		return late;
	r[REG_RIP] = (greg_t)(uintptr_t)gmc_guarded_leave;
	r[REG_RDI] = (greg_t)(uintptr_t)g->sp;
	return true;
}

void gmc_guard_watch(void)
{
	struct gm_thread *t = atomic_load_explicit(&gmi_threads, memory_order_acquire);

	for (; t; t = t->next) {
		uint64_t since = atomic_load_explicit(&t->guarded_ns, memory_order_acquire);
		int tid = atomic_load_explicit(&t->tid, memory_order_relaxed);
		if (!since || !tid || (int64_t)(gmi_now_ns() - since) < gmc_guard_limit_ns)
			continue;
		siginfo_t info = {.si_signo = SIGSEGV, .si_code = SI_QUEUE};
		info.si_value.sival_ptr = (void *)&watch_mark;
		gm_sys4(SYS_rt_tgsigqueueinfo, gm_sys0(SYS_getpid), tid, SIGSEGV, &info);
	}
}
