/*
 * preload.h - what the files of the preload share: modes, the thread's part, and who offers
 * what.
 *
 * Life: init.c's constructor parses the options and raises gmp_on, then gmp_armed when a device
 * is configured. From then on SIGSEGV and SIGSYS are ours at kernel level and every thread is
 * born with an altstack and Syscall User Dispatch on (selector: allow). gmp_activate() is the
 * one step more, taken when the first page is about to leave the CPU.
 *
 * A hook that runs before the constructor, or in a bypassed process, finds gmp_on clear and
 * calls libc.
 */
#ifndef GMP_PRELOAD_H
#define GMP_PRELOAD_H

#include <errno.h>
#include <signal.h>
#include <ucontext.h>

#include "core/page/activate.h"
#include "core/rules/opt.h"
#include "core/count/stats.h"
#include "core/sys/sys.h"
#include "core/page/thread.h"
#include "core/space/vm.h"
#include "core/entry/fault.h"
#include "core/entry/fork.h"
#include "core/entry/pin.h"
#include "core/sys/own_thread.h"

#define GMP_HOOK   __attribute__((visibility("default")))
#define GMP_NSIG   64
#define gmp_bit(s) (1ull << ((s)-1))
/* Never really blocked while armed: a page fault or a dispatched call would kill the thread. */
#define GMP_VIRTUAL (gmp_bit(SIGSEGV) | gmp_bit(SIGSYS))

#define GMP_REDZONE 128 /* below the stack pointer: the interrupted code's */

extern volatile char gmp_selector; /* what the kernel looks at: 0 allow, 1 dispatch (dispatch.c) */

extern bool gmp_on;    /* hooks are in force */
extern bool gmp_armed; /* a device is configured: signals claimed, threads armed */

/* Is any byte of [p, p+n) in a managed window? Ends only: no buffer is larger than a window. */
static inline bool gmp_managed(const void *p, size_t n)
{
	return gmi_vm_contains(p) || (n > 1 && gmi_vm_contains((const char *)p + n - 1));
}
static inline bool gmp_is_active(void)
{
	return atomic_load_explicit(&gmi_active, memory_order_relaxed) != 0;
}
/* The result of a raw call as libc gives it. */
static inline long gmp_ret(long r)
{
	if (gm_unlikely((unsigned long)r > -4096ul)) {
		errno = (int)-r;
		return -1;
	}
	return r;
}

/* ---- threads: thread.c, altstack.c ---- */

/* What a process on our memory (a vfork child) has said of GMP_VIRTUAL signals. */
struct gmp_guest {
	int pid;
	uint64_t vmask;
	uint64_t set, ignored; /* actions that it changed; those of them to SIG_IGN */
};
enum gmp_exec_level { GMP_EXEC_CALL, GMP_EXEC_SEARCH, GMP_EXEC_LEVELS };
struct gmp_thread {
	stack_t alt; /* the altstack that the program set; ss_size 0: none */
	stack_t to_install;
	char *own_alt; /* ours, lowest usable byte; NULL: none (not born in our pthread_create) */
	size_t own_alt_bytes;
	/* of the mapping that starts one guard page below own_alt; 0: gmi_alloc */
	size_t map_bytes;
	char *scratch;	/* two signal frames are put together here, signals blocked */
	uint64_t vmask; /* GMP_VIRTUAL signals that the program believes blocked */
	/* the others that were really blocked when the program set vmask; 0: unknown */
	uint64_t beside;
	_Atomic uint64_t vpending; /* and those of them that arrived meanwhile */
	siginfo_t held[2];
	uint64_t during,
		after; /* sigwait.c: the mask of the call that the thread is in, vmask when it is over */
	bool in_call;
	bool kept_out;		   /* a signal came that is held now */
	volatile uint32_t go;	   /* 0: what gmp_gate_if() is asked to do has no more reason */
	volatile uint64_t waiting; /* GMP_VIRTUAL signals that it takes synchronously */
	struct gmp_guest guest;
	uintptr_t stack_block;	  /* last 2 MiB block pinned because the stack pointer was in it */
	_Atomic uint32_t in_libc; /* depth of gmp_libc_enter() */
	bool armed;		  /* altstack and dispatch are in the kernel's hands */
	struct gmp_exec_copy {
		void *p;
		size_t bytes;
	} exec_copy[GMP_EXEC_LEVELS]; /* exec.c: memory of the last attempts */
};
extern __thread struct gmp_thread *gmp_tls;
/* This thread's part; made without an altstack for a thread that no hook of ours started.
 * Signal-safe. */
struct gmp_thread *gmp_self(void);
/* Arms the calling thread: altstack, dispatch. Needs gmp_armed. vmask: inherited view of the
 * mask. */
void gmp_thread_arm(uint64_t vmask);
void gmp_threads_init(void);
/* The calling thread ends: its record and altstack go, its calls are no longer dispatched.
 * Signals blocked. */
void gmp_thread_end(void);
/* libc makes a thread of ours, not to be armed; core waits around it */
extern __thread bool gmp_making_own;
/* gm_thread.preload of other threads: read and cleared under it */
extern struct gm_lock gmp_threads_lock;
extern bool gmp_threaded; /* pthread_create was called at least once */

