/*
 * io.c - hooks of the hottest calls, so that they avoid the toll of dispatch (a signal, 1.6 us)
 * while it is active.
 *
 * Not active: libc's own function, one load and one branch later. Active: pin, call through the
 * gate, unpin. They stay cancellation points: as libc does, a cancel may strike while the call
 * blocks; the pin it leaves behind goes with the thread's record.
 */
#include "preload/ground/ground.h"

#include "core/entry/pin.h"
#include "preload/ground/real.h"
#include "preload/syscalls/pinned.h"
#include "preload/syscalls/syscall_table.h"

/* Whatever the table says of the call (syscall_table.h). */
static ssize_t call_pinned(long nr, long a0, long a1, long a2, long a3, long a4, long a5)
{
	const long a[6] = {a0, a1, a2, a3, a4, a5};
	int type = gmp_cancel_open();
	long r = gmp_pinned_syscall(nr, a);

	gmp_cancel_close(type);
	return gmp_ret(r);
}
#define CALL(nr, a, b, c, d, e, f)                                                                 \
	call_pinned((nr), (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))

/* One buffer, that of the second and third argument: no need to look into the table. */
static inline ssize_t call_buffer(long nr, bool written, int fd, const void *buf, size_t n, long a3)
{
	if (gm_unlikely(gmi_fd_is_ours(fd)))
		return gmp_ret(-EBADF);
	int type = gmp_cancel_open();
	unsigned token = gmi_pin(buf, n, written);
	long r = gmi_syscall(nr, (long)fd, (long)buf, (long)n, a3, 0L, 0L);

	gmi_unpin(token);
	gmp_cancel_close(type);
	return gmp_ret(r);
}

/* name, parameters, arguments for libc, system call and its arguments */
#define HOOK(ret, name, params, args, ...)                                                         \
	GMP_HOOK ret name params                                                                   \
	{                                                                                          \
		if (gm_likely(!gmp_is_active()))                                                   \
			return GMP_REAL(name) args;                                                \
		return (ret)CALL(__VA_ARGS__);                                                     \
	}
#define HOOK_BUFFER(name, params, args, ...)                                                       \
	GMP_HOOK ssize_t name params                                                               \
	{                                                                                          \
		if (gm_likely(!gmp_is_active()))                                                   \
			return GMP_REAL(name) args;                                                \
		return call_buffer(__VA_ARGS__);                                                   \
	}

HOOK_BUFFER(read, (int fd, void *buf, size_t n), (fd, buf, n), SYS_read, true, fd, buf, n, 0)
HOOK_BUFFER(write, (int fd, const void *buf, size_t n), (fd, buf, n), SYS_write, false, fd, buf, n,
	    0)
HOOK_BUFFER(pread, (int fd, void *buf, size_t n, off_t off), (fd, buf, n, off), SYS_pread64, true,
	    fd, buf, n, off)
HOOK_BUFFER(pwrite, (int fd, const void *buf, size_t n, off_t off), (fd, buf, n, off), SYS_pwrite64,
	    false, fd, buf, n, off)
HOOK_BUFFER(recv, (int fd, void *buf, size_t n, int flags), (fd, buf, n, flags), SYS_recvfrom, true,
	    fd, buf, n, flags)
HOOK(ssize_t, readv, (int fd, const struct iovec *iov, int n), (fd, iov, n), SYS_readv, fd, iov, n,
     0, 0, 0)
HOOK(ssize_t, writev, (int fd, const struct iovec *iov, int n), (fd, iov, n), SYS_writev, fd, iov,
     n, 0, 0, 0)
HOOK(ssize_t, preadv, (int fd, const struct iovec *iov, int n, off_t off), (fd, iov, n, off),
     SYS_preadv, fd, iov, n, off, 0, 0)
HOOK(ssize_t, pwritev, (int fd, const struct iovec *iov, int n, off_t off), (fd, iov, n, off),
     SYS_pwritev, fd, iov, n, off, 0, 0)
HOOK(ssize_t, preadv2, (int fd, const struct iovec *iov, int n, off_t off, int flags),
     (fd, iov, n, off, flags), SYS_preadv2, fd, iov, n, off, 0, flags)
