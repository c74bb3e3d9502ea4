/*
 * plugin.c - libomptarget.rtl.x86_64.so: the ABI between LLVM's OpenMP offload runtime (versions
 * 13 to 16) and a device. Version 16 asks for ...x86_64.nextgen.so first, and launches otherwise.
 *
 * libomptarget opens plug-ins by name, asks is_valid_binary for each target image of the
 * program, and takes those that have devices. Results are 0 or OFFLOAD_FAIL; after a failure it
 * ends the program with its own message, or runs the region on the host, as OMP_TARGET_OFFLOAD
 * says. Facts: openmp/libomptarget/include/omptargetplugin.h and omptarget.h
 * (KernelArgsTy), release/14.x to 16.x.
 */
#include "omp/llvm/image.h"
#include <errno.h>

#define OFFLOAD_SUCCESS		       0
#define OFFLOAD_FAIL		       (~0)
#define REQUIRES_UNIFIED_SHARED_MEMORY 0x8 /* OMP_REQ_UNIFIED_SHARED_MEMORY */
#define API			       __attribute__((visibility("default")))

static int32_t status(int err)
{
	return err ? OFFLOAD_FAIL : OFFLOAD_SUCCESS;
}

/* ---- devices ---- */

API int32_t __tgt_rtl_is_valid_binary(struct gmo_tgt_image *image)
{
	return gmo_image_fits(image);
}

/* Asked once, as the program's libraries are made ready. */
API int32_t __tgt_rtl_number_of_devices(void)
{
	if (gmo_devices())
		gmo_leave_cpus();
	return gmo_devices();
}

API int64_t __tgt_rtl_init_requires(int64_t flags)
{
	gmo_unified = flags & REQUIRES_UNIFIED_SHARED_MEMORY;
	return flags;
}

API int32_t __tgt_rtl_init_device(int32_t id)
{
	return status(gmo_device_init(id));
}

API struct gmo_tgt_table *__tgt_rtl_load_binary(int32_t id, struct gmo_tgt_image *image)
{
	struct gmo_device *d = gmo_device(id);

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
	struct gmo_device *d = gmo_device(id);

	return d && bytes >= 0 ? gmo_alloc(d, (size_t)bytes) : NULL;
}

API int32_t __tgt_rtl_data_delete(int32_t id, void *p)
{
	struct gmo_device *d = gmo_device(id);

	if (d)
		gmo_free(d, p);
	return status(!d);
}

API int32_t __tgt_rtl_data_submit(int32_t id, void *to, void *host, int64_t bytes)
{
	struct gmo_device *d = gmo_device(id);

	return status(d && bytes >= 0 ? gmo_submit(d, to, host, (size_t)bytes) : -EINVAL);
}

API int32_t __tgt_rtl_data_retrieve(int32_t id, void *host, void *from, int64_t bytes)
{
	struct gmo_device *d = gmo_device(id);

	return status(d && bytes >= 0 ? gmo_retrieve(d, host, from, (size_t)bytes) : -EINVAL);
}

API int32_t __tgt_rtl_is_data_exchangable(int32_t from, int32_t to)
{
	return gmo_device(from) && gmo_device(to);
}

API int32_t __tgt_rtl_data_exchange(int32_t from_id, void *from, int32_t to_id, void *to,
				    int64_t bytes)
{
	struct gmo_device *d = gmo_device(to_id);

	if (!gmo_device(from_id) || !d || bytes < 0 || !gm_as_of(from))
		return OFFLOAD_FAIL;
	return status(gmo_submit(d, to, from, (size_t)bytes));
}

/* ---- regions ---- */

API int32_t __tgt_rtl_run_target_region(int32_t id, void *region, void **args, ptrdiff_t *offsets,
					int32_t n)
{
	struct gmo_device *d = gmo_device(id);

	return status(d ? gmo_region_run(d, region, args, offsets, n) : -ENODEV);
}

/* How many teams and threads the region asks its own runtime for; here it is only told so. */
API int32_t __tgt_rtl_run_target_team_region(int32_t id, void *region, void **args,
					     ptrdiff_t *offsets, int32_t n, int32_t teams,
					     int32_t thread_limit, uint64_t trips)
{
	return __tgt_rtl_run_target_region(id, region, args, offsets, n);
}

/* ---- version 16 ---- */

struct kernel_args { /* as far as versions 1 and 2 of it agree */
	uint32_t version, nargs;
};

API int32_t __tgt_rtl_init_plugin(void)
{
	return OFFLOAD_SUCCESS;
}

API int32_t __tgt_rtl_deinit_plugin(void)
{
	return OFFLOAD_SUCCESS;
}

API int32_t __tgt_rtl_launch_kernel(int32_t id, void *region, void **args, ptrdiff_t *offsets,
				    const struct kernel_args *a, void *async)
{
	return __tgt_rtl_run_target_region(id, region, args, offsets, (int32_t)a->nargs);
}
