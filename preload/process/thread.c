/*
 * thread.c - threads are armed at birth (altstack, dispatch, arena) and taken down at the very
 * end.
 *
 * The end is a pthread key's destructor, so that pthread_exit and cancellation come by too. It
 * puts itself off to the last round of destructors: others may still make system calls with
 * buffers in the heap.
 */
#include <dlfcn.h>
#include <grp.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <threads.h>
#include <time.h>

#include "core/entry/hold.h"
#include "core/entry/pin.h"
#include "core/entry/outside.h"
#include "core/page/thread.h"
#include "core/sys/own_thread.h"
#include "preload/ground/gate.h"
#include "preload/ground/ground.h"
#include "preload/ground/real.h"
#include "preload/heap/gmp_malloc.h"
#include "preload/process/libc.h"
#include "preload/process/thread.h"
#include "preload/signals/altstack.h"
#include "preload/signals/sigmask.h"

static pthread_key_t end_key;
static __thread int end_round;

_Atomic unsigned gmp_births;

/* Threads lock held: none of the program's threads has a record any more. All that can come by
 * here have one: they were armed at birth or by the activation. */
static bool is_last(void)
{
	for (const struct gm_thread *t = gmi_threads; t; t = t->next)
		if (atomic_load(&t->tid) && !t->internal && t->preload)
			return false;
	return !atomic_load(&gmp_births);
}

/* The dead thread's record may be taken by another thread as soon as gmi_thread_exit() has
 * returned. */
bool gmp_thread_end(void)
{
	struct gmp_thread *t = gmp_tls;

	if (!t)
		return false;
	gmp_dispatch_disarm_thread();
	gmi_lock(&gmp_threads_lock);
	gmi_self()->preload = NULL;
	bool last = is_last();
	gmi_unlock(&gmp_threads_lock);
	gmp_tls = NULL;
	for (unsigned i = 0; i < GMP_EXEC_LEVELS; i++)
		gmi_free(t->exec_copy[i].p, t->exec_copy[i].bytes);
	if (t->map_bytes)
		gmp_altstack_free(t);
	gmi_thread_exit();
	return last;
}

/* Once calls are dispatched, exit(2) is the end (do_exit in dispatch.c): libc still frees memory
 * after this, with every signal blocked. */
static void end_program_thread(void *arg)
{
	if (gmp_tls && ++end_round < PTHREAD_DESTRUCTOR_ITERATIONS) {
		pthread_setspecific(end_key, arg);
		return;
	}
	if (!gmp_armed) /* the process left: its altstack stays mapped, nothing is called */
		return;
	gm_sigmask old = gmi_block_signals();
	if (!gmp_selector)
		gmp_thread_end();
	else if (!gmp_has_joined())
		gmp_thread_join(); /* so that exit(2) comes by */
	gmi_restore_signals(old);
}

/* Opens what may never be blocked; the kernel's mask before. */
static uint64_t open_virtual(void)
{
	uint64_t ours = GMP_VIRTUAL, was = 0;

	gm_sys4(SYS_rt_sigprocmask, SIG_UNBLOCK, &ours, &was, 8);
	return was;
}

void gmp_thread_arm(uint64_t vmask)
{
	struct gm_thread *self = gmi_self();
	struct gmp_thread *t = gmp_altstack_make();

	if (t) {
		stack_t was;
		gm_sys2(SYS_sigaltstack, NULL, &was);
		gmp_altstack_seen(t, &was); /* set before we came: a constructor of the program's */
		gmp_altstack_install(t);
		self->preload = t;
		gmp_tls = t;
	} else {
		t = gmp_self();
	}
	/* libc starts threads with the creator's mask, which an attribute may have set to
	 * anything. */
	gmp_set_view(t, (open_virtual() & ~GMP_VIRTUAL) | vmask);
	pthread_setspecific(end_key, t);
	t->armed = true;
	if (gmp_generation & 1)
		gmp_dispatch_arm_thread();
}

