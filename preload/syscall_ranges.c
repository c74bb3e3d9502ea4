/* syscall_ranges.c - from a call's arguments to the managed memory that the kernel will touch. See
 * syscall_table.h. */
#include "syscall_table.h"

#include <limits.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <termios.h>

#include "preload.h"

static size_t gap(const struct gmp_range *r, uintptr_t lo, uintptr_t hi)
{
	if (hi < r->lo)
		return r->lo - hi;
	return lo > r->hi ? lo - r->hi : 0;
}

/* A free slot takes a range that is far from all others; else the nearest hull grows. */
void gmp_ranges_add(struct gmp_ranges *rs, const void *p, size_t n, bool write)
{
	uintptr_t lo = (uintptr_t)p, hi = lo + n;
	struct gmp_range *best = NULL;

	if (!n || hi < lo || !gmp_managed(p, n))
		return;
	for (struct gmp_range *r = rs->r; r < rs->r + rs->n; r++)
		if (!best || gap(r, lo, hi) < gap(best, lo, hi))
			best = r;
	if (rs->n < GMP_RANGES && (!best || gap(best, lo, hi) > GM_PAGE_BYTES)) {
		rs->r[rs->n++] = (struct gmp_range){lo, hi, write};
		return;
	}
	best->lo = gm_min(best->lo, lo);
	best->hi = gm_max(best->hi, hi);
	best->write |= write;
}

static void add_iov(struct gmp_ranges *rs, const struct iovec *iov, size_t n, bool write)
{
	struct iovec v;

	n = gm_min(n, (size_t)IOV_MAX);
	gmp_ranges_add(rs, iov, n * sizeof(*iov), false);
	for (size_t i = 0; i < n && !gmp_copy(&v, &iov[i], sizeof(v)); i++)
		gmp_ranges_add(rs, v.iov_base, v.iov_len, write);
}

static void add_msg(struct gmp_ranges *rs, const struct msghdr *user, bool write)
{
	struct msghdr m;

	gmp_ranges_add(rs, user, sizeof(m), write);
	if (gmp_copy(&m, user, sizeof(m)))
		return;
	gmp_ranges_add(rs, m.msg_name, m.msg_namelen, write);
	gmp_ranges_add(rs, m.msg_control, m.msg_controllen, write);
	add_iov(rs, m.msg_iov, m.msg_iovlen, write);
}

static void add_mmsg(struct gmp_ranges *rs, const struct mmsghdr *user, size_t n, bool write)
{
	n = gm_min(n, (size_t)IOV_MAX);
	gmp_ranges_add(rs, user, n * sizeof(*user), true); /* msg_len comes back also from sendmmsg */
	for (size_t i = 0; i < n; i++)
		add_msg(rs, &user[i].msg_hdr, write);
}

/* Commands from before sizes were encoded. Those not listed get 256 bytes, which covers all that the kernel
 * still has. */
static const struct {
	unsigned cmd;
	uint16_t bytes;
} old_ioctls[] = {
	{TCGETS, 60},	 {TCSETS, 60},	 {TCSETSW, 60},	 {TCSETSF, 60}, {TIOCGWINSZ, 8},
	{TIOCSWINSZ, 8}, {TIOCGPGRP, 4}, {TIOCSPGRP, 4}, {FIONREAD, 4}, {FIONBIO, 4},
	{FIOASYNC, 4},	 {TIOCOUTQ, 4},	 {TIOCGSID, 4},	 {TIOCSTI, 1},	{TIOCMGET, 4},
};

static void add_ioctl(struct gmp_ranges *rs, unsigned cmd, const void *p)
{
	size_t bytes = 256;

	if (_IOC_DIR(cmd) != _IOC_NONE)
		bytes = _IOC_SIZE(cmd);
	else
		for (size_t i = 0; i < GM_ARRAY_LEN(old_ioctls); i++)
			if (old_ioctls[i].cmd == cmd)
				bytes = old_ioctls[i].bytes;
	gmp_ranges_add(rs, p, bytes, true); /* _IOC_READ is not to be trusted in drivers */
}

static size_t arg_bytes(const struct gmp_arg *a, const long args[6])
{
	size_t count = a->count ? (size_t)args[a->count - 1] : 1, bytes;
	unsigned len;

	switch (a->unit) {
	case GMP_BITS:
		return gm_align_up(gm_min(count, (size_t)1 << 20), 64) / 8;
	case GMP_LENPTR:
		return gmp_copy(&len, (const void *)count, sizeof(len)) ? 0 : len;
	default:
		return __builtin_mul_overflow(count, (size_t)a->size, &bytes) ? 0 : bytes;
	}
}

static void add_arg(struct gmp_ranges *rs, const struct gmp_arg *a, const long args[6], unsigned i)
{
	void *p = (void *)args[i];
	size_t n = a->count ? (size_t)args[a->count - 1] : 1;

	switch (a->kind) {
	case GMP_IN:
		gmp_ranges_add(rs, p, arg_bytes(a, args), false);
		break;
	case GMP_OUT:
	case GMP_INOUT:
		gmp_ranges_add(rs, p, arg_bytes(a, args), true);
		break;
	case GMP_CSTR:
	case GMP_SIGSET:
	case GMP_SIGSET6:
		gmp_ranges_add(rs, p, a->size, false);
		break;
	case GMP_IOV_IN:
	case GMP_IOV_OUT:
		add_iov(rs, p, n, a->kind == GMP_IOV_OUT);
		break;
	case GMP_MSG_IN:
	case GMP_MSG_OUT:
		add_msg(rs, p, a->kind == GMP_MSG_OUT);
		break;
	case GMP_MMSG_IN:
	case GMP_MMSG_OUT:
		add_mmsg(rs, p, n, a->kind == GMP_MMSG_OUT);
		break;
	case GMP_IOCTL:
		add_ioctl(rs, (unsigned)args[i - 1], p);
		break;
	default: /* VALUE, STRV */
		break;
	}
}

void gmp_syscall_ranges(long nr, const long args[6], struct gmp_ranges *out)
{
	out->n = 0;
	if (nr < 0 || nr >= GMP_NSYSCALLS)
		return;
	const struct gmp_syscall *s = &gmp_syscalls[nr];
	for (unsigned i = 0; i < 6; i++)
		if (s->arg[i].kind != GMP_VALUE)
			add_arg(out, &s->arg[i], args, i);
}
