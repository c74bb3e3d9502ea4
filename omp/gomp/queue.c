/*
 * queue.c - OpenACC's asynchronous queues: each has a thread that does its steps in order.
 *
 * A queue may wait for another one's steps, which were given before: so never in a circle.
 */
#include "omp/gomp/gomp.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* What is copied to the device up to this size is what the program has when it asks, as with
 * CUDA: libgomp passes firstprivate variables so, and the program goes on and changes them. */
#define STAGED_BYTES ((size_t)64 << 10)

struct step {
	struct step *next;
	struct gmo_queued what;
	void *vars[]; /* EXEC; TO_DEVICE: the bytes themselves */
};
struct goacc_asyncqueue {
	struct gmo_device *device;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct step *first, **last;
	const struct step *running; /* taken off the list; NULL: none */
	uint64_t given, done;
	bool ends;
};

static void queue_await(struct goacc_asyncqueue *q, uint64_t steps)
{
	pthread_mutex_lock(&q->lock);
	while (q->done < steps)
		pthread_cond_wait(&q->changed, &q->lock);
	pthread_mutex_unlock(&q->lock);
}

static void perform(struct gmo_device *d, struct step *s)
{
	const struct gmo_queued *w = &s->what;
	int err = 0;

	switch (w->kind) {
	case GMO_EXEC:
		err = gmo_native_run(d, w->fn, s->vars, w->n);
		break;
	case GMO_TO_DEVICE:
		err = gmo_submit(d, w->to, w->from, w->n);
		break;
	case GMO_TO_HOST:
		err = gmo_retrieve(d, w->to, w->from, w->n);
		break;
	case GMO_CALL:
		w->fn(w->to);
		break;
	case GMO_AWAIT:
		queue_await(w->queue, w->steps);
		break;
	}
	if (err)
		gmo_fatal("an asynchronous operation failed");
}

static void *queue_thread(void *arg)
{
	struct goacc_asyncqueue *q = arg;

	pthread_mutex_lock(&q->lock);
	for (;;) {
		struct step *s = q->first;
		if (!s && q->ends)
			break;
		if (!s) {
			pthread_cond_wait(&q->changed, &q->lock);
			continue;
		}
		q->first = s->next;
		if (!q->first)
			q->last = &q->first;
		q->running = s;
		pthread_mutex_unlock(&q->lock);
		perform(q->device, s);
		pthread_mutex_lock(&q->lock);
		q->running = NULL;
		free(s);
		q->done++;
		pthread_cond_broadcast(&q->changed);
	}
	pthread_mutex_unlock(&q->lock);
	return NULL;
}

struct goacc_asyncqueue *gmo_queue_new(struct gmo_device *d)
{
	struct goacc_asyncqueue *q = calloc(1, sizeof *q);

	if (!q)
		return NULL;
	q->device = d;
	q->last = &q->first;
	pthread_mutex_init(&q->lock, NULL);
	pthread_cond_init(&q->changed, NULL);
	if (pthread_create(&q->thread, NULL, queue_thread, q) == 0)
		return q;
	free(q);
	return NULL;
}

void gmo_queue_free(struct goacc_asyncqueue *q)
{
	pthread_mutex_lock(&q->lock);
	q->ends = true;
	pthread_cond_broadcast(&q->changed);
	pthread_mutex_unlock(&q->lock);
	pthread_join(q->thread, NULL);
	free(q);
}

static bool step_writes(const struct step *s, const char *at, size_t bytes)
{
	const struct gmo_queued *w = &s->what;

	return w->kind == GMO_TO_HOST && at < (char *)w->to + w->n && (char *)w->to < at + bytes;
}

/* Will a step that is not done yet write there? Then the bytes are not what they will be. */
static bool will_be_written(const struct goacc_asyncqueue *q, const void *at, size_t bytes)
{
	bool found = q->running && step_writes(q->running, at, bytes);

	for (const struct step *s = q->first; s && !found; s = s->next)
		found = step_writes(s, at, bytes);
	return found;
}

bool gmo_queue_add(struct goacc_asyncqueue *q, const struct gmo_queued *what)
{
	size_t kept = what->kind == GMO_EXEC ? what->n * sizeof(void *)
		      : what->kind == GMO_TO_DEVICE && what->n <= STAGED_BYTES ? what->n
									       : 0;
	struct step *s = malloc(sizeof *s + kept);

	if (!s)
		return false;
	s->next = NULL;
	s->what = *what;
	pthread_mutex_lock(&q->lock);
	if (kept && !(what->kind == GMO_TO_DEVICE && will_be_written(q, what->from, kept))) {
		memcpy(s->vars, what->from, kept);
		s->what.from = s->vars;
	}
	*q->last = s;
	q->last = &s->next;
	q->given++;
	pthread_cond_broadcast(&q->changed);
	pthread_mutex_unlock(&q->lock);
	return true;
}

bool gmo_queue_idle(struct goacc_asyncqueue *q)
{
	pthread_mutex_lock(&q->lock);
	bool idle = q->done == q->given;
	pthread_mutex_unlock(&q->lock);
	return idle;
}

uint64_t gmo_queue_given(struct goacc_asyncqueue *q)
{
	pthread_mutex_lock(&q->lock);
	uint64_t given = q->given;
	pthread_mutex_unlock(&q->lock);
	return given;
}

void gmo_queue_wait(struct goacc_asyncqueue *q)
{
	queue_await(q, gmo_queue_given(q));
}
