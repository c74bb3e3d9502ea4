/*
 * thread.h - the birth and the end of threads. Signals are blocked by the caller where it says so.
 */
#ifndef GMP_PROCESS_THREAD_H
#define GMP_PROCESS_THREAD_H

#include <stdint.h>

#include "preload/ground/thread.h"

/* Arms the calling thread: altstack, and dispatch while active. Needs gmp_armed. vmask: inherited
 * view of the mask. */
void gmp_thread_arm(uint64_t vmask);
/* The calling thread's calls are dispatched from now on: one that is armed, or one that no hook of
 * ours saw. Signals as they are; a child on its parent's memory is left alone. */
void gmp_thread_join(void);
void gmp_threads_init(void);
/* The calling thread ends: its record and altstack go, its calls are no longer dispatched.
 * Signals blocked. true: it was the last of the program's. */
bool gmp_thread_end(void);
/* Waits until the kernel has no thread of ours any more. All of them are about to end. */
void gmp_own_threads_gone(void);
/* Threads of the program that are asked for and not armed yet. */
extern _Atomic unsigned gmp_births;

#endif
