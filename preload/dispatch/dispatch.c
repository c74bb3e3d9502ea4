/*
 * dispatch.c - Syscall User Dispatch: while the selector is on, every system call made outside
 * gate.S comes here as a SIGSYS, and is made between hold and unhold of its user buffers.
 *
 * The handler runs on the interrupted stack with nothing blocked: a call may wait for ever and
 * be interrupted by the program's handlers, which make calls of their own. It uses raw calls
 * only and leaves errno alone.
 *
 * Calls that cannot be made from inside a handler (they change the stack, the frame, or return
 * twice) go to a stub of gate.S, one for each place they are made from: `syscall; jmp back`.
 */
#include <fcntl.h>
#include <limits.h>
#include <linux/audit.h>
#include <linux/sched.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ucontext.h>
#include <ucontext.h>

#include "core/count/stats.h"
#include "core/entry/outside.h"
#include "core/entry/hold.h"
#include "core/entry/pin.h"
#include "core/page/activate.h"
#include "core/sys/at_fork.h"
#include "core/space/vm.h"
#include "preload/dispatch/dispatch.h"
#include "preload/dispatch/leave.h"
#include "preload/dispatch/peer.h"
#include "preload/dispatch/rewrite.h"
#include "preload/dispatch/site_call.h"
#include "preload/dispatch/stop.h"
#include "preload/ground/gate.h"
#include "preload/ground/ground.h"
#include "preload/ground/thread.h"
#include "preload/heap/gmp_mmap.h"
#include "preload/heap/limits.h"
#include "preload/process/process.h"
#include "preload/process/thread.h"
#include "preload/signals/altstack.h"
#include "preload/signals/sighold.h"
#include "preload/signals/inherit.h"
#include "preload/signals/sigmask.h"
#include "preload/signals/signals.h"
#include "preload/signals/sigwait.h"
#include "preload/syscalls/descriptors.h"
#include "preload/syscalls/held.h"
#include "preload/syscalls/syscall_table.h"
#include "preload/syscalls/uring.h"

#define SYS_USER_DISPATCH_CODE 2    /* si_code */
#define ROBUST_MAX	       2048 /* the kernel's limit */

static struct gm_lock stub_lock;

static struct stubs {
	char *code;
	size_t bytes; /* of one */
	void **back;
	unsigned max;
	_Atomic unsigned n;
} plain_stubs = {gmp_stubs, 8, gmp_stub_back, GMP_NSTUBS, 0},
  clone_stubs = {gmp_clone_stubs, GMP_CLONE_STUB_BYTES, gmp_clone_back, GMP_NCLONE_STUBS, 0},
  vfork_stubs = {gmp_vfork_stubs, GMP_CLONE_STUB_BYTES, gmp_vfork_back, GMP_NVFORK_STUBS, 0};

struct call {
	ucontext_t *uc;
	greg_t *g;
	long nr;
	long a[6];
};

/* ---- stubs ---- */

static void *find_stub(const struct stubs *t, void *back, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (t->back[i] == back)
			return t->code + i * t->bytes;
	return NULL;
}

static void *stub_for(struct stubs *t, void *back)
{
	void *s = find_stub(t, back, atomic_load_explicit(&t->n, memory_order_acquire));

	if (gm_likely(s != NULL))
		return s;
	gm_sigmask old = gmi_block_signals();
	gmi_lock(&stub_lock);
	unsigned n = atomic_load_explicit(&t->n, memory_order_relaxed);
	s = find_stub(t, back, n);
	if (!s && n < t->max) {
		t->back[n] = back;
		s = t->code + n * t->bytes;
		atomic_store_explicit(&t->n, n + 1, memory_order_release);
	}
	gmi_unlock(&stub_lock);
	gmi_restore_signals(old);
	return s;
}

/* ---- special calls: each gives the result, or goes on in a stub (RESUME) ---- */

#define RESUME LONG_MIN /* no result of any call */

static long go_on(struct call *c, struct stubs *t)
{
	void *s = stub_for(t, (void *)c->g[REG_RIP]);

	if (!s)
		return -EAGAIN;
	c->g[REG_RIP] = (greg_t)s;
	return RESUME;
}

