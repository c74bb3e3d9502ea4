/*
 * dispatch.h - Syscall User Dispatch: from the activation on, every call of the program's is made
 * by us.
 *
 *	what  most calls are rewritten (sites.c, rewrite.c) and made with their buffers held
 *	      (site_call.c); the rest come by a signal, to dispatch.c; activate.c switches both on
 *	who   the kernel by SIGSYS, core by gmi_activate_hook, the program by its rewritten calls
 *	may   the interrupted registers; all rooms below, by raw calls only
 *	must  errno stays; a call may block for ever, be interrupted, and never return
 *	else  syscalls/syscall_table.h: what a call's memory is; ground/gate.h: the gate
 */
#ifndef GMP_DISPATCH_H
#define GMP_DISPATCH_H

#include <signal.h>

void gmp_dispatch_init(void);
void gmp_on_sigsys(int sig, siginfo_t *info, void *ctx);
int gmp_activate(void); /* gmi_activate_hook; all signals blocked */
/* The process leaves: nothing is away. Dispatch is off, and no thread will come to our handlers. */
void gmp_deactivate(void);
int gmp_never_again(void); /* gmi_activate_hook of a process that left: -ENODEV */

#endif
