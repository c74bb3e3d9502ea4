/*
 * activate.c - the step from armed to active, taken by core before the first page leaves the
 * CPU.
 *
 *  1. wait until no thread is inside a libc function that blocks SIGSYS (its next call would
 *     kill it); new ones wait
 *  2. libc's calls are rewritten (rewrite.h), selector on: from here every thread joins by its
 *     next call, and its calls are dispatched
 *  3. threads that were in a call already: one look at /proc/self/task/TID/syscall each. No
 *     buffer in the window, and on its way back into rewritten code: left alone. A call that a
 *     signal would end with EINTR: its buffers are pinned for good. Anything else, or running: a
 *     signal with SA_RESTART makes it come through user mode once.
 *
 * The way back (gmp_deactivate), when a process leaves, makes sure of the threads in the same way.
 *
 * The signal is 33, libc's SIGSETXID: no program can block or claim it, and libc's handler
 * ignores what it did not send. Our handler passes on what is not ours. All of this runs with
 * signals blocked, in raw calls.
 */
#include <fcntl.h>
#include <string.h>
#include <time.h>
#include <ucontext.h>

#include "core/entry/pin.h"
#include "core/page/thread.h"
#include "core/space/vm.h"
#include "preload/dispatch/dispatch.h"
#include "preload/dispatch/peer.h"
#include "preload/dispatch/rewrite.h"
#include "preload/dispatch/stop.h"
#include "preload/ground/gate.h"
#include "preload/ground/ground.h"
#include "preload/ground/thread.h"
#include "preload/process/libc.h"
#include "preload/process/thread.h"
#include "preload/signals/altstack.h"
#include "preload/signals/sigmask.h"
#include "preload/signals/signals.h"
#include "preload/syscalls/held.h"
#include "preload/syscalls/syscall_table.h"
#include "preload/syscalls/uring.h"

#define STEP_NS	  50000
#define MAX_STEPS 40000 /* 2 s: then somebody has blocked signal 33 by a raw call */

static _Atomic int came_by; /* thread that has run the kick's handler */
static struct gm_ksigaction before_kick;

static void step(void)
{
	struct timespec ts = {0, STEP_NS};
	gm_sys2(SYS_nanosleep, &ts, NULL);
}

/* The thread joins, also one that libc made for itself (timers, aio), which no hook saw. What the
 * frame holds of altstack and mask is what it goes on with. */
static void join_in_frame(ucontext_t *uc)
{
	const bool known = gmp_tls && gmp_tls->armed;
	uint64_t mask;

	memcpy(&mask, &uc->uc_sigmask, sizeof(mask));
	if (!known)
		gmp_thread_arm(mask & GMP_VIRTUAL);
	else if (!gmp_has_joined())
		gmp_thread_join();
	if (mask & GMP_VIRTUAL) {
		if (known)
			gmp_set_view(gmp_tls, mask | gmp_tls->vmask);
		mask &= ~GMP_VIRTUAL;
		memcpy(&uc->uc_sigmask, &mask, sizeof(mask));
	}
	gmp_altstack_take_in(gmp_tls, uc);
}

static void answer(ucontext_t *uc)
{
	if (gmp_selector)
		join_in_frame(uc);
	else if (gmp_tls)
		gmp_altstack_show(gmp_tls, uc); /* the process leaves */
	atomic_store(&came_by, gmi_gettid());
	gmp_call_again(uc); /* one that it went into after we had looked */
}

static void on_kick(int sig, siginfo_t *info, void *ctx)
{
	if (info->si_code == SI_QUEUE && info->si_value.sival_ptr == &came_by)
		answer(ctx);
	else if (info->si_code == SI_QUEUE && gmp_stop_asked(info))
		gmp_stop_wait(info, ctx);
	else if (info->si_code == SI_QUEUE && gmp_peer_asks(info))
		gmp_peer_answer(info, ctx);
	else if (before_kick.handler != (void *)SIG_DFL && before_kick.handler != (void *)SIG_IGN)
		((void (*)(int, siginfo_t *, void *))before_kick.handler)(sig, info, ctx);
}

void gmp_kick_installed(void)
{
	struct gm_ksigaction k = {.handler = (void *)on_kick,
				  .flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK | GM_SA_RESTORER,
				  .restorer = gmp_restore_own,
				  /* a stopped thread runs no handler (stop.c) */
				  .mask = ~GMP_SYNCHRONOUS},
			     old;

	gm_sys4(SYS_rt_sigaction, GMP_KICK_SIGNAL, &k, &old, 8);
	if (old.handler != k.handler)
		before_kick = old;
}

/* ---- one thread ---- */

enum where { GONE, RUNNING, BLOCKED };