void gmp_thread_join(void)
{
	if (gmi_self()->internal) {
		gmp_joined = GMP_NEVER_JOINS;
		return;
	}
	if (atomic_load(&gmi_self()->tid) != gmi_gettid())
		return; /* a guest */
	const uint64_t was = open_virtual();
	if (!gmp_self()->armed) {
		gmp_thread_arm(was & GMP_VIRTUAL);
		return;
	}
	gmp_altstack_take(gmp_self());
	if (was & GMP_VIRTUAL) /* by libc itself, inside, or by a call that nobody saw */
		gmp_set_view(gmp_self(), was | gmp_self()->vmask);
	gmp_dispatch_arm_thread();
}

struct start {
	union {
		void *(*pthread)(void *);
		int (*c11)(void *);
	} fn;
	void *arg;
	uint64_t vmask;
};

static struct start take_start(void *p)
{
	struct start s = *(struct start *)p;

	gmi_free(p, sizeof(s));
	if (gmp_armed && !(gmp_tls && gmp_tls->armed))
		gmp_thread_arm(s.vmask);
	atomic_fetch_sub(&gmp_births, 1);
	gmp_malloc_thread_bind();
	return s;
}

static void *start_pthread(void *p)
{
	struct start s = take_start(p);
	return s.fn.pthread(s.arg);
}

static int start_c11(void *p)
{
	struct start s = take_start(p);
	return s.fn.c11(s.arg);
}

static struct start *prepare_start(void *arg)
{
	struct start *s = gmi_alloc(sizeof(*s));

	gmp_threaded = true;
	if (!s)
		return NULL;
	*s = (struct start){.arg = arg, .vmask = gmp_tls ? gmp_tls->vmask : 0};
	atomic_fetch_add(&gmp_births, 1);
	return s;
}

static void never_born(struct start *s)
{
	atomic_fetch_sub(&gmp_births, 1);
	gmi_free(s, sizeof(*s));
}

/* A stack of the program's own making stays on the host: signal frames are pushed onto it. */
static void pin_given_stack(const pthread_attr_t *attr)
{
	void *base = NULL;
	size_t bytes = 0;

	if (gmp_armed && attr && !pthread_attr_getstack(attr, &base, &bytes) &&
	    gmp_managed(base, bytes))
		gmi_pin_range(base, bytes, true);
}

GMP_HOOK int pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *),
			    void *arg)
{
	struct start *s;

	if (!gmp_on)
		return GMP_REAL(pthread_create)(thread, attr, fn, arg);
	if (!(s = prepare_start(arg)))
		return EAGAIN;
	s->fn.pthread = fn;
	pin_given_stack(attr);
	gmp_libc_enter();
	int r = GMP_REAL(pthread_create)(thread, attr, start_pthread, s);
	gmp_libc_leave();
	if (r)
		never_born(s);
	return r;
}

GMP_HOOK int thrd_create(thrd_t *thread, thrd_start_t fn, void *arg)
{
	struct start *s;

	if (!gmp_on)
		return GMP_REAL(thrd_create)(thread, fn, arg);
	if (!(s = prepare_start(arg)))
		return thrd_nomem;
	s->fn.c11 = fn;
	gmp_libc_enter();
	int r = GMP_REAL(thrd_create)(thread, start_c11, s);
	gmp_libc_leave();
	if (r != thrd_success)
		never_born(s);
	return r;
}

/*
 * Functions of libc that block all signals inside while they look after a thread. Signal-safe as
 * libc's own are.
 */
GMP_HOOK int pthread_kill(pthread_t thread, int sig)
{
	gmp_libc_enter();
	int r = GMP_REAL(pthread_kill)(thread, sig);
	gmp_libc_leave();
	return r;
}

GMP_HOOK int pthread_cancel(pthread_t thread)
{
	gmp_libc_enter();
	int r = GMP_REAL(pthread_cancel)(thread);
	gmp_libc_leave();
	return r;
}

/* libc has every thread make this call, ours too, whose calls are not dispatched: it ends the
 * process when one has another result. */
GMP_HOOK int setgroups(size_t n, const gid_t *list)
{
	unsigned hold = gmi_hold(list, n * sizeof(*list), false);
	int r = GMP_REAL(setgroups)(n, list);

	gmi_unhold(hold);
	return r;
}

/* ---- our own threads ---- */

struct internal {
	void *(*fn)(void *);
	void *arg;
};

