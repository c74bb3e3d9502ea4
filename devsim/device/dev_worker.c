/*
 * dev_worker.c - the compute workers: launches in order of submission, block by block.
 *
 * A launch starts when a worker has applied the commands queued before it and found its kernel;
 * then any worker joins in until no block is left. The last one to leave reports it done, so
 * that nobody looks at a slot that the host has reused.
 */
#include "devsim/device/dev.h"
#include "devsim/device/dev_region.h"
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* One idle worker at a time waits awake so long for the next launch: a host that sleeps until a
 * kernel ends is there again after 40 to 70 us, and need not wake the worker then. */
#define SPIN_NS	  100000
#define CALL_SPIN 2000

static pthread_mutex_t queue = PTHREAD_MUTEX_INITIALIZER;
static struct run {
	gm_kernel_fn *fn;
	unsigned workers;     /* inside; under the queue lock */
	bool starting;	      /* one worker prepares it */
	_Atomic bool failing; /* the first failure describes itself */
} runs[DS_LAUNCHES];
static _Atomic bool in_library[DS_LAUNCHES]; /* its kernel runs library code */

static __thread struct {
	sigjmp_buf out;
	struct ds_launch *launch; /* NULL: no kernel runs in this thread */
	bool library;
} me;

static struct run *run_of(struct ds_launch *l)
{
	return &runs[l - ctl->launch];
}

struct ds_launch *dev_this_launch(void)
{
	return me.launch;
}

uint32_t dev_launch_slot(void)
{
	uint32_t slot = DS_LAUNCHES;

	if (me.launch)
		return (uint32_t)(me.launch - ctl->launch);
	for (uint32_t i = 0; i < DS_LAUNCHES; i++) {
		if (!atomic_load_explicit(&in_library[i], memory_order_relaxed))
			continue;
		if (slot < DS_LAUNCHES)
			return DS_LAUNCHES;
		slot = i;
	}
	return slot;
}

void dev_kernel_begin_library(void)
{
	me.library = true;
	atomic_store(&in_library[me.launch - ctl->launch], true);
}

void dev_kernel_end_library(void)
{
	atomic_store(&in_library[me.launch - ctl->launch], false);
	me.library = false;
}

struct ds_launch *dev_launch_self(void)
{
	return me.launch;
}

void dev_launch_call(struct ds_launch *l)
{
	atomic_store(&l->state, DS_L_CALLS);
	if (atomic_load(&l->waiting))
		dev_futex_wake(&l->state, INT32_MAX);
	for (int i = 0; i < CALL_SPIN && atomic_load(&l->state) == DS_L_CALLS; i++)
		__builtin_ia32_pause();
	while (atomic_load(&l->state) == DS_L_CALLS)
		dev_futex_wait(&l->state, DS_L_CALLS);
}

void dev_launch_reply(uint64_t value)
{
	me.launch->reply = value;
}

/* Blocks that nobody has begun count as done. */
static void skip_rest(struct ds_launch *l)
{
	uint32_t next = atomic_exchange(&l->next_block, l->nblocks);

	if (next < l->nblocks)
		atomic_fetch_add(&l->blocks_done, l->nblocks - next);
}

/* Signal-safe. */
static void fail_launch(struct ds_launch *l, int err, uint64_t addr, int code)
{
	if (atomic_exchange(&run_of(l)->failing, true))
		return;
	l->fault_addr = addr;
	l->kernel_code = code;
	atomic_store(&l->error, err);
}

void dev_kernel_fail(int err, uint64_t addr, int code)
{
	if (me.launch)
		fail_launch(me.launch, err, addr, code);
	for (unsigned i = 0; i < DS_LAUNCHES && !me.launch; i++)
		if (atomic_load(&in_library[i]))
			fail_launch(&ctl->launch[i], err, addr, code);
	if (me.launch && !me.library)
		siglongjmp(me.out, 1);
	_exit(1); /* the host reports it, with the launch's error, and starts another process */
}

