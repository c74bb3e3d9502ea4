/*
 * gate.h - what is written in assembly: gate.S, the range from which calls are never dispatched,
 * and copy.S. Signal-safe.
 */
#ifndef GMP_GATE_H
#define GMP_GATE_H

#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <ucontext.h>

/* Of older headers of the kernel. */
#ifndef PR_SET_SYSCALL_USER_DISPATCH
#define PR_SET_SYSCALL_USER_DISPATCH 59
#define PR_SYS_DISPATCH_OFF	     0
#define PR_SYS_DISPATCH_ON	     1
#endif
#define GMP_REDZONE 128 /* below the stack pointer: the interrupted code's */

extern char gmp_gate[], gmp_gate_start[], gmp_gate_end[];

/* Stubs: the call, then on at *back[i]. */
#define GMP_NSTUBS 384
extern char gmp_stubs[];
extern void *gmp_stub_back[GMP_NSTUBS];
#define GMP_NCLONE_STUBS     32
#define GMP_CLONE_STUB_BYTES 32
extern char gmp_clone_stubs[];
extern void *gmp_clone_back[GMP_NCLONE_STUBS];
#define GMP_NVFORK_STUBS 32
extern char gmp_vfork_stubs[];
extern void *gmp_vfork_back[GMP_NVFORK_STUBS];

/* Where the stubs of rewritten calls go; and what it calls (dispatch/site_call.c). */
extern char gmp_site_call[];
extern unsigned char gmp_site_called[], gmp_site_called_held[]; /* behind its two calls */
struct gmp_site_regs {
	long a[6], nr;
};
long gmp_site_before(struct gmp_site_regs *r);
void gmp_site_after(long token, struct gmp_site_regs *r);

/* If *state is `seen` (even), marks it with GMP_PARKED and waits while *word is `seen`. After the
 * mark nothing is written. */
#define GMP_PARKED 1
void gmp_park(const void *word, uint32_t seen, void *state);

/* How handlers begin and return. */
extern char gmp_restore_own[], gmp_restore_plain[], gmp_restore_forwarded[], gmp_handler_enter[];
/* Continues in the frame at rsp (its ucontext) after copying a frame; does not return. */
void gmp_sigreturn_with(void *uc, void *dst, const void *src, size_t n) __attribute__((noreturn));

/* The call, unless *go is zero: then -EINTR. A signal in between sees to that (sigwait.c). */
long gmp_gate_if(const volatile uint32_t *go, long nr, const long a[6]);
extern char gmp_gate_if_look[], gmp_gate_if_end[], gmp_gate_if_out[];

/* fn(arg) on another stack; its top, 16-byte aligned. */
void gmp_call_on(void *stack, void (*fn)(void *), void *arg);
/* Copies n bytes; -EFAULT instead of a signal when either side is not accessible. Only while our
 * SIGSEGV handler is in. */
int gmp_copy(void *dst, const void *src, size_t n);
extern char gmp_copy_fail[], gmp_copy_end[];

/* ---- what gate.S calls: each is defined where its subject is ---- */

/* A handler of the program's is about to run. Gives its address. (sigview.c) */
void *gmp_handler_begins(int sig, siginfo_t *info, ucontext_t *uc);
/* Before the return from a handler that was entered or forwarded to. (signal.c) */
void gmp_sigreturn_forwarded(ucontext_t *uc);
/* A thread that libc or the program made by a call of its own is armed before it does anything.
 * (process/thread.c) */
void gmp_thread_born(void);
/* A vfork child: dispatch ends with each clone, its parent's altstack stays. (ground.c) */
void gmp_guest_born(void);

#endif
