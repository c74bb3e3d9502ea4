/*
 * image.c - target images and their regions, inside the device process.
 *
 * An image is a shared object that clang linked for this architecture; it is loaded from memory
 * and finds its OpenMP runtime as in any program: libomp, with its own threads.
 */
#include "omp/core/loaded.h"
#include "omp/device/module.h"
#include "devsim/device/dev_region.h"
#include <gmem/kernel.h>
#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static struct {
	void **addr; /* of each entry that the program has asked for; NULL: not loaded */
	uint64_t n;
} images[GMO_IMAGES]; /* gmo_lock */

static bool start_runtime(const struct gmo_load *a)
{
	static void *runtime;

	if (runtime)
		return true;
	gmo_collect_output();
	gmo_set_threads(a->threads_variable, a->threads);
	gmo_calls_first();
	runtime = dlopen(a->runtime, RTLD_NOW | RTLD_GLOBAL);
	if (!runtime)
		gmo_warn("cannot load the OpenMP runtime", dlerror());
	return runtime;
}

/* ---- images ---- */

static bool describe(const struct gmo_load *a, void *handle)
{
	struct gmo_entry *e = (struct gmo_entry *)a->entries;
	void **addr = calloc(a->nentries + 1, sizeof *addr);

	for (uint64_t i = 0; addr && i < a->nentries; i++) {
		addr[i] =
			gmo_find_entry(handle, a->table, a->table_entries, (const char *)e[i].name);
		e[i].addr = (uint64_t)addr[i];
	}
	images[a->image].n = addr ? a->nentries : 0;
	images[a->image].addr = addr;
	return addr;
}

static int load_image(const struct gmo_load *a)
{
	const char *why = NULL;

	gmo_calls_device(a->device, a->ndevices);
	if (!start_runtime(a))
		return GMO_NO_RUNTIME;
	void *handle = gmo_open_image((const char *)a->file, a->file_bytes, &why);
	if (!handle)
		gmo_warn("cannot load the target image", why);
	else if (why)
		gmo_warn("the target image calls a function of the host (declare target?)", why);
	if (!handle || !describe(a, handle))
		return GMO_CANNOT_LOAD;
	return gmo_collides((const struct gmo_range *)a->ranges, a->nranges) ? GMO_COLLISION : 0;
}

GM_KERNEL gmo_load(struct gm_kctx *ctx, const void *args)
{
	const struct gmo_load *a = args;

	/* the loader and libomp hold locks when they touch what they should not */
	dev_region_begin(false);
	pthread_mutex_lock(&gmo_lock);
	int code = a->image >= GMO_IMAGES  ? GMO_CANNOT_LOAD
		   : images[a->image].addr ? 0
					   : load_image(a);
	pthread_mutex_unlock(&gmo_lock);
	dev_region_end(false);
	return code;
}

/* ---- regions ---- */

GM_KERNEL gmo_run(struct gm_kctx *ctx, const void *args)
{
	const struct gmo_run *a = args;

	if (a->image >= GMO_IMAGES || !images[a->image].addr || a->entry >= images[a->image].n)
		return GMO_NO_IMAGE;
	void (*fn)(void) = (void (*)(void))images[a->image].addr[a->entry];
	dev_region_begin(a->foreign);
	gmo_call(fn, a->more ? (const uint64_t *)a->more : a->args, a->nargs);
	dev_launch_reply(gmo_collected());
	dev_region_end(a->foreign);
	return 0;
}

/* ---- variables ---- */

GM_KERNEL gmo_write(struct gm_kctx *ctx, const void *args)
{
	const struct gmo_copy *a = args;

	memcpy((void *)a->device, a->window ? (const void *)a->window : a->data, a->bytes);
	return 0;
}

GM_KERNEL gmo_read(struct gm_kctx *ctx, const void *args)
{
	const struct gmo_copy *a = args;

	memcpy((void *)a->window, (const void *)a->device, a->bytes);
	return 0;
}
