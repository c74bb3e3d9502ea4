/* syscall_ranges.c - from a call's arguments to the managed memory that the kernel will touch.
 * See syscall_table.h. */
#include "preload/syscalls/syscall_table.h"

#include <limits.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "core/space/vm.h"
#include "preload/ground/gate.h"
#include "preload/ground/ground.h"

#define LAYOUT_MAX	128  /* bytes of the largest structure */
#define LAYOUTS_MAX	4096 /* structures in an array */
#define OLD_IOCTL_BYTES 256  /* of commands that encode no size */

static size_t range_gap(const struct gmp_range *r, uintptr_t lo, uintptr_t hi)
{
	if (hi < r->lo)
		return r->lo - hi;
	return lo > r->hi ? lo - r->hi : 0;
}

/* A free slot takes a range that is far from all others; else the nearest hull grows. */
void gmp_ranges_add(struct gmp_ranges *rs, const void *p, size_t n, bool write)
{
	uintptr_t lo = (uintptr_t)p, hi;
	struct gmp_range *best = NULL;

	n = gm_min(n, UINTPTR_MAX - lo); /* getcwd, for one, takes any length */
	hi = lo + n;
	if (!n || !gmp_managed(p, n))
		return;
	for (struct gmp_range *r = rs->r; r < rs->r + rs->n; r++)
		if (!best || range_gap(r, lo, hi) < range_gap(best, lo, hi))
			best = r;
	if (rs->n < GMP_RANGES && (!best || range_gap(best, lo, hi) > GM_PAGE_BYTES)) {
		rs->r[rs->n++] = (struct gmp_range){lo, hi, write};
		return;
	}
	best->lo = gm_min(best->lo, lo);
	best->hi = gm_max(best->hi, hi);
	best->write |= write;
}

/* What one walk over the arguments carries along. `pin`: what is found is in use after the
 * call. */
struct walk {
	struct gmp_ranges *rs;
	bool pin;
};

static void pin_range(const struct walk *w, const void *p, size_t n, bool movable)
{
	if (!n || (uintptr_t)p + n <= (uintptr_t)p || !gmp_managed(p, n))
		return;
	w->rs->pins = true;
	if (w->rs->pin)
		w->rs->pin(p, n, movable);
}

static void add_range(const struct walk *w, const void *p, size_t n, bool write)
{
	if (w->pin)
		pin_range(w, p, n, true);
	else
		gmp_ranges_add(w->rs, p, n, write);
}

static void add_iov(const struct walk *w, const struct iovec *iov, size_t n, bool write)
{
	struct iovec v;

	n = gm_min(n, (size_t)IOV_MAX);
	add_range(w, iov, n * sizeof(*iov), false);
	for (size_t i = 0; i < n && !gmp_copy(&v, &iov[i], sizeof(v)); i++)
		add_range(w, v.iov_base, v.iov_len, write);
}

static void add_msg(const struct walk *w, const struct msghdr *user, bool write)
{
	struct msghdr m;

	add_range(w, user, sizeof(m), write);
	if (gmp_copy(&m, user, sizeof(m)))
		return;
	add_range(w, m.msg_name, m.msg_namelen, write);
	add_range(w, m.msg_control, m.msg_controllen, write);
	add_iov(w, m.msg_iov, m.msg_iovlen, write);
}

static void add_mmsg(const struct walk *w, const struct mmsghdr *user, size_t n, bool write)
{
	n = gm_min(n, (size_t)IOV_MAX);
	add_range(w, user, n * sizeof(*user), true); /* msg_len comes back also from sendmmsg */
	for (size_t i = 0; i < n; i++)
		add_msg(w, &user[i].msg_hdr, write);
}

#define SCAN_MAX      4096  /* bytes that are looked through */
#define UNKNOWN_BYTES 65536 /* what a pointer of unknown kind may lead to */

static void add_scan(const struct walk *w, const void *user, size_t n)
{
	uintptr_t word[32];
	const char *p = user;

	add_range(w, user, n, true);
	n = gm_min(n, (size_t)SCAN_MAX);
	for (size_t at = 0; at < n; at += sizeof(word)) {
		size_t now = gm_min(sizeof(word), n - at);
		if (gmp_copy(word, p + at, now))
			return;
		for (size_t i = 0; i < now / sizeof(*word); i++)
			if (gmi_vm_contains((void *)word[i]))
				add_range(w, (void *)word[i], UNKNOWN_BYTES, true);
	}
}

static void add_layout(const struct walk *w, enum gmp_layout_id id, const char *user, size_t n);

static size_t number_at(const char *s, unsigned at, unsigned len)
{
	size_t v = 0;

	memcpy(&v, s + at, len);
	return len ? v : 1;
}