/* ---- running ---- */

static void run_block(struct ds_launch *l, gm_kernel_fn *fn, uint32_t block, uint32_t worker)
{
	struct gm_kctx ctx = {.block = block, .nblocks = l->nblocks, .worker = worker};

	me.launch = l;
	if (!sigsetjmp(me.out, 0)) {
		int code = fn(&ctx, l->args);
		if (code)
			fail_launch(l, -ECANCELED, 0, code);
		atomic_fetch_add_explicit(&l->flops, ctx.flops, memory_order_relaxed);
		atomic_fetch_add_explicit(&l->bytes, ctx.bytes, memory_order_relaxed);
		if (ctx.flop_type)
			__atomic_store_n(&l->flop_type, ctx.flop_type, __ATOMIC_RELAXED);
		if (ctx.access_bytes)
			__atomic_store_n(&l->access_bytes, ctx.access_bytes, __ATOMIC_RELAXED);
	}
	me.launch = NULL;
	if (atomic_load(&l->error))
		skip_rest(l);
}

static void call_workers(uint32_t n)
{
	uint32_t bits = ds_call_workers(ctl, n);

	if (bits)
		dev_futex_wake_bits(&ctl->launch_bell, bits);
}

/* Takes the place of the idle worker that is awake. false: there is one. */
static bool stay_awake(uint32_t worker)
{
	uint32_t awake = 0;

	return atomic_compare_exchange_strong(&ctl->worker_awake, &awake, worker + 1) ||
	       awake == worker + 1;
}

/* false: it was called. */
static bool no_more_awake(uint32_t worker)
{
	uint32_t awake = worker + 1;

	return atomic_compare_exchange_strong(&ctl->worker_awake, &awake, 0);
}

/*
 * Leaves the launch; the last worker reports its end. Queue locked. It is there for the next
 * launch before anybody hears of the end: a host that launches at once calls nobody else.
 */
static void leave_launch(struct ds_launch *l, uint32_t worker)
{
	if (--run_of(l)->workers || atomic_load(&l->blocks_done) < l->nblocks)
		return;
	stay_awake(worker);
	l->end_ns = dev_now_ns();
	if (l->sample)
		dev_mmu_sample_end(l);
	atomic_store(&l->state, DS_L_DONE);
	if (atomic_load(&l->waiting))
		dev_futex_wake(&l->state, INT32_MAX);
}

/* The first worker prepares the launch for all. Queue not locked. */
static void start_launch(struct ds_launch *l)
{
	gm_kernel_fn *fn = NULL;
	char name[sizeof l->kernel];

	if ((int32_t)(l->after_cmd - atomic_load(&ctl->cmd_tail)) > 0)
		dev_mmu_apply();
	dev_mmu_sample_begin(l->sample);
	memcpy(name, l->kernel, sizeof name);
	name[sizeof name - 1] = 0;
	int err = dev_module_kernel(l->module, name, &fn);
	if (err)
		fail_launch(l, err, 0, 0);
	if (!fn)
		skip_rest(l);

	pthread_mutex_lock(&queue);
	l->start_ns = dev_now_ns();
	run_of(l)->fn = fn;
	run_of(l)->starting = false;
	atomic_store(&l->state, DS_L_RUNNING);
	pthread_mutex_unlock(&queue);
	if (fn && l->nblocks > 1)
		call_workers(l->nblocks - 1);
}

static bool wants_worker(struct ds_launch *l)
{
	uint32_t state = atomic_load(&l->state);

	if (state == DS_L_QUEUED)
		return !run_of(l)->starting;
	return state == DS_L_RUNNING && atomic_load(&l->next_block) < l->nblocks;
}

/* The oldest launch that has work, joined. *fresh: this worker is to start it. */
static struct ds_launch *join_launch(bool *fresh)
{
	struct ds_launch *best = NULL;

