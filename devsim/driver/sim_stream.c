/*
 * sim_stream.c - streams and fences: work that runs in the order in which it was queued, while
 * the program goes on.
 *
 * A stream is a queue and a thread of ours that does the work by the ordinary calls
 * (gm_sim_launch, hmadvise, hmemcpy): what they promise about errors, lost devices and coherence
 * holds here too, and streams overlap as threads do. The thread starts with the first work. An
 * entry leaves the queue only when it is done, so that a fork child, which has no such thread,
 * finds everything that will never be done.
 *
 * Lock: of the stream, innermost, for its queue and its error; nobody waits or calls anything
 * while holding it.
 */
#include "devsim/driver/sim_int.h"
#include "core/sys/own_thread.h"
#include <errno.h>

#define QUEUE_MAX 1024 /* then whoever queues waits: memory for entries is bounded */

struct gm_fence {
	_Atomic uint32_t done; /* futex */
	_Atomic uint32_t users;
	uint64_t when; /* virtual time of the stream's device; set before done */
	struct gm_sim *sim;
	int error; /* of the work before it; set before done */
};

struct launch {
	int module;
	char kernel[sizeof((struct ds_launch *)0)->kernel];
	uint32_t nblocks;
	size_t args_bytes;
	struct gm_launch_result *result;
	_Alignas(16) unsigned char args[DS_ARGS_MAX];
};
struct transfer {
	int hnid, behavior;
	void *dest;
	const void *src;
	size_t bytes;
};
struct host_call {
	void (*fn)(void *);
	void *arg;
};

struct work {
	struct work *next;
	uint64_t queued_at; /* virtual time: it cannot begin before */
	int (*run)(struct gm_stream *st, struct work *w);
	bool always; /* also after an error */
	union {
		struct launch launch;
		struct transfer transfer;
		struct host_call call;
		struct gm_fence *fence;
	};
};

struct gm_stream {
	struct gm_stream *next; /* sim->streams */
	struct gm_sim *sim;
	struct gm_lock lock;
	struct work *head, *tail;
	_Atomic uint32_t queued, finished; /* counts of work, wrapping; futexes */
	int error;			   /* the first one since it was last reported */
	uint64_t line;			   /* virtual time it has come to (sim_time.c) */
	_Atomic uint32_t thread;	   /* futex, enum sim_thread_state */
};

static void lock_stream(struct gm_stream *st, gm_sigmask *mask)
{
	*mask = gmi_block_signals();
	gmi_lock(&st->lock);
}

static void unlock_stream(struct gm_stream *st, gm_sigmask mask)
{
	gmi_unlock(&st->lock);
	gmi_restore_signals(mask);
}

static void bump(_Atomic uint32_t *count)
{
	atomic_fetch_add(count, 1);
	gmi_futex_wake(count, INT32_MAX);
}

/* ---- fences ---- */

static struct gm_fence *fence_ref(struct gm_fence *f)
{
	atomic_fetch_add(&f->users, 1);
	return f;
}

static void fence_unref(struct gm_fence *f)
{
	if (atomic_fetch_sub(&f->users, 1) == 1)
		gmi_free(f, sizeof *f);
}

static void fence_signal(struct gm_fence *f, int error)
{
	f->error = error;
	atomic_store(&f->done, 1);
	gmi_futex_wake(&f->done, INT32_MAX);
	fence_unref(f);
}

int gm_fence_wait(struct gm_fence *f, int64_t timeout_ns)
{
	uint64_t end = timeout_ns > 0 ? gmi_now_ns() + (uint64_t)timeout_ns : 0;

	if (!f)
		return -EINVAL;
	while (!atomic_load(&f->done)) {
		int64_t left = timeout_ns < 0 ? -1 : (int64_t)(end - gmi_now_ns());
		if (timeout_ns >= 0 && (timeout_ns == 0 || left <= 0))
			return -ETIMEDOUT;
		gmi_futex_wait(&f->done, 0, left);
	}
	if (f->sim)
		sim_time_join(f->sim, f->when);
	return f->error;
}

int gm_fence_free(struct gm_fence *f)
{
	if (!f)
		return -EINVAL;
	fence_unref(f);
	return 0;
}

/* ---- what the stream's thread does ---- */

static int run_launch(struct gm_stream *st, struct work *w)
{
	struct launch *l = &w->launch;

	return gm_sim_launch(st->sim, l->module, l->kernel, l->nblocks, l->args, l->args_bytes,
			     l->result);
}

static int run_advice(struct gm_stream *st, struct work *w)
{
	const struct transfer *t = &w->transfer;
	int err = hmadvise(t->hnid, t->dest, t->bytes, t->behavior);

	return err == -EBUSY ? 0 : err; /* pages that are in use where they are */
}

static int run_copy(struct gm_stream *st, struct work *w)
{
	return hmemcpy(w->transfer.hnid, w->transfer.dest, w->transfer.src, w->transfer.bytes);
}

static int run_call(struct gm_stream *st, struct work *w)
{
	w->call.fn(w->call.arg);
	return 0;
}

