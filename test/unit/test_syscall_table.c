/*
 * The table of system call arguments: entries that must be there, and what gmp_syscall_ranges() makes of real
 * calls. The two source files are built into the test, with a window of the test's own.
 */
#include <stdint.h>
static uintptr_t window_lo, window_hi;
#define gmi_vm_contains test_contains
#include "../../preload/preload.h"
static inline bool test_in(const void *p)
{
	return (uintptr_t)p >= window_lo && (uintptr_t)p < window_hi;
}
bool test_contains(const void *p)
{
	return test_in(p);
}
#include "../../preload/syscall_table.c"
#undef IN
#undef OUT
#include "../../preload/syscall_ranges.c"

#include <criterion/criterion.h>
#include <string.h>
#include <sys/mman.h>

/* As in the preload, but asking the kernel instead of a signal handler. */
int gmp_copy(void *dst, const void *src, size_t n)
{
	struct iovec to = {dst, n}, from = {(void *)src, n};
	return process_vm_readv(getpid(), &to, 1, &from, 1, 0) == (ssize_t)n ? 0 : -EFAULT;
}

static char *window;

static void open_window(void)
{
	window = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	window_lo = (uintptr_t)window;
	window_hi = window_lo + (1 << 20);
}

static struct gmp_ranges ranges_of(long nr, long a, long b, long c, long d, long e, long f)
{
	struct gmp_ranges rs;
	gmp_syscall_ranges(nr, (long[6]){a, b, c, d, e, f}, &rs);
	return rs;
}
#define RANGES(nr, a, b, c, d, e, f)                                                                         \
	ranges_of(SYS_##nr, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))

static bool covers(const struct gmp_ranges *rs, const void *p, size_t n, bool write)
{
	for (unsigned i = 0; i < rs->n; i++)
		if (rs->r[i].lo <= (uintptr_t)p && rs->r[i].hi >= (uintptr_t)p + n &&
		    (rs->r[i].write || !write))
			return true;
	return false;
}

Test(syscall_table, names_are_their_numbers)
{
	cr_assert_str_eq(gmp_syscalls[SYS_read].name, "read");
	cr_assert_str_eq(gmp_syscalls[SYS_futex].name, "futex");
	cr_assert_str_eq(gmp_syscalls[SYS_epoll_pwait2].name, "epoll_pwait2");
	cr_assert_null(gmp_syscalls[SYS_getpid].name);
	cr_assert_null(gmp_syscalls[GMP_NSYSCALLS - 1].name);
}

/* Every count names an argument, every buffer has a size, ioctl follows its command. */
Test(syscall_table, is_consistent)
{
	unsigned n = 0;
	for (long nr = 0; nr < GMP_NSYSCALLS; nr++) {
		const struct gmp_syscall *s = &gmp_syscalls[nr];
		n += s->name != NULL;
		cr_assert(s->name || !s->special, "call %ld has no name", nr);
		cr_assert_lt(s->special, GMP_SPECIALS);
		for (unsigned i = 0; i < 6; i++) {
			const struct gmp_arg *a = &s->arg[i];
			cr_assert_leq(a->count, 6);
			cr_assert_neq(a->count, i + 1, "%s: argument %u counts itself", s->name, i);
			if (a->kind != GMP_VALUE && a->kind != GMP_STRV && a->kind != GMP_IOCTL)
				cr_assert_gt(a->size, 0, "%s: argument %u has no size", s->name, i);
			if (a->unit == GMP_LENPTR)
				cr_assert_eq(s->arg[a->count - 1].kind, GMP_INOUT, "%s", s->name);
			if (a->kind == GMP_IOCTL)
				cr_assert_gt(i, 0);
		}
	}
	cr_assert_gt(n, 200, "only %u calls are described", n);
}

/* What a call writes must be pinned for writing, what it only reads need not. */
Test(syscall_table, directions)
{
	open_window();
	struct gmp_ranges rs = RANGES(read, 0, window + 100, 5000, 0, 0, 0);
	cr_assert_eq(rs.n, 1);
	cr_assert_eq(rs.r[0].lo, (uintptr_t)window + 100);
	cr_assert_eq(rs.r[0].hi, (uintptr_t)window + 5100);
	cr_assert(rs.r[0].write);
	rs = RANGES(write, 0, window, 10, 0, 0, 0);
	cr_assert(rs.n == 1 && !rs.r[0].write);
}

Test(syscall_table, outside_the_window_is_nothing)
{
	char local[100];
	open_window();
	cr_assert_eq(RANGES(read, 0, local, 100, 0, 0, 0).n, 0);
	cr_assert_eq(RANGES(read, 0, NULL, 100, 0, 0, 0).n, 0);
	cr_assert_eq(RANGES(read, 0, window, 0, 0, 0, 0).n, 0);
	cr_assert_eq(RANGES(read, 0, -1L, 100, 0, 0, 0).n, 0);
	cr_assert_eq(RANGES(getpid, window, window, window, 0, 0, 0).n, 0);
	cr_assert_eq(ranges_of(-1, (long)window, 0, 0, 0, 0, 0).n, 0);
	cr_assert_eq(ranges_of(100000, (long)window, 0, 0, 0, 0, 0).n, 0);
}

Test(syscall_table, straddles_the_edge)
{
	open_window();
	struct gmp_ranges rs = RANGES(read, 0, window - 100, 200, 0, 0, 0);
	cr_assert(covers(&rs, window, 100, true));
	rs = RANGES(write, 0, window + (1 << 20) - 8, 4096, 0, 0, 0);
	cr_assert(covers(&rs, window + (1 << 20) - 8, 8, false));
}

Test(syscall_table, vectors)
{
	struct iovec iov[3];
	open_window();
	for (int i = 0; i < 3; i++)
		iov[i] = (struct iovec){window + i * 65536, 1000};
	struct gmp_ranges rs = RANGES(readv, 0, iov, 3, 0, 0, 0);
	for (int i = 0; i < 3; i++)
		cr_assert(covers(&rs, iov[i].iov_base, 1000, true));
	memcpy(window + 500000, iov, sizeof(iov));
	rs = RANGES(writev, 0, window + 500000, 3, 0, 0, 0);
	cr_assert(covers(&rs, window + 500000, sizeof(iov), false), "the vector itself");
	for (int i = 0; i < 3; i++)
		cr_assert(covers(&rs, iov[i].iov_base, 1000, false));
	cr_assert_eq(RANGES(readv, 0, 8, 3, 0, 0, 0).n, 0, "a bad vector is for the kernel to find");
}

Test(syscall_table, messages)
{
	open_window();
	struct iovec *iov = (struct iovec *)(window + 4096);
	struct mmsghdr *m = (struct mmsghdr *)window;
	iov[0] = (struct iovec){window + 200000, 300};
	m[1].msg_hdr = (struct msghdr){.msg_name = window + 300000,
				       .msg_namelen = 16,
				       .msg_iov = iov,
				       .msg_iovlen = 1,
				       .msg_control = window + 400000,
				       .msg_controllen = 64};
	struct gmp_ranges rs = RANGES(recvmsg, 0, &m[1].msg_hdr, 0, 0, 0, 0);
	cr_assert(covers(&rs, &m[1].msg_hdr, sizeof(struct msghdr), true));
	cr_assert(covers(&rs, window + 200000, 300, true));
	cr_assert(covers(&rs, window + 300000, 16, true));
	cr_assert(covers(&rs, window + 400000, 64, true));
	rs = RANGES(sendmmsg, 0, m, 2, 0, 0, 0);
	cr_assert(covers(&rs, m, 2 * sizeof(*m), true), "msg_len comes back");
	cr_assert(covers(&rs, window + 200000, 300, false));
}

Test(syscall_table, lengths_by_pointer)
{
	socklen_t len = 28;
	open_window();
	struct gmp_ranges rs = RANGES(accept, 3, window, &len, 0, 0, 0);
	cr_assert(rs.n == 1 && rs.r[0].hi - rs.r[0].lo == 28 && rs.r[0].write);
	cr_assert_eq(RANGES(accept, 3, window, 8, 0, 0, 0).n, 0);
}

Test(syscall_table, sets_and_arrays)
{
	open_window();
	struct gmp_ranges rs = RANGES(select, 65, window, 0, window + 200000, 0, 0);
	cr_assert(covers(&rs, window, 16, true) && covers(&rs, window + 200000, 16, true));
	rs = RANGES(epoll_wait, 3, window, 10, -1, 0, 0);
	cr_assert(covers(&rs, window, 120, true));
	rs = RANGES(poll, window, 4, -1, 0, 0, 0);
	cr_assert(covers(&rs, window, 32, true));
	rs = RANGES(poll, window, 1ul << 62, -1, 0, 0, 0);
	cr_assert_eq(rs.n, 0, "an overflowing length is for the kernel to refuse");
}

Test(syscall_table, ioctls)
{
	open_window();
	struct gmp_ranges rs = RANGES(ioctl, 0, FIONREAD, window, 0, 0, 0);
	cr_assert(rs.n == 1 && rs.r[0].hi - rs.r[0].lo == 4);
	rs = RANGES(ioctl, 0, _IOWR('x', 1, char[1000]), window, 0, 0, 0);
	cr_assert(rs.n == 1 && rs.r[0].hi - rs.r[0].lo == 1000);
}

/* Near buffers share a hull; far ones have their own, up to GMP_RANGES; then the nearest hull grows. */
Test(syscall_table, hulls)
{
	struct gmp_ranges rs = {0};
	open_window();
	gmp_ranges_add(&rs, window, 10, false);
	gmp_ranges_add(&rs, window + 100, 10, true);
	cr_assert(rs.n == 1 && rs.r[0].write);
	gmp_ranges_add(&rs, window + 100000, 10, false);
	gmp_ranges_add(&rs, window + 200000, 10, false);
	gmp_ranges_add(&rs, window + 210000, 10, false);
	cr_assert_eq(rs.n, GMP_RANGES);
	cr_assert(covers(&rs, window, 10, false) && covers(&rs, window + 210000, 10, false));
	cr_assert_leq(rs.r[0].hi, (uintptr_t)window + 110, "the far hull did not grow");
}
