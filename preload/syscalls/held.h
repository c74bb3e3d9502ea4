/*
 * held.h - a system call with its managed buffers held, through the gate. Results or -errno.
 * Signal-safe; may block as long as the call does.
 */
#ifndef GMP_HELD_H
#define GMP_HELD_H

#include <stdbool.h>
#include <stddef.h>

/* The call as the table says (syscall_table.h). */
long gmp_held_syscall(long nr, const long a[6]);
long gmp_call_through_stops(long nr, const long a[6]); /* nothing held */
/* The same, made by `make`. */
long gmp_held_call(long nr, const long a[6], long (*make)(long nr, const long a[6], void *arg),
		   void *arg);
/* A call between the two may be cancelled, as in libc (signals/sigwait.c). */
int gmp_cancel_open(void);
void gmp_cancel_close(int type);
/* The kernel uses it beyond the call: it stays on the host for good, for devices to reach over
 * the bus; not movable: nor may its mapping change, so no device gets at it. */
void gmp_keep(const void *p, size_t n, bool movable);

#endif
