/*
 * dispatch.h - Syscall User Dispatch: from the activation on, every call of the program's is made
 * by us.
 *
 *	What happens	dispatch.c makes them, with their buffers pinned; activate.c switches it on
 *	Who comes in	the kernel by SIGSYS, core by gmi_activate_hook, the program by io.c's hot calls
 *	May touch	the interrupted registers; all rooms below, by raw calls only
 *	Must hold	errno stays; a call may block for ever, be interrupted, and never return
 *	Stays outside	what a call's memory is (syscalls/syscall_table.h), the gate itself (ground/gate.h)
 */
#ifndef GMP_DISPATCH_H
#define GMP_DISPATCH_H

#include <signal.h>

void gmp_dispatch_init(void);
void gmp_on_sigsys(int sig, siginfo_t *info, void *ctx);
int gmp_activate(void); /* gmi_activate_hook; all signals blocked */

#endif
