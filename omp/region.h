/*
 * region.h - what the plug-in (host) asks of its kernel module (device): the arguments of the
 * module's kernels.
 *
 * Included by both sides, which are of one build. Addresses in the window are the program's own;
 * "device address" means one of the device process that the host cannot reach, which is where
 * the variables of a target image lie.
 */
#ifndef GM_OMP_REGION_H
#define GM_OMP_REGION_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#define GMO_IMAGES	 64  /* target images that one device can hold */
#define GMO_INLINE_BYTES 448 /* of a copy that travels in the arguments themselves */
#define GMO_ARGS	 56  /* arguments of a region that do; more are read from the window */

/* What a kernel of the module returns besides 0. */
enum gmo_code {
	GMO_NO_IMAGE = 1, /* the process is a fresh one: load it again */
	GMO_CANNOT_LOAD,  /* said on stderr */
	GMO_NO_RUNTIME,	  /* libomp, likewise */
	GMO_COLLISION,	  /* the device's own memory lies where the program's does */
};

/* One variable or region that the program expects in an image. */
struct gmo_entry {
	uint64_t name; /* in the window */
	uint64_t addr; /* filled in: its device address, 0: not there */
};

/* An address range [begin, end) that the program has mapped. */
struct gmo_range {
	uint64_t begin, end;
};

/* gmo_load: one image. All pointers into the window. */
struct gmo_load {
	uint32_t image;	  /* its number, chosen by the host */
	uint32_t threads; /* of a team, when the region does not say */
	uint64_t file, file_bytes;
	uint64_t table, table_entries; /* where the image's own table lies, relative to its base */
	uint64_t entries, nentries;    /* struct gmo_entry[] */
	uint64_t ranges, nranges;      /* struct gmo_range[] */
	char runtime[256];	       /* path of the OpenMP library that the program uses */
	/* of the environment, overrides threads: OMP_NUM_THREADS_DEV_<n> */
	char threads_variable[32];
};

/* gmo_run: one region. Replies with the bytes of output that it printed. */
struct gmo_run {
	uint32_t image, entry, nargs;
	/* it may touch the program's memory outside the window (unified_shared_memory) */
	uint32_t foreign;
	uint64_t more; /* nargs > GMO_ARGS: all of them, in the window */
	uint64_t args[GMO_ARGS];
};

/* gmo_write, gmo_read: bytes between a device address and the window (gmo_write also from the
 * arguments). */
struct gmo_copy {
	uint64_t device, window; /* window 0: from `data` */
	uint64_t bytes;
	unsigned char data[GMO_INLINE_BYTES];
};

/* gmo_output: the first `bytes` of what regions have printed, to the window; they are then
 * forgotten. */
struct gmo_output {
	uint64_t window, bytes;
};

/* Has the user said how idle threads of the OpenMP runtime wait? */
static inline bool gmo_wait_is_chosen(void)
{
	return getenv("KMP_BLOCKTIME") || getenv("OMP_WAIT_POLICY");
}

#endif
