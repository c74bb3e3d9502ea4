/*
 * guard.h - calling code that is not ours (a driver's functions, a plug-in's), and taking a thread
 * out of it again when it breaks its rules.
 *
 * While such code runs its thread is marked. What may be noticed then: the handler of SIGSEGV comes
 * by, the background thread finds that the call does not return, a public function is called from
 * inside. The mark's owner says what that means; where it says so the thread goes on behind the
 * call, which returns -EIO. So no lock stays held, and no thread hangs with its signals blocked.
 *
 * Locks: none of core's. The mark belongs to its thread.
 */
#ifndef GM_CORE_GUARD_H
#define GM_CORE_GUARD_H

#include "core/sys/sys.h"
#include <signal.h>

/* A function of such code, in the struct that it gave us. */
struct gm_guarded {
	const char *name;
	size_t at;
};
#define GM_GUARDED(type, field)                                                                    \
	{                                                                                          \
#field, offsetof(struct type, field)                                               \
	}

enum gm_breach {
	GM_BREACH_SIGNAL, /* SIGSEGV, or one of gmi_guard_action(): what is its siginfo_t */
	GM_BREACH_TIME,	  /* it has been in there for gmc_guard_limit_ns */
	GM_BREACH_CALL,	  /* it called a public function: what is its name */
};
struct gm_guard {
	/* Is that a breach of a rule? Then it is told. In a signal handler, no locks. */
	bool (*breach)(struct gm_guard *g, enum gm_breach kind, const void *what);
	bool watched; /* it may hang */
	/* ours */
	struct gm_guard *outer;
	void *sp;
};
/* What fn returned, or -EIO. */
long gmc_guard_call(struct gm_guard *g, void *fn, const uintptr_t args[4]);
/* Guarded code calls back what it may: until gmc_guard_resume() this is core again. */
void gmc_guard_pause(struct gm_guard *g);
void gmc_guard_resume(struct gm_guard *g);

/*
 * At the head of public functions that take locks: -EDEADLK, with a message, for a thread that is
 * in a callback. name: of the function.
 */
int gmc_called_back(const char *name);
/*
 * The first thing that a SIGSEGV handler asks, with its siginfo_t and ucontext_t. True: the thread
 * was in code that broke a rule, and goes on behind it when the handler returns; or the signal is
 * of no meaning to anybody else.
 */
GM_EXPORT bool gmi_guard_left(const void *info, void *context);

/*
 * The processor's other signals and abort()'s (SIGFPE, SIGILL, SIGBUS, SIGABRT). Their actions are
 * the program's; but once a plug-in is loaded, those that it leaves at SIG_DFL get a handler of
 * ours, which ends a broken call as above and otherwise does what SIG_DFL does. True: sig is such,
 * *own (if any) is that action. Who keeps a view of the program's actions asks this, and calls
 * gmi_guard_left() at the head of the program's handlers.
 */
struct gm_ksigaction;
GM_EXPORT bool gmi_guard_action(int sig, struct gm_ksigaction *own);
/* How its frame is left: where system calls are dispatched, by the preload's way. Before
 * gmi_plugin_load(). */
GM_EXPORT extern void *gmi_guard_restorer;
/* A plug-in was loaded. Before main. */
void gmc_guard_claim(void);
/* What code that is not ours died of, in words. */
void gmc_guard_words(const void *info, char *text, size_t bytes);

/* Calls that have run for too long are ended, by a signal to their thread. For the background
 * thread. */
void gmc_guard_watch(void);
extern bool gmc_guard_always; /* whatever is attached, there is something to watch: a plug-in */
extern int64_t gmc_guard_limit_ns; /* how long that is; tests shorten it */

#endif