static long do_stub(struct call *c)
{
	return go_on(c, &plain_stubs);
}

/* What clone and clone3 ask for. */
struct birth {
	uint64_t flags;
	uintptr_t stack; /* its end; 0: as the parent's */
	int *parent_tid, *child_tid, *pidfd;
	struct clone_args *args; /* a copy, for the call by clone3; NULL: by clone */
};

static long fork_call(const struct birth *b, const struct call *c)
{
	if (!b->args)
		return gm_sys5(SYS_clone, b->flags, 0, c->a[2], c->a[3], c->a[4]);
	b->args->flags = b->flags;
	b->args->stack = b->args->stack_size = 0;
	return gm_sys2(SYS_clone3, b->args, sizeof(*b->args));
}

/* CLONE_CLEAR_SIGHAND: the program's handlers go, ours stay. */
static void clear_handlers(void)
{
	for (int sig = 1; sig <= GMP_NSIG; sig++) {
		struct gm_ksigaction act;
		if (gmp_sigaction(sig, NULL, &act) || act.handler == SIG_DFL ||
		    act.handler == SIG_IGN)
			continue;
		act = (struct gm_ksigaction){.handler = SIG_DFL};
		gmp_sigaction(sig, &act, NULL);
	}
}

/* A fork that libc knows nothing of: core must still give the child a heap of its own. */
static long raw_fork(struct birth *b, struct call *c)
{
	bool clear = b->flags & CLONE_CLEAR_SIGHAND;

	if (b->flags & CLONE_PARENT_SETTID)
		gmp_keep(b->parent_tid, sizeof(int), true);
	if (b->flags & CLONE_PIDFD)
		gmp_keep(b->pidfd, sizeof(int), true);
	b->flags &= ~CLONE_CLEAR_SIGHAND;
	gmp_fork_prepare();
	long r = fork_call(b, c);
	if (r) {
		gmp_fork_parent();
		return r;
	}
	gmp_fork_child();
	/* the kernel's write came before the child had its memory */
	if (b->flags & CLONE_CHILD_SETTID) {
		int tid = gmi_gettid();
		gmp_copy(b->child_tid, &tid, sizeof(tid));
	}
	if (clear)
		clear_handlers();
	if (b->stack)
		c->g[REG_RSP] = (greg_t)b->stack; /* the child goes on there */
	return 0;
}

#define CLONE_TIDS   (CLONE_PARENT_SETTID | CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID)
#define THREAD_FLAGS (CLONE_VM | CLONE_THREAD | CLONE_SETTLS)

/* A stub makes the call, with no holds: where the kernel writes, now or when the child ends,
 * stays on the host; and the child cannot take a fault on its stack before it is armed. */
static void keep_for_child(const struct birth *b)
{
	if (b->flags & (CLONE_TIDS | CLONE_PIDFD)) {
		gmp_keep(b->parent_tid, sizeof(int), true);
		gmp_keep(b->child_tid, sizeof(int), true);
		gmp_keep(b->pidfd, sizeof(int), true);
	}
	if (b->stack && gmi_vm_contains((char *)b->stack - 1))
		gmp_keep((void *)gm_align_down(b->stack - 1, GM_BLOCK_BYTES), GM_BLOCK_BYTES, true);
}

/* The child runs on this thread's memory and stack until it execs or ends. libc's own children
 * have a stack of their own, and what they use was copied (exec.c). */
static long do_vfork(struct call *c)
{
	return go_on(c, &vfork_stubs);
}

static long give_birth(struct birth *b, struct call *c)
{
	if (gmp_in_fork)
		return do_stub(c);
	if (!(b->flags & CLONE_VM))
		return raw_fork(b, c);
	if (!(b->flags & (CLONE_THREAD | CLONE_VFORK)))
		gmp_stop_never();
	keep_for_child(b);
	if (b->flags & CLONE_VFORK && !b->stack)
		return do_vfork(c);
	if ((b->flags & THREAD_FLAGS) != THREAD_FLAGS || gmp_making_own)
		return do_stub(c);
	atomic_fetch_add(&gmp_births, 1);
	return go_on(c, &clone_stubs);
}

