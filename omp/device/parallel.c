/*
 * parallel.c - parallel regions of the program: the same call of the OpenMP runtime that the
 * program makes, of this process's own instance, which has a team of its own.
 *
 * A runtime keeps a team for every thread that starts regions. So these are few, and not the
 * device's workers: a worker hands its launch to one that is idle, the last one first. And they
 * stand on stacks that the host can read (calls_host.c).
 */
#include "omp/core/loaded.h"
#include "omp/device/module.h"
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

struct starter {
	struct starter *next; /* idle */
	pthread_cond_t changed;
	const struct gmo_parallel *job; /* NULL: none, or done */
	uint64_t result;
};
static struct starter *idle;
static pthread_mutex_t starters_lock = PTHREAD_MUTEX_INITIALIZER;

/* ---- what omp_set_*() have said ---- */

static void set_icvs(const int32_t icv[])
{
	static const struct {
		const char *name;
		enum gmo_icv icv;
	} setters[] = {
		{"omp_set_num_threads", GMO_ICV_THREADS},
		{"omp_set_dynamic", GMO_ICV_DYNAMIC},
		{"omp_set_max_active_levels", GMO_ICV_LEVELS},
		{"omp_set_schedule", GMO_ICV_SCHEDULE},
	};
	static void (*_Atomic fn[sizeof setters / sizeof setters[0]])(int, int);

	for (size_t i = 0; i < sizeof setters / sizeof setters[0]; i++) {
		if (!fn[i])
			fn[i] = (void (*)(int, int))(uintptr_t)dlsym(RTLD_DEFAULT, setters[i].name);
		/* those of one argument do not look at the second */
		if (fn[i])
			fn[i](icv[setters[i].icv],
			      i + 1 == sizeof setters / sizeof setters[0] ? icv[GMO_ICV_CHUNK] : 0);
	}
}

/* ---- starters ---- */

static uint64_t call_runtime(const struct gmo_parallel *a)
{
	uint64_t (*entry)(uint64_t, ...) =
		(uint64_t(*)(uint64_t, ...))(uintptr_t)dlsym(RTLD_DEFAULT, a->entry);
	const uint64_t *w = a->args;

	set_icvs(a->icv);
	return entry(w[0], w[1], w[2], w[3], w[4], w[5], w[6], w[7]);
}

static void *starter_thread(void *of)
{
	struct starter *s = of;

	pthread_mutex_lock(&starters_lock);
	for (;;) {
		while (!s->job)
			pthread_cond_wait(&s->changed, &starters_lock);
		pthread_mutex_unlock(&starters_lock);
		s->result = call_runtime(s->job);
		pthread_mutex_lock(&starters_lock);
		s->job = NULL;
		pthread_cond_broadcast(&s->changed);
	}
	return NULL;
}

/* Locked. NULL: no memory, or no stack. */
static struct starter *take_starter(void)
{
	struct starter *s = idle;
	pthread_attr_t attr;
	pthread_t thread;

	if (s) {
		idle = s->next;
		return s;
	}
	s = calloc(1, sizeof *s);
	if (!s)
		return NULL;
	pthread_cond_init(&s->changed, NULL);
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	int err = pthread_create(&thread, &attr, starter_thread, s);
	pthread_attr_destroy(&attr);
	if (!err)
		return s;
	free(s);
	return NULL;
}

static bool run_parallel(const struct gmo_parallel *a, uint64_t *result)
{
	pthread_mutex_lock(&starters_lock);
	struct starter *s = take_starter();
	if (s) {
		s->job = a;
		pthread_cond_broadcast(&s->changed);
		while (s->job)
			pthread_cond_wait(&s->changed, &starters_lock);
		*result = s->result;
		s->next = idle;
		idle = s;
	}
	pthread_mutex_unlock(&starters_lock);
	return s;
}

GM_KERNEL gmo_parallel(struct gm_kctx *ctx, const void *args)
{
	const struct gmo_parallel *a = args;
	uint64_t result = 0;

	if (!gmo_program_is_loaded(a->epoch))
		return GMO_NO_IMAGE;
	if (!dlsym(RTLD_DEFAULT, a->entry))
		return GMO_NO_RUNTIME;
	dev_region_begin(true);
	bool ran = run_parallel(a, &result);
	dev_launch_reply(result);
	dev_region_end(true);
	return ran ? 0 : GMO_CANNOT_LOAD;
}
