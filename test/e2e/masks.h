/* masks.h - signal masks of one signal, for contract programs; 0: of none. */
#ifndef E2E_MASKS_H
#define E2E_MASKS_H

#include <signal.h>

static inline sigset_t only(int sig)
{
	sigset_t s;
	sigemptyset(&s);
	if (sig)
		sigaddset(&s, sig);
	return s;
}

static inline void set_mask(int sig)
{
	sigset_t s = only(sig);
	sigprocmask(SIG_SETMASK, &s, NULL);
}

static inline int blocked(int sig)
{
	sigset_t now;
	sigprocmask(SIG_BLOCK, NULL, &now);
	return sigismember(&now, sig);
}

#endif
