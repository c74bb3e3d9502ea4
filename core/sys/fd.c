/*
 * fd.c - our own file descriptors, kept where programs do not look.
 *
 * Programs close "everything above 2", expect the lowest free number, and use select() below
 * 1024. Ours lie just below 8192 or the process's limit, whichever is less: the kernel's table
 * grows with the highest number in use.
 */
#include "core/sys/sys.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>

#define FD_MAX	8192 /* every raised descriptor is below: one bit each */
#define FD_ROOM 256  /* numbers looked through from the start on */

static _Atomic uint64_t ours[FD_MAX / 64];

bool gmi_fd_is_ours(int fd)
{
	return fd >= 0 && fd < FD_MAX &&
	       atomic_load_explicit(&ours[fd / 64], memory_order_relaxed) >> (fd % 64) & 1;
}

/* The lowest number to try, from the process's present limit. */
static int high_number(void)
{
	struct rlimit64 {
		uint64_t cur, max;
	} lim = {1024, 1024};

	gm_sys4(SYS_prlimit64, 0, RLIMIT_NOFILE, NULL, &lim);
	uint64_t top = gm_min(lim.cur, (uint64_t)FD_MAX);
	return (int)(top > 2 * FD_ROOM ? top - FD_ROOM : top / 2);
}

int gmi_fd_raise(int fd)
{
	if (fd < 0)
		return fd;
	long to = gm_sys3(SYS_fcntl, fd, F_DUPFD_CLOEXEC, high_number());
	if (to < 0 || to >= FD_MAX) { /* the top is full, or the limit is tiny: anywhere will do */
		if (to >= 0)
			gm_sys1(SYS_close, to);
		to = gm_sys3(SYS_fcntl, fd, F_DUPFD_CLOEXEC, 3);
	}
	gm_sys1(SYS_close, fd);
	if (to >= FD_MAX) {
		gm_sys1(SYS_close, to);
		return -EMFILE;
	}
	if (to >= 0)
		atomic_fetch_or_explicit(&ours[to / 64], 1ull << (to % 64), memory_order_relaxed);
	return (int)to;
}

void gmc_fd_seal(int fd)
{
	gm_sys3(SYS_fcntl, fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW);
}

void gmi_fd_close(int fd)
{
	if (fd < 0)
		return;
	if (fd < FD_MAX) /* before the close: afterwards the number may be the program's */
		atomic_fetch_and_explicit(&ours[fd / 64], ~(1ull << (fd % 64)),
					  memory_order_relaxed);
	gm_sys1(SYS_close, fd);
}
