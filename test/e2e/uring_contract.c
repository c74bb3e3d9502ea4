/*
 * uring_contract.c - io_uring with memory that is away when a request is made: read and write,
 * vectors, registered buffers, and requests that wait while their buffer is sent away.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "away.h"

#define ENTRIES 8

static int ring;
static unsigned *sq_tail, *sq_mask, *sq_array, *cq_head, *cq_tail, *cq_mask;
static struct io_uring_sqe *sqes;
static struct io_uring_cqe *cqes;

static int setup(void)
{
	struct io_uring_params *p = aligned_alloc(PAGE, PAGE);

	memset(p, 0, sizeof(*p));
	away(p, PAGE);
	ring = (int)syscall(SYS_io_uring_setup, ENTRIES, p);
	if (ring < 0)
		return -errno;
	size_t sq_bytes = p->sq_off.array + p->sq_entries * sizeof(unsigned);
	size_t cq_bytes = p->cq_off.cqes + p->cq_entries * sizeof(*cqes);
	char *sq =
		mmap(NULL, sq_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQ_RING);
	char *cq =
		mmap(NULL, cq_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_CQ_RING);
	sqes = mmap(NULL, p->sq_entries * sizeof(*sqes), PROT_READ | PROT_WRITE, MAP_SHARED, ring,
		    IORING_OFF_SQES);
	if (sq == MAP_FAILED || cq == MAP_FAILED || (void *)sqes == MAP_FAILED)
		return -errno;
	sq_tail = (unsigned *)(sq + p->sq_off.tail),
	sq_mask = (unsigned *)(sq + p->sq_off.ring_mask);
	sq_array = (unsigned *)(sq + p->sq_off.array);
	cq_head = (unsigned *)(cq + p->cq_off.head), cq_tail = (unsigned *)(cq + p->cq_off.tail);
	cq_mask = (unsigned *)(cq + p->cq_off.ring_mask),
	cqes = (struct io_uring_cqe *)(cq + p->cq_off.cqes);
	return 0;
}

static void ask(int op, int fd, const void *p, size_t n, uint64_t off, unsigned buffer)
{
	unsigned at = *sq_tail & *sq_mask;

	sqes[at] = (struct io_uring_sqe){.opcode = (uint8_t)op,
					 .fd = fd,
					 .addr = (uintptr_t)p,
					 .len = (unsigned)n,
					 .off = off};
	sqes[at].buf_index = (uint16_t)buffer;
	sq_array[at] = at;
	__atomic_store_n(sq_tail, *sq_tail + 1, __ATOMIC_RELEASE);
}

static int enter(unsigned submit, unsigned wait)
{
	return (int)syscall(SYS_io_uring_enter, ring, submit, wait,
			    wait ? IORING_ENTER_GETEVENTS : 0, NULL, 0);
}

static int answer(void)
{
	while (*cq_head == __atomic_load_n(cq_tail, __ATOMIC_ACQUIRE))
		if (enter(0, 1) < 0 && errno != EINTR)
			return -errno;
	int r = cqes[*cq_head & *cq_mask].res;
	__atomic_store_n(cq_head, *cq_head + 1, __ATOMIC_RELEASE);
	return r;
}

static int done(int op, int fd, const void *p, size_t n, uint64_t off, unsigned buffer)
{
	ask(op, fd, p, n, off, buffer);
	return enter(1, 1) == 1 ? answer() : -errno;
}

static void files(int fd)
{
	char *b = absent(8, 1), *c = absent(8, 2);
	struct iovec *iov = (struct iovec *)absent(1, 0);

	printf("uring write %d", done(IORING_OP_WRITE, fd, b, 8 * PAGE, 0, 0));
	printf(" read %d", done(IORING_OP_READ, fd, c, 8 * PAGE, 0, 0));
	printf(" same %d\n", !memcmp(b, c, 8 * PAGE));
	away(c, 8 * PAGE);
	c[3 * PAGE] = 0; /* some of it at home */
	for (int i = 0; i < 4; i++)
		iov[i] = (struct iovec){c + (size_t)(3 - i) * PAGE, PAGE};
	away(iov, PAGE);
	printf("uring readv %d", done(IORING_OP_READV, fd, iov, 4, 0, 0));
	printf(" scattered %d\n", !memcmp(b, c + 3 * PAGE, PAGE) && !memcmp(b + 3 * PAGE, c, PAGE));
}

static void registered(int fd)
{
	struct iovec *iov = (struct iovec *)absent(1, 0);
	char *b = absent(4, 3), *c = absent(4, 4);
	int bad = 0;

	iov[0] = (struct iovec){b, 4 * PAGE}, iov[1] = (struct iovec){c, 4 * PAGE};
	away(iov, PAGE), away(b, 4 * PAGE), away(c, 4 * PAGE);
	printf("uring register %d",
	       (int)syscall(SYS_io_uring_register, ring, IORING_REGISTER_BUFFERS, iov, 2));
	for (int i = 0; i < 10; i++) {
		memset(b, i, 4 * PAGE);
		try_away(b, 4 * PAGE), try_away(c, 4 * PAGE); /* they may have to stay */
		bad += done(IORING_OP_WRITE_FIXED, fd, b, 4 * PAGE, 0, 0) != 4 * PAGE;
		bad += done(IORING_OP_READ_FIXED, fd, c, 4 * PAGE, 0, 1) != 4 * PAGE;
		bad += memcmp(b, c, 4 * PAGE) != 0;
	}
	printf(" bad %d\n", bad);
}

static void waiting(void)
{
	char *c = absent(1, 5);
	int p[2];

	if (pipe(p))
		return;
	ask(IORING_OP_READ, p[0], c, PAGE, 0, 0);
	int r = enter(1, 0);
	try_away(c, PAGE); /* the kernel will write there */
	r += (int)write(p[1], "late", 4);
	printf("uring waiting %d read %d data %.4s\n", r, answer(), c);
}

int main(void)
{
	char name[] = "/tmp/uring_contract.XXXXXX";

	setvbuf(stdout, NULL, _IOLBF, 0);
	int r = setup();
	if (r) {
		printf("uring: skipped, no io_uring here (error %d)\n", -r);
		return 0;
	}
	int fd = mkstemp(name);
	unlink(name);
	files(fd);
	registered(fd);
	waiting();
	return 0;
}