static long do_clone(struct call *c)
{
	struct birth b = {.flags = (uint64_t)c->a[0],
			  .stack = (uintptr_t)c->a[1],
			  .parent_tid = (int *)c->a[2],
			  .child_tid = (int *)c->a[3],
			  .pidfd = (int *)c->a[2]};

	return give_birth(&b, c);
}

/* The program's clone_args, of any size that the kernel takes. 0, -EINVAL, -E2BIG, -EFAULT */
static long take_clone_args(struct clone_args *args, const char *from, size_t size)
{
	char more;

	memset(args, 0, sizeof(*args));
	if (size < CLONE_ARGS_SIZE_VER0)
		return -EINVAL;
	if (size > GM_PAGE_BYTES)
		return -E2BIG;
	if (gmp_copy(args, from, gm_min(size, sizeof(*args))))
		return -EFAULT;
	for (size_t at = sizeof(*args); at < size; at++) {
		if (gmp_copy(&more, from + at, 1))
			return -EFAULT;
		if (more)
			return -E2BIG; /* a newer kernel's */
	}
	return 0;
}

/* The kernel reads the program's own structure where a stub makes the call, and then needs every
 * register as it is: it stays on the host, and so does what it names. */
static long do_clone3(struct call *c)
{
	struct clone_args args;
	long err = take_clone_args(&args, (const char *)c->a[0], (size_t)c->a[1]);

	if (err)
		return err;
	if (!args.stack != !args.stack_size)
		return -EINVAL;
	if (args.flags & CLONE_VM && args.flags & CLONE_CLEAR_SIGHAND)
		return -ENOSYS; /* it would need ours: libc then uses clone */
	gmp_keep((void *)c->a[0], (size_t)c->a[1], true);
	gmp_keep((void *)args.set_tid, gm_min(args.set_tid_size, 32u) * sizeof(pid_t), true);
	struct birth b = {.flags = args.flags,
			  .stack = args.stack + args.stack_size,
			  .parent_tid = (int *)args.parent_tid,
			  .child_tid = (int *)args.child_tid,
			  .pidfd = (int *)args.pidfd,
			  .args = &args};
	return give_birth(&b, c);
}

static long do_fork(struct call *c)
{
	struct call none = {.uc = c->uc, .g = c->g};
	struct birth b = {.flags = SIGCHLD};

	return gmp_in_fork ? do_stub(c) : raw_fork(&b, &none);
}

/* What the kernel does for a dying thread needs its robust mutexes: they stay on the host from
 * now on. */
static void pin_robust_list(void)
{
	struct {
		void *next;
		long futex_offset;
		void *pending;
	} head, *user = NULL;
	size_t len = 0;
	void *entry;

	if (gm_sys3(SYS_get_robust_list, 0, &user, &len) || !user ||
	    gmp_copy(&head, user, sizeof(head)))
		return;
	entry = head.next;
	for (int i = 0; i < ROBUST_MAX && entry != (void *)user; i++) {
		entry = (void *)((uintptr_t)entry & ~1ul); /* bit 0: priority inheritance */
		gmi_pin_range(entry, sizeof(entry), true);
		gmi_pin_range((char *)entry + head.futex_offset, sizeof(int), true);
		if (gmp_copy(&entry, entry, sizeof(entry)))
			return;
	}
}

/*
 * The kernel ends a process with its last thread. Ours would keep it: the last of the program's
 * ends it, as the kernel would, with its own status.
 */
static void end(void *status)
{
	if (gmp_thread_end()) {
		gmi_report_finish();
		gm_sys1(SYS_exit_group, status);
	}
	/* from here: libc gives this stack away only when the kernel says so */
	gm_sys1(SYS_exit, status);
	__builtin_unreachable();
}

/* On the thread's stack: the altstack, which we may be on, goes. */
static long do_exit(struct call *c)
{
	if (gmp_guest(gmp_self()))
		return do_stub(c); /* the thread that this record is of goes on */
	pin_robust_list();
	gmi_block_signals();
	gmp_call_on((void *)gm_align_down((uintptr_t)c->g[REG_RSP] - GMP_REDZONE, 16), end,
		    (void *)c->a[0]);
	__builtin_unreachable();
}

