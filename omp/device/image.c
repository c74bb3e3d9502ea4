/*
 * image.c - target images and their regions, inside the device process.
 *
 * An image is a shared object that clang linked for this architecture; it is loaded from memory
 * and finds its OpenMP runtime as in any program: libomp, with its own threads.
 */
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

struct table_entry { /* as clang lays it out */
	void *addr;
	char *name;
	size_t size;
	int32_t flags, reserved;
};
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
	runtime = dlopen(a->runtime, RTLD_NOW | RTLD_GLOBAL);
	if (!runtime)
		gmo_warn("cannot load the OpenMP runtime", dlerror());
	return runtime;
}

/* ---- images ---- */

/* A file without a name: nothing is left behind, however the process ends. */
static void *load_file(const char *bytes, size_t n)
{
	char path[64];
	int fd = memfd_create("target-image", MFD_CLOEXEC);
	void *handle = NULL, *p = MAP_FAILED;

	if (fd >= 0 && ftruncate(fd, (off_t)n) == 0)
		p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p != MAP_FAILED) {
		/* not write(): the kernel does not wait for pages of the window */
		memcpy(p, bytes, n);
		munmap(p, n);
		snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
		handle = dlopen(path, RTLD_LAZY | RTLD_LOCAL);
	}
	if (!handle)
		gmo_warn("cannot load the target image",
			 p == MAP_FAILED ? strerror(errno) : dlerror());
	if (fd >= 0)
		close(fd);
	return handle;
}

/*
 * By name. What the image's table lacks may still be among its symbols: clang 14 leaves the
 * pointers to global variables (unified_shared_memory) out of it.
 */
static void *find_in_table(void *handle, const struct table_entry *table, uint64_t n,
			   const char *name)
{
	for (uint64_t i = 0; i < n; i++)
		if (!strcmp(table[i].name, name))
			return table[i].addr;
	return dlsym(handle, name);
}

static bool describe(const struct gmo_load *a, void *handle, const struct table_entry *table)
{
	struct gmo_entry *e = (struct gmo_entry *)a->entries;
	void **addr = calloc(a->nentries + 1, sizeof *addr);

	for (uint64_t i = 0; addr && i < a->nentries; i++) {
		addr[i] = find_in_table(handle, table, a->table_entries, (const char *)e[i].name);
		e[i].addr = (uint64_t)addr[i];
	}
	images[a->image].n = addr ? a->nentries : 0;
	images[a->image].addr = addr;
	return addr;
}

static int load_image(const struct gmo_load *a)
{
	struct link_map *map;

	if (!start_runtime(a))
		return GMO_NO_RUNTIME;
	void *handle = load_file((const char *)a->file, a->file_bytes);
	if (!handle || dlinfo(handle, RTLD_DI_LINKMAP, &map) ||
	    !describe(a, handle, (const struct table_entry *)(map->l_addr + a->table)))
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
