/*
 * held_contract.c - memory that the kernel goes on using after the call that named it: pipes it
 * was spliced into, direct and asynchronous I/O, zero-copy sends, buffers and rings of io_uring.
 * A device asks for it meanwhile, and must not get it: "stays" says so, beside what a plain run
 * sees too, the data.
 */
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/errqueue.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <gmem/gmem.h>
#include "away.h"
#include "ring.h"

#define PAGES 8
#define BYTES (PAGES * PAGE)

static char dir[] = "/tmp/held_contract.XXXXXX";

/* A device asks. Is it still all here, where the kernel has it? */
static int stays(void *p, size_t pages)
{
	int (*query)(const void *, size_t, struct gm_page_info *) =
		(int (*)(const void *, size_t, struct gm_page_info *))dlsym(RTLD_DEFAULT,
									    "gm_query");
	struct gm_page_info info[PAGES];

	try_away(p, pages * PAGE);
	if (away_hnid() < 0)
		return 1;
	if (query(p, pages * PAGE, info))
		return -1;
	for (size_t i = 0; i < pages; i++)
		if (info[i].where != GM_HOST && info[i].where != GM_REMOTE)
			return 0;
	return 1;
}

/* ---- vmsplice ---- */

static void spliced(const char *name, unsigned flags)
{
	char *b = absent(3, 1), *got = malloc(3 * PAGE);
	struct iovec *v = (struct iovec *)absent(1, 0);
	int p[2];

	if (pipe(p))
		return;
	v[0] = (struct iovec){b, PAGE}, v[1] = (struct iovec){b + PAGE, 2 * PAGE};
	away(v, PAGE), away(b, 3 * PAGE);
	int r = (int)vmsplice(p[1], v, 2, flags);
	int there = stays(b, 3);
	b[5] = 'X', b[2 * PAGE + 7] = 'Y'; /* the pipe has the pages, not their contents */
	there += stays(b, 3);
	int n = (int)read(p[0], got, 3 * PAGE);
	printf("%s %d read %d: stays %d, the same %d, %c%c\n", name, r, n, there,
	       !memcmp(b, got, 3 * PAGE), got[5], got[2 * PAGE + 7]);
	close(p[0]), close(p[1]);
}

/* ---- direct I/O ---- */

static int direct_file(void)
{
	char name[64];

	snprintf(name, sizeof(name), "%s/direct", dir);
	return open(name, O_RDWR | O_CREAT | O_DIRECT, 0600);
}

static void direct(void)
{
	int fd = direct_file();
	char *b = absent(PAGES, 2), *c = absent(PAGES, 3);

	if (fd < 0) { /* tmpfs of older kernels */
		printf("direct: skipped, this file system has none (error %d)\n", errno);
		return;
	}
	int w = (int)pwrite(fd, b, BYTES, 0), r = (int)pread(fd, c, BYTES, 0);
	printf("direct write %d read %d same %d\n", w, r, !memcmp(b, c, BYTES));
	away(c, BYTES);
	c[2 * PAGE] = 1; /* one page at home */
	r = (int)pread(fd, c + 512, BYTES - PAGE, 512);
	printf("direct read within pages %d same %d\n", r, !memcmp(b + 512, c + 512, BYTES - PAGE));
	away(b, BYTES);
	r = (int)syscall(SYS_pwrite64, fd, b, 2 * PAGE, BYTES);
	printf("direct raw write %d error %d\n", r, r < 0 ? errno : 0);
	r = (int)pread(fd, (void *)PAGE, PAGE, 0);
	printf("direct bad %d error %d\n", r, errno);
	close(fd);
}

static atomic_bool stop;

static void *asker(void *p)
{
	while (!stop)
		try_away(p, BYTES);
	return NULL;
}

