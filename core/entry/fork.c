/*
 * fork.c - the child gets a private heap: a snapshot of what the parent's pages held at the
 * moment of fork.
 *
 *   prepare   locks everything, write-protects what lies in the store (but for what other threads'
 *             system calls write to), takes pages away from the devices: nothing changes now
 *   parent    waits until the child has copied or is no more (fork_wait.h), then gives the rights
 *             back
 *   child     copies every store or device page into private anonymous memory, drops the devices
 *             and the store
 *
 * A fork without adopted pages takes the locks and nothing else. Between fork()'s return in the
 * child and our child part, libc and other handlers run: a fault of theirs runs the child part
 * at once (gmc_fork_lock_block).
 */
#include "core/entry/fork.h"
#include "core/entry/fork_wait.h"
#include "core/care/thrash.h"
#include "core/page/activate.h"
#include "core/page/adopt.h"
#include "core/page/cpu_bus.h"
#include "core/page/frame.h"
#include "core/page/driver.h"
#include "core/page/premap.h"
#include "core/page/holders.h"
#include "core/page/mapping.h"
#include "core/page/migrate.h"
#include "core/page/entries.h"
#include "core/page/rights.h"
#include "core/page/store.h"
#include "core/page/thread.h"
#include "core/space/hint.h"
#include "core/sys/at_fork.h"
#include "core/count/trace.h"
#include <errno.h>
#include <sys/mman.h>

static struct {
	bool on;
	/* who forks; a thread that fell behind may read what the next fork writes */
	_Atomic int pid, tid;
	gm_sigmask mask;
	struct gm_span stacks[GM_FORK_STACKS]; /* left the store for the fork */
	unsigned nstacks;
	bool frozen; /* the parent waits for the child's copying */
	int err;     /* of what was to give the child a snapshot */
	uint64_t copied_bytes, begin_ns;
} fork_state;

bool gmc_fork_lock_block(struct gm_block *b)
{
	if (gm_unlikely(__atomic_load_n(&fork_state.on, __ATOMIC_ACQUIRE))) {
		if ((int)gm_sys0(SYS_getpid) !=
		    atomic_load_explicit(&fork_state.pid, memory_order_relaxed))
			gmi_fork_child();
		else if (gmi_gettid() ==
			 atomic_load_explicit(&fork_state.tid, memory_order_relaxed))
			return false;
	}
	gmi_lock(&b->lock);
	return true;
}

static gm_bm child_must_not_touch(const struct gm_block *b)
{
	gm_bm s = b->adopted;
	gm_for_each_dev (b, d)
		gm_bm_add(&s, b->dev[d]->map_r);
	return s;
}

/* The child copies what devices hold through their apertures. What lies behind none comes home
 * before. */
static void bring_hidden_home(struct gm_block *b)
{
	gm_for_each_dev (b, d) {
		if (b->as->ctx[d]->dev->aperture || gm_bm_empty(b->dev[d]->valid))
			continue;
		int err = gmc_migrate_home(b, b->dev[d]->valid, true);
		if (err)
			gm_log(GM_LOG_ERROR,
			       "fork: the child lacks pages of %p that a device did not return: "
			       "error %d",
			       (void *)b->va, -err);
	}
}

static gm_bm span_in(const struct gm_block *b, const struct gm_span *s)
{
	return gm_block_pages(b, s->lo, s->hi);
}

static void stacks_leave_store(struct gm_block *b)
{
	for (unsigned i = 0; i < fork_state.nstacks; i++) {
		int err = gmc_block_privatise(b, span_in(b, &fork_state.stacks[i]));
		if (err)
			gm_log(GM_LOG_ERROR,
			       "fork: a stack at %lx stays shared with the child: error %d",
			       fork_state.stacks[i].lo, -err);
	}
}

/* Those that were there because they are pinned; the others come when a device wants them. */
static void stacks_return(struct gm_block *b)
{
	for (unsigned i = 0; i < fork_state.nstacks; i++)
		gmc_block_adopt(b, gm_bm_and(span_in(b, &fork_state.stacks[i]),
					     gm_bm_and(gm_bm_and(b->pinned, b->managed),
						       gm_bm_and(b->host, b->prog_w))));
}

