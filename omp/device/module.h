/*
 * module.h - inside the kernel module, in the device process. An ordinary program's code: libc
 * is the device's own.
 *
 *	image    target images of clang, their regions and variables
 *	program  the program's own code, and regions that are part of it
 *	calls    what such code calls of others, and who answers
 *	calls_host  which of it the program's process answers, and the way there
 *	local    the program's thread-local variables
 *	parallel parallel regions of the program
 *	output   what regions print; the number of their threads
 */
#ifndef GM_OMP_MODULE_H
#define GM_OMP_MODULE_H

#include "omp/core/region.h"
#include "devsim/device/dev_region.h"
#include <gmem/kernel.h>
#include <pthread.h>
#include <stdbool.h>

extern pthread_mutex_t gmo_lock; /* loading, output */

void gmo_warn(const char *what, const char *why);
/* Does something of this process lie in one of the ranges? Entries of the window are the same
 * memory on both sides. */
bool gmo_collides(const struct gmo_range *r, uint64_t n);

/* ---- output.c ---- */
/* Before anything that prints is loaded. Locked. */
void gmo_collect_output(void);
/* How many bytes the host has not yet taken. */
uint64_t gmo_collected(void);
/* Before an OpenMP runtime is loaded: how many threads it will have when the region does not
 * say. */
void gmo_set_threads(const char *variable, unsigned threads);

/* Before it as well: how its threads wait for the next region, unless the user has said. */
void gmo_set_wait(void);

/* ---- program.c ---- */
/* Is the code of the program here, as it was at that epoch? */
bool gmo_program_is_loaded(uint64_t epoch);

/* ---- calls.c ---- */
/* The devices that omp_get_num_devices() and others tell of. */
void gmo_calls_device(unsigned device, unsigned ndevices);
/* Our answers come before those of any runtime that is loaded from now on. */
void gmo_calls_first(void);
/* Who answers a call of that name: a function of ours, of the device's libraries, or NULL. */
void *gmo_calls_find(const char *name);
/* ---- calls_host.c ---- */
/* Regions call the host from now on. Locked; false: the arena cannot be here. */
bool gmo_calls_host_begin(struct gmo_arena *arena);
/* Where a call of the function at `host` goes: to one of this process, or the way to the host.
 * Locked. 0: no room. */
uint64_t gmo_calls_host_find(uint64_t host, const char *name);
/* The same for one whose name is not known; `here`: its place in this process's instance of the
 * library, 0: there is none. Signal-safe. */
uint64_t gmo_calls_host_stray(uint64_t host, uint64_t here);

/* The calling thread's calls go by this slot to the thread that has launched l; NULL: by one of its
 * own to a thread that stands for it. */
void gmo_calls_host_by(struct gmo_slot *slot, struct ds_launch *l);

/* ---- local.c ---- */
/* Threads that are made from now on have the program's thread-local variables. Locked; false: no
 * room. */
bool gmo_local_begin(const struct gmo_program *a);
/* The calling thread gets the values of a thread of the program, and gives back what it has
 * changed. In a region. */
void gmo_local_take(uint64_t program_thread);
void gmo_local_give(uint64_t program_thread);
/* What libstdc++'s __once_proxy is: calls what std::call_once has left for it. */
void gmo_local_once(void);
/* What __tls_get_addr is for the program's modules. */
void *gmo_local_address(const void *index);

/* Data of the program's libc is at `begin`..`end`, ours so much further on. */
void gmo_calls_libc(uint64_t begin, uint64_t end, uint64_t delta);

#endif