struct blocked {
	long nr, a[6];
	uintptr_t sp, pc;
};

static unsigned long next_number(const char **s)
{
	unsigned long v = 0;
	bool hex = !strncmp(*s, "0x", 2);

	for (*s += hex ? 2 : 0; **s > ' '; ++*s)
		v = v * (hex ? 16 : 10) + (unsigned long)(**s <= '9' ? **s - '0' : **s - 'a' + 10);
	while (**s == ' ')
		++*s;
	return v;
}

/* "NR 0xA0 ... 0xA5 0xSP 0xPC", "-1 0xSP 0xPC" or "running" */
static enum where look_at_thread(int tid, struct blocked *b)
{
	char path[64], text[256];
	const char *s = text;

	gmi_snprintf(path, sizeof(path), "/proc/self/task/%d/syscall", tid);
	long fd = gm_sys3(SYS_open, path, O_RDONLY | O_CLOEXEC, 0);
	if (fd < 0)
		return fd == -ENOENT ? GONE : RUNNING;
	long n = gm_sys3(SYS_read, fd, text, sizeof(text) - 1);
	gm_sys1(SYS_close, fd);
	if (n <= 0)
		return n == -ESRCH ? GONE : RUNNING;
	text[n] = '\0';
	if (text[0] < '0' || text[0] > '9')
		return RUNNING;
	b->nr = (long)next_number(&s);
	for (int i = 0; i < 6; i++)
		b->a[i] = (long)next_number(&s);
	b->sp = next_number(&s);
	b->pc = next_number(&s);
	return BLOCKED;
}

static bool is_armed(int tid)
{
	bool armed = false;

	gmi_lock(&gmp_threads_lock);
	for (struct gm_thread *t = gmi_threads; t && !armed; t = t->next)
		armed = atomic_load(&t->tid) == tid && t->preload &&
			((struct gmp_thread *)t->preload)->armed;
	gmi_unlock(&gmp_threads_lock);
	return armed;
}

/* In a call of our own, from which it returns into libc, or to a hook's caller. */
static bool is_at_gate(uintptr_t pc)
{
	return pc >= (uintptr_t)gmp_gate_start && pc < (uintptr_t)gmp_gate_end;
}

/* Is the blocked call none of our business, now or from now on? Where it returns to, the next call
 * is rewritten: the thread joins there. */
static bool is_settled(int tid, const struct blocked *b)
{
	struct gmp_ranges rs = {.pin = gmp_keep};

	if (!is_armed(tid) || !(gmp_rewrite_covers(b->pc, 1) || is_at_gate(b->pc)))
		return false;
	gmp_syscall_ranges(b->nr, b->a, &rs);
	if (gmi_vm_contains((void *)b->sp))
		gmi_pin_range((void *)gm_align_down(b->sp, GM_BLOCK_BYTES), GM_BLOCK_BYTES, true);
	if (rs.n && !gmp_syscalls[b->nr].norestart)
		return false;
	for (unsigned i = 0; i < rs.n; i++)
		gmi_pin_range((void *)rs.r[i].lo, rs.r[i].hi - rs.r[i].lo, true);
	return true;
}

static bool is_internal(int tid)
{
	for (struct gm_thread *t = gmi_threads; t; t = t->next)
		if (atomic_load(&t->tid) == tid)
			return t->internal;
	return false;
}

/* Threads that the kernel made for io_uring have no user mode to come through. poll: only those
 * that poll queues. */
static bool is_uring_thread(int tid, bool poll)
{
	char path[64], name[16] = "";

	gmi_snprintf(path, sizeof(path), "/proc/self/task/%d/comm", tid);
	long fd = gm_sys3(SYS_open, path, O_RDONLY | O_CLOEXEC, 0);
	if (fd < 0)
		return false;
	gm_sys3(SYS_read, fd, name, sizeof(name) - 1);
	gm_sys1(SYS_close, fd);
	return !strncmp(name, "iou-", 4) && (!poll || !strncmp(name, "iou-sqp", 7));
}

/* Comes by, or needs not: `done` says so of a call that it is blocked in. */
static void settle_thread(int tid, bool (*done)(int tid, const struct blocked *b))
{
	siginfo_t kick = {.si_signo = GMP_KICK_SIGNAL, .si_code = SI_QUEUE};
	bool kicked = false;

	if (is_uring_thread(tid, false))
		return;
	kick.si_value.sival_ptr = &came_by;
	kick.si_pid = (int)gm_sys0(SYS_getpid);
	for (int i = 0; i < MAX_STEPS && !is_internal(tid); i++) {
		struct blocked b;
		enum where w = look_at_thread(tid, &b);
		if (w == GONE || (w == BLOCKED && done(tid, &b)))
			return;
		if (!kicked && gm_sys4(SYS_rt_tgsigqueueinfo, kick.si_pid, tid, GMP_KICK_SIGNAL,
				       &kick) == -ESRCH)
			return;
		kicked = true;
		if (atomic_load(&came_by) == tid)
			return;
		step();
	}
	if (!is_internal(tid))
		gm_log(GM_LOG_WARN,
		       "thread %d does not answer; a call of its may miss memory that is away",
		       tid);
}