/* Nobody can write the block's store or device pages any more; devices cannot reach them at all. */
static void freeze_block(struct gm_block *b)
{
	stacks_leave_store(b);
	bring_hidden_home(b);
	gm_for_each_dev (b, d)
		gmc_dev_unmap(b, b->as->ctx[d], gm_bm_all());
	gmc_bus_unmap(b, b->cpu_bus);
	gmc_cpu_freeze(b);
}

/*
 * Nobody can be waited for: what is away becomes ordinary private memory, which the kernel copies
 * as it is written to. All but what other threads' system calls write to meanwhile: nobody can
 * tell what a child would find there.
 */
static void go_home(struct gm_block *b)
{
	stacks_leave_store(b);
	int err = gmc_block_privatise(
		b, gm_bm_andnot(child_must_not_touch(b), gmc_held_by_calls(b->va)));
	if (err)
		fork_state.err = err;
}

static void each_block(void (*fn)(struct gm_block *b))
{
	gm_for_each_space (as) {
		struct gm_block *b;
		gm_for_each_block (as, b)
			fn(b);
	}
}

void gmi_fork_prepare(void)
{
	gmi_fork_prepare_stacks(NULL, 0);
}

void gmi_fork_prepare_stacks(const struct gm_span *stacks, unsigned n)
{
	gm_sigmask mask = gmi_block_signals();
	bool any = false;

	gmi_lock(&gmc_registry_lock);
	gm_for_each_space (as) {
		struct gm_block *b;
		gmi_lock(&as->region_lock);
		gm_for_each_block (as, b) {
			/* Holders never wait for a second block, so any order will do: trylock,
			 * which knows no order. */
			while (!gmi_trylock(&b->lock))
				gm_sys0(SYS_sched_yield);
			any |= !gm_bm_empty(child_must_not_touch(b));
		}
		while (!gmi_trylock(&as->sparse_lock))
			gm_sys0(SYS_sched_yield);
	}
	fork_state.mask = mask;
	fork_state.nstacks = gm_min(n, GM_FORK_STACKS);
	for (unsigned i = 0; i < fork_state.nstacks; i++)
		fork_state.stacks[i] = stacks[i];
	atomic_store_explicit(&fork_state.pid, (int)gm_sys0(SYS_getpid), memory_order_relaxed);
	atomic_store_explicit(&fork_state.tid, gmi_gettid(), memory_order_relaxed);
	__atomic_store_n(&fork_state.on, true, __ATOMIC_RELEASE);
	fork_state.err = 0;
	fork_state.frozen = any && !gmc_fork_wait_begin();
	if (any)
		each_block(fork_state.frozen ? freeze_block : go_home);
	GM_COUNT(forks, 1);
	fork_state.begin_ns = gm_trace_begin();
}

/* All locks of the forking thread, inner ones first. */
static void unlock_all(void)
{
	__atomic_store_n(&fork_state.on, false, __ATOMIC_RELEASE);
	gm_for_each_space (as) {
		struct gm_block *b;
		gmi_unlock(&as->sparse_lock);
		gm_for_each_block (as, b)
			gmi_unlock(&b->lock);
		gmi_unlock(&as->region_lock);
	}
	gmi_unlock(&gmc_registry_lock);
}

static void thaw(struct gm_block *b)
{
	gm_bm set = gm_bm_and(b->adopted, b->host);
	gmc_cpu_thaw(b, set, gm_bm_andnot(b->prog_w, gmc_on_devices(b)));
	stacks_return(b);
	if (gmc_premap_restore(b, gm_bm_all()))
		gm_log(GM_LOG_ERROR, "fork: a device lost mappings at %p", (void *)b->va);
}

void gmi_fork_parent(void)
{
	if (fork_state.frozen) {
		gmc_fork_wait_parent();
		each_block(thaw);
	}
	GM_TRACE(GM_EV_FORK, .time_ns = fork_state.begin_ns, .device = GM_EV_NO_DEVICE);
	gm_sigmask mask = fork_state.mask;
	unlock_all();
	gmi_restore_signals(mask);
}

/* ---- the child: one thread, no device ---- */

