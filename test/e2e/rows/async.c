/* async.c - rows of asynchronous input and output. */
#include <linux/aio_abi.h>
#include <linux/time_types.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>

#include "../ring.h"
#include "rows.h"

/* ---- Linux AIO ---- */

#define N 3

/* Requests on `fd`: each a page and more, one after the other in the file. */
static struct iocb **requests(int op, int fd)
{
	struct iocb **list = opaque(N * sizeof(*list));

	for (int i = 0; i < N; i++)
		list[i] = OPAQUE(struct iocb, .aio_data = 100 + (unsigned)i,
				 .aio_lio_opcode = (uint16_t)op, .aio_fildes = (uint32_t)fd,
				 .aio_buf = (uintptr_t)out(PAGE + 10), .aio_nbytes = PAGE + 10,
				 .aio_offset = i * 5000);
	return list;
}

static aio_context_t context(void)
{
	aio_context_t ctx = 0;
	syscall(SYS_io_setup, 10, &ctx);
	return ctx;
}

/* Completions in the order of what was submitted. */
static void show_events(const struct io_event *ev, long n)
{
	long long res[N] = {0};
	unsigned long sum = 0;

	for (long i = 0; i < n; i++) {
		sum += (unsigned long)ev[i].data;
		if (ev[i].data >= 100 && ev[i].data < 100 + N)
			res[ev[i].data - 100] = ev[i].res;
	}
	say("%lld %lld %lld, data %lu", res[0], res[1], res[2], sum);
}

ROW(io_setup)
{
	aio_context_t *ctx = OPAQUE(aio_context_t, 0);

	CALL(io_setup, 10, ctx);
	say("a context: %d", *ctx != 0);
	CALL(io_setup, 10, ctx); /* must be 0 before */
	say("%ld", syscall(SYS_io_destroy, *ctx));
	*ctx = 0;
	FAULTS(io_setup, 10, ctx);
}

ROW(io_submit)
{
	aio_context_t ctx = context();
	int fd = file_with("file", 5 * PAGE);
	struct iocb **w = requests(IOCB_CMD_PWRITE, fd), **r = requests(IOCB_CMD_PREAD, fd);
	struct io_event ev[N];

	CALL(io_submit, ctx, N, w);
	show_events(ev, syscall(SYS_io_getevents, ctx, N, N, ev, NULL));
	CALL(io_submit, ctx, N, r);
	long n = syscall(SYS_io_getevents, ctx, N, N, ev, NULL);
	show_events(ev, n);
	show_all();
	struct iovec *v = IOVS({out(100), 100}, {out(PAGE), PAGE});
	r[0]->aio_lio_opcode = IOCB_CMD_PREADV, r[0]->aio_buf = (uintptr_t)v, r[0]->aio_nbytes = 2;
	CALL(io_submit, ctx, 1, r);
	show_events(ev, syscall(SYS_io_getevents, ctx, 1, 1, ev, NULL));
	show_all();
	FAULTS(io_submit, ctx, N, r);
	r[1]->aio_buf = 8;
	CALL(io_submit, ctx, N, r);
	while (syscall(SYS_io_getevents, ctx, 0, N, ev, NULL) > 0)
		;
	show_file(fd);
	syscall(SYS_io_destroy, ctx);
	close(fd);
}

#define EVENTS(call, few, none)                                                                    \
	do {                                                                                       \
		aio_context_t ctx = context();                                                     \
		int fd = file_with("file", 5 * PAGE);                                              \
		struct io_event *ev = opaque(100 * sizeof(*ev));                                   \
		struct timespec *ts = IN(struct timespec, 0, 1000);                                \
		CALL none;                                                                         \
		syscall(SYS_io_submit, ctx, N, requests(IOCB_CMD_PREAD, fd));                      \
		FAULTS none;                                                                       \
		long n = CALL few;                                                                 \
		show_events(ev, n);                                                                \
		CALL none;                                                                         \
		syscall(SYS_io_destroy, ctx);                                                      \
		close(fd);                                                                         \
	} while (0)

ROW(io_getevents)
{
	EVENTS(io_getevents, (io_getevents, ctx, 0, 100, ev, NULL),
	       (io_getevents, ctx, 0, 100, ev, ts));
}

ROW(io_pgetevents)
{
	void **pair = opaque(16);

	/* with SIGSEGV and SIGSYS */
	pair[0] = IN(uint64_t, 1ul << 10 | 1ul << 30), pair[1] = (void *)8;
	EVENTS(io_pgetevents, (io_pgetevents, ctx, 0, 100, ev, NULL, pair),
	       (io_pgetevents, ctx, 0, 100, ev, ts, pair));
}

