/*
 * leave.h - processes that confine themselves, or ask to be traced. See leave.c.
 */
#ifndef GMP_LEAVE_H
#define GMP_LEAVE_H

#include <stdbool.h>
#include <stdint.h>

enum gmp_confinement {
	GMP_FREE,     /* an ordinary call */
	GMP_ALONE,    /* the kernel makes it only for a process of one thread */
	GMP_TRACED,   /* from then on somebody sees each signal, and expects the program's */
	GMP_CONFINED, /* from then on calls may be forbidden */
};
/* What a system call with these arguments means. */
enum gmp_confinement gmp_confines(long nr, const long a[6]);
/*
 * Makes a call that is not GMP_FREE: without our threads, or as the last thing that we do in this
 * process. kmask: the mask that the caller's signal frame goes on with, NULL: the thread's own.
 * The result or -errno.
 */
long gmp_confined_call(enum gmp_confinement how, long nr, const long a[6], uint64_t *kmask);

#endif