struct gmp_thread *gmp_altstack_make(void); /* NULL: no memory */
void gmp_altstack_free(struct gmp_thread *t);
/* Gives the kernel the calling thread's altstack, unless it is in use. */
void gmp_altstack_install(struct gmp_thread *t);
/* sigaltstack(2) as the program sees it; sp: its stack pointer. frame: of the signal handler
 * that we are in, which may run on the altstack: then to_install is left for the caller to give
 * to the kernel, outside of it. 0 or -errno. */
int gmp_sigaltstack(const stack_t *set, stack_t *old, uintptr_t sp, const ucontext_t *frame);
/* What the kernel has for t: the program's altstack or ours. */
stack_t gmp_altstack_in_use(const struct gmp_thread *t);
/* What the kernel had for the calling thread: the program may have set it by a call that nobody
 * saw. */
void gmp_altstack_seen(struct gmp_thread *t, const stack_t *now);
/* fn(arg), on the thread's own altstack if the stack in use lies in the window: fn may change
 * what is mapped there. */
void gmp_off_stack(void (*fn)(void *), void *arg);
/* A stack pointer was seen: if it lies in the window, its block stays on the host from now on. */
void gmp_pin_stack(uintptr_t sp);

/*
 * Around libc functions that block every signal inside (pthread_create, posix_spawn, ...):
 * dispatch must not be switched on while some thread has SIGSYS really blocked, its next call
 * would kill it. enter waits while an activation is under way.
 */
void gmp_libc_enter(void);
void gmp_libc_leave(void);

/* ---- signals: signal.c (kernel level), sigview.c (actions), sigmask.c (masks) ---- */

struct gmp_ksigaction { /* struct sigaction of the kernel */
	void *handler;
	unsigned long flags;
	void *restorer;
	uint64_t mask;
};
#define GMP_SA_RESTORER 0x04000000ul

/* Our kernel-level action of SIGSEGV or SIGSYS; flags: of the program's action, some of which
 * count for ours. */
struct gmp_ksigaction gmp_own_action(int sig, unsigned long flags);
/* The program wants even SIGSYS on the altstack: it runs on stacks that have no room for a
 * frame, as Go's goroutines do. */
extern bool gmp_small_stacks;
void gmp_signals_init(void);
/* Takes SIGSEGV and SIGSYS back if somebody replaced our handlers by a raw system call. */
void gmp_signals_reclaim(void);
/* rt_sigaction and rt_sigprocmask as the program sees them: 0 or -errno. act, set, old must be
 * accessible. */
int gmp_sigaction(int sig, const struct gmp_ksigaction *act, struct gmp_ksigaction *old);
/* kmask: the kernel's mask to edit in place (a signal frame's), NULL: the thread's own. */
int gmp_sigmask(int how, const uint64_t *set, uint64_t *old, uint64_t *kmask);
/* The program has set its mask: its view, from now on, of the calling thread's. */
static inline void gmp_set_view(struct gmp_thread *t, uint64_t mask)
{
	t->vmask = mask & GMP_VIRTUAL;
	t->beside = gmp_selector ? 0 : mask & ~(GMP_VIRTUAL | gmp_bit(SIGKILL) | gmp_bit(SIGSTOP));
}
/*
 * mask: what is really blocked. Before the first page leaves, nobody sees a mask that is set by
 * a call of the program's own (Go's): when signals were opened behind our back, so were the two.
 */
static inline void gmp_mask_seen(struct gmp_thread *t, uint64_t mask)
{
	if (gm_unlikely(t->vmask && !t->in_call && (t->beside & ~mask)))
		t->vmask = 0;
}
/*
 * A handler is about to run, and ends the call that the thread is in. now: the mask that it
 * finds, set when the call has put one in place. Gives the virtual bits that come back after the
 * handler. g: the interrupted registers.
 */
uint64_t gmp_end_wait(struct gmp_thread *t, greg_t *g, uint64_t *now);

/* ---- sighold.c: SIGSEGV and SIGSYS that were sent while the program blocks them ---- */

/* in_core: locks may be held; it is looked at again by gmp_sig_release_held(). */
void gmp_sig_hold(struct gmp_thread *t, int sig, const siginfo_t *info, bool in_core);
/* One that is held for the thread or the process; false: none (any more). Signals blocked. */
bool gmp_sig_take(struct gmp_thread *t, int sig, siginfo_t *info);
/* Is it only the news that a held signal can be had? */
bool gmp_sig_is_nudge(const siginfo_t *info);
/* Those that are held and no longer blocked come now. */
void gmp_sig_release(struct gmp_thread *t);
/* After a fault: the kernel drops a nudge that comes while the fault's own signal is on its way.
 * SIGSEGV blocked. */
void gmp_sig_renudge(void);
/* of the calling thread, when it has left core: gmi_release_hook */
void gmp_sig_release_held(void);
uint64_t gmp_sig_pending(const struct gmp_thread *t);
void gmp_sig_forget(struct gmp_thread *t); /* in a forked child */

