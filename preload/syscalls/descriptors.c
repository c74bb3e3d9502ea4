/* descriptors.c - what closes, copies or looks at descriptors leaves ours alone. */
#include "preload/syscalls/descriptors.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>

#include "preload/ground/ground.h"
#include "preload/ground/real.h"

long gmp_close(int fd)
{
	return gmi_fd_is_ours(fd) ? -EBADF : gm_sys1(SYS_close, fd);
}

void gmp_each_fd(void (*each)(unsigned fd, void *arg), void *arg)
{
	char buf[1024] __attribute__((aligned(8)));
	long n, dir = gm_sys3(SYS_open, "/proc/thread-self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC,
			      0);

	while (dir >= 0 && (n = gm_sys3(SYS_getdents64, dir, buf, sizeof(buf))) > 0) {
		for (long at = 0; at < n;) {
			struct dirent64 *d = (struct dirent64 *)(buf + at);
			unsigned fd = 0;
			for (const char *s = d->d_name; *s >= '0' && *s <= '9'; s++)
				fd = fd * 10 + (unsigned)(*s - '0');
			if (d->d_name[0] != '.' && fd != (unsigned)dir)
				each(fd, arg);
			at += d->d_reclen;
		}
	}
	if (dir >= 0)
		gm_sys1(SYS_close, dir);
}

struct lowest {
	unsigned first, best;
};

static void take_lower(unsigned fd, void *arg)
{
	struct lowest *l = arg;

	if (fd >= l->first && fd < l->best && gmi_fd_is_ours((int)fd))
		l->best = fd;
}

/* The lowest of our descriptors at or above `first`, or UINT_MAX. */
static unsigned next_ours(unsigned first)
{
	struct lowest l = {first, UINT_MAX};

	gmp_each_fd(take_lower, &l);
	return l.best;
}

long gmp_close_range(unsigned first, unsigned last, int flags)
{
	if (first > last)
		return -EINVAL;
	for (;;) {
		unsigned ours = next_ours(first);
		if (ours > last)
			return gm_sys3(SYS_close_range, first, last, flags);
		if (ours > first) {
			long r = gm_sys3(SYS_close_range, first, ours - 1, flags);
			if (r)
				return r;
		}
		if (ours == last)
			return 0;
		first = ours + 1;
	}
}

long gmp_dup3(int oldfd, int newfd, int flags, bool dup2)
{
	if (gmi_fd_is_ours(oldfd) || gmi_fd_is_ours(newfd))
		return -EBADF; /* as above RLIMIT_NOFILE: a number that the program cannot have */
	return dup2 ? gm_sys2(SYS_dup2, oldfd, newfd) : gm_sys3(SYS_dup3, oldfd, newfd, flags);
}

GMP_HOOK int close(int fd)
{
	if (!gmp_on)
		return GMP_REAL(close)(fd);
	if (gmi_fd_is_ours(fd) || gmp_is_active())
		return (int)gmp_ret(gmp_close(fd));
	return GMP_REAL(close)(fd);
}

/* What looks through all numbers finds none of ours, also before calls are dispatched. */
#define FSTAT(name, type)                                                                          \
	GMP_HOOK int name(int fd, struct type *st)                                                 \
	{                                                                                          \
		return gmi_fd_is_ours(fd) ? (int)gmp_ret(-EBADF) : GMP_REAL(name)(fd, st);         \
	}
FSTAT(fstat, stat)
FSTAT(fstat64, stat64)

GMP_HOOK int dup2(int oldfd, int newfd)
{
	return gmp_on ? (int)gmp_ret(gmp_dup3(oldfd, newfd, 0, true))
		      : GMP_REAL(dup2)(oldfd, newfd);
}

GMP_HOOK int dup3(int oldfd, int newfd, int flags)
{
	return gmp_on ? (int)gmp_ret(gmp_dup3(oldfd, newfd, flags, false))
		      : GMP_REAL(dup3)(oldfd, newfd, flags);
}

GMP_HOOK int close_range(unsigned first, unsigned last, int flags)
{
	return gmp_on ? (int)gmp_ret(gmp_close_range(first, last, flags))
		      : GMP_REAL(close_range)(first, last, flags);
}

GMP_HOOK void closefrom(int first)
{
	if (gmp_on)
		gmp_close_range((unsigned)gm_max(first, 0), UINT_MAX, 0);
	else
		GMP_REAL(closefrom)(first);
}