/* A device asks all the time while the disk writes to memory and reads from it. */
static void direct_race(void)
{
	int fd = direct_file(), wrong = 0;
	char *b = absent(PAGES, 4);
	pthread_t t;

	stop = false;
	pthread_create(&t, NULL, asker, b);
	for (int i = 0; i < 100 && fd >= 0; i++) {
		memset(b, i, BYTES);
		wrong += pwrite(fd, b, BYTES, 0) != (ssize_t)BYTES;
		memset(b, 0xff, BYTES);
		wrong += pread(fd, b, BYTES, 0) != (ssize_t)BYTES;
		for (size_t at = 0; at < BYTES; at += 512)
			wrong += b[at] != (char)i;
	}
	stop = true;
	pthread_join(t, NULL);
	printf("direct race wrong %d\n", wrong);
	close(fd);
}

static void aio(void)
{
	int fd = direct_file(), there = 0, good = 0;
	char *b = absent(PAGES, 5), *c = absent(PAGES, 6);
	aio_context_t ctx = 0;
	struct io_event ev[2];

	if (fd < 0 || syscall(SYS_io_setup, 4, &ctx)) {
		printf("aio: skipped (error %d)\n", errno);
		return;
	}
	for (int op = 0; op < 2; op++) {
		struct iocb *cb = (struct iocb *)absent(1, 0),
			    **list = (struct iocb **)absent(1, 0);
		memset(cb, 0, sizeof(*cb));
		cb->aio_lio_opcode = op ? IOCB_CMD_PREAD : IOCB_CMD_PWRITE,
		cb->aio_fildes = (unsigned)fd;
		cb->aio_buf = (uintptr_t)(op ? c : b), cb->aio_nbytes = BYTES;
		list[0] = cb;
		away(cb, PAGE), away(list, PAGE), try_away(b, BYTES), try_away(c, BYTES);
		long n = syscall(SYS_io_submit, ctx, 1, list);
		there += stays(op ? c : b, PAGES);
		good += n == 1 && syscall(SYS_io_getevents, ctx, 1, 1, ev, NULL) == 1 &&
			ev[0].res == (long)BYTES;
	}
	printf("aio good %d stays %d same %d\n", good, there, !memcmp(b, c, BYTES));
	syscall(SYS_io_destroy, ctx);
	close(fd);
}

/* ---- zero-copy send ---- */

static bool tcp_pair(int s[2])
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(a);
	int l = socket(AF_INET, SOCK_STREAM, 0);

	s[0] = socket(AF_INET, SOCK_STREAM, 0);
	if (bind(l, (void *)&a, len) || listen(l, 1) || getsockname(l, (void *)&a, &len) ||
	    connect(s[0], (void *)&a, len))
		return false;
	s[1] = accept(l, NULL, NULL);
	close(l);
	return s[1] >= 0;
}

/* Takes the kernel's word that it is done with the memory. */
static int told(int fd)
{
	char control[200];
	struct msghdr m = {.msg_control = control, .msg_controllen = sizeof(control)};
	struct pollfd p = {.fd = fd};

	poll(&p, 1, 5000);
	if (recvmsg(fd, &m, MSG_ERRQUEUE) < 0 || !CMSG_FIRSTHDR(&m))
		return -1;
	return ((struct sock_extended_err *)(void *)CMSG_DATA(CMSG_FIRSTHDR(&m)))->ee_origin ==
	       SO_EE_ORIGIN_ZEROCOPY;
}

static void zerocopy(void)
{
	int s[2], one = 1;
	char *b = absent(PAGES, 7), *got = malloc(BYTES);

	if (!tcp_pair(s) || setsockopt(s[0], SOL_SOCKET, SO_ZEROCOPY, &one, sizeof(one))) {
		printf("zerocopy: skipped (error %d)\n", errno);
		return;
	}
	int n = (int)send(s[0], b, BYTES, MSG_ZEROCOPY), there = stays(b, PAGES);
	int r = (int)recv(s[1], got, BYTES, MSG_WAITALL);
	printf("zerocopy send %d recv %d stays %d same %d told %d\n", n, r, there,
	       !memcmp(b, got, BYTES), told(s[0]));
	close(s[0]), close(s[1]);
}

