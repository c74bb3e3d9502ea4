/* gomp.h - inside the plug-in for libgomp. */
#ifndef GM_OMP_GOMP_H
#define GM_OMP_GOMP_H

#include "omp/core/host.h"

/* ---- plugin.c ---- */
/* A function of the libgomp that has loaded us. NULL: it has none. */
void *gmo_of_libgomp(const char *name);
/* Ends the program with libgomp's own message: it has no way back from a region. */
void gmo_fatal(const char *what) __attribute__((noreturn));

/* ---- queue.c: OpenACC's asynchronous queues, each with a thread ---- */
struct goacc_asyncqueue;
enum gmo_step_kind { GMO_EXEC, GMO_TO_DEVICE, GMO_TO_HOST, GMO_CALL, GMO_AWAIT };
struct gmo_queued {
	enum gmo_step_kind kind;
	void (*fn)(void *); /* EXEC, CALL */
	void *to;	    /* CALL: fn's argument */
	const void *from;   /* EXEC: its variables, copied */
	size_t n;	    /* bytes, or variables */
	struct goacc_asyncqueue *queue;
	uint64_t steps; /* AWAIT: until that queue has done so many */
};
struct goacc_asyncqueue *gmo_queue_new(struct gmo_device *d);
void gmo_queue_free(struct goacc_asyncqueue *q);
bool gmo_queue_add(struct goacc_asyncqueue *q, const struct gmo_queued *what);
bool gmo_queue_idle(struct goacc_asyncqueue *q);
void gmo_queue_wait(struct goacc_asyncqueue *q);
/* How many steps it has been given. */
uint64_t gmo_queue_given(struct goacc_asyncqueue *q);

#endif
