/*
 * The table of system call arguments: every call that the headers of this machine name is in it,
 * and what gmp_syscall_ranges() makes of real calls. The source files are built into the test,
 * with a window of the test's own.
 */
#include <stdint.h>
static uintptr_t window_lo, window_hi;
#define gmi_vm_contains test_contains
#include "preload/ground/gate.h"
#include "preload/ground/ground.h"
static inline bool test_in(const void *p)
{
	return (uintptr_t)p >= window_lo && (uintptr_t)p < window_hi;
}
bool test_contains(const void *p)
{
	return test_in(p);
}
#include "preload/syscalls/syscall_table.c"
#include "preload/syscalls/syscall_commands.c"
#undef TABLE
#include "preload/syscalls/syscall_layouts.c"
#undef IN
#undef OUT
#undef IO
#undef T
#undef P
#undef UNKNOWN_BYTES
#include "preload/syscalls/syscall_ranges.c"

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

static struct {
	const void *p;
	size_t n;
	bool movable;
} held[16];
static unsigned nheld;

static void note_held(const void *p, size_t n, bool movable)
{
	cr_assert_lt(nheld, 16);
	held[nheld].p = p, held[nheld].n = n;
	held[nheld++].movable = movable;
}

static bool is_held(const void *p, size_t n)
{
	for (unsigned i = 0; i < nheld; i++)
		if (held[i].p == p && held[i].n == n)
			return true;
	return false;
}

