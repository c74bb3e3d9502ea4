/*
 * vmsplice.c - a call whose memory is in use after it, maybe since before the first page leaves:
 * from then on dispatch sees to it, until then this hook.
 */
#include "preload/ground/ground.h"
#include "preload/ground/real.h"
#include "preload/syscalls/held.h"
#include "preload/syscalls/syscall_table.h"

static void leave_there(const void *p, size_t n, bool movable)
{
	gmp_keep(p, n, false);
}

/* The pages themselves are in the pipe, for any time. There is no store yet that they could be
 * moved into. */
GMP_HOOK ssize_t vmsplice(int fd, const struct iovec *iov, size_t n, unsigned flags)
{
	struct gmp_ranges rs = {.pin = leave_there};

	if (gmp_armed && !gmp_is_active())
		gmp_syscall_ranges(SYS_vmsplice, (long[6]){fd, (long)iov, (long)n, flags}, &rs);
	return GMP_REAL(vmsplice)(fd, iov, n, flags);
}
