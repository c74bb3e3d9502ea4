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
	uint32_t device, ndevices;
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

/*
 * gmo_program: the program's own code, for regions that are functions of it. What a module of
 * the program (an object file it has mapped) is to the device:
 */
enum gmo_module_kind {
	GMO_OWN,     /* mapped where the program has it, from the same file */
	GMO_RUNTIME, /* the device has its own (libc, libgomp): called there, by name or place */
	GMO_HOOKS,   /* the interposing library: calls go to what it interposes, by name */
};
struct gmo_segment { /* of a module, not writable: [begin, end) in whole pages */
	uint64_t begin, end, offset;
	uint32_t module, prot;
};
struct gmo_module {
	uint64_t path, base; /* path: in the window, as all strings here */
	uint32_t kind, pad;
	uint64_t frames; /* address of .eh_frame, 0: none */
};
struct gmo_call { /* what the program's pointers to functions of others point to */
	uint64_t addr, name;
};
struct gmo_program {
	uint64_t epoch; /* which state of the program this is */
	uint64_t modules, nmodules, segments, nsegments, calls, ncalls, ranges, nranges;
	uint32_t threads, device, ndevices, pad;
	char threads_variable[32];
};

/* gmo_native: a region that is a function of the program. Replies as gmo_run. */
struct gmo_native {
	uint64_t epoch; /* of the program that it is part of */
	uint64_t fn;
	uint64_t arg;	      /* nvars 0: its argument */
	uint64_t nvars, more; /* else: an array of so many words; more: where, 0: args */
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
	return getenv("KMP_BLOCKTIME") || getenv("OMP_WAIT_POLICY") || getenv("GOMP_SPINCOUNT");
}

#endif
