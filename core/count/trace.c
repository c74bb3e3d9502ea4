/* trace.c - the rings of events. See trace.h. */
#include "core/count/trace.h"

struct gm_trace *_Atomic gmi_trace;
__thread struct gm_trace_here gmc_trace_here;

void gmi_trace_pc(uint64_t pc)
{
	gmc_trace_here.pc = pc;
}

static _Atomic unsigned threads_seen;
static __thread struct {
	int tid;
	unsigned ring;
} own;

static void put_in_ring(struct gm_trace_ring *r, const struct gm_event *e)
{
	uint64_t pos = atomic_load_explicit(&r->head, memory_order_relaxed);

	for (;;) {
		struct gm_trace_slot *s = &r->slot[pos % GM_TRACE_SLOTS];
		uint64_t free = pos / GM_TRACE_SLOTS * 2;
		int64_t ahead =
			(int64_t)(atomic_load_explicit(&s->seq, memory_order_acquire) - free);
		if (ahead < 0) { /* full: what stands there has not been read */
			atomic_fetch_add_explicit(&r->lost, 1, memory_order_relaxed);
			return;
		}
		if (ahead > 0) { /* somebody else was faster */
			pos = atomic_load_explicit(&r->head, memory_order_relaxed);
			continue;
		}
		if (atomic_compare_exchange_weak_explicit(
			    &r->head, &pos, pos + 1, memory_order_relaxed, memory_order_relaxed)) {
			s->event = *e;
			atomic_store_explicit(&s->seq, free + 1, memory_order_release);
			return;
		}
	}
}

void gmi_trace_span(struct gm_event e, uint64_t ns)
{
	struct gm_trace *t = atomic_load_explicit(&gmi_trace, memory_order_relaxed);

	if (!t)
		return;
	if (!own.tid) {
		own.ring = atomic_fetch_add_explicit(&threads_seen, 1, memory_order_relaxed) %
			   GM_TRACE_RINGS;
		own.tid = gmi_gettid();
	}
	if (ns > UINT32_MAX) {
		e.flags |= GM_EV_LONG;
		ns /= 1000;
	}
	e.duration_ns = (uint32_t)gm_min(ns, (uint64_t)UINT32_MAX);
	e.tid = own.tid;
	e.cause = gmc_trace_here.cause;
	if (e.kind != GM_EV_LAUNCH)
		e.kernel = gmc_trace_here.kernel;
	if (e.kind == GM_EV_CPU_FAULT)
		e.pc = gmc_trace_here.pc;
	put_in_ring(&t->ring[own.ring], &e);
}

void gmi_trace_put(struct gm_event e)
{
	uint64_t now = gmi_now_ns();

	if (!e.time_ns) /* begun before the trace was on, or it takes no time */
		e.time_ns = now;
	gmi_trace_span(e, now - e.time_ns);
}

bool gmc_trace_take(struct gm_trace_ring *r, uint64_t *tail, struct gm_event *e)
{
	struct gm_trace_slot *s = &r->slot[*tail % GM_TRACE_SLOTS];
	uint64_t filled = *tail / GM_TRACE_SLOTS * 2 + 1;

	if (atomic_load_explicit(&s->seq, memory_order_acquire) != filled)
		return false;
	*e = s->event;
	atomic_store_explicit(&s->seq, filled + 1, memory_order_release);
	++*tail;
	return true;
}

void gmc_trace_forked(void)
{
	atomic_store(&gmi_trace, NULL);
	own.tid = 0;
}