struct dirent64 { /* the kernel's */
	uint64_t ino, off;
	uint16_t reclen;
	uint8_t type;
	char name[];
};

/* All other threads of the process. Stops when `each` says so. */
bool gmp_each_thread(bool (*each)(int tid, void *arg), void *arg)
{
	char buf[2048] __attribute__((aligned(8)));
	bool stop = false;
	long n = 0,
	     fd = gm_sys3(SYS_open, "/proc/self/task", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);

	if (fd < 0) {
		static atomic_bool said;
		if (!atomic_exchange(&said, true))
			gm_log(GM_LOG_WARN, "no /proc: calls that threads are blocked in may miss "
					    "memory that is away");
		return false;
	}
	while (!stop && (n = gm_sys3(SYS_getdents64, fd, buf, sizeof(buf))) > 0) {
		for (long at = 0; at < n && !stop; at += ((struct dirent64 *)(buf + at))->reclen) {
			const char *name = ((struct dirent64 *)(buf + at))->name;
			int tid = name[0] >= '0' && name[0] <= '9' ? (int)next_number(&name) : 0;
			stop = tid && tid != gmi_gettid() && each(tid, arg);
		}
	}
	gm_sys1(SYS_close, fd);
	return !stop && !n;
}

static bool settle_one(int tid, void *unused)
{
	settle_thread(tid, is_settled);
	return false;
}

/* Asleep in the kernel, with no signal of ours on its way. */
static bool is_asleep(int tid, const struct blocked *b)
{
	return true;
}

/* Those that were armed, by their records: there may be no /proc (chroot). Records are never
 * freed. */
static void settle_armed(void)
{
	for (struct gm_thread *t = gmi_threads; t; t = t->next) {
		int tid = atomic_load(&t->tid);
		if (tid && tid != gmi_gettid() && !t->internal && t->preload)
			settle_thread(tid, is_asleep);
	}
}

static bool find_poller(int tid, void *found)
{
	return *(bool *)found = is_uring_thread(tid, true);
}

/* A queue that a kernel thread polls, from before we could see to it (uring.c): requests would
 * name memory that is away, and nothing would tell us. */
static bool queue_is_polled(void)
{
	static bool told;
	bool found = false;

	gmp_each_thread(find_poller, &found);
	if (found && !told)
		gm_log(GM_LOG_WARN, "an io_uring submission queue is polled by the kernel "
				    "(IORING_SETUP_SQPOLL): memory stays on the host as long as it "
				    "is there");
	told |= found;
	return found;
}

/* What was pinned when there was no store yet. */
static void adopt_pinned(void *arg)
{
	gmi_adopt_pinned();
}

int gmp_never_again(void)
{
	return -ENODEV;
}

void gmp_deactivate(void)
{
	if (!gmp_selector)
		return;
	gmp_selector = 0;
	atomic_fetch_add(&gmp_generation, 1);
	settle_armed();
	gm_sys4(SYS_rt_sigaction, GMP_KICK_SIGNAL, &before_kick, NULL, 8);
}

int gmp_activate(void)
{
	gmp_rewrite_start();
	if (!gmp_have_dispatch) {
		atomic_fetch_or(&gmp_generation, 1);
		return 0;
	}
	if (queue_is_polled())
		return -EBUSY;
	gmp_libc_shut();
	for (int i = 0; i < MAX_STEPS && gmp_libc_in_use(); i++)
		step();
	gmp_signals_reclaim();
	gmp_selector = 1;
	atomic_fetch_add(&gmp_generation, 1); /* from here each thread joins by its next call */
	if (gmp_tls && gmp_tls->armed)
		gmp_dispatch_arm_thread();
	gmp_libc_open();
	gmp_kick_installed();
	/* Other threads' iovecs are read by gmp_copy, which needs SIGSEGV. */
	gm_sigmask mask = gmi_block_signals();
	gmi_restore_signals(~GMP_VIRTUAL);
	gmp_each_thread(settle_one, NULL);
	gmp_uring_find();
	gmi_restore_signals(mask);
	gmp_off_stack(adopt_pinned, NULL);
	return 0;
}