/* ---- io_uring ---- */

static int result(struct ring *r, unsigned *flags)
{
	struct io_uring_cqe c = {0};

	while (!ring_done(r, &c))
		if (ring_enter(r, 0, 1) < 0 && errno != EINTR)
			return -errno;
	if (flags)
		*flags = c.flags;
	return c.res;
}

/* A request that waits in the kernel with a registered buffer. */
static void ring_fixed(void)
{
	struct ring r;
	char *b = absent(PAGES, 8);
	struct iovec *v = (struct iovec *)absent(1, 0);
	int p[2];

	if (ring_open(&r, 8, 0) || pipe(p)) {
		printf("ring fixed: skipped, no io_uring here (error %d)\n", errno);
		return;
	}
	v[0] = (struct iovec){b, BYTES};
	away(v, PAGE), away(b, BYTES);
	int reg = (int)syscall(SYS_io_uring_register, r.fd, IORING_REGISTER_BUFFERS, v, 1);
	int there = stays(b, PAGES);
	ring_request(&r, IORING_OP_READ_FIXED, p[0], b + 100, 2 * PAGE);
	int n = ring_enter(&r, 1, 0);
	there += stays(b, PAGES);
	n += (int)write(p[1], "late", 4);
	n += result(&r, NULL);
	printf("ring fixed %d, %d stays %d data %.4s\n", reg, n, there, b + 100);
	ring_close(&r), close(p[0]), close(p[1]);
}

/* The same and a splice, from before anything has ever been away. */
static void before(void)
{
	struct ring r;
	char *b = aligned_alloc(PAGE, BYTES), *c = aligned_alloc(PAGE, BYTES), got[PAGE];
	struct iovec v = {b, BYTES}, w = {c, PAGE};
	int p[2], q[2];

	if (ring_open(&r, 8, 0) || pipe(p) || pipe(q)) {
		printf("before: skipped (error %d)\n", errno);
		return;
	}
	memset(b, 1, BYTES), memset(c, 'c', BYTES);
	int reg = (int)syscall(SYS_io_uring_register, r.fd, IORING_REGISTER_BUFFERS, &v, 1);
	int spliced = (int)vmsplice(q[1], &w, 1, 0);
	free(absent(1, 15));
	int there = stays(b, PAGES) + stays(c, 1);
	ring_request(&r, IORING_OP_READ_FIXED, p[0], b + 100, 2 * PAGE);
	int n = (int)write(p[1], "late", 4) + ring_enter(&r, 1, 1);
	n += result(&r, NULL);
	c[7] = 'X';
	n += (int)read(q[0], got, PAGE);
	printf("before %d, %d, %d stays %d data %.4s %.9s\n", reg, spliced, n, there, b + 100, got);
	ring_close(&r);
	for (int i = 0; i < 2; i++)
		close(p[i]), close(q[i]);
}

/* Buffers that the kernel chooses, from a ring in the program's memory. */
static void ring_provided(void)
{
	struct ring r;
	struct io_uring_buf *bufs = (struct io_uring_buf *)absent(1, 0);
	char *b = absent(PAGES, 9);
	struct {
		uint64_t addr;
		uint32_t entries;
		uint16_t group, flags;
		uint64_t more[3];
	} reg = {(uintptr_t)bufs, 8, 3, 0, {0}};
	unsigned flags = 0;
	int p[2];

	if (ring_open(&r, 8, 0) || pipe(p)) {
		printf("ring provided: skipped (error %d)\n", errno);
		return;
	}
	memset(bufs, 0, PAGE);
	away(bufs, PAGE);
	int err = (int)syscall(SYS_io_uring_register, r.fd, 22 /* IORING_REGISTER_PBUF_RING */,
			       &reg, 1);
	for (unsigned i = 0; i < 8; i++)
		bufs[i].addr = (uintptr_t)(b + i * PAGE), bufs[i].len = PAGE,
		bufs[i].bid = (uint16_t)(40 + i);
	away(b, BYTES);
	__atomic_store_n(&bufs[0].resv, 8, __ATOMIC_RELEASE); /* the ring's tail */
	struct io_uring_sqe *s = ring_request(&r, IORING_OP_READ, p[0], NULL, PAGE);
	s->flags = IOSQE_BUFFER_SELECT, s->buf_group = 3, s->off = (uint64_t)-1;
	int n = ring_enter(&r, 1, 0), there = stays(bufs, 1) + stays(b, PAGES);
	n += (int)write(p[1], "late", 4);
	n += result(&r, &flags);
	printf("ring provided %d, %d stays %d buffer %u data %.4s\n", err, n, there,
	       flags >> IORING_CQE_BUFFER_SHIFT, b);
	ring_close(&r), close(p[0]), close(p[1]);
}

