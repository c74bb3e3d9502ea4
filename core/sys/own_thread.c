/* Threads of our own. See own_thread.h. */
#include "core/sys/own_thread.h"
#include <pthread.h>

static int plain_thread_start(void *(*fn)(void *), void *arg)
{
	pthread_attr_t attr;
	pthread_t thread;
	int err;

	gm_sigmask mask = gmi_block_signals();
	gmi_thread_signals(); /* inherited */
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	err = pthread_create(&thread, &attr, fn, arg);
	pthread_attr_destroy(&attr);
	gmi_restore_signals(mask);
	return -err;
}

_Atomic bool gmi_threads_rest;

int (*gmi_thread_start)(void *(*fn)(void *), void *arg) = plain_thread_start;