static long do_execve(struct call *c)
{
	return gmp_execveat(AT_FDCWD, (void *)c->a[0], (void *)c->a[1], (void *)c->a[2], 0);
}

static long do_execveat(struct call *c)
{
	return gmp_execveat((int)c->a[0], (void *)c->a[1], (void *)c->a[2], (void *)c->a[3],
			    (int)c->a[4]);
}

static long do_sigreturn(struct call *c)
{
	gmp_sigreturn_plain((ucontext_t *)c->g[REG_RSP]);
	return do_stub(c);
}

static long do_sigaction(struct call *c)
{
	struct gm_ksigaction act, old;

	if (c->a[3] != 8)
		return -EINVAL;
	if (c->a[1] && gmp_copy(&act, (void *)c->a[1], sizeof(act)))
		return -EFAULT;
	long r = gmp_sigaction((int)c->a[0], c->a[1] ? &act : NULL, &old);
	if (!r && c->a[2] && gmp_copy((void *)c->a[2], &old, sizeof(old)))
		return -EFAULT;
	return r;
}

/* The mask that counts is the one in our frame: it becomes the thread's when we return. */
static long do_sigprocmask(struct call *c)
{
	uint64_t set, old, *kmask = (uint64_t *)&c->uc->uc_sigmask;

	if (c->a[3] != 8)
		return -EINVAL;
	if (c->a[1] && gmp_copy(&set, (void *)c->a[1], sizeof(set)))
		return -EFAULT;
	long r = gmp_sigmask((int)c->a[0], c->a[1] ? &set : NULL, &old, kmask);
	if (!r && c->a[2] && gmp_copy((void *)c->a[2], &old, sizeof(old)))
		return -EFAULT;
	return r;
}

static long do_sigaltstack(struct call *c)
{
	stack_t set, old;

	if (c->a[0] && gmp_copy(&set, (void *)c->a[0], sizeof(set)))
		return -EFAULT;
	long r = gmp_sigaltstack(c->a[0] ? &set : NULL, &old, (uintptr_t)c->g[REG_RSP], c->uc);
	if (!r && c->a[1] && gmp_copy((void *)c->a[1], &old, sizeof(old)))
		return -EFAULT;
	if (r || !c->a[0])
		return r;
	c->g[REG_RDI] = (greg_t)&gmp_self()->to_install;
	c->g[REG_RSI] = 0;
	return do_stub(c);
}

static long do_sigtimedwait(struct call *c)
{
	return gmp_sigtimedwait(c->a);
}

static long call_plain(struct call *c);

static long do_sigpending(struct call *c)
{
	uint64_t set;
	long r = call_plain(c);

	if (!r && !gmp_copy(&set, (void *)c->a[0], sizeof(set))) {
		set |= gmp_sig_pending(gmp_self());
		gmp_copy((void *)c->a[0], &set, gm_min((size_t)c->a[1], sizeof(set)));
	}
	return r;
}

/* unshare, setns, seccomp, landlock_restrict_self; prctl, too */
static long do_confine(struct call *c)
{
	enum gmp_confinement how = gmp_confines(c->nr, c->a);

	return how == GMP_FREE
		       ? call_plain(c)
		       : gmp_confined_call(how, c->nr, c->a, (uint64_t *)&c->uc->uc_sigmask);
}

static long do_prctl(struct call *c)
{
	/* as if the kernel had none */
	return c->a[0] == PR_SET_SYSCALL_USER_DISPATCH ? -EINVAL : do_confine(c);
}

/* Its own death, as abort() makes it. */
static long do_kill(struct call *c)
{
	const int sig = (int)c->a[c->nr == SYS_tgkill ? 2 : 1];
	const bool own =
		c->nr == SYS_tkill ? c->a[0] == gmi_gettid() : c->a[0] == gm_sys0(SYS_getpid);
	struct gm_ksigaction act;

	if (!own || !sig || gmp_sigaction(sig, NULL, &act) || act.handler != (void *)SIG_DFL)
		return call_plain(c);
	gmp_before_core(sig);
	return do_stub(c); /* so that the core's stack is the program's alone */
}

