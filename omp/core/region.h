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
#define GMO_ARGS_FEW	 40  /* where other things travel, too */

/* What a kernel of the module returns besides 0. */
enum gmo_code {
	GMO_NO_IMAGE = 1, /* the process is a fresh one: load it again */
	GMO_CANNOT_LOAD,  /* said on stderr */
	GMO_NO_RUNTIME,	  /* libomp, likewise */
	GMO_LOST_LOCALS,  /* the process is a fresh one: its threads' variables are gone */
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
/* Thread-local variables of one module: a block that begins `offset` bytes below the thread
 * pointer, in every thread. */
struct gmo_local {
	uint64_t image;	 /* what its first bytes begin as, in the window; the rest are zeros */
	uint64_t module; /* its number in the program's loader */
	uint32_t offset, bytes, filled, pad;
};
#define GMO_LOCALS	8
#define GMO_LOCAL_BYTES 65536 /* no block begins further down (devsim/device/dev_pad.c) */
struct gmo_program {
	uint64_t epoch; /* which state of the program this is */
	uint64_t modules, nmodules, segments, nsegments, calls, ncalls, ranges, nranges;
	uint32_t threads, device, ndevices, pad;
	char threads_variable[32];
	uint64_t arena; /* struct gmo_arena; 0: its regions call nobody of the host */
	uint32_t once;	/* how far below the thread pointer std::call_once leaves its function */
	uint32_t nlocals;
	struct gmo_local locals[GMO_LOCALS];
};

/* Arguments of a call. */
struct gmo_words {
	uint64_t n;
	uint64_t more; /* where they are, in the window; 0: here */
	uint64_t word[GMO_ARGS_FEW];
};
static inline const uint64_t *gmo_words(const struct gmo_words *w)
{
	return w->more ? (const uint64_t *)w->more : w->word;
}

/* gmo_native: a region that is a function of the program. Replies as gmo_run. */
struct gmo_native {
	uint64_t epoch; /* of the program that it is part of */
	uint64_t fn;
	uint64_t arg; /* its argument; an array of vars.n words, if there are any */
	struct gmo_words vars;
};

/*
 * gmo_parallel: a parallel region of the program, by the function of the OpenMP runtime that it
 * calls. Replies with what that returns.
 */
enum gmo_icv { /* what omp_set_*() of the program have said */
	       GMO_ICV_THREADS,
	       GMO_ICV_DYNAMIC,
	       GMO_ICV_LEVELS,
	       GMO_ICV_SCHEDULE, /* two: kind, chunk */
	       GMO_ICV_CHUNK,
	       GMO_ICVS
};
struct gmo_parallel {
	uint64_t epoch;	 /* of the program that it is part of */
	uint64_t thread; /* of the program, that starts it: its thread pointer */
	int32_t tid;	 /* and number */
	bool resumes;	 /* threads have had variables there */
	uint64_t slot;	 /* for what its first thread calls: the launching one answers; 0: none */
	int32_t icv[GMO_ICVS];
	int32_t threads; /* that the next region has been asked for; 0: not */
	char entry[56];	 /* "GOMP_parallel" */
	struct gmo_words words;
};

/*
 * What regions call of the host. A thread of the device fills its slot (CALLED); the thread of
 * the program that stands for it calls, and answers (ANSWERED). Arguments are taken as the
 * registers and the stack have them, so any function can be called. All of it is memory that both
 * sides share, with the stacks of the device's threads and the heap of its libraries behind the
 * slots: pointers to what lies there are good on both.
 */
#define GMO_CALLERS	128 /* threads of one device process that call at a time */
#define GMO_STARTERS	32
#define GMO_STACKS	128
#define GMO_STACK_BYTES ((uint64_t)64 << 20)
#define GMO_CALL_WORDS	24 /* of the stack: arguments behind the sixth */

enum gmo_call_state { GMO_CALL_IDLE, GMO_CALL_CALLED, GMO_CALL_ANSWERED };
struct gmo_frame {	     /* hostcall_x86_64.S and perform_x86_64.S know it */
	uint64_t words[6];   /*   0: rdi rsi rdx rcx r8 r9 */
	uint64_t rax, rdx;   /*  48: in: al, how many vector registers; out: the result */
	double vector[8][2]; /*  64: xmm0 .. xmm7; out: the first two */
};
struct gmo_slot {
	_Atomic uint32_t state;
	_Atomic uint32_t owner; /* the device process; what another one has left is free */
	int32_t error;		/* errno, before the call and after it */
	uint64_t fn;
	struct gmo_frame frame;
	uint64_t stack[GMO_CALL_WORDS];
} __attribute__((aligned(64)));
struct gmo_arena {
	_Atomic uint32_t callers; /* slots that were ever taken */
	struct gmo_slot slot[GMO_CALLERS];
	struct gmo_slot starter[GMO_STARTERS]; /* of threads of the program that start regions */
};
#define GMO_ARENA_HEAD	(((uint64_t)sizeof(struct gmo_arena) + 65535) / 65536 * 65536)
#define GMO_ARENA_HEAP	(GMO_ARENA_HEAD + GMO_STACKS * GMO_STACK_BYTES) /* where it begins */
#define GMO_HEAP_BYTES	((uint64_t)16 << 30)
#define GMO_ARENA_BYTES (GMO_ARENA_HEAP + GMO_HEAP_BYTES)

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
