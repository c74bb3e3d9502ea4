/*
 * plugin.c - libomptarget.rtl.x86_64.so: the ABI between LLVM's OpenMP offload runtime (version
 * 14) and a device.
 *
 * libomptarget opens plug-ins by name, asks is_valid_binary for each target image of the
 * program, and takes those that have devices. Results are 0 or OFFLOAD_FAIL; after a failure it
 * ends the program with its own message, or runs the region on the host, as OMP_TARGET_OFFLOAD
 * says. Facts: openmp/libomptarget/include/omptargetplugin.h, release/14.x.
 */
#include "omp/host.h"
#include <dlfcn.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define OFFLOAD_SUCCESS		       0
#define OFFLOAD_FAIL		       (~0)
#define REQUIRES_UNIFIED_SHARED_MEMORY 0x8 /* OMP_REQ_UNIFIED_SHARED_MEMORY */
#define MODULE			       "gmem-omp-device.so"
#define API			       __attribute__((visibility("default")))

bool gmo_unified;
static struct gmo_device devices[GM_MAX_DEV];
static pthread_mutex_t init_lock = PTHREAD_MUTEX_INITIALIZER;

void gmo_say(const struct gmo_device *d, const char *fmt, ...)
{
	char line[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof line, fmt, ap);
	va_end(ap);
	fprintf(stderr, "gmem: device %d: %s\n", d->number, line);
}

int gmo_launch(struct gmo_device *d, const char *kernel, const char *label, const void *args,
	       size_t bytes, struct gm_launch_result *result, uint64_t *reply)
{
	struct gmi_launch l = {d->module, kernel, label, args, bytes, 0};
	int err = gmi_sim_launch(d->sim, &l, result);

	if (reply)
		*reply = l.reply;
	return err;
}

static struct gmo_device *device(int32_t id)
{
	return id >= 0 && id < GM_MAX_DEV && devices[id].sim ? &devices[id] : NULL;
}

static int32_t status(int err)
{
	return err ? OFFLOAD_FAIL : OFFLOAD_SUCCESS;
}

/* ---- devices ---- */

API int32_t __tgt_rtl_is_valid_binary(struct gmo_tgt_image *image)
{
	return gmo_image_fits(image);
}

/*
 * The device's workers are threads of this machine. A host thread of libomp that has nothing to
 * do spins for 200 ms (KMP_BLOCKTIME), on the CPU of a worker; it sleeps instead, unless the
 * user has said how threads wait. Before main: a team that exists keeps the wait that it began
 * with.
 */
static void leave_cpus(void)
{
	void (*set_blocktime)(int) =
		(void (*)(int))(uintptr_t)dlsym(RTLD_DEFAULT, "kmp_set_blocktime");

	if (set_blocktime && !gmo_wait_is_chosen())
		set_blocktime(0);
}

/* Asked once, as the program's libraries are made ready. */
API int32_t __tgt_rtl_number_of_devices(void)
{
	if (gmi_opt.disable || !gmi_opt.ndev)
		return 0;
	leave_cpus();
	return gmi_opt.ndev;
}

API int64_t __tgt_rtl_init_requires(int64_t flags)
{
	gmo_unified = flags & REQUIRES_UNIFIED_SHARED_MEMORY;
	return flags;
}

/* The module lies beside this file. */
static int load_module(struct gmo_device *d)
{
	Dl_info info;
	char path[4096];

	if (!dladdr((void *)(uintptr_t)gmo_launch, &info) || !strrchr(info.dli_fname, '/'))
		return -ENOENT;
	snprintf(path, sizeof path, "%.*s/%s", (int)(strrchr(info.dli_fname, '/') - info.dli_fname),
		 info.dli_fname, MODULE);
	return gm_sim_load(d->sim, path, &d->module);
}

static int init(struct gmo_device *d, int32_t id)
{
	d->number = id;
	struct gm_sim *sim = gmi_sim_default(id);
	if (!sim)
		return -ENODEV; /* said */
	d->sim = sim;
	gmi_sim_expect_foreign(sim);
	d->hnid = gm_dev_hnid(gm_sim_dev(sim));
	pthread_mutex_init(&d->lock, NULL);
	pthread_mutex_init(&d->staging_lock, NULL);
	int err = load_module(d);
	if (err) {
		gmo_say(d, "%s cannot be loaded: %s", MODULE, strerror(-err));
		d->sim = NULL;
	}
	return err;
}

API int32_t __tgt_rtl_init_device(int32_t id)
{
	int err = id < 0 || id >= GM_MAX_DEV ? -ENODEV : 0;

	pthread_mutex_lock(&init_lock);
	if (!err && !devices[id].sim)
		err = init(&devices[id], id);
	pthread_mutex_unlock(&init_lock);
	return status(err);
}

API struct gmo_tgt_table *__tgt_rtl_load_binary(int32_t id, struct gmo_tgt_image *image)
{
	struct gmo_device *d = device(id);

	if (!d)
		return NULL;
	pthread_mutex_lock(&d->lock);
	struct gmo_tgt_table *table = gmo_image_load(d, image);
	pthread_mutex_unlock(&d->lock);
	return table;
}

/* ---- memory ---- */

/* kind (default, device, host, shared): all of it can be reached from both sides. */
API void *__tgt_rtl_data_alloc(int32_t id, int64_t bytes, void *host, int32_t kind)
{
	struct gmo_device *d = device(id);

	return d && bytes >= 0 ? gmo_alloc(d, (size_t)bytes) : NULL;
}

API int32_t __tgt_rtl_data_delete(int32_t id, void *p)
{
	struct gmo_device *d = device(id);

	if (d)
		gmo_free(d, p);
	return status(!d);
}

API int32_t __tgt_rtl_data_submit(int32_t id, void *to, void *host, int64_t bytes)
{
	struct gmo_device *d = device(id);

	return status(d && bytes >= 0 ? gmo_submit(d, to, host, (size_t)bytes) : -EINVAL);
}

API int32_t __tgt_rtl_data_retrieve(int32_t id, void *host, void *from, int64_t bytes)
{
	struct gmo_device *d = device(id);

	return status(d && bytes >= 0 ? gmo_retrieve(d, host, from, (size_t)bytes) : -EINVAL);
}

API int32_t __tgt_rtl_is_data_exchangable(int32_t from, int32_t to)
{
	return device(from) && device(to);
}

API int32_t __tgt_rtl_data_exchange(int32_t from_id, void *from, int32_t to_id, void *to,
				    int64_t bytes)
{
	struct gmo_device *d = device(to_id);

	if (!device(from_id) || !d || bytes < 0 || !gm_as_of(from))
		return OFFLOAD_FAIL;
	return status(gmo_submit(d, to, from, (size_t)bytes));
}

/* ---- regions ---- */

API int32_t __tgt_rtl_run_target_region(int32_t id, void *region, void **args, ptrdiff_t *offsets,
					int32_t n)
{
	struct gmo_device *d = device(id);

	return status(d ? gmo_region_run(d, region, args, offsets, n) : -ENODEV);
}

/* How many teams and threads the region asks its own runtime for; here it is only told so. */
API int32_t __tgt_rtl_run_target_team_region(int32_t id, void *region, void **args,
					     ptrdiff_t *offsets, int32_t n, int32_t teams,
					     int32_t thread_limit, uint64_t trips)
{
	return __tgt_rtl_run_target_region(id, region, args, offsets, n);
}