static long do_process_vm(struct call *c)
{
	return gmp_process_vm(c->nr, c->a);
}

static long do_limit(struct call *c)
{
	switch (c->nr) {
	case SYS_getrlimit:
		return gmp_prlimit(0, (int)c->a[0], NULL, (void *)c->a[1]);
	case SYS_setrlimit:
		return gmp_prlimit(0, (int)c->a[0], (void *)c->a[1], NULL);
	default:
		return gmp_prlimit((int)c->a[0], (int)c->a[1], (void *)c->a[2], (void *)c->a[3]);
	}
}

static long do_close(struct call *c)
{
	return gmp_close((int)c->a[0]);
}

static long do_close_range(struct call *c)
{
	return gmp_close_range((unsigned)c->a[0], (unsigned)c->a[1], (int)c->a[2]);
}

static long do_dup2(struct call *c)
{
	return gmp_dup3((int)c->a[0], (int)c->a[1], 0, true);
}

static long do_dup3(struct call *c)
{
	return gmp_dup3((int)c->a[0], (int)c->a[1], (int)c->a[2], false);
}

static bool in_window(const struct call *c)
{
	return gmi_vm_contains((void *)c->a[0]);
}

/* Changes the mappings of its first two arguments, which lie outside the window. */
static long call_changing(struct call *c)
{
	struct gm_outside_change change;

	gmi_outside_begin(&change, (void *)c->a[0], (size_t)c->a[1]);
	long r = call_plain(c);
	gmi_outside_end(&change);
	return r;
}

/* Of shared memory segments, and others: who knows what. */
static long do_remapping(struct call *c)
{
	struct gm_outside_change change;

	gmi_outside_begin(&change, NULL, SIZE_MAX);
	long r = call_plain(c);
	gmi_outside_end(&change);
	return r;
}

/* Only what a shrinking heap gives up. */
static long do_brk(struct call *c)
{
	uintptr_t now = (uintptr_t)gm_sys1(SYS_brk, 0), to = (uintptr_t)c->a[0];
	struct gm_outside_change change;

	if (!to || to >= now)
		return call_plain(c);
	gmi_outside_begin(&change, (void *)to, now - to);
	long r = call_plain(c);
	gmi_outside_end(&change);
	return r;
}

static long do_munmap(struct call *c)
{
	if (in_window(c))
		return gmi_vm_unmap(gmi_vm_space(), (void *)c->a[0], (size_t)c->a[1]);
	gmp_uring_unmapped((void *)c->a[0], (size_t)c->a[1]);
	if (gmp_rewrite_covers((uintptr_t)c->a[0], (size_t)c->a[1]))
		gmp_rewrite_unmapped((uintptr_t)c->a[0], (size_t)c->a[1]);
	return call_changing(c);
}

static long do_mprotect(struct call *c)
{
	return in_window(c) ? gmi_vm_protect(gmi_vm_space(), (void *)c->a[0], (size_t)c->a[1],
					     (int)c->a[2])
			    : call_changing(c);
}

static long do_madvise(struct call *c)
{
	return in_window(c) ? gmi_vm_advise(gmi_vm_space(), (void *)c->a[0], (size_t)c->a[1],
					    (int)c->a[2])
			    : call_changing(c);
}

static long do_mremap(struct call *c)
{
	if (!in_window(c))
		return gmp_mremap_outside((void *)c->a[0], (size_t)c->a[1], (size_t)c->a[2],
					  (int)c->a[3], (void *)c->a[4]);
	return (long)gmi_vm_remap(gmi_vm_space(), (void *)c->a[0], (size_t)c->a[1], (size_t)c->a[2],
				  (int)c->a[3], (void *)c->a[4]);
}

