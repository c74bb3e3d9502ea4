/*
 * host.h - inside the plug-in, in the program's process. Called by libomptarget from any thread
 * of the program, never from a signal handler. Ordinary code: it may use malloc and stdio, and
 * may touch managed memory.
 *
 *	plugin  the functions that libomptarget knows (their ABI is in plugin.c)
 *	image   target images: their tables here, their code on the device, regions
 *	memory  device memory, and copies to and from it
 *	ranges  what the program has mapped
 */
#ifndef GM_OMP_HOST_H
#define GM_OMP_HOST_H

#include "omp/region.h"
#include "core/page/registry.h"
#include "devsim/driver/sim.h"
#include <pthread.h>

struct gmo_image;

/* Room of the classes below: 64 bytes .. 1 MiB. */
#define GMO_CLASSES 15
struct gmo_pool {
	void *free[GMO_CLASSES]; /* lists in host memory: struct gmo_block */
	char *at, *end;		 /* of the chunk that new blocks are cut from */
};
struct gmo_device {
	int number;	    /* as libomptarget counts them */
	struct gm_sim *sim; /* NULL: not initialised */
	int module, hnid;
	pthread_mutex_t lock; /* pool, loading */
	struct gmo_pool pool;
	pthread_mutex_t staging_lock;
	char *staging; /* in the window: bytes on their way to or from device addresses */
};
#define GMO_STAGING_BYTES ((size_t)1 << 20)

extern bool gmo_unified; /* #pragma omp requires unified_shared_memory */

/* One line to stderr, "gmem: ...". */
void gmo_say(const struct gmo_device *d, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* Launches a kernel of the module. 0 or -errno; *code: what the kernel returned. `label` NULL:
 * not of the program. */
int gmo_launch(struct gmo_device *d, const char *kernel, const char *label, const void *args,
	       size_t bytes, struct gm_launch_result *result, uint64_t *reply);

/* ---- image.c ---- */
struct gmo_tgt_entry { /* __tgt_offload_entry */
	void *addr;
	char *name;
	size_t size;
	int32_t flags, reserved;
};
struct gmo_tgt_image { /* __tgt_device_image */
	void *start, *end;
	struct gmo_tgt_entry *entries_begin, *entries_end;
};
struct gmo_tgt_table { /* __tgt_target_table */
	struct gmo_tgt_entry *begin, *end;
};
bool gmo_image_fits(const struct gmo_tgt_image *image);
/* The image's table on this device; NULL: it cannot be loaded (said). Device locked. */
struct gmo_tgt_table *gmo_image_load(struct gmo_device *d, const struct gmo_tgt_image *image);
/* Runs a region, named by the address that its table gives it. 0 or -errno (said). */
int gmo_region_run(struct gmo_device *d, void *region, void **args, const ptrdiff_t *offsets,
		   int n);

/* ---- memory.c ---- */
/* In the window, zero or what was there before; NULL: no room. */
void *gmo_alloc(struct gmo_device *d, size_t bytes);
void gmo_free(struct gmo_device *d, void *p);
/* To and from device memory, which is the window's or (variables of images) a device address. 0
 * or -errno (said). */
int gmo_submit(struct gmo_device *d, void *device, const void *host, size_t bytes);
int gmo_retrieve(struct gmo_device *d, void *host, const void *device, size_t bytes);
/* What regions have printed comes out of the program's stdout. */
void gmo_print(struct gmo_device *d, uint64_t bytes);

/* ---- ranges.c ---- */
/* Where the program has memory outside the window, coarsely. Returns how many, at most max. */
size_t gmo_ranges(struct gmo_range *r, size_t max);

#endif
