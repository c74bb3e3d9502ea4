/*
 * memfd.c - memory that processes share, of any size whatever the limit for files is.
 *
 * ftruncate() beyond RLIMIT_FSIZE fails, and raises SIGXFSZ, which kills. The limit is meant for
 * files; the program's stays what it is: a short-lived process on our memory and descriptors,
 * whose limits are its own, raises its copy and sizes the file.
 */
#include "core/sys/inject.h"
#include "core/sys/sys.h"
#include <errno.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

/* Never asks for what would raise the signal. */
static int size_within(int fd, uint64_t bytes)
{
	return bytes > gmc_limit(RLIMIT_FSIZE) ? -EFBIG : (int)gm_sys2(SYS_ftruncate, fd, bytes);
}

struct request {
	int fd, err;
	uint64_t bytes;
};

/* (As in spawn.c: a frame on a borrowed stack that is not returned from.) */
static __attribute__((no_sanitize_address, noinline)) int size_in_child(void *arg)
{
	struct request *r = arg;

	gmc_limit_raise(RLIMIT_FSIZE);
	r->err = size_within(r->fd, r->bytes);
	return 0;
}

static int size_by_child(int fd, uint64_t bytes)
{
	struct request r = {.fd = fd, .err = -EFBIG, .bytes = bytes};
	int err = gmi_in_child(CLONE_FILES, size_in_child, &r);

	return err ? err : r.err;
}

/* By number, which tmpfs does not use twice for a long time (other file systems do: the device of
 * all memfds is one). As many as one process makes. */
#define OURS_MAX 64
static _Atomic uint64_t ours_dev;
static _Atomic uint64_t ours[OURS_MAX];
static _Atomic unsigned nours;

static void note_ours(int fd)
{
	struct stat st;

	if (gm_sys2(SYS_fstat, fd, &st))
		return;
	atomic_store(&ours_dev, st.st_dev);
	atomic_store(&ours[atomic_fetch_add(&nours, 1) % OURS_MAX], st.st_ino);
}

bool gmi_memfd_is_ours(uint64_t dev, uint64_t ino)
{
	if (dev != atomic_load_explicit(&ours_dev, memory_order_relaxed))
		return false;
	for (unsigned i = 0; i < OURS_MAX; i++)
		if (ino && atomic_load_explicit(&ours[i], memory_order_relaxed) == ino)
			return true;
	return false;
}

int gmi_memfd(const char *name, uint64_t bytes)
{
	return gm_inject(GM_INJ_MEMFD) ? -ENOMEM : gmc_memfd_surely(name, bytes);
}

int gmc_memfd_surely(const char *name, uint64_t bytes)
{
	int fd = (int)gm_sys2(SYS_memfd_create, name, MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0)
		return fd;
	int err = size_within(fd, bytes);
	if (err == -EFBIG)
		err = size_by_child(fd, bytes);
	if (!err) { /* devices have it, too: its size is what it is */
		gmc_fd_seal(fd);
		note_ours(fd);
		return gmi_fd_raise(fd);
	}
	gm_sys1(SYS_close, fd);
	return err;
}