static struct gmp_ranges ranges_of(long nr, long a, long b, long c, long d, long e, long f)
{
	struct gmp_ranges rs = {.pin = note_held};
	nheld = 0;
	gmp_syscall_ranges(nr, (long[6]){a, b, c, d, e, f}, &rs);
	return rs;
}
#define RANGES(nr, a, b, c, d, e, f)                                                               \
	ranges_of(SYS_##nr, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))

static bool covers(const struct gmp_ranges *rs, const void *p, size_t n, bool write)
{
	for (unsigned i = 0; i < rs->n; i++)
		if (rs->r[i].lo <= (uintptr_t)p && rs->r[i].hi >= (uintptr_t)p + n &&
		    (rs->r[i].write || !write))
			return true;
	return false;
}

/* What the headers of this machine have (Makefile: test/unit/syscalls.mk). */
static const struct {
	int nr;
	const char *name;
} known[] = {
#define N(call) {__NR_##call, #call},
#include "syscall_names.h"
#undef N
};

Test(syscall_table, every_call_has_been_looked_at)
{
	cr_assert_gt(GM_ARRAY_LEN(known), 350);
	for (size_t i = 0; i < GM_ARRAY_LEN(known); i++) {
		cr_assert_lt(known[i].nr, GMP_NSYSCALLS);
		const char *name = gmp_syscalls[known[i].nr].name;
		cr_assert(name, "%s (%d) is neither a row nor a call without memory", known[i].name,
			  known[i].nr);
		cr_assert_str_eq(name, known[i].name);
	}
	for (long nr = 424; nr <= SYS_file_setattr; nr++)
		cr_assert(gmp_syscalls[nr].name, "call %ld of Linux 6.18 is missing", nr);
}

Test(syscall_table, names_are_their_numbers)
{
	cr_assert_str_eq(gmp_syscalls[SYS_read].name, "read");
	cr_assert_str_eq(gmp_syscalls[SYS_futex].name, "futex");
	cr_assert_str_eq(gmp_syscalls[SYS_epoll_pwait2].name, "epoll_pwait2");
	cr_assert_not(gmp_syscalls[SYS_getpid].memory);
	cr_assert_null(gmp_syscalls[GMP_NSYSCALLS - 1].name);
}

static void check_args(const char *name, const struct gmp_arg *args)
{
	for (unsigned i = 0; i < 6; i++) {
		const struct gmp_arg *a = &args[i];
		cr_assert_leq(a->count, 6);
		cr_assert_neq(a->count, i + 1, "%s: argument %u counts itself", name, i);
		if (a->kind == GMP_LAYOUT)
			cr_assert(a->layout && gmp_layouts[a->layout].bytes, "%s: argument %u",
				  name, i);
		else if (a->kind != GMP_VALUE && a->kind != GMP_STRV && a->kind != GMP_IOCTL)
			cr_assert_gt(a->size, 0, "%s: argument %u has no size", name, i);
		if (a->unit == GMP_LENPTR)
			cr_assert_eq(args[a->count - 1].kind, GMP_INOUT, "%s", name);
		if (a->kind == GMP_IOCTL)
			cr_assert_gt(i, 0);
	}
}

/* Every count names an argument, every buffer has a size, ioctl follows its command. */
Test(syscall_table, is_consistent)
{
	unsigned n = 0;
	for (long nr = 0; nr < GMP_NSYSCALLS; nr++) {
		const struct gmp_syscall *s = &gmp_syscalls[nr];
		bool any = false;
		for (unsigned i = 0; i < 6; i++)
			any |= s->arg[i].kind != GMP_VALUE;
		n += s->memory;
		cr_assert(s->name || !s->special, "call %ld has no name", nr);
		cr_assert_eq(s->memory, any, "%s", s->name);
		cr_assert_lt(s->special, GMP_SPECIALS);
		check_args(s->name, s->arg);
		for (unsigned i = 0; s->commands && i < s->commands->n; i++) {
			check_args(s->name, s->commands->rows[i].arg);
			for (unsigned j = 0; j < i; j++)
				cr_assert_neq(s->commands->rows[i].cmd, s->commands->rows[j].cmd,
					      "%s: command %u twice", s->name, i);
		}
	}
	cr_assert_gt(n, 250, "only %u calls are described", n);
}

/* A pointer and its count lie within the structure, which fits into what is copied. */
Test(syscall_table, layouts_are_consistent)
{
	for (unsigned id = 1; id < GMP_LAYOUTS; id++) {
		const struct gmp_layout *l = &gmp_layouts[id];
		cr_assert(l->bytes && l->bytes <= LAYOUT_MAX, "layout %u", id);
		cr_assert(l->fields && l->fields->kind, "layout %u", id);
		for (const struct gmp_field *f = l->fields; f->kind; f++) {
			cr_assert(f->at % 8 == 0 && f->at + 8 <= l->bytes, "layout %u, offset %u",
				  id, f->at);
			cr_assert_leq(f->count_at + f->count_len, l->bytes, "layout %u", id);
			cr_assert(f->kind != GMP_LAYOUT || gmp_layouts[f->layout].bytes,
				  "layout %u", id);
			cr_assert(f->kind == GMP_LAYOUT || f->size, "layout %u, offset %u", id,
				  f->at);
		}
	}
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
	cr_assert_eq(RANGES(readv, 0, 8, 3, 0, 0, 0).n, 0,
		     "a bad vector is for the kernel to find");
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
	cr_assert_eq(RANGES(ioctl, 0, _IOWR('x', 1, char[1000]), 3, 0, 0, 0).n, 0, "a number");
	rs = RANGES(ioctl, 0, 0x1234, window, 0, 0, 0);
	cr_assert(covers(&rs, window, 256, true), "nothing encoded");
	*(void **)(window + 16) = window + 300000; /* a pointer in a structure that nobody knows */
	rs = RANGES(ioctl, 0, _IOWR('x', 1, char[32]), window, 0, 0, 0);
	cr_assert(covers(&rs, window + 300000, 65536, true));
	struct {
		int len, pad;
		void *p;
	} *conf = (void *)window;
	conf->len = 400, conf->p = window + 500000;
	rs = RANGES(ioctl, 0, SIOCGIFCONF, conf, 0, 0, 0);
	cr_assert(covers(&rs, window + 500000, 400, true) &&
		  !covers(&rs, window + 500000, 401, true));
}

Test(syscall_table, commands)
{
	struct {
		unsigned short len;
		void *filter;
	} prog = {3, NULL};
	open_window();
	prog.filter = window + 200000;
	struct gmp_ranges rs =
		RANGES(setsockopt, 3, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog), 0);
	cr_assert(covers(&rs, window + 200000, 24, false));
	rs = RANGES(prctl, PR_SET_SECCOMP, 2, &prog, 0, 0, 0);
	cr_assert(covers(&rs, window + 200000, 24, false));
	rs = RANGES(keyctl, KEYCTL_READ, 1, window, 70000, 0, 0);
	cr_assert(covers(&rs, window, 70000, true));
	rs = RANGES(fsconfig, 3, FSCONFIG_SET_BINARY, window, window + 8192, 9000, 0);
	cr_assert(covers(&rs, window + 8192, 9000, false));
	rs = RANGES(ptrace, PTRACE_GET_SYSCALL_INFO, 1, 88, window, 0, 0);
	cr_assert(rs.n == 1 && rs.r[0].hi - rs.r[0].lo == 88);
}

Test(syscall_table, nested)
{
	struct {
		uint64_t val, uaddr;
		uint32_t flags, reserved;
	} waiter[2] = {{0}};
	struct {
		void *value;
		uint32_t size, flags;
	} xattr;
	open_window();
	waiter[1].uaddr = (uintptr_t)window + 4096;
	struct gmp_ranges rs = RANGES(futex_waitv, waiter, 2, 0, 0, 0, 0);
	cr_assert(covers(&rs, window + 4096, 4, true));
	rs = RANGES(futex_requeue, waiter, 0, 1, 1, 0, 0);
	cr_assert(covers(&rs, window + 4096, 4, true));
	xattr.value = window + 9000, xattr.size = 77;
	rs = RANGES(getxattrat, -1, window, 0, window + 90000, &xattr, sizeof(xattr));
	cr_assert(covers(&rs, window + 9000, 77, true));
	rs = RANGES(msgrcv, 1, window, 1, 0, 0, 0);
	cr_assert(covers(&rs, window, 9, true), "the type comes before the text");
	struct iovec iov = {window + 4096, 500};
	rs = RANGES(process_vm_readv, 1, 0, 0, &iov, 1, 0);
	cr_assert(covers(&rs, window + 4096, 500, false), "the other process may be this one");
}