/* ---- inherit.c: what children find of SIGSEGV and SIGSYS ---- */

void gmp_inherit_init(void);
/* NULL: the calling process is the one that this memory belongs to. */
struct gmp_guest *gmp_guest(struct gmp_thread *t);
/* Around exec or libc's spawn: blocked and ignored signals are so in the kernel meanwhile. No
 * managed memory is touched. */
enum gmp_inherit_by { GMP_BY_EXEC, GMP_BY_SPAWN };
struct gmp_inherited {
	uint64_t blocked, ignored;
};
struct gmp_inherited gmp_inherit_begin(enum gmp_inherit_by by);
void gmp_inherit_end(struct gmp_inherited done);

/* ---- sigwait.c: calls that wait with a mask of their own, or for signals ---- */

enum gmp_mask_kind { GMP_MASK, GMP_MASK_PAIR /* pointer and size, as pselect6 has it */ };
/* A call whose i-th argument is a mask that holds while it waits. Result or -errno. */
long gmp_masked_syscall(long nr, const long a[6], unsigned i, enum gmp_mask_kind kind);
/* false: none, or not readable */
bool gmp_mask_of(const void *arg, enum gmp_mask_kind kind, uint64_t *mask);
long gmp_sigtimedwait(const long a[6]);
/* A signal came: the call that is about to be made in gmp_gate_if() ends at once with -EINTR. */
void gmp_leave_wait(struct gmp_thread *t, greg_t *g);
/* The program's action for a forward; consumes it when SA_RESETHAND. */
struct gmp_ksigaction gmp_action_take(int sig);
/* A signal that is not for us goes to the program, as the kernel would have delivered it. Does
 * not always return. */
void gmp_forward(int sig, const siginfo_t *info, void *ctx, bool synchronous);

/* gate.S */
extern char gmp_gate[], gmp_gate_start[], gmp_gate_end[], gmp_stubs[];
extern char gmp_restore_own[], gmp_restore_plain[], gmp_restore_forwarded[], gmp_handler_enter[];
#define GMP_NSTUBS 384
extern void *gmp_stub_back[GMP_NSTUBS];
#define GMP_NCLONE_STUBS     32
#define GMP_CLONE_STUB_BYTES 32
extern char gmp_clone_stubs[];
extern void *gmp_clone_back[GMP_NCLONE_STUBS];
#define GMP_NVFORK_STUBS 32
extern char gmp_vfork_stubs[];
extern void *gmp_vfork_back[GMP_NVFORK_STUBS];
/* fn(arg) on another stack; its top, 16-byte aligned. */
void gmp_call_on(void *stack, void (*fn)(void *), void *arg);
/* Copies n bytes; -EFAULT instead of a signal when either side is not accessible. Only while our
 * SIGSEGV handler is in. */
int gmp_copy(void *dst, const void *src, size_t n);
extern char gmp_copy_fail[], gmp_copy_end[];
/* Continues in the frame at rsp (its ucontext) after copying a frame; does not return. */
void gmp_sigreturn_with(void *uc, void *dst, const void *src, size_t n) __attribute__((noreturn));

/* ---- dispatch.c, activate.c ---- */

void gmp_dispatch_init(void);
void gmp_dispatch_arm_thread(void);
void gmp_dispatch_disarm_thread(void);
void gmp_dispatch_forked(void); /* in the child: off, armed again */
void gmp_on_sigsys(int sig, siginfo_t *info, void *ctx);
/* The call with its managed buffers pinned, through the gate. Result or -errno. */
long gmp_pinned_syscall(long nr, const long a[6]);
long gmp_pinned_call(long nr, const long a[6], long (*make)(long nr, const long a[6], void *arg),
		     void *arg);
/* A call between the two may be cancelled, as in libc (io.c). */
int gmp_cancel_open(void);
void gmp_cancel_close(int type);
/* The kernel uses it beyond the call: it stays on the host for good, for devices to reach over
 * the bus; not movable: nor may its mapping change, so no device gets at it. */
void gmp_keep(const void *p, size_t n, bool movable);
extern bool gmp_have_dispatch;
int gmp_activate(void); /* gmi_activate_hook; all signals blocked */
void gmp_activate_forked(void);

/* ---- process.c ---- */

void gmp_process_init(void);	  /* atfork handlers: after malloc is up */
extern __thread bool gmp_in_fork; /* inside libc's fork: core is prepared */
/* The three parts of a fork, for libc's (atfork) and for raw calls. */
void gmp_fork_prepare(void);
void gmp_fork_parent(void);
void gmp_fork_child(void);
/* execve with path and vectors copied out of managed memory. -errno, or does not return. */
long gmp_execveat(int dirfd, const char *path, char *const argv[], char *const envp[], int flags);
/* close, close_range, dup2/dup3 that leave our descriptors alone. Results or -errno. */
long gmp_close(int fd);
long gmp_close_range(unsigned first, unsigned last, int flags);
/* All that is open, as the kernel lists it: there may be a million numbers. */
void gmp_each_fd(void (*each)(unsigned fd, void *arg), void *arg);
long gmp_dup3(int oldfd, int newfd, int flags, bool dup2);

#endif
