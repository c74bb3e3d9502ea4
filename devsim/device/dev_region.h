/*
 * dev_region.h - for kernel modules that run code of other programs and runtimes on the device
 * (omp/): more than gmem/kernel.h offers. Exported by gmem-devsim. All calls come from the
 * worker that runs the kernel.
 */
#ifndef GM_DEVSIM_DEV_REGION_H
#define GM_DEVSIM_DEV_REGION_H

#include <stdbool.h>
#include <stdint.h>

#pragma GCC visibility push(default)

/*
 * Until dev_region_end() the kernel runs code that holds locks and has threads of its own: when
 * one of them touches bad memory, the process ends, and the launch with the error and the
 * address. foreign: touches of memory outside every window bring in pages of the program's
 * (dev_foreign.c).
 */
void dev_region_begin(bool foreign);
/* Sends changed foreign pages back first; if the program may not write there, the launch fails
 * with -EPERM. */
void dev_region_end(bool foreign);
/*
 * Who executes what is not code here, in any thread: `redirect` says where to go on instead of
 * rip, 0: nowhere, the kernel fails. Called in the SIGSEGV handler; until the process ends.
 */
void dev_region_on_stray(uint64_t (*redirect)(uint64_t rip));
/* A number that the launching thread gets with the result. */
void dev_launch_reply(uint64_t value);
/* The launch that this worker runs; and, from any thread of it, something is asked of the thread
 * that launches, which has done it when this returns. One at a time. */
struct ds_launch;
struct ds_launch *dev_launch_self(void);
void dev_launch_call(struct ds_launch *l);

/* In a region that touches foreign memory, any thread of it: what has been written there until now
 * is the program's, and what is touched from now on is read anew. */
void dev_region_sync(void);
/*
 * Memory that the program shares, all of which is here for as long as the process lives, whatever
 * the program does with it: code may stand on it. 0, or -errno: it is not shared, or cannot be
 * here.
 */
int dev_region_keep(void *at, uint64_t bytes);
/* Every thread that anybody makes from now on stands on one of `n` stacks of `each` bytes at
 * `base`; where they are used up, or it wants a larger one, pthread_create() fails with EAGAIN. */
void dev_region_stacks(void *base, uint64_t each, unsigned n);
/* What libraries allocate from now on lies there, as long as there is room: zeros at first, shared
 * (dev_region_keep). Once. */
void dev_region_heap(void *base, uint64_t bytes);
/* Each of these threads calls `fn` first. */
void dev_region_on_thread(void (*fn)(void));
/* Thread-local memory that nobody uses, of the calling thread: it ends at the thread pointer. NULL:
 * there is none. */
void *dev_region_pad(uint64_t *bytes);

#pragma GCC visibility pop
#endif