ROW(io_cancel)
{
	aio_context_t ctx = context();
	int p[2];
	struct iocb *poll = OPAQUE(struct iocb, .aio_lio_opcode = IOCB_CMD_POLL, .aio_buf = POLLIN),
		    **list;
	struct io_event *ev = opaque(sizeof(*ev));

	pipe_with(p, 0);
	poll->aio_fildes = (uint32_t)p[0];
	list = opaque_in(&poll, sizeof(poll));
	CALL(io_submit, ctx, 1, list);
	FAULTS(io_cancel, ctx, poll, ev);
	CALL(io_cancel, ctx, poll, ev);
	CALL(io_getevents, ctx, 1, 1, ev, NULL); /* that it was cancelled */
	CALL(io_cancel, ctx, poll, ev);
	syscall(SYS_io_destroy, ctx);
	close_all(2, p);
}

/* ---- io_uring ---- */

ROW(io_uring_setup)
{
	struct io_uring_params *p = memset(opaque(sizeof(*p)), 0, sizeof(*p));
	long fd = DONE(io_uring_setup, 8, p);

	say("entries %u %u", p->sq_entries, p->cq_entries);
	close((int)fd);
	memset(p, 0, sizeof(*p));
	FAULTS(io_uring_setup, 8, p);
	p->flags = 1u << 31;
	CALL(io_uring_setup, 8, p);
	memset(p, 0, sizeof(*p));
	p->flags = IORING_SETUP_SQPOLL, p->sq_thread_idle = 1;
	fd = DONE(io_uring_setup, 8, p);
	say("flags %x", p->flags);
	close((int)fd);
}

/* All that was made, sent away before it is submitted; results in the order of the requests. */
static void complete(struct ring *r, const char *what, unsigned n)
{
	struct io_uring_cqe c;
	int res[8] = {0}, got = 0;

	ring_publish(r);
	long entered = TRY(io_uring_enter, r->fd, n, n, IORING_ENTER_GETEVENTS, NULL, 0);
	for (; ring_done(r, &c); got++)
		res[(c.user_data - 1) % 8] = c.res;
	printf("    %s: %ld, %d done:", what, entered, got);
	for (unsigned i = r->tail - n; i < r->tail; i++)
		printf(" %d", res[i % 8]);
	printf("\n");
	show_all();
}

static void ring_files(struct ring *r)
{
	int fd = file_with("file", 5 * PAGE);
	char *a = out(PAGE + 5), *b = out(2 * PAGE);
	struct iovec *v = IOVS({a, 100}, {b, 2 * PAGE});
	struct statx *st = opaque(sizeof(*st));

	ring_request(r, IORING_OP_READ, fd, a, PAGE + 5);
	ring_request(r, IORING_OP_READV, fd, v, 2)->off = 50;
	complete(r, "read, readv", 2);
	ring_request(r, IORING_OP_WRITE, fd, a, PAGE + 5)->off = 7;
	complete(r, "write", 1);
	ring_request(r, IORING_OP_WRITEV, fd, v, 2)->off = 3 * PAGE;
	complete(r, "writev", 1);
	show_file(fd);
	ring_request(r, IORING_OP_STATX, AT_FDCWD, str("file"), STATX_BASIC_STATS)->off =
		(uintptr_t)st;
	complete(r, "statx", 1);
	say("size %ld", (long)st->stx_size);
	ring_request(r, IORING_OP_MKDIRAT, AT_FDCWD, str("made-by-a-ring"), 0700);
	complete(r, "mkdirat", 1);
	ring_request(r, IORING_OP_RENAMEAT, AT_FDCWD, str("made-by-a-ring"), (unsigned)AT_FDCWD)
		->off = (uintptr_t)str("renamed-by-a-ring");
	complete(r, "renameat", 1);
	ring_request(r, IORING_OP_UNLINKAT, AT_FDCWD, str("renamed-by-a-ring"), 0)->unlink_flags =
		AT_REMOVEDIR;
	complete(r, "unlinkat", 1);
	ring_request(r, IORING_OP_OPENAT, AT_FDCWD, str("no such file"), 0);
	ring_request(r, IORING_OP_READ, fd, (void *)8, 100);
	complete(r, "failures", 2);
	close(fd);
}

static void ring_sockets(struct ring *r)
{
	int s[2], l = socket(AF_UNIX, SOCK_STREAM, 0), c = socket(AF_UNIX, SOCK_STREAM, 0);
	char *a = out(1000), *b = out(1000);
	struct sockaddr_un *name = IN(struct sockaddr_un, AF_UNIX, "socket-of-a-ring"),
			   *from = out(sizeof(*from));
	socklen_t *len = IN(socklen_t, sizeof(*from));
	struct msghdr *m =
		OPAQUE(struct msghdr, .msg_iov = IOVS({a, 500}, {b, 500}), .msg_iovlen = 2);

	socketpair(AF_UNIX, SOCK_DGRAM, 0, s);
	ring_request(r, IORING_OP_SEND, s[0], a, 1000);
	complete(r, "send", 1);
	ring_request(r, IORING_OP_RECV, s[1], b, 1000);
	complete(r, "recv", 1);
	ring_request(r, IORING_OP_SENDMSG, s[0], m, 1);
	complete(r, "sendmsg", 1);
	ring_request(r, IORING_OP_RECVMSG, s[1], m, 1);
	complete(r, "recvmsg", 1);
	unlink("socket-of-a-ring");
	bind(l, (void *)name, sizeof(*name));
	listen(l, 5);
	ring_request(r, IORING_OP_CONNECT, c, name, 0)->off = sizeof(*name);
	complete(r, "connect", 1);
	ring_request(r, IORING_OP_ACCEPT, l, from, 0)->off = (uintptr_t)len;
	complete(r, "accept", 1);
	close_range((unsigned)s[0], 60, 0);
}

