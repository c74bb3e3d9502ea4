/*
 * dev_stacks.c - threads that libraries make stand on stacks that a module has given.
 *
 * pthread_create() of this program comes before libc's, for every library that is loaded here. A
 * thread that was made detached is made joinable instead: joining it tells when its stack is
 * free again. One that its maker joins keeps its stack for good.
 */
#include "devsim/device/dev.h"
#include "devsim/device/dev_region.h"
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>

#define STACKS 256
#define GUARD  ((uint64_t)4096)
#define EXPORT __attribute__((visibility("default")))

typedef int create_fn(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);

static struct {
	char *base;
	uint64_t each;
	unsigned n, used; /* those from `used` on had no thread yet */
	struct {
		pthread_t thread;
		bool joins;	     /* by us: free when that succeeds */
		void *(*fn)(void *); /* of its thread, and the argument */
		void *arg;
	} at[STACKS];
} stacks;
static pthread_mutex_t stacks_lock = PTHREAD_MUTEX_INITIALIZER;

static void (*_Atomic on_thread)(void);

void dev_region_on_thread(void (*fn)(void))
{
	atomic_store(&on_thread, fn);
}

void dev_region_stacks(void *base, uint64_t each, unsigned n)
{
	pthread_mutex_lock(&stacks_lock);
	stacks.each = each;
	stacks.n = n < STACKS ? n : STACKS;
	stacks.base = base;
	pthread_mutex_unlock(&stacks_lock);
}

static void *begin_thread(void *number)
{
	void (*first)(void) = atomic_load(&on_thread);
	unsigned i = (unsigned)(uintptr_t)number;

	if (first)
		first();
	return stacks.at[i].fn(stacks.at[i].arg);
}

/* Locked. The number of a stack that nobody stands on; n: none is left. */
static unsigned free_stack(void)
{
	for (unsigned i = 0; i < stacks.used; i++)
		if (stacks.at[i].joins && pthread_tryjoin_np(stacks.at[i].thread, NULL) == 0)
			return i;
	if (stacks.used == stacks.n ||
	    mprotect(stacks.base + stacks.used * stacks.each, GUARD, PROT_NONE))
		return stacks.n;
	return stacks.used++;
}

/* Locked. */
static int create_there(create_fn *create, pthread_t *thread, const pthread_attr_t *asked,
			void *(*fn)(void *), void *arg)
{
	int detached = PTHREAD_CREATE_JOINABLE;
	size_t wanted = 0;
	pthread_attr_t attr;

	if (asked) {
		pthread_attr_getdetachstate(asked, &detached);
		pthread_attr_getstacksize(asked, &wanted);
	}
	unsigned i = wanted > stacks.each - GUARD ? stacks.n : free_stack();
	if (i == stacks.n)
		return EAGAIN;
	char *lowest = stacks.base + i * stacks.each + GUARD;
	stacks.at[i].joins = false;
	stacks.at[i].fn = fn;
	stacks.at[i].arg = arg;
	pthread_attr_init(&attr);
	int err = pthread_attr_setstack(&attr, lowest, stacks.each - GUARD);
	if (!err)
		err = create(thread, &attr, begin_thread, (void *)(uintptr_t)i);
	pthread_attr_destroy(&attr);
	stacks.at[i].joins = !err && detached == PTHREAD_CREATE_DETACHED;
	if (!err)
		stacks.at[i].thread = *thread;
	return err;
}

EXPORT int pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *),
			  void *arg)
{
	static create_fn *_Atomic real;
	create_fn *create = atomic_load(&real);

	if (!create) {
		*(void **)&create = dlsym(RTLD_NEXT, "pthread_create");
		atomic_store(&real, create);
	}
	pthread_mutex_lock(&stacks_lock);
	int err = stacks.base ? create_there(create, thread, attr, fn, arg)
			      : create(thread, attr, fn, arg);
	pthread_mutex_unlock(&stacks_lock);
	return err;
}