static void add_field(const struct walk *w, const struct gmp_field *f, const char *s)
{
	char *p = (char *)number_at(s, f->at, sizeof(p));
	size_t n = number_at(s, f->count_at, f->count_len), bytes;

	if (f->times_at && __builtin_mul_overflow(n, number_at(s, f->times_at, 4), &n))
		return;
	switch (f->kind) {
	case GMP_LAYOUT:
		add_layout(w, f->layout, p, n);
		return;
	case GMP_IOV_IN:
	case GMP_IOV_OUT:
		add_iov(w, (struct iovec *)p, n, f->kind == GMP_IOV_OUT);
		return;
	case GMP_MSG_OUT:
		add_msg(w, (struct msghdr *)p, true);
		return;
	case GMP_SCAN:
		add_scan(w, p, n);
		return;
	case GMP_LEAVE:
		pin_range(w, p, n, false);
		return;
	default:
		if (!__builtin_mul_overflow(n, (size_t)f->size, &bytes))
			add_range(w, p, bytes, f->kind == GMP_OUT);
	}
}

static void add_layout(const struct walk *outer, enum gmp_layout_id id, const char *user, size_t n)
{
	const struct gmp_layout *l = &gmp_layouts[id];
	struct walk w = {outer->rs, outer->pin || l->pin};
	char s[LAYOUT_MAX];

	n = gm_min(n, (size_t)LAYOUTS_MAX);
	add_range(outer, user, n * l->bytes, true);
	for (; n && !gmp_copy(s, user, l->bytes); n--, user += l->bytes)
		for (const struct gmp_field *f = l->fields; f->kind; f++)
			if (l->tag_at == GMP_NO_TAG || f->tag == (uint8_t)s[l->tag_at])
				add_field(&w, f, s);
}

void gmp_ranges_layout(struct gmp_ranges *rs, enum gmp_layout_id id, const void *p, size_t n)
{
	add_layout(&(struct walk){rs, false}, id, p, n);
}

/* Of a command without a row. _IOC_READ is not to be trusted in drivers, and a number may be
 * where a pointer is expected; one within the structure leads somewhere. */
static void add_ioctl(const struct walk *w, unsigned cmd, const void *p)
{
	size_t bytes = _IOC_DIR(cmd) == _IOC_NONE ? 0 : _IOC_SIZE(cmd);

	if (gmi_vm_contains(p))
		add_scan(w, p, gm_max(bytes, (size_t)OLD_IOCTL_BYTES));
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
		return __builtin_mul_overflow(count, (size_t)a->size, &bytes) ||
				       __builtin_add_overflow(bytes, (size_t)a->extra, &bytes)
			       ? 0
			       : bytes;
	}
}

static void add_arg(const struct walk *w, const struct gmp_arg *a, const long args[6], unsigned i)
{
	void *p = (void *)args[i];
	size_t n = a->count ? (size_t)args[a->count - 1] : 1;

	switch (a->kind) {
	case GMP_IN:
		add_range(w, p, arg_bytes(a, args), false);
		break;
	case GMP_OUT:
	case GMP_INOUT:
		add_range(w, p, arg_bytes(a, args), true);
		break;
	case GMP_PIN:
		add_range(&(struct walk){w->rs, true}, p, arg_bytes(a, args), true);
		break;
	case GMP_CSTR:
	case GMP_SIGSET:
	case GMP_SIGSET6:
		add_range(w, p, a->size, false);
		break;
	case GMP_IOV_IN:
	case GMP_IOV_OUT:
		add_iov(w, p, n, a->kind == GMP_IOV_OUT);
		break;
	case GMP_MSG_IN:
	case GMP_MSG_OUT:
		add_msg(w, p, a->kind == GMP_MSG_OUT);
		break;
	case GMP_MMSG_IN:
	case GMP_MMSG_OUT:
		add_mmsg(w, p, n, a->kind == GMP_MMSG_OUT);
		break;
	case GMP_IOCTL:
		add_ioctl(w, (unsigned)args[i - 1], p);
		break;
	case GMP_SCAN:
		add_scan(w, p, arg_bytes(a, args));
		break;
	case GMP_LAYOUT:
		add_layout(w, a->layout, p, a->count ? n : gm_max(a->size, 1u));
		break;
	default: /* VALUE, STRV */
		break;
	}
}

static const struct gmp_arg *args_of(const struct gmp_syscall *s, const long args[6])
{
	const struct gmp_commands *c = s->commands;

	if (!c)
		return s->arg;
	uint32_t cmd = (uint32_t)args[c->arg] & ~c->ignore;
	if (c->arg2 != c->arg)
		cmd |= (uint32_t)args[c->arg2] << 16;
	for (unsigned i = 0; i < c->n; i++)
		if (c->rows[i].cmd == cmd)
			return c->rows[i].arg;
	return s->arg;
}

void gmp_syscall_ranges(long nr, const long args[6], struct gmp_ranges *out)
{
	out->n = 0;
	if (nr < 0 || nr >= GMP_NSYSCALLS || !gmp_syscalls[nr].memory)
		return;
	const struct gmp_syscall *s = &gmp_syscalls[nr];
	const struct gmp_arg *a = args_of(s, args);
	struct walk w = {out, s->pin && (args[s->pin - 1] & s->pin_flags)};
	for (unsigned i = 0; i < 6; i++)
		if (a[i].kind != GMP_VALUE)
			add_arg(&w, &a[i], args, i);
}
