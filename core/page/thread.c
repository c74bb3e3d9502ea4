/* Thread records. The protocol of holds is told in thread.h. */
#include "core/page/thread.h"
#include "core/count/report.h"

struct gm_thread *_Atomic gmi_threads;
static __thread struct gm_thread *self;
static struct gm_thread
	spare; /* no memory for a record: holds of such threads share one that covers everything */

struct gm_thread *gmi_self(void)
{
	if (gm_likely(self))
		return self;
	gm_sigmask mask = gmi_block_signals();
	int tid = gmi_gettid(), none = 0;
	struct gm_thread *t = atomic_load_explicit(&gmi_threads, memory_order_acquire);
	while (t && !atomic_compare_exchange_strong(&t->tid, &none, tid)) {
		none = 0;
		t = t->next;
	}
	gmc_report_collect(gmc_threads_count);
	if (!t && (t = gmi_alloc(sizeof *t))) {
		atomic_store_explicit(&t->tid, tid, memory_order_relaxed);
		t->next = atomic_load_explicit(&gmi_threads, memory_order_relaxed);
		while (!atomic_compare_exchange_weak_explicit(
			&gmi_threads, &t->next, t, memory_order_release, memory_order_relaxed))
			;
	}
	self = t ? t : &spare;
	gmi_restore_signals(mask);
	return self;
}

void gmc_thread_count(struct gm_thread *t)
{
	GM_COUNT(syscalls_pinned, t->held_calls);
	t->held_calls = 0;
}

void gmc_threads_count(void)
{
	for (struct gm_thread *t = atomic_load_explicit(&gmi_threads, memory_order_acquire); t;
	     t = t->next)
		gmc_thread_count(t);
}

void gmi_thread_exit(void)
{
	struct gm_thread *t = self;

	if (!t || t == &spare)
		return;
	self = NULL;
	gmc_thread_count(t);
	atomic_store_explicit(&t->nholds, 0, memory_order_relaxed);
	t->internal = false;
	t->preload = NULL;
	atomic_store_explicit(&t->tid, 0, memory_order_release);
}

void gmc_threads_forked(void)
{
	struct gm_thread *me = self;
	for (struct gm_thread *t = gmi_threads; t; t = t->next) {
		t->held_calls = 0; /* the parent's */
		if (t == me) {
			atomic_store_explicit(&t->tid, gmi_gettid(), memory_order_relaxed);
		} else {
			atomic_store_explicit(&t->nholds, 0, memory_order_relaxed);
			t->internal = false;
			t->preload = NULL;
			atomic_store_explicit(&t->tid, 0, memory_order_relaxed);
		}
	}
}

gm_bm gmc_held_by_calls(uintptr_t va)
{
	gm_bm pinned = gm_bm_zero();

	for (struct gm_thread *t = atomic_load_explicit(&gmi_threads, memory_order_acquire); t;
	     t = t->next) {
		unsigned n = atomic_load_explicit(&t->nholds, memory_order_acquire);
		for (unsigned i = 0; i < n; i++) {
			uintptr_t lo = atomic_load_explicit(&t->hold[i].lo, memory_order_relaxed);
			uintptr_t hi = atomic_load_explicit(&t->hold[i].hi, memory_order_relaxed);
			gm_bm_add(&pinned, gm_bm_of_range(va, lo, hi));
		}
	}
	return pinned;
}
