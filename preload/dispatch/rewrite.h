/*
 * rewrite.h - system calls without a signal each: in front of each `syscall` of a module one
 * instruction becomes a jump to a stub (sites.h), which makes the call between hold and unhold, in
 * gate.S (site_call.c says what is held).
 *
 * From the first activation on, for good: who is not active calls straight on. libc and ld.so
 * are rewritten then; every other module when a call of its is dispatched for the first time. No
 * instruction is changed in place: whole pages are, a private mapping of the same file, which is
 * moved over the text in one step. What refuses (no file, other bytes, a policy against it) is
 * left to dispatch.
 */
#ifndef GMP_REWRITE_H
#define GMP_REWRITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* libc and ld.so; at each activation, cheap but for the first. */
void gmp_rewrite_start(void);
/* The module that pc lies in, unless it was looked at before. Signal-safe; takes milliseconds. */
void gmp_rewrite_seen(uintptr_t pc);
/* Does a module that was rewritten lie in [lo, lo+bytes)? A look without locks. */
bool gmp_rewrite_covers(uintptr_t lo, size_t bytes);
/* That range was unmapped. */
void gmp_rewrite_unmapped(uintptr_t lo, size_t bytes);
void gmp_rewrite_forked(void);

#endif