static long do_mmap(struct call *c)
{
	bool placed = c->a[3] & (MAP_FIXED | MAP_FIXED_NOREPLACE);

	if (!in_window(c) || !placed) {
		long r = placed ? call_changing(c) : call_plain(c);
		if ((int)c->a[4] >= 0 && (unsigned long)r < -4096ul)
			gmp_uring_mapped((void *)r, (size_t)c->a[1], (uint64_t)c->a[5]);
		return r;
	}
	return (long)gmi_vm_map_fixed(gmi_vm_space(), (void *)c->a[0], (size_t)c->a[1],
				      (int)c->a[2], (int)c->a[3], (int)c->a[4], (uint64_t)c->a[5],
				      (uintptr_t)c->g[REG_RIP]);
}

/* The kernel's vector is a buffer as any other; the memory asked about is the program's. */
static long do_mincore(struct call *c)
{
	unsigned hold = gmi_hold((void *)c->a[2],
				 ((size_t)c->a[1] + GM_PAGE_BYTES - 1) >> GM_PAGE_SHIFT, true);
	long r = gmp_mincore((void *)c->a[0], (size_t)c->a[1], (unsigned char *)c->a[2]);

	gmi_unhold(hold);
	return r;
}

static long do_mlock(struct call *c)
{
	return gmp_mlock(c->nr, (void *)c->a[0], (size_t)c->a[1], c->a[2]);
}

static long do_mlockall(struct call *c)
{
	return gmp_mlockall(c->a[0]);
}

static long do_munlock(struct call *c)
{
	return gmp_munlock((void *)c->a[0], (size_t)c->a[1]);
}

static long do_msync(struct call *c)
{
	return gmp_msync((void *)c->a[0], (size_t)c->a[1], (int)c->a[2]);
}

/* ---- all other calls ---- */

static long call_plain(struct call *c)
{
	const struct gmp_syscall *s =
		c->nr >= 0 && c->nr < GMP_NSYSCALLS ? &gmp_syscalls[c->nr] : NULL;

	if (!s || !s->memory)
		return gmp_names_our_fd(c->nr, c->a[0]) ? -EBADF
							: gmp_call_through_stops(c->nr, c->a);
	for (unsigned i = 0; i < 6; i++)
		if (gm_unlikely(s->arg[i].kind == GMP_SIGSET || s->arg[i].kind == GMP_SIGSET6))
			return gmp_masked_syscall(c->nr, c->a, i,
						  s->arg[i].kind == GMP_SIGSET ? GMP_MASK
									       : GMP_MASK_PAIR);
	return gmp_held_syscall(c->nr, c->a);
}

/* ---- io_uring (uring.c) ---- */

static long do_uring_setup(struct call *c)
{
	return gmp_uring_setup((unsigned)c->a[0], (void *)c->a[1]);
}

static long do_uring_register(struct call *c)
{
	return gmp_uring_register(c->a);
}

#define ENTER_SQ_WAKEUP	  (1 << 1)
#define ENTER_EXT_ARG	  (1 << 3)
#define ENTER_EXT_ARG_REG (1 << 6)

static long do_uring_enter(struct call *c)
{
	struct gmp_uring_arg { /* struct io_uring_getevents_arg */
		const uint64_t *mask;
		uint32_t mask_bytes, min_wait_us;
		void *ts;
	} arg;
	uint64_t mask;
	const long flags = c->a[3];

	if (c->a[1] || (flags & ENTER_SQ_WAKEUP))
		gmp_uring_submitting();
	if (flags & ENTER_SQ_WAKEUP)
		c->a[1] = UINT_MAX; /* as the kernel's thread: all that there are */
	if (flags & ENTER_EXT_ARG_REG || !c->a[4])
		return gmp_held_syscall(c->nr, c->a);
	if (!(flags & ENTER_EXT_ARG))
		return gmp_masked_syscall(c->nr, c->a, 4, GMP_MASK);
	if (c->a[5] == sizeof(arg) && !gmp_copy(&arg, (void *)c->a[4], sizeof(arg))) {
		if (gmp_mask_of(arg.mask, GMP_MASK, &mask)) {
			mask &= ~GMP_VIRTUAL;
			arg.mask = &mask;
		}
		c->a[4] = (long)&arg;
	}
	return gmp_held_syscall(c->nr, c->a);
}

