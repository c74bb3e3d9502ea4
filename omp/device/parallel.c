/*
 * parallel.c - parallel regions of the program: the same call of the OpenMP runtime that the
 * program makes, of this process's own instance, which has a team of its own.
 *
 * A runtime keeps a team for every thread that starts regions, whose threads keep their
 * thread-local variables from one region to the next. So each thread of the program that starts
 * regions has one here that stands for it, to which a worker hands the launch; only when there are
 * too many one stands for several. And they stand on stacks that the host can read (calls_host.c).
 */
#include "omp/core/loaded.h"
#include "omp/device/module.h"
#include <dlfcn.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct starter {
	struct starter *next; /* idle */
	int32_t tid;	      /* the thread of the program that it last stood for */
	pthread_cond_t changed;
	const struct gmo_parallel *job; /* NULL: none, or done */
	struct ds_launch *launch;	/* the job's */
	uint64_t result;
};
#define STARTERS 32
static struct starter *idle;
static _Atomic bool begun; /* a region has run here */
static unsigned nstarters;
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

/* libomp: what `num_threads` says comes in a call before the region's. */
static void ask_for_threads(uint64_t location, int32_t threads)
{
	int32_t (*self)(uint64_t);
	void (*push)(uint64_t, int32_t, int32_t);

	if (!threads)
		return;
	*(void **)&self = dlsym(RTLD_DEFAULT, "__kmpc_global_thread_num");
	*(void **)&push = dlsym(RTLD_DEFAULT, "__kmpc_push_num_threads");
	if (self && push)
		push(location, self(location), threads);
}

/* ---- starters ---- */

static uint64_t call_runtime(const struct gmo_parallel *a)
{
	void (*entry)(void);
	const uint64_t *words = gmo_words(&a->words);

	*(void **)&entry = dlsym(RTLD_DEFAULT, a->entry);
	set_icvs(a->icv);
	gmo_local_take(a->thread);
	ask_for_threads(words[0], a->threads);
	uint64_t result = gmo_call(entry, words, a->words.n);
	gmo_local_give(a->thread);
	return result;
}

static void *starter_thread(void *of)
{
	struct starter *s = of;

	pthread_mutex_lock(&starters_lock);
	for (;;) {
		while (!s->job)
			pthread_cond_wait(&s->changed, &starters_lock);
		pthread_mutex_unlock(&starters_lock);
		gmo_calls_host_by((struct gmo_slot *)s->job->slot, s->launch);
		s->result = call_runtime(s->job);
		gmo_calls_host_by(NULL, NULL);
		pthread_mutex_lock(&starters_lock);
		s->job = NULL;
		pthread_cond_broadcast(&s->changed);
	}
	return NULL;
}

/* Locked. NULL: no memory, or no stack. */
static struct starter *make_starter(void)
{
	struct starter *s = calloc(1, sizeof *s);
	pthread_attr_t attr;
	pthread_t thread;

	if (!s)
		return NULL;
	pthread_cond_init(&s->changed, NULL);
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	int err = pthread_create(&thread, &attr, starter_thread, s);
	pthread_attr_destroy(&attr);
	nstarters += !err;
	if (!err)
		return s;
	free(s);
	return NULL;
}

/* Locked. The one that has stood for this thread; a new one; one of another thread. */
static struct starter *take_starter(int32_t tid)
{
	struct starter **at = &idle, *s;

	while (*at && (*at)->tid != tid)
		at = &(*at)->next;
	if (!*at && (nstarters < STARTERS || !idle))
		return make_starter();
	if (!*at)
		at = &idle;
	s = *at;
	*at = s->next;
	return s;
}

static bool run_parallel(const struct gmo_parallel *a, uint64_t *result)
{
	pthread_mutex_lock(&starters_lock);
	struct starter *s = take_starter(a->tid);
	if (s) {
		s->tid = a->tid;
		s->launch = dev_launch_self();
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
	if (a->resumes && !atomic_load(&begun))
		return GMO_LOST_LOCALS;
	atomic_store(&begun, true);
	dev_region_begin(true);
	bool ran = run_parallel(a, &result);
	dev_launch_reply(result);
	dev_region_end(true);
	return ran ? 0 : GMO_CANNOT_LOAD;
}
