/*
 * host.h - what every front (llvm/, gomp/) uses, in the program's process. Called by an OpenMP
 * or OpenACC runtime from any thread of the program, never from a signal handler. Ordinary code:
 * it may use malloc and stdio, and may touch managed memory.
 *
 *	core/device   the devices and their kernel module
 *	core/memory   device memory, and copies to and from it
 *	core/program  the program's own code: its way to the device, and regions that are part of it
 *	core/label    what people call a function of it
 *	core/ranges   what the program has mapped
 *	llvm/plugin   the functions that libomptarget knows (their ABI is there)
 *	llvm/image    target images: their tables here, their code on the device, regions
 *	gomp/plugin   the functions that libgomp knows
 *	gomp/queue    OpenACC's queues
 *	parallel/parallel  parallel regions, which the preload library hands over (its ABI is there)
 *	parallel/arena     functions of the host that they call
 */
#ifndef GM_OMP_HOST_H
#define GM_OMP_HOST_H

#include "omp/core/region.h"
#include "core/page/registry.h"
#include "devsim/driver/sim.h"
#include <pthread.h>

/* Room of the classes below: 64 bytes .. 1 MiB. */
#define GMO_CLASSES 15
struct gmo_pool {
	void *free[GMO_CLASSES]; /* lists in host memory: struct gmo_block */
	char *at, *end;		 /* of the chunk that new blocks are cut from */
};
struct gmo_device {
	int number;	    /* as the runtime counts them */
	struct gm_sim *sim; /* NULL: not initialised */
	int module, hnid;
	pthread_mutex_t lock; /* pool, loading */
	/* Code could not be loaded there: it runs here. Never cleared. */
	bool on_host;
	struct gmo_pool pool;
	pthread_mutex_t staging_lock;
	uint64_t program_epoch; /* of the program's code that it has been given last (program.c) */
	char *staging;		/* in the window: bytes on their way to or from device addresses */
};
#define GMO_STAGING_BYTES ((size_t)1 << 20)
#define GMO_LABEL_BYTES	  112
#define GMO_RANGES	  64
#define GMO_LAYOUTS	  4 /* device processes tried until one has its own memory elsewhere */

/* ---- device.c ---- */
/* How many can be used: asked first, it starts those that the user wants. 0: none is wanted, or
 * none works (said). */
int gmo_devices(void);
/* Ready for use. 0 or -errno (said). */
int gmo_device_init(int32_t id);
/* NULL: no such device, or it is not ready. */
struct gmo_device *gmo_device(int32_t id);
/* One line to stderr, "gmem: ...". */
void gmo_say(const struct gmo_device *d, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* Launches a kernel of the module. 0 or -errno; *code: what the kernel returned. `label` NULL:
 * not of the program. */
int gmo_launch(struct gmo_device *d, const char *kernel, const char *label, const void *args,
	       size_t bytes, struct gm_launch_result *result, uint64_t *reply);
/* Launches `kernel`, which loads code, until the device's own memory is out of the way. 0 or
 * -errno (said, with `what` it was). Device locked. */
int gmo_launch_load(struct gmo_device *d, const char *kernel, const char *what, const void *args,
		    size_t bytes);
/*
 * A region: a kernel that runs code of the program and replies with how much it printed, which
 * comes out of the program's stdout. A fresh process answers GMO_NO_IMAGE: `reload` loads what is
 * missing (0 or -errno, said), and it is tried again. 0 or -errno (said; -ESTALE: its code is not
 * there, and nothing of it has run).
 */
struct gmo_region {
	const char *kernel, *label;
	/* of a parallel region: what the runtime's function returns; NULL: how much it printed */
	uint64_t *reply;
	struct gm_launch_result *result; /* NULL: not asked for */
	void (*serve)(void *of);	 /* as of struct gmi_launch */
	void *serve_of;
	const void *args;
	size_t bytes;
	int (*reload)(struct gmo_device *d, void *of);
	void *of;
};
int gmo_region_launch(struct gmo_device *d, const struct gmo_region *r);

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

/* ---- program.c ---- */
/*
 * Runs fn(arg) on the device; fn is a function of the program, arg any pointer of it. nvars > 0:
 * arg is an array of so many words, of which the region gets a copy. 0 or -errno (said).
 */
int gmo_native_run(struct gmo_device *d, void (*fn)(void *), void *arg, size_t nvars);
/*
 * Words for a kernel of the module, in its arguments or, when they are many, in *more, which the
 * caller frees (gmo_free; NULL: they are not). 0 or -errno (said).
 */
int gmo_put_words(struct gmo_device *d, const void *words, size_t n, struct gmo_words *to,
		  void **more);
/*
 * Runs a kernel that needs the program's code, whose arguments begin with its epoch (which is
 * filled in). 0 or -errno (said; -ESTALE: nothing of it has run, and d->on_host is set).
 */
int gmo_program_run(struct gmo_device *d, const struct gmo_region *r, uint64_t *epoch);
/* Regions call functions of the host: what is shared with a device process for it, made when that
 * is given the program. NULL: they call nobody. */
extern struct gmo_arena *(*gmo_arena_make)(void);
/* Do modules of the program, runtimes aside, call functions whose names begin so? */
bool gmo_program_calls(const char *begins);
/*
 * The thread-local variables of the program's modules, runtimes aside, that every thread has at
 * the same place: room for GMO_LOCALS. Returns how many; -errno: there are others, of *file.
 */
int gmo_program_locals(struct gmo_local *to, const char **file);
/* Is there code of the program, or of a library of its? */
bool gmo_is_function(uint64_t at);

/* How far below the thread pointer std::call_once leaves its function; 0: nobody calls it; -errno:
 * too far. */
int gmo_program_once(void);
static inline uint64_t gmo_thread_pointer(void)
{
	uint64_t pointer;

	__asm__("mov %%fs:0, %0" : "=r"(pointer));
	return pointer;
}

/* ---- label.c ---- */
/* "main._omp_fn.0", or "program+0x1234"; lives as long as the program. */
const char *gmo_label(const void *fn);

/* ---- ranges.c ---- */
/* Where the program has memory outside the window, coarsely. Returns how many, at most max. */
size_t gmo_ranges(struct gmo_range *r, size_t max);

#endif