/*
 * libc's number of threads: a process ends, with exit(0), when its last thread does. Ours must
 * not keep it alive, so they leave the count, and come back into it before libc takes them out
 * at their end. glibc exports it for debuggers; NULL: another libc, where such a program stays.
 */
static unsigned *libc_threads;

static void leave_count(void)
{
	uint64_t ours = GMP_VIRTUAL;

	if (!libc_threads || __atomic_sub_fetch(libc_threads, 1, __ATOMIC_ACQ_REL))
		return;
	/* the program's handlers run here, if it is ours */
	gm_sys4(SYS_rt_sigprocmask, SIG_UNBLOCK, &ours, NULL, 8);
	exit(0); /* its last thread ended since */
}

static void *start_internal(void *p)
{
	struct internal s = *(struct internal *)p;

	gmi_free(p, sizeof(s));
	gmi_self()->internal = true;
	/* not first when a SIGSEGV of somebody's comes to this thread, inside core perhaps */
	gmp_self();
	gmi_thread_signals();
	void *ret = s.fn(s.arg);
	if (libc_threads)
		__atomic_add_fetch(libc_threads, 1, __ATOMIC_ACQ_REL);
	return ret;
}

/*
 * Born with every signal blocked, so the program's handlers never run on it; dispatch stays off
 * (a new thread's default). pthread_create itself is dispatched: SIGSYS must be open for it,
 * also when our caller has blocked everything.
 */
static int start_own_thread(void *(*fn)(void *), void *arg)
{
	struct internal *s = gmi_alloc(sizeof(*s));
	pthread_attr_t attr;
	pthread_t thread = 0;

	if (!s)
		return -ENOMEM;
	*s = (struct internal){fn, arg};
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, (size_t)512 << 10);
	gm_sigmask old = gmi_block_signals();
	gmp_making_own = true;
	/* A setuid() of another thread's may hold libc's list of stacks, and wait for us to take
	 * its signal. */
	gmi_restore_signals(~(GMP_VIRTUAL | GMI_IN_CORE));
	gmp_libc_enter();
	bool armed = gmp_tls && gmp_tls->armed;
	uint32_t joined = gmp_joined;
	/* libc's locale, which a new thread reads before anything else, may be away: no real
	 * blocking */
	if (!armed)
		gmp_dispatch_arm_thread();
	int r = GMP_REAL(pthread_create)(&thread, &attr, start_internal, s);
	if (!armed) {
		gmp_dispatch_disarm_thread();
		gmp_joined = joined;
	}
	gmp_libc_leave();
	gmi_block_signals();
	gmp_making_own = false;
	gmi_restore_signals(old);
	pthread_attr_destroy(&attr);
	if (!r)
		leave_count();
	else
		gmi_free(s, sizeof(*s));
	return -r;
}

void gmp_own_threads_gone(void)
{
	const struct timespec step = {.tv_nsec = 50000};
	long pid = gm_sys0(SYS_getpid);

	for (struct gm_thread *t = gmi_threads; t; t = t->next) {
		int tid = atomic_load(&t->tid);
		if (!tid || !t->internal)
			continue;
		while (!gm_sys3(SYS_tgkill, pid, tid, 0))
			gm_sys2(SYS_nanosleep, &step, NULL);
		gmp_thread_forget(t);
	}
}

/* No program's view of its mask is known of such a thread: nothing is blocked. */
void gmp_thread_born(void)
{
	gmp_thread_arm(0);
	atomic_fetch_sub(&gmp_births, 1);
}

void gmp_threads_init(void)
{
	pthread_key_create(&end_key, end_program_thread);
	gmi_thread_start = start_own_thread;
	libc_threads = dlvsym(RTLD_NEXT, "__nptl_nthreads", "GLIBC_PRIVATE");
}

/* libc reads where the main stack begins from the mappings: it must be one. */
GMP_HOOK int pthread_getattr_np(pthread_t thread, pthread_attr_t *attr)
{
	struct gm_outside_change change;

	if (!gmp_armed)
		return GMP_REAL(pthread_getattr_np)(thread, attr);
	gmi_outside_begin(&change, __builtin_frame_address(0), GM_PAGE_BYTES);
	int r = GMP_REAL(pthread_getattr_np)(thread, attr);
	gmi_outside_end(&change);
	return r;
}
