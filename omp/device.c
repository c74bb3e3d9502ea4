/*
 * device.c - the plug-in's kernel module: target images and their regions, inside the device
 * process.
 *
 * An image is a shared object that clang linked for this architecture; it is loaded from memory
 * and finds its OpenMP runtime as in any program: libomp, with its own threads. What a region
 * prints is collected, and the host prints it.
 */
#include "omp/region.h"
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

void gmo_call(void (*fn)(void), const uint64_t *args, uint64_t n);

struct table_entry { /* as clang lays it out */
	void *addr;
	char *name;
	size_t size;
	int32_t flags, reserved;
};
static struct {
	void **addr; /* of each entry that the program has asked for; NULL: not loaded */
	uint64_t n;
} images[GMO_IMAGES];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* images, runtime, output */

static void say(const char *what, const char *why)
{
	fprintf(stderr, "gmem-devsim: %s: %s\n", what, why);
}

/* ---- what regions print ---- */

static FILE *output;
static char *text;
static size_t text_bytes;

/* Before anything that prints is loaded: C++ streams remember which FILE stdout was. */
static void collect_output(void)
{
	if (output || !(output = open_memstream(&text, &text_bytes)))
		return;
	stdout = output;
}

static uint64_t collected(void)
{
	if (!output)
		return 0;
	fflush(output);
	return text_bytes;
}

GM_KERNEL gmo_output(struct gm_kctx *ctx, const void *args)
{
	const struct gmo_output *a = args;

	flockfile(output); /* others may print */
	uint64_t now = collected(), n = a->bytes < now ? a->bytes : now;
	memcpy((void *)a->window, text, n);
	memmove(text, text + n, now - n);
	fseeko(output, (off_t)(now - n), SEEK_SET);
	fflush(output);
	funlockfile(output);
	dev_launch_reply(n);
	return 0;
}

/* ---- the runtime ---- */

/*
 * How many threads: OMP_NUM_THREADS_DEV_<n>, OMP_NUM_THREADS_DEV, else the device's workers.
 * OMP_NUM_THREADS is the host's (OpenMP 5.1, 6.2).
 */
static void set_threads(const struct gmo_load *a)
{
	char number[16];
	const char *n = getenv(a->threads_variable);

	if (!n)
		n = getenv("OMP_NUM_THREADS_DEV");
	if (!n) {
		snprintf(number, sizeof number, "%u", a->threads);
		n = number;
	}
	setenv("OMP_NUM_THREADS", n, 1);
	/* in ms: long enough for the next region; then the CPUs are the host's */
	if (!gmo_wait_is_chosen())
		setenv("KMP_BLOCKTIME", "1", 1);
	unsetenv("OMP_DISPLAY_ENV"); /* said once, by the program */
}

static bool start_runtime(const struct gmo_load *a)
{
	static void *runtime;

	if (runtime)
		return true;
	collect_output();
	set_threads(a);
	runtime = dlopen(a->runtime, RTLD_NOW | RTLD_GLOBAL);
	if (!runtime)
		say("cannot load the OpenMP runtime", dlerror());
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
		say("cannot load the target image", p == MAP_FAILED ? strerror(errno) : dlerror());
	if (fd >= 0)
		close(fd);
	return handle;
}

/* Does something of this process lie in one of the ranges? Entries of the window are the same
 * memory on both sides. */
static bool collides(const struct gmo_range *r, uint64_t n)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	unsigned long begin, end;
	char line[512];
	bool found = false;

	while (maps && !found && fgets(line, sizeof line, maps)) {
		if (sscanf(line, "%lx-%lx", &begin, &end) != 2 || strstr(line, "[vsyscall]"))
			continue;
		for (uint64_t i = 0; i < n && !found; i++)
			found = begin < r[i].end && r[i].begin < end;
	}
	if (maps)
		fclose(maps);
	return found;
}

/*
 * By name. What the image's table lacks may still be among its symbols: clang 14 leaves the
 * pointers to global variables (unified_shared_memory) out of it.
 */
static void *find(void *handle, const struct table_entry *table, uint64_t n, const char *name)
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
		addr[i] = find(handle, table, a->table_entries, (const char *)e[i].name);
		e[i].addr = (uint64_t)addr[i];
	}
	images[a->image].n = addr ? a->nentries : 0;
	images[a->image].addr = addr;
	return addr;
}

static int load(const struct gmo_load *a)
{
	struct link_map *map;

	if (!start_runtime(a))
		return GMO_NO_RUNTIME;
	void *handle = load_file((const char *)a->file, a->file_bytes);
	if (!handle || dlinfo(handle, RTLD_DI_LINKMAP, &map) ||
	    !describe(a, handle, (const struct table_entry *)(map->l_addr + a->table)))
		return GMO_CANNOT_LOAD;
	return collides((const struct gmo_range *)a->ranges, a->nranges) ? GMO_COLLISION : 0;
}

GM_KERNEL gmo_load(struct gm_kctx *ctx, const void *args)
{
	const struct gmo_load *a = args;

	/* the loader and libomp hold locks when they touch what they should not */
	dev_region_begin(false);
	pthread_mutex_lock(&lock);
	int code = a->image >= GMO_IMAGES ? GMO_CANNOT_LOAD : images[a->image].addr ? 0 : load(a);
	pthread_mutex_unlock(&lock);
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
	dev_launch_reply(collected());
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
