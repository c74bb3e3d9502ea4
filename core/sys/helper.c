/*
 * helper.c - where the programs that belong to libgmem are installed: relative to the library,
 * in the tree and elsewhere.
 */
#include "core/sys/sys.h"
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define PATH_ROOM 4096

static char lib_dir[PATH_ROOM]; /* no trailing slash; empty: unknown */

static const char *const places[] = {"", "/gmem", "/../bin", "/../libexec/gmem", "/../lib/gmem"};

/* Without /proc, or a descriptor to look there: as the loader calls it, if that is absolute. */
static bool as_it_is(const char *path, char *out, size_t bytes)
{
	return path[0] == '/' && (size_t)gmi_snprintf(out, bytes, "%s", path) < bytes;
}

/* Links resolved and made absolute by the kernel: /proc names what an O_PATH descriptor refers
 * to. */
static bool canonical(const char *path, char *out, size_t bytes)
{
	char link[64];
	long fd = gm_sys4(SYS_openat, AT_FDCWD, path, O_PATH | O_CLOEXEC, 0);

	if (fd < 0)
		return as_it_is(path, out, bytes);
	gmi_snprintf(link, sizeof link, "/proc/self/fd/%ld", fd);
	long n = gm_sys3(SYS_readlink, link, out, bytes - 1);
	gm_sys1(SYS_close, fd);
	if (n <= 0 || (size_t)n >= bytes - 1 || out[0] != '/')
		return as_it_is(path, out, bytes);
	out[n] = 0;
	return true;
}

static int last_slash(const char *path)
{
	int slash = -1;

	for (int i = 0; path[i]; i++)
		if (path[i] == '/')
			slash = i;
	return slash;
}

/*
 * At load time: later a relative name would mean something else, and dladdr takes the loader's
 * lock. Linked into a program, we have no file of our own: the loader calls that one by argv[0],
 * which may be anything.
 */
__attribute__((constructor)) static void remember_lib_dir(void)
{
	Dl_info info;

	if (!dladdr((void *)(uintptr_t)gmi_find_helper, &info) || !info.dli_fname ||
	    last_slash(info.dli_fname) < 0 || !canonical(info.dli_fname, lib_dir, sizeof lib_dir))
		canonical("/proc/self/exe", lib_dir, sizeof lib_dir);
	lib_dir[gm_max(last_slash(lib_dir), 0)] = 0;
}

int gmi_find_helper(const char *name, char *path, size_t bytes)
{
	for (unsigned i = 0; lib_dir[0] && i < GM_ARRAY_LEN(places); i++) {
		int n = gmi_snprintf(path, bytes, "%s%s/%s", lib_dir, places[i], name);
		if ((size_t)n < bytes && gm_sys2(SYS_access, path, X_OK) == 0)
			return 0;
	}
	return -ENOENT;
}