	pthread_mutex_lock(&queue);
	for (struct ds_launch *l = ctl->launch; l < ctl->launch + DS_LAUNCHES; l++)
		if (wants_worker(l) && (!best || l->seq < best->seq))
			best = l;
	if (best) {
		struct run *r = run_of(best);
		*fresh = atomic_load(&best->state) == DS_L_QUEUED;
		r->workers++;
		if (*fresh) {
			r->starting = true;
			atomic_store(&r->failing, false);
		}
	}
	pthread_mutex_unlock(&queue);
	return best;
}

static void serve_launch(struct ds_launch *l, bool fresh, uint32_t worker)
{
	if (fresh)
		start_launch(l);
	for (;;) {
		uint32_t block = atomic_load(&l->next_block);
		while (block < l->nblocks &&
		       !atomic_compare_exchange_weak(&l->next_block, &block, block + 1))
			;
		if (block >= l->nblocks)
			break;
		run_block(l, run_of(l)->fn, block, worker);
		atomic_fetch_add(&l->blocks_done, 1);
	}
	pthread_mutex_lock(&queue);
	leave_launch(l, worker);
	pthread_mutex_unlock(&queue);
}

/* Until a call that came after `seen`, or is meant for this worker. */
static void wait_for_call(uint32_t seen, uint32_t worker)
{
	uint64_t bit = (uint64_t)1 << worker;

	if (stay_awake(worker)) {
		uint64_t end = dev_now_ns() + SPIN_NS;
		while (atomic_load_explicit(&ctl->worker_awake, memory_order_relaxed) ==
			       worker + 1 &&
		       dev_now_ns() < end)
			__builtin_ia32_pause();
		if (!no_more_awake(worker))
			return;
	}
	atomic_fetch_or(&ctl->workers_asleep, bit);
	if (atomic_load(&ctl->launch_bell) == seen)
		dev_futex_wait_bits(&ctl->launch_bell, seen, ds_futex_bit(bit));
	atomic_fetch_and(&ctl->workers_asleep, ~bit);
}

void *dev_worker_thread(void *arg)
{
	uint32_t worker = (uint32_t)(uintptr_t)arg;

	for (;;) {
		uint32_t seen = atomic_load(&ctl->launch_bell);
		bool fresh = false;
		/* before the look: who calls it until here has queued its work already */
		no_more_awake(worker);
		struct ds_launch *l = join_launch(&fresh);
		if (l)
			serve_launch(l, fresh, worker);
		else
			wait_for_call(seen, worker);
	}
	return NULL;
}

/* ---- the journal ---- */

/* Each slot's mapping is kept up to this size: to make and to drop one takes as long as to fill
 * it. */
#define JOURNAL_KEPT ((uint64_t)64 << 20)

static struct {
	void *at;
	uint64_t bytes;
} journals[DS_LAUNCHES];

void *dev_journal_open(struct ds_launch *l, uint64_t bytes)
{
	unsigned slot = (unsigned)(l - ctl->launch);
	off_t off = (off_t)(slot * DS_JOURNAL_SPAN);

	if (bytes > DS_JOURNAL_SPAN)
		return NULL;
	if (journals[slot].bytes >= bytes)
		return journals[slot].at;
	if (journals[slot].bytes)
		munmap(journals[slot].at, journals[slot].bytes);
	journals[slot].bytes = 0;
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE,
		       DS_FD_JOURNAL, off);
	if (p == MAP_FAILED)
		return NULL;
	journals[slot].at = p;
	journals[slot].bytes = bytes;
	return p;
}

void dev_journal_close(struct ds_launch *l)
{
	unsigned slot = (unsigned)(l - ctl->launch);

	if (journals[slot].bytes <= JOURNAL_KEPT)
		return;
	munmap(journals[slot].at, journals[slot].bytes);
	journals[slot].bytes = 0;
}