/* What the kernel uses beyond the call is held, and not pinned for the call only. */
Test(syscall_table, held)
{
	open_window();
	struct iovec iov[2] = {{window, 5000}, {window + 100000, 70}};
	cr_assert_eq(RANGES(io_uring_register, 3, IORING_REGISTER_BUFFERS, iov, 2, 0, 0).n, 0);
	cr_assert(nheld == 2 && is_held(window, 5000) && is_held(window + 100000, 70) &&
		  held[0].movable);
	RANGES(io_uring_register, 3, IORING_REGISTER_BUFFERS | 1u << 31, iov, 1, 0, 0);
	cr_assert_eq(nheld, 1);
	RANGES(vmsplice, 1, iov, 2, 0, 0, 0);
	cr_assert_eq(nheld, 2);
	struct iocb read_ = {
		.aio_lio_opcode = IOCB_CMD_PREAD, .aio_buf = (uintptr_t)window, .aio_nbytes = 300};
	struct iocb readv_ = {
		.aio_lio_opcode = IOCB_CMD_PREADV, .aio_buf = (uintptr_t)iov, .aio_nbytes = 2};
	struct iocb sync = {
		.aio_lio_opcode = IOCB_CMD_FSYNC, .aio_buf = (uintptr_t)window, .aio_nbytes = 300};
	struct iocb *list[] = {&read_, &readv_, &sync};
	RANGES(io_submit, 1, 3, list, 0, 0, 0);
	cr_assert(nheld == 3 && is_held(window, 300) && is_held(window + 100000, 70));
	struct gmp_ranges rs = RANGES(sendto, 3, window, 100, 0, 0, 0);
	cr_assert(nheld == 0 && rs.n == 1);
	rs = RANGES(sendto, 3, window, 100, ZEROCOPY, 0, 0);
	cr_assert(nheld == 1 && rs.n == 0);
	RANGES(set_robust_list, window, 24, 0, 0, 0, 0);
	cr_assert(is_held(window, 24));
	struct uffdio_register reg = {.range = {.start = (uintptr_t)window, .len = 8192}};
	RANGES(ioctl, 3, UFFDIO_REGISTER, &reg, 0, 0, 0);
	cr_assert(nheld == 1 && !held[0].movable && is_held(window, 8192));
}

Test(syscall_table, submission_queue_entries)
{
	struct io_uring_sqe sqe[4] = {{0}};
	struct iovec iov = {window, 10};
	open_window();
	iov.iov_base = window + 8192;
	sqe[0] = (struct io_uring_sqe){
		.opcode = IORING_OP_READ, .addr = (uintptr_t)window, .len = 4000};
	sqe[1] = (struct io_uring_sqe){
		.opcode = IORING_OP_WRITEV, .addr = (uintptr_t)&iov, .len = 1};
	sqe[2] = (struct io_uring_sqe){
		.opcode = IORING_OP_FSYNC, .addr = (uintptr_t)window, .len = 4000};
	sqe[3] = (struct io_uring_sqe){.opcode = IORING_OP_PROVIDE_BUFFERS,
				       .fd = 5,
				       .addr = (uintptr_t)window + 40960,
				       .len = 100};
	struct gmp_ranges rs = {.pin = note_held};
	nheld = 0;
	gmp_ranges_layout(&rs, GMP_LAYOUT_SQE, sqe, 4);
	cr_assert_eq(nheld, 3);
	cr_assert(is_held(window, 4000) && is_held(window + 8192, 10) &&
		  is_held(window + 40960, 500));
}

/* Near buffers share a hull; far ones have their own, up to GMP_RANGES; then the nearest hull
 * grows. */
Test(syscall_table, hulls)
{
	struct gmp_ranges rs = {0};
	open_window();
	gmp_ranges_add(&rs, window, 10, false);
	gmp_ranges_add(&rs, window + 100, 10, true);
	cr_assert(rs.n == 1 && rs.r[0].write);
	for (unsigned i = 1; i < GMP_RANGES; i++)
		gmp_ranges_add(&rs, window + i * 100000, 10, false);
	gmp_ranges_add(&rs, window + (GMP_RANGES - 1) * 100000 + 10000, 10, false);
	cr_assert_eq(rs.n, GMP_RANGES);
	cr_assert(covers(&rs, window, 10, false));
	cr_assert(covers(&rs, window + (GMP_RANGES - 1) * 100000 + 10000, 10, false));
	cr_assert_leq(rs.r[0].hi, (uintptr_t)window + 110, "the far hull did not grow");
}
