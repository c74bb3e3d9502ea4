/*
 * own_thread.h - starting threads that the program does not know of: background work, the
 * service of userfaultfd, the driver's.
 */
#ifndef GM_CORE_OWN_THREAD_H
#define GM_CORE_OWN_THREAD_H

#include "core/sys/sys.h"

/*
 * Starts fn(arg) in a detached thread that has signals blocked (gmi_thread_signals). 0 or
 * -errno. libgmem_preload.so points it at libc's own pthread_create, and marks the thread
 * (gm_thread.internal).
 */
GM_EXPORT extern int (*gmi_thread_start)(void *(*fn)(void *), void *arg);

/* All of them are to end: raised by who then waits for that (entry/leave.h). */
GM_EXPORT extern _Atomic bool gmi_threads_rest;

#endif
