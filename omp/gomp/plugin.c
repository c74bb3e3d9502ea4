/*
 * plugin.c - libgomp-plugin-nvptx.so.1: the ABI between GCC's libgomp and a device, for programs
 * of gcc, g++ and gfortran (OpenMP target regions and OpenACC). The name is one of those that a
 * stock libgomp looks for.
 *
 * We say that we run the host's code (NATIVE_EXEC): a region is then a host function pointer, so
 * no offload compiler is needed. OpenMP: and that memory is shared (SHARED_MEM), so that nothing
 * is mapped and regions use the program's own pointers. OpenACC has no such way in libgomp
 * (GOACC_parallel_keyed maps whatever the device says): programs that use it get mapped memory,
 * in the window.
 *
 * Facts: libgomp/libgomp-plugin.h, target.c, libgomp.map and include/gomp-constants.h of gcc 12
 * to 14 (all that changed: what load_image and get_num_devices are given). In version 4 (gcc's
 * trunk) run and exec are given a session, which is not done here: that libgomp says that the
 * plug-in is of another version, and regions run on the host. A failed region ends the program;
 * libgomp knows no other way.
 */
#include "omp/gomp/gomp.h"
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define API __attribute__((visibility("default")))

enum { SHARED_MEM = 1, NATIVE_EXEC = 2, OPENMP_400 = 4, OPENACC_200 = 8 };
#define TYPE_NVIDIA 5
#define LIBRARY	    "libgomp.so.1"

void *gmo_of_libgomp(const char *name)
{
	static void *library;

	if (!library)
		library = dlopen(LIBRARY, RTLD_LAZY | RTLD_NOLOAD);
	return library ? dlsym(library, name) : NULL;
}

void gmo_fatal(const char *what)
{
	void (*fatal)(const char *, ...) =
		(void (*)(const char *, ...))(uintptr_t)gmo_of_libgomp("GOMP_PLUGIN_fatal");

	if (fatal)
		fatal("%s", what);
	abort();
}

/* ---- what we are ---- */

/* Only plug-ins of its own version are used. Which one it is, the functions tell that came with
 * each, newest first. */
API unsigned GOMP_OFFLOAD_version(void)
{
	static const struct {
		const char *has;
		unsigned version;
	} versions[] = {
		{"GOMP_target_map_indirect_ptr", 3}, /* gcc 14: GOMP_5.1.2 */
		{"GOMP_taskwait_depend_nowait", 2},  /* gcc 13: GOMP_5.1.1 */
		{"GOMP_target_ext", 1},		     /* to gcc 12 */
	};

	for (unsigned i = 0; i < GM_ARRAY_LEN(versions); i++)
		if (gmo_of_libgomp(versions[i].has))
			return versions[i].version;
	return 0;
}

API const char *GOMP_OFFLOAD_get_name(void)
{
	return "nvptx";
}

API int GOMP_OFFLOAD_get_type(void)
{
	return TYPE_NVIDIA;
}

API unsigned GOMP_OFFLOAD_get_caps(void)
{
	return NATIVE_EXEC | OPENMP_400 | OPENACC_200 |
	       (gmo_program_calls("GOACC_") ? 0 : SHARED_MEM);
}

/* gcc 13 and later pass what the program requires; all of it is there. */
API int GOMP_OFFLOAD_get_num_devices(unsigned requires_mask)
{
	return gmo_devices();
}

API bool GOMP_OFFLOAD_init_device(int n)
{
	return gmo_device_init(n) == 0;
}

API bool GOMP_OFFLOAD_fini_device(int n)
{
	return true; /* it goes with the program */
}

/* Images for other devices: none is of ours. */
API int GOMP_OFFLOAD_load_image(int n, unsigned version, const void *data, void **table,
				uint64_t **reverse, uint64_t *indirect)
{
	return 0;
}

API bool GOMP_OFFLOAD_unload_image(int n, unsigned version, const void *data)
{
	return true;
}

/* ---- memory ---- */

API void *GOMP_OFFLOAD_alloc(int n, size_t bytes)
{
	struct gmo_device *d = gmo_device(n);

	return d ? gmo_alloc(d, bytes) : NULL;
}

API bool GOMP_OFFLOAD_free(int n, void *p)
{
	struct gmo_device *d = gmo_device(n);

	if (d)
		gmo_free(d, p);
	return d;
}

API bool GOMP_OFFLOAD_dev2host(int n, void *host, const void *device, size_t bytes)
{
	struct gmo_device *d = gmo_device(n);

	return d && gmo_retrieve(d, host, device, bytes) == 0;
}

API bool GOMP_OFFLOAD_host2dev(int n, void *device, const void *host, size_t bytes)
{
	struct gmo_device *d = gmo_device(n);

	return d && gmo_submit(d, device, host, bytes) == 0;
}

API bool GOMP_OFFLOAD_dev2dev(int n, void *to, const void *from, size_t bytes)
{
	return GOMP_OFFLOAD_host2dev(n, to, from, bytes);
}

/* ---- OpenMP ---- */

API bool GOMP_OFFLOAD_can_run(void *fn)
{
	return true;
}

static void run_region(int n, void *fn, void *vars)
{
	struct gmo_device *d = gmo_device(n);

	if (!d || gmo_native_run(d, (void (*)(void *))(uintptr_t)fn, vars, 0))
		gmo_fatal("a target region failed on its device");
}

API void GOMP_OFFLOAD_run(int n, void *fn, void *vars, void **args)
{
	run_region(n, fn, vars);
}