static long (*const special[GMP_SPECIALS])(struct call *) = {
	[GMP_PLAIN] = call_plain,
	[GMP_STUB] = do_stub,
	[GMP_CLONE] = do_clone,
	[GMP_EXIT] = do_exit,
	[GMP_CLONE3] = do_clone3,
	[GMP_FORK] = do_fork,
	[GMP_VFORK] = do_vfork,
	[GMP_EXECVE] = do_execve,
	[GMP_EXECVEAT] = do_execveat,
	[GMP_SIGRETURN] = do_sigreturn,
	[GMP_SIGACTION] = do_sigaction,
	[GMP_SIGPROCMASK] = do_sigprocmask,
	[GMP_SIGALTSTACK] = do_sigaltstack,
	[GMP_SIGTIMEDWAIT] = do_sigtimedwait,
	[GMP_SIGPENDING] = do_sigpending,
	[GMP_PRCTL] = do_prctl,
	[GMP_CONFINE] = do_confine,
	[GMP_PROCESS_VM] = do_process_vm,
	[GMP_LIMIT] = do_limit,
	[GMP_KILL] = do_kill,
	[GMP_CLOSE] = do_close,
	[GMP_CLOSE_RANGE] = do_close_range,
	[GMP_DUP2] = do_dup2,
	[GMP_DUP3] = do_dup3,
	[GMP_MUNMAP] = do_munmap,
	[GMP_REMAPPING] = do_remapping,
	[GMP_BRK] = do_brk,
	[GMP_MPROTECT] = do_mprotect,
	[GMP_MADVISE] = do_madvise,
	[GMP_MREMAP] = do_mremap,
	[GMP_MMAP] = do_mmap,
	[GMP_MINCORE] = do_mincore,
	[GMP_MLOCK] = do_mlock,
	[GMP_MLOCKALL] = do_mlockall,
	[GMP_MUNLOCK] = do_munlock,
	[GMP_MSYNC] = do_msync,
	[GMP_URING_SETUP] = do_uring_setup,
	[GMP_URING_ENTER] = do_uring_enter,
	[GMP_URING_REGISTER] = do_uring_register,
};

void gmp_on_sigsys(int sig, siginfo_t *info, void *ctx)
{
	ucontext_t *uc = ctx;
	greg_t *g = uc->uc_mcontext.gregs;

	if (info->si_code != SYS_USER_DISPATCH_CODE) {
		gmp_forward(sig, info, ctx, info->si_code > 0);
		return;
	}
	if (gm_unlikely(gmi_vm_contains((void *)g[REG_RSP])))
		gmp_pin_stack((uintptr_t)g[REG_RSP]);
	if (gm_unlikely(gmp_small_stacks))
		gmp_altstack_share(gmp_self(), uc);
	GM_COUNT(syscalls_dispatched, 1);
	gmp_rewrite_seen((uintptr_t)g[REG_RIP]);
	struct call c = {
		.uc = uc,
		.g = g,
		.nr = info->si_syscall,
		.a = {g[REG_RDI], g[REG_RSI], g[REG_RDX], g[REG_R10], g[REG_R8], g[REG_R9]}};
	bool known = c.nr >= 0 && c.nr < GMP_NSYSCALLS;
	long r = info->si_arch != AUDIT_ARCH_X86_64
			 ? -ENOSYS
			 : special[known ? gmp_syscalls[c.nr].special : 0](&c);
	if (r != RESUME)
		g[REG_RAX] = r;
}

void gmp_dispatch_init(void)
{
	gmi_gate = gmp_gate;
	gmi_activate_hook = gmp_activate;
	gmp_dispatch_try();
	gmi_outside_watched = gmp_have_dispatch;
	gmp_site_call_init();
	gmi_at_fork_child(gmp_rewrite_forked);
	if (gmp_have_dispatch)
		gmp_stop_init();
	if (!gmp_have_dispatch)
		gm_log(GM_LOG_WARN,
		       "this kernel has no Syscall User Dispatch: only calls made "
		       "through libc's exported functions can use memory that is away");
}
