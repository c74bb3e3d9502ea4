/* loaded.c - see loaded.h. */
#include "omp/core/loaded.h"
#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct table_entry { /* as clang lays it out */
	void *addr;
	char *name;
	size_t size;
	int32_t flags, reserved;
};

/* A file without a name: nothing is left behind, however the process ends. */
void *gmo_open_image(const char *bytes, size_t n, const char **why)
{
	static __thread char lacks[256];
	char path[64];
	int fd = memfd_create("target-image", MFD_CLOEXEC);
	void *handle = NULL, *p = MAP_FAILED;

	if (fd >= 0 && ftruncate(fd, (off_t)n) == 0)
		p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p != MAP_FAILED) {
		/* not write(): a device's kernel does not wait for pages of the window */
		memcpy(p, bytes, n);
		munmap(p, n);
		snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
		handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
		if (!handle) {
			snprintf(lacks, sizeof lacks, "%s", dlerror());
			handle = dlopen(path, RTLD_LAZY | RTLD_LOCAL);
		}
	}
	*why = p == MAP_FAILED ? strerror(errno) : lacks[0] ? lacks : NULL;
	if (fd >= 0)
		close(fd);
	return handle;
}

void *gmo_find_entry(void *handle, uint64_t table, uint64_t entries, const char *name)
{
	struct link_map *map;

	if (dlinfo(handle, RTLD_DI_LINKMAP, &map))
		return NULL;
	const struct table_entry *t = (const struct table_entry *)(map->l_addr + table);
	for (uint64_t i = 0; i < entries; i++)
		if (!strcmp(t[i].name, name))
			return t[i].addr;
	return dlsym(handle, name);
}