struct async_run {
	int n;
	void *fn, *vars, *task;
};

static void *async_thread(void *arg)
{
	struct async_run r = *(struct async_run *)arg;
	void (*completed)(void *) =
		(void (*)(void *))(uintptr_t)gmo_of_libgomp("GOMP_PLUGIN_target_task_completion");

	free(arg);
	run_region(r.n, r.fn, r.vars);
	completed(r.task);
	return NULL;
}

/* nowait: the task goes on when its completion is reported. */
API void GOMP_OFFLOAD_async_run(int n, void *fn, void *vars, void **args, void *task)
{
	struct async_run *r = malloc(sizeof *r);
	pthread_attr_t attr;
	pthread_t thread;

	if (!r)
		gmo_fatal("no memory for a nowait region");
	*r = (struct async_run){n, fn, vars, task};
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	if (pthread_create(&thread, &attr, async_thread, r))
		gmo_fatal("no thread for a nowait region");
	pthread_attr_destroy(&attr);
}

/* ---- OpenACC ---- */

/* What libgomp keeps for each of its threads: nothing but the fact. */
API void *GOMP_OFFLOAD_openacc_create_thread_data(int n)
{
	return calloc(1, 1);
}

API void GOMP_OFFLOAD_openacc_destroy_thread_data(void *p)
{
	free(p);
}

/* Which device a region is for is only in what it was mapped with: struct target_mem_desc,
 * whose device_descr's target_id libgomp alone knows. So the calling thread is asked. */
static struct gmo_device *acc_device(void)
{
	int (*number)(int) = (int (*)(int))(uintptr_t)gmo_of_libgomp("acc_get_device_num");
	int n = number ? number(TYPE_NVIDIA) : 0;

	return gmo_device_init(n) ? NULL : gmo_device(n);
}

API void GOMP_OFFLOAD_openacc_exec(void (*fn)(void *), size_t n, void **host, void **device,
				   unsigned *dims, void *mapping)
{
	struct gmo_device *d = acc_device();

	if (!d || gmo_native_run(d, fn, device, n))
		gmo_fatal("an OpenACC region failed on its device");
}

API struct goacc_asyncqueue *GOMP_OFFLOAD_openacc_async_construct(int n)
{
	struct gmo_device *d = gmo_device(n);

	return d ? gmo_queue_new(d) : NULL;
}

API bool GOMP_OFFLOAD_openacc_async_destruct(struct goacc_asyncqueue *q)
{
	gmo_queue_free(q);
	return true;
}

API int GOMP_OFFLOAD_openacc_async_test(struct goacc_asyncqueue *q)
{
	return gmo_queue_idle(q);
}

API bool GOMP_OFFLOAD_openacc_async_synchronize(struct goacc_asyncqueue *q)
{
	gmo_queue_wait(q);
	return true;
}

/* What comes to `second` from now on waits for what `first` was given until now. */
API bool GOMP_OFFLOAD_openacc_async_serialize(struct goacc_asyncqueue *first,
					      struct goacc_asyncqueue *second)
{
	return gmo_queue_add(second, &(struct gmo_queued){.kind = GMO_AWAIT,
							  .queue = first,
							  .steps = gmo_queue_given(first)});
}

static void enqueue(struct goacc_asyncqueue *q, struct gmo_queued what)
{
	if (!gmo_queue_add(q, &what))
		gmo_fatal("no memory for an asynchronous operation");
}

API void GOMP_OFFLOAD_openacc_async_queue_callback(struct goacc_asyncqueue *q, void (*fn)(void *),
						   void *arg)
{
	enqueue(q, (struct gmo_queued){.kind = GMO_CALL, .fn = fn, .to = arg});
}

API void GOMP_OFFLOAD_openacc_async_exec(void (*fn)(void *), size_t n, void **host, void **device,
					 unsigned *dims, void *mapping, struct goacc_asyncqueue *q)
{
	enqueue(q, (struct gmo_queued){.kind = GMO_EXEC, .fn = fn, .from = device, .n = n});
}

API bool GOMP_OFFLOAD_openacc_async_dev2host(int n, void *host, const void *device, size_t bytes,
					     struct goacc_asyncqueue *q)
{
	enqueue(q,
		(struct gmo_queued){.kind = GMO_TO_HOST, .to = host, .from = device, .n = bytes});
	return true;
}

API bool GOMP_OFFLOAD_openacc_async_host2dev(int n, void *device, const void *host, size_t bytes,
					     struct goacc_asyncqueue *q)
{
	enqueue(q,
		(struct gmo_queued){.kind = GMO_TO_DEVICE, .to = device, .from = host, .n = bytes});
	return true;
}

union goacc_property_value {
	const char *text;
	size_t number;
};

API union goacc_property_value GOMP_OFFLOAD_openacc_get_property(int n, int property)
{
	enum { MEMORY = 1, NAME = 0x10001, VENDOR = 0x10002, DRIVER = 0x10003 };
	struct gmo_device *d = gmo_device_init(n) ? NULL : gmo_device(n);
	union goacc_property_value v = {.number = 0}; /* also: not known (free memory) */

	switch (property) {
	case MEMORY:
		v.number = d ? gmi_sim_bytes(d->sim) : 0;
		break;
	case NAME:
		v.text = d ? gmi_sim_name(d->sim) : "gmem";
		break;
	case VENDOR:
		v.text = "GMEM";
		break;
	case DRIVER:
		v.text = GMEM_VERSION;
		break;
	default:
		break;
	}
	return v;
}