static int run_record(struct gm_stream *st, struct work *w)
{
	w->fence->when = sim_time_now(st->sim);
	w->fence->sim = st->sim;
	fence_signal(w->fence, st->error);
	return 0;
}

/* The other stream's error is ours too: what comes now was to use its results. */
static int run_wait(struct gm_stream *st, struct work *w)
{
	int err = gm_fence_wait(w->fence, -1);

	fence_unref(w->fence);
	return err;
}

/* The oldest work, which stays in the queue; NULL: none. */
static struct work *oldest(struct gm_stream *st)
{
	gm_sigmask mask;

	lock_stream(st, &mask);
	struct work *w = st->head;
	unlock_stream(st, mask);
	return w;
}

static void finish(struct gm_stream *st, struct work *w, int err)
{
	gm_sigmask mask;

	lock_stream(st, &mask);
	st->error = st->error ? st->error : err;
	st->head = w->next;
	if (!st->head)
		st->tail = NULL;
	unlock_stream(st, mask);
	gmi_free(w, sizeof *w);
	bump(&st->finished);
}

static void *work_off(void *arg)
{
	struct gm_stream *st = arg;

	sim_time_stream(st->sim, &st->line);
	for (;;) {
		uint32_t seen = atomic_load(&st->queued);
		struct work *w = oldest(st);
		if (w)
			sim_time_join(st->sim, w->queued_at);
		if (w)
			finish(st, w, st->error && !w->always ? 0 : w->run(st, w));
		else if (atomic_load(&st->thread) == SIM_THREAD_QUIT)
			break;
		else
			gmi_futex_wait(&st->queued, seen, -1);
	}
	atomic_store(&st->thread, SIM_THREAD_NONE);
	gmi_futex_wake(&st->thread, INT32_MAX);
	return NULL;
}

/* ---- queueing ---- */

static struct work *new_work(struct gm_stream *st, int (*run)(struct gm_stream *, struct work *))
{
	struct work *w = gmi_alloc(sizeof *w);

	if (w)
		w->run = run;
	return w;
}

/* Takes w over, also on an error. */
static int queue(struct gm_stream *st, struct work *w)
{
	gm_sigmask mask;
	int err = sim_start_once(&st->thread, work_off, st);

	if (err) {
		gmi_free(w, sizeof *w);
		return err;
	}
	for (uint32_t done = atomic_load(&st->finished);
	     atomic_load(&st->queued) - done >= QUEUE_MAX; done = atomic_load(&st->finished))
		gmi_futex_wait(&st->finished, done, -1);
	w->queued_at = st->sim->dev ? sim_time_now(st->sim) : 0;
	lock_stream(st, &mask);
	*(st->head ? &st->tail->next : &st->head) = w;
	st->tail = w;
	atomic_fetch_add(&st->queued, 1);
	unlock_stream(st, mask);
	gmi_futex_wake(&st->queued, 1);
	return 0;
}

int gm_stream_launch(struct gm_stream *st, int module, const char *kernel, uint32_t nblocks,
		     const void *args, size_t args_bytes, struct gm_launch_result *result)
{
	if (!st || !kernel || !nblocks || module < 0 || module >= DS_MODULES ||
	    sim_strlen(kernel) >= sizeof((struct launch *)0)->kernel || args_bytes > DS_ARGS_MAX ||
	    (args_bytes && !args))
		return -EINVAL;
	struct work *w = new_work(st, run_launch);
	if (!w)
		return -ENOMEM;
	w->launch.module = module;
	w->launch.nblocks = nblocks;
	w->launch.args_bytes = args_bytes;
	w->launch.result = result;
	gmi_snprintf(w->launch.kernel, sizeof w->launch.kernel, "%s", kernel);
	gm_copy(w->launch.args, args, args_bytes);
	return queue(st, w);
}

static int queue_transfer(struct gm_stream *st, int (*run)(struct gm_stream *, struct work *),
			  struct transfer t)
{
	struct work *w = st && t.hnid >= -1 && t.dest ? new_work(st, run) : NULL;

	if (!w)
		return st && t.hnid >= -1 && t.dest ? -ENOMEM : -EINVAL;
	w->transfer = t;
	return queue(st, w);
}

int gm_stream_prefetch(struct gm_stream *st, int hnid, void *start, size_t len)
{
	return queue_transfer(st, run_advice,
			      (struct transfer){hnid, MADV_PREFETCH, start, NULL, len});
}

int gm_stream_batch(struct gm_stream *st, int behavior, const struct gm_batch_range *range,
		    size_t n)
{
	bool discards = behavior == GM_MADV_DISCARD;
	int err = 0;

	if (!discards && behavior != MADV_PREFETCH && behavior != GM_MADV_DISCARD_PREFETCH)
		return -EINVAL;
	if (!st || (n && !range))
		return -EINVAL;
	for (size_t i = 0; i < n; i++)
		if (!range[i].start || (range[i].hnid < -1 && !discards))
			return -EINVAL;
	for (size_t i = 0; i < n && !err; i++)
		err = queue_transfer(st, run_advice,
				     (struct transfer){discards ? -1 : range[i].hnid, behavior,
						       range[i].start, NULL, range[i].len});
	return err;
}