/* A queue that the kernel looks at by itself: the program calls only when the ring says so. */
static void ring_polled(void)
{
	struct ring r;
	struct io_uring_cqe c = {0};
	int fd = direct_file(), wrong = 0;
	char *b = absent(PAGES, 10), *c2 = absent(PAGES, 11);

	if (ring_open(&r, 8, IORING_SETUP_SQPOLL)) {
		printf("ring polled: error %d\n", errno);
		return;
	}
	for (int i = 0; i < 20; i++) {
		try_away(b, BYTES), try_away(c2, BYTES);
		ring_request(&r, i % 2 ? IORING_OP_READ : IORING_OP_WRITE, fd, i % 2 ? c2 : b,
			     BYTES);
		ring_publish(&r);
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		while (!ring_done(&r, &c))
			if (__atomic_load_n(ring_word(&r, r.p.sq_off.flags), __ATOMIC_RELAXED) &
			    IORING_SQ_NEED_WAKEUP)
				syscall(SYS_io_uring_enter, r.fd, 0, 0, IORING_ENTER_SQ_WAKEUP,
					NULL, 0);
		wrong += c.res != (int)BYTES;
	}
	printf("ring polled wrong %d same %d\n", wrong, !memcmp(b, c2, BYTES));
	ring_close(&r), close(fd);
}

/* The rings themselves in the program's memory. */
static void ring_own(void)
{
	struct ring r = {.rings = absent(1, 12), .sqes = (struct io_uring_sqe *)absent(1, 13)};
	char *b = absent(1, 14);
	int p[2];

	memset(r.rings, 0, PAGE), memset(r.sqes, 0, PAGE);
	away(r.rings, PAGE), away(r.sqes, PAGE);
	r.p.flags = 1u << 14; /* IORING_SETUP_NO_MMAP */
	memcpy((char *)&r.p.sq_off + 32, &r.sqes, 8), memcpy((char *)&r.p.cq_off + 32, &r.rings, 8);
	r.fd = (int)syscall(SYS_io_uring_setup, 8, &r.p);
	if (r.fd < 0 || pipe(p)) {
		printf("ring own: error %d\n", errno);
		return;
	}
	int there = stays(r.rings, 1) + stays(r.sqes, 1);
	ring_request(&r, IORING_OP_READ, p[0], b, PAGE);
	int n = (int)write(p[1], "late", 4) + ring_enter(&r, 1, 1);
	n += result(&r, NULL);
	printf("ring own %d stays %d data %.4s\n", n, there, b);
	close(r.fd), close(p[0]), close(p[1]);
}

int main(void)
{
	char rm[64];

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (!mkdtemp(dir))
		return 1;
	before();
	spliced("vmsplice", 0);
	spliced("vmsplice gift", SPLICE_F_GIFT);
	direct();
	direct_race();
	aio();
	zerocopy();
	ring_fixed();
	ring_provided();
	ring_polled();
	ring_own();
	snprintf(rm, sizeof(rm), "rm -r %s", dir);
	return system(rm);
}
