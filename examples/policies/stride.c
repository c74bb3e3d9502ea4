/*
 * stride.c - a policy of one's own: faults that follow each other at the same distance are a
 * stride, and what it comes to next is brought before it is asked for, wherever that is.
 *
 *     cc -shared -fPIC -O2 -o stride.so stride.c  (with -I where gmem/policy.h is)
 *     run-with-gmem --policy ./stride.so -- program
 *
 * Several strides are followed at a time, as a kernel's threads have several: a fault belongs to
 * the one that expected it, or begins another in the place of the one longest idle.
 */
#include <gmem/policy.h>

#define STREAMS 8

struct stream {
	uint64_t last, used;
	int64_t step;
	unsigned sure; /* so many faults in a row came where they were expected */
};
struct state {
	uint64_t faults;
	struct stream stream[STREAMS];
	unsigned newest;
};

/* The stream that goes on at va; else the newest, if that has no step yet; else a new one. */
static struct stream *follow(struct state *s, uint64_t va)
{
	unsigned oldest = 0;

	for (unsigned i = 0; i < STREAMS; i++) {
		struct stream *t = &s->stream[i];
		/* what was brought ahead does not fault: any multiple of the step goes on */
		int64_t by = (int64_t)(va - t->last);
		if (t->sure && t->step && by % t->step == 0 && by / t->step > 0 &&
		    by / t->step <= GM_POLICY_AHEAD + 1)
			return t;
		if (t->used < s->stream[oldest].used)
			oldest = i;
	}
	if (s->stream[s->newest].last && !s->stream[s->newest].sure)
		return &s->stream[s->newest];
	s->newest = oldest;
	s->stream[oldest] = (struct stream){0};
	return &s->stream[oldest];
}

static void on_fault(const struct gm_policy_view *v, void *state, struct gm_policy_fault *f)
{
	struct state *s = state;
	uint64_t va = f->va & ~(v->page_bytes - 1);
	struct stream *t = follow(s, va);

	t->used = ++s->faults;
	if (t->last && va != t->last) {
		t->step = t->sure ? t->step : (int64_t)(va - t->last);
		t->sure++;
	}
	t->last = va;
	for (unsigned i = 1; t->sure > 1 && i <= GM_POLICY_AHEAD; i++) {
		f->ahead[f->naheads].va = va + (uint64_t)(t->step * (int64_t)i);
		f->ahead[f->naheads++].bytes = v->page_bytes;
	}
}

const struct gm_policy_plugin gm_policy = {
	.version = GM_POLICY_VERSION,
	.name = "stride",
	.state_bytes = sizeof(struct state),
	.on_fault = on_fault,
};
