/* Calls of code that is not ours. See guard.h. */
#include "core/page/guard.h"
#include "core/page/thread.h"
#include "core/sys/sigaction.h"
#include <errno.h>
#include <sys/ucontext.h>

long gmc_guarded_call(void *fn, const uintptr_t args[4], void **sp); /* call_x86_64.S */
extern void gmc_guarded_leave(void);

static __thread struct gm_guard *volatile innermost; /* what this thread is in */

bool gmc_guard_always;
int64_t gmc_guard_limit_ns = 10000000000;

#define BIT(sig) (1ull << ((sig)-1))

static const struct {
	int sig;
	const char *words;
} deaths[] = {
	{SIGFPE, "crashed: SIGFPE, as of a division by zero,"},
	{SIGILL, "crashed: SIGILL, an instruction that there is not,"},
	{SIGBUS, "crashed: SIGBUS"},
	{SIGABRT, "called abort()"},
};

/*
 * Our own threads have them blocked: a bad access would kill the process without a word. Not
 * SIGABRT, which abort() opens itself: it would be open, too, while a plug-in's call holds locks of
 * core.
 */
static gm_sigmask open_deadly(void)
{
	gm_sigmask set = BIT(SIGSEGV), old = 0;

	for (unsigned i = 0; gmc_guard_always && i < GM_ARRAY_LEN(deaths); i++)
		set |= deaths[i].sig == SIGABRT ? 0 : BIT(deaths[i].sig);
	gm_sys4(SYS_rt_sigprocmask, SIG_UNBLOCK, &set, &old, sizeof old);
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
	gm_sigmask old = g->watched ? open_deadly() : 0;
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

extern void gmc_sigreturn(void); /* gate_x86_64.S */
void *gmi_guard_restorer = (void *)gmc_sigreturn;

static const char watch_mark;

/* abort() sends its signal itself. */
static bool is_own_abort(const siginfo_t *si)
{
	return si->si_signo == SIGABRT && si->si_code == SI_TKILL &&
	       si->si_pid == (pid_t)gm_sys0(SYS_getpid);
}

/* Somebody has sent it, and the thread is in guarded code, perhaps with locks: it comes again when
 * the thread is out. */
static void postpone(const siginfo_t *si, ucontext_t *uc)
{
	gm_sigmask mask;

	gm_copy(&mask, &uc->uc_sigmask, sizeof mask);
	mask |= BIT(si->si_signo);
	gm_copy(&uc->uc_sigmask, &mask, sizeof mask);
	gm_sys4(SYS_rt_tgsigqueueinfo, gm_sys0(SYS_getpid), gm_sys0(SYS_gettid), si->si_signo, si);
}

bool gmi_guard_left(const void *info, void *context)
{
	struct gm_guard *g = innermost;
	const siginfo_t *si = info;
	greg_t *r = ((ucontext_t *)context)->uc_mcontext.gregs;
	bool late = si->si_code == SI_QUEUE && si->si_value.sival_ptr == (void *)&watch_mark;

	if (gm_likely(!g)) /* or no longer: then nothing is wrong with it */
		return late;
	if (si->si_signo != SIGSEGV && si->si_code <= 0 && !is_own_abort(si)) {
		postpone(si, context);
		return true;
	}
	if (!g->breach(g, late ? GM_BREACH_TIME : GM_BREACH_SIGNAL, si))
		return late;
	r[REG_RIP] = (greg_t)(uintptr_t)gmc_guarded_leave;
	r[REG_RDI] = (greg_t)(uintptr_t)g->sp;
	return true;
}

void gmc_guard_words(const void *info, char *text, size_t bytes)
{
	const siginfo_t *si = info;

	for (unsigned i = 0; i < GM_ARRAY_LEN(deaths); i++)
		if (deaths[i].sig == si->si_signo) {
			int n = gmi_snprintf(text, bytes, "%s", deaths[i].words);
			if (si->si_code > 0)
				gmi_snprintf(text + n, bytes - (size_t)n, " at %lx",
					     (unsigned long)(uintptr_t)si->si_addr);
			return;
		}
	gmi_snprintf(text, bytes, "crashed: a bad access to address %lx",
		     (unsigned long)(uintptr_t)si->si_addr);
}

/* In the place of SIG_DFL. What is tried again dies of the default action, with its true address;
 * what was sent is sent again. */
static void on_deadly(int sig, siginfo_t *info, void *context)
{
	struct gm_ksigaction dfl = {.flags = GM_SA_RESTORER, .restorer = gmi_guard_restorer};

	if (gmi_guard_left(info, context))
		return;
	gm_sys4(SYS_rt_sigaction, sig, &dfl, NULL, 8);
	if (info->si_code <= 0)
		gm_sys4(SYS_rt_tgsigqueueinfo, gm_sys0(SYS_getpid), gm_sys0(SYS_gettid), sig, info);
}

bool gmi_guard_action(int sig, struct gm_ksigaction *own)
{
	bool claimed = false;

	for (unsigned i = 0; gmc_guard_always && i < GM_ARRAY_LEN(deaths); i++)
		claimed |= deaths[i].sig == sig;
	if (claimed && own)
		*own = (struct gm_ksigaction){
			.handler = (void *)on_deadly,
			.flags = SA_SIGINFO | SA_ONSTACK | GM_SA_RESTORER,
			.restorer = gmi_guard_restorer,
			.mask = ~0ull,
		};
	return claimed;
}

void gmc_guard_claim(void)
{
	struct gm_ksigaction now, own;

	gmc_guard_always = true;
	for (unsigned i = 0; i < GM_ARRAY_LEN(deaths); i++)
		if (!gm_sys4(SYS_rt_sigaction, deaths[i].sig, NULL, &now, 8) && !now.handler &&
		    gmi_guard_action(deaths[i].sig, &own))
			gm_sys4(SYS_rt_sigaction, deaths[i].sig, &own, NULL, 8);
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