HOOK(ssize_t, pwritev2, (int fd, const struct iovec *iov, int n, off_t off, int flags),
     (fd, iov, n, off, flags), SYS_pwritev2, fd, iov, n, off, 0, flags)

GMP_HOOK ssize_t pread64(int fd, void *buf, size_t n, off_t off) __attribute__((alias("pread")));
GMP_HOOK ssize_t pwrite64(int fd, const void *buf, size_t n, off_t off)
	__attribute__((alias("pwrite")));
GMP_HOOK ssize_t preadv64(int fd, const struct iovec *iov, int n, off_t off)
	__attribute__((alias("preadv")));
GMP_HOOK ssize_t pwritev64(int fd, const struct iovec *iov, int n, off_t off)
	__attribute__((alias("pwritev")));
GMP_HOOK ssize_t preadv64v2(int fd, const struct iovec *iov, int n, off_t off, int flags)
	__attribute__((alias("preadv2")));
GMP_HOOK ssize_t pwritev64v2(int fd, const struct iovec *iov, int n, off_t off, int flags)
	__attribute__((alias("pwritev2")));

/* What is sent without a copy is in use after the call: the table knows. */
GMP_HOOK ssize_t send(int fd, const void *buf, size_t n, int flags)
{
	if (gm_likely(!gmp_is_active()))
		return GMP_REAL(send)(fd, buf, n, flags);
	if (gm_unlikely(flags & MSG_ZEROCOPY))
		return CALL(SYS_sendto, fd, buf, n, flags, 0, 0);
	return call_buffer(SYS_sendto, false, fd, buf, n, flags);
}

HOOK(ssize_t, sendto,
     (int fd, const void *buf, size_t n, int flags, __CONST_SOCKADDR_ARG to, socklen_t len),
     (fd, buf, n, flags, to, len), SYS_sendto, fd, buf, n, flags, to.__sockaddr__, len)
HOOK(ssize_t, sendmsg, (int fd, const struct msghdr *msg, int flags), (fd, msg, flags), SYS_sendmsg,
     fd, msg, flags, 0, 0, 0)
HOOK(int, sendmmsg, (int fd, struct mmsghdr *msgs, unsigned n, int flags), (fd, msgs, n, flags),
     SYS_sendmmsg, fd, msgs, n, flags, 0, 0)
HOOK(ssize_t, recvfrom,
     (int fd, void *buf, size_t n, int flags, __SOCKADDR_ARG from, socklen_t *len),
     (fd, buf, n, flags, from, len), SYS_recvfrom, fd, buf, n, flags, from.__sockaddr__, len)
HOOK(ssize_t, recvmsg, (int fd, struct msghdr *msg, int flags), (fd, msg, flags), SYS_recvmsg, fd,
     msg, flags, 0, 0, 0)
HOOK(int, recvmmsg, (int fd, struct mmsghdr *msgs, unsigned n, int flags, struct timespec *timeout),
     (fd, msgs, n, flags, timeout), SYS_recvmmsg, fd, msgs, n, flags, timeout, 0)

static void leave_there(const void *p, size_t n, bool movable)
{
	gmp_keep(p, n, false);
}

/* The pages themselves are in the pipe, for any time: also if it begins before the first page
 * leaves. Then there is no store yet that they could be moved into. */
GMP_HOOK ssize_t vmsplice(int fd, const struct iovec *iov, size_t n, unsigned flags)
{
	struct gmp_ranges rs = {.hold = leave_there};

	if (gmp_is_active())
		return CALL(SYS_vmsplice, fd, iov, n, flags, 0, 0);
	if (gmp_armed)
		gmp_syscall_ranges(SYS_vmsplice, (long[6]){fd, (long)iov, (long)n, flags}, &rs);
	return GMP_REAL(vmsplice)(fd, iov, n, flags);
}

/* No memory, and no cancellation point; but threads that wait for work (OpenBLAS's) call it all
 * the time. */
GMP_HOOK int sched_yield(void)
{
	if (gm_likely(!gmp_is_active()))
		return GMP_REAL(sched_yield)();
	return (int)gmp_ret(gm_sys0(SYS_sched_yield));
}
