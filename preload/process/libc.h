/*
 * libc.h - libc's functions that block every signal inside, and the activation, keep out of each
 * other's way. One word, a futex; signal-safe.
 */
#ifndef GMP_LIBC_H
#define GMP_LIBC_H

#include <stdbool.h>

/*
 * Around libc functions that block every signal inside (pthread_create, posix_spawn, ...):
 * dispatch must not be switched on while some thread has SIGSYS really blocked, its next call
 * would kill it. enter waits while an activation is under way.
 */
void gmp_libc_enter(void);
void gmp_libc_leave(void);

/* For the activation: from now on nobody comes in; is somebody inside?; in they come again. */
void gmp_libc_shut(void);
bool gmp_libc_in_use(void);
void gmp_libc_open(void);
void gmp_libc_forked(void);

#endif