int gm_stream_copy(struct gm_stream *st, int hnid, void *dest, const void *src, size_t bytes)
{
	return src ? queue_transfer(st, run_copy, (struct transfer){hnid, 0, dest, src, bytes})
		   : -EINVAL;
}

int gm_stream_call(struct gm_stream *st, void (*fn)(void *arg), void *arg)
{
	struct work *w = st && fn ? new_work(st, run_call) : NULL;

	if (!w)
		return st && fn ? -ENOMEM : -EINVAL;
	w->call = (struct host_call){fn, arg};
	return queue(st, w);
}

static int queue_fence(struct gm_stream *st, struct gm_fence *f,
		       int (*run)(struct gm_stream *, struct work *))
{
	struct work *w = new_work(st, run);

	if (!w)
		return -ENOMEM;
	w->always = true;
	w->fence = fence_ref(f);
	int err = queue(st, w);
	if (err)
		fence_unref(f);
	return err;
}

int gm_fence_record(struct gm_stream *st, struct gm_fence **out)
{
	struct gm_fence *f = st && out ? gmi_alloc(sizeof *f) : NULL;

	if (!f)
		return st && out ? -ENOMEM : -EINVAL;
	fence_ref(f);
	int err = queue_fence(st, f, run_record);
	if (err)
		fence_unref(f);
	else
		*out = f;
	return err;
}

int gm_stream_wait(struct gm_stream *st, struct gm_fence *f)
{
	return st && f ? queue_fence(st, f, run_wait) : -EINVAL;
}

/* ---- waiting for it all ---- */

static bool reached(struct gm_stream *st, uint32_t count)
{
	return (int32_t)(atomic_load(&st->finished) - count) >= 0;
}

int gm_stream_query(struct gm_stream *st)
{
	if (!st)
		return -EINVAL;
	return reached(st, atomic_load(&st->queued)) ? 0 : -EBUSY;
}

int gm_stream_sync(struct gm_stream *st)
{
	gm_sigmask mask;

	if (!st)
		return -EINVAL;
	uint32_t target = atomic_load(&st->queued);
	while (!reached(st, target)) {
		uint32_t seen = atomic_load(&st->finished);
		if (!reached(st, target))
			gmi_futex_wait(&st->finished, seen, -1);
	}
	if (st->line)
		sim_time_join(st->sim, st->line); /* idle: nobody else moves it */
	lock_stream(st, &mask);
	int err = st->error;
	st->error = 0;
	unlock_stream(st, mask);
	return err;
}

/* ---- making and ending streams ---- */

int gm_stream_create(struct gm_sim *sim, struct gm_stream **out)
{
	struct gm_stream *st = sim && out ? gmi_alloc(sizeof *st) : NULL;

	if (!st)
		return sim && out ? -ENOMEM : -EINVAL;
	st->sim = sim;
	gm_sigmask mask = gmi_block_signals();
	gmi_lock(&sim->cmd_lock);
	st->next = sim->streams;
	sim->streams = st;
	gmi_unlock(&sim->cmd_lock);
	gmi_restore_signals(mask);
	*out = st;
	return 0;
}

static void end_stream_thread(struct gm_stream *st)
{
	uint32_t runs = SIM_THREAD_RUNS;

	if (!atomic_compare_exchange_strong(&st->thread, &runs, SIM_THREAD_QUIT))
		return;
	bump(&st->queued);
	while (atomic_load(&st->thread) != SIM_THREAD_NONE)
		gmi_futex_wait(&st->thread, SIM_THREAD_QUIT, -1);
}

int gm_stream_destroy(struct gm_stream *st)
{
	if (!st)
		return -EINVAL;
	int err = gm_stream_sync(st);
	struct gm_sim *sim = st->sim;

	end_stream_thread(st);
	gm_sigmask mask = gmi_block_signals();
	gmi_lock(&sim->cmd_lock);
	struct gm_stream **p = &sim->streams;
	while (*p && *p != st)
		p = &(*p)->next;
	if (*p)
		*p = st->next;
	gmi_unlock(&sim->cmd_lock);
	gmi_restore_signals(mask);
	gmi_free(st, sizeof *st);
	return err;
}

void sim_streams_rest(struct gm_sim *sim)
{
	for (struct gm_stream *st = sim->streams; st; st = st->next)
		end_stream_thread(st);
}

/* The child has no thread that would do what was queued: it is given up, and whoever waits for
 * it is told. */
static void forget_work(struct gm_stream *st)
{
	st->lock = (struct gm_lock){0};
	if (st->head)
		st->error = -ECANCELED;
	while (st->head) {
		struct work *w = st->head;
		st->head = w->next;
		if (w->run == run_record)
			fence_signal(w->fence, -ECANCELED);
		else if (w->run == run_wait)
			fence_unref(w->fence);
		gmi_free(w, sizeof *w);
	}
	st->tail = NULL;
	atomic_store(&st->finished, atomic_load(&st->queued));
	atomic_store(&st->thread, SIM_THREAD_NONE);
}

void sim_streams_forked(struct gm_sim *sim)
{
	for (struct gm_stream *st = sim->streams; st; st = st->next)
		forget_work(st);
}