/* Where the page's bytes are; NULL: behind no aperture. */
static const char *page_bytes(const struct gm_block *b, unsigned i)
{
	if (gm_bm_test(&b->host, i))
		return gm_alias(b->as, b->va + i * GM_PAGE_BYTES);
	gm_for_each_dev (b, d) {
		if (!gm_bm_test(&b->dev[d]->valid, i))
			continue;
		const struct gm_dev *dev = b->as->ctx[d]->dev;
		uint64_t pa = dev->phys_begin + gm_frame_of(b->dev[d], i) * GM_PAGE_BYTES;
		return dev->aperture ? dev->aperture + pa : NULL;
	}
	return NULL;
}

/*
 * Private memory at the run's own VA: it is ours alone, so it is simply written. The parent waits
 * for this, and most of it would be page faults: one call brings in each side, with huge pages
 * where there are some. Without memory the copying tells.
 */
static int copy_run(struct gm_block *b, unsigned first, unsigned end)
{
	uintptr_t va = b->va + first * GM_PAGE_BYTES;
	size_t len = (end - first) * GM_PAGE_BYTES;
	char *p = gm_sys_mmap((void *)va, len, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
	if (gm_is_err(p))
		return gm_err(p);
	if (len == GM_BLOCK_BYTES)
		gm_sys3(SYS_madvise, p, len, MADV_HUGEPAGE);
	gmc_populate(p, len);
	for (unsigned i = first, j; i < end; i = j) {
		const char *from = page_bytes(b, i);
		for (j = i + 1;
		     from && j < end && page_bytes(b, j) == from + (j - i) * GM_PAGE_BYTES; j++)
			;
		if (!from)
			continue;
		gm_sys3(SYS_madvise, from, (j - i) * GM_PAGE_BYTES, MADV_POPULATE_READ);
		gm_copy(p + (i - first) * GM_PAGE_BYTES, from, (j - i) * GM_PAGE_BYTES);
	}
	fork_state.copied_bytes += len;
	return 0;
}

static void privatise_block(struct gm_block *b)
{
	gm_bm all = gm_bm_all();

	gm_bm_for_each_run (&b->adopted, first, end) {
		if (copy_run(b, first, end)) {
			gmi_log(GM_LOG_ERROR,
				"fork: no memory for the child's copy of %zu bytes at %p",
				(end - first) * GM_PAGE_BYTES,
				(void *)(b->va + first * GM_PAGE_BYTES));
			gm_sys1(SYS_exit_group, 127);
		}
	}
	gmc_premap_drop(b, all);
	for (unsigned d = 0; d < GM_MAX_DEV; d++) {
		gmc_premap_forget(b, d);
		if (b->dev[d]) {
			gmc_frames_forget(b->dev[d]);
			gmc_block_dev_free(b, d);
		}
	}
	gmc_thrash_free(b);
	b->cpu_bus = gm_bm_zero();
	gm_bm was = b->adopted;
	b->adopted = b->backed = gm_bm_zero();
	b->host = all;
	b->on_retain = false;
	b->retained_pages = 0;
	gmc_cpu_note(b, was, all, all); /* the copies are writable */
	/* not where the program wants less */
	gmc_cpu_lower(b, gm_bm_andnot(was, b->prog_w), b->prog_r);
}

static void forget_space(struct gm_as *as)
{
	struct gm_block *b;

	gm_for_each_block (as, b)
		privatise_block(b);
	for (int d = 0; d < GM_MAX_DEV; d++)
		as->ctx[d] = NULL; /* the driver's own memory goes with its fork hook */
	gmc_hints_forked(as);
	gmc_store_close(as);
	as->retain_head = as->retain_tail = NULL;
	as->retained_bytes = 0;
}

void gmi_fork_child(void)
{
	if (!fork_state.on)
		return; /* a fault has done it already */
	if (fork_state.err) {
		gmi_log(GM_LOG_ERROR,
			"fork: the child's memory could not be made its own (error %d)",
			-fork_state.err);
		gm_sys1(SYS_exit_group, 127);
	}
	gm_sigmask mask = fork_state.mask;
	fork_state.copied_bytes = 0;
	gmc_activation_forked();
	gmc_threads_forked();
	gm_for_each_space (as)
		forget_space(as);
	for (int d = 0; d < GM_MAX_DEV; d++)
		gmc_devs[d] = NULL;
	gmc_driver_forked();
	gmc_at_fork_run();
	unlock_all();
	gmc_fork_wait_child();
	gmi_report_forked();
	GM_COUNT(forks_copied_bytes, fork_state.copied_bytes);
	gmi_restore_signals(mask);
}