static void ring_waits(struct ring *r)
{
	int p[2], e = epoll_create1(0);
	struct __kernel_timespec *ts = IN(struct __kernel_timespec, 0, 1000);

	pipe_with(p, 0);
	ring_request(r, IORING_OP_TIMEOUT, -1, ts, 1);
	complete(r, "timeout", 1);
	ring_request(r, IORING_OP_EPOLL_CTL, e, NULL, EPOLL_CTL_ADD)->off =
		(uintptr_t)IN(struct epoll_event, .events = EPOLLIN);
	r->sqes[(r->tail - 1) % r->p.sq_entries].addr =
		r->sqes[(r->tail - 1) % r->p.sq_entries].off;
	complete(r, "epoll_ctl", 1);
	close_all(3, (int[]){p[0], p[1], e});
}

struct events_arg { /* struct io_uring_getevents_arg */
	uint64_t mask;
	uint32_t mask_bytes, wait;
	uint64_t ts;
};

ROW(io_uring_enter)
{
	struct ring r;

	if (ring_open(&r, 8, 0)) {
		say("no ring: %d", errno);
		return;
	}
	ring_files(&r);
	ring_sockets(&r);
	ring_waits(&r);
	uint64_t *mask = IN(uint64_t, 1ul << 10 | 1ul << 30);
	struct events_arg *arg = OPAQUE(struct events_arg, (uintptr_t)mask, 8, 0,
					(uintptr_t)IN(struct __kernel_timespec, 0, 1000));
	CALL(io_uring_enter, r.fd, 0, 1, IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG, arg,
	     sizeof(*arg));
	FAULTS(io_uring_enter, r.fd, 0, 1, IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG, arg,
	       sizeof(*arg));
	arg->ts = 8;
	CALL(io_uring_enter, r.fd, 0, 1, IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG, arg,
	     sizeof(*arg));
	CALL(io_uring_enter, r.fd, 0, 0, IORING_ENTER_GETEVENTS, mask, 8);
	ring_close(&r);
}

ROW(io_uring_register)
{
	struct ring r;

	if (ring_open(&r, 8, 0)) {
		say("no ring: %d", errno);
		return;
	}
	int fd = file_with("file", 5 * PAGE), *fds = opaque_in(&fd, sizeof(fd));
	char *a = out(2 * PAGE), *b = out(PAGE);
	struct iovec *v = IOVS({a, 2 * PAGE}, {b, PAGE});

	FAULTS(io_uring_register, r.fd, IORING_REGISTER_BUFFERS, v, 2);
	CALL(io_uring_register, r.fd, IORING_REGISTER_BUFFERS, v, 2);
	ring_request(&r, IORING_OP_READ_FIXED, fd, a + 50, PAGE);
	complete(&r, "read_fixed", 1);
	ring_request(&r, IORING_OP_WRITE_FIXED, fd, b, PAGE)->buf_index = 1;
	complete(&r, "write_fixed", 1);
	show_file(fd);
	CALL(io_uring_register, r.fd, IORING_UNREGISTER_BUFFERS, NULL, 0);
	v[1].iov_base = (void *)8;
	CALL(io_uring_register, r.fd, IORING_REGISTER_BUFFERS, v, 2);
	FAULTS(io_uring_register, r.fd, IORING_REGISTER_FILES, fds, 1);
	CALL(io_uring_register, r.fd, IORING_REGISTER_FILES, fds, 1);
	char *probe = out(16 + 10 * 8);
	memset(probe, 0, 16 + 10 * 8);
	CALL(io_uring_register, r.fd, IORING_REGISTER_PROBE, probe, 10);
	FAULTS(io_uring_register, r.fd, IORING_REGISTER_PROBE, probe, 10);
	CALL(io_uring_register, r.fd, IORING_REGISTER_EVENTFD, fds, 1);
	CALL(io_uring_register, r.fd, 9999, fds, 1);
	ring_close(&r);
	close(fd);
}

const struct row async_rows[] = {
	R(io_setup),	   R(io_submit),	 R(io_getevents),
	R(io_pgetevents),  R(io_cancel),	 R(io_uring_setup),
	R(io_uring_enter), R(io_uring_register), {0},
};
