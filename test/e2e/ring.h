/* ring.h - a ring of io_uring by raw calls, for tests. */
#ifndef E2E_RING_H
#define E2E_RING_H

#include <linux/io_uring.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

struct ring {
	int fd;
	struct io_uring_params p;
	char *rings; /* both queues */
	size_t rings_bytes, sqes_bytes;
	struct io_uring_sqe *sqes;
	unsigned tail; /* of what was submitted and what is being made */
};

static inline unsigned *ring_word(struct ring *r, unsigned at)
{
	return (unsigned *)(r->rings + at);
}

/* Maps the rings of r->fd, as r->p tells. 0 or -1 */
static inline int ring_map(struct ring *r)
{
	size_t sq = r->p.sq_off.array + r->p.sq_entries * sizeof(unsigned);
	size_t cq = r->p.cq_off.cqes + r->p.cq_entries * sizeof(struct io_uring_cqe);

	r->rings_bytes = sq > cq ? sq : cq;
	r->sqes_bytes = r->p.sq_entries * sizeof(struct io_uring_sqe);
	r->rings = mmap(NULL, r->rings_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE,
			r->fd, IORING_OFF_SQ_RING);
	r->sqes = mmap(NULL, r->sqes_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE,
		       r->fd, IORING_OFF_SQES);
	r->tail = 0;
	return r->rings == MAP_FAILED || r->sqes == MAP_FAILED ? -1 : 0;
}

static inline int ring_open(struct ring *r, unsigned entries, unsigned flags)
{
	memset(r, 0, sizeof(*r));
	r->p.flags = flags;
	r->fd = (int)syscall(SYS_io_uring_setup, entries, &r->p);
	return r->fd < 0 ? -1 : ring_map(r);
}

static inline void ring_close(struct ring *r)
{
	munmap(r->rings, r->rings_bytes);
	munmap(r->sqes, r->sqes_bytes);
	close(r->fd);
}

/* The next request, its number as user data. */
static inline struct io_uring_sqe *ring_request(struct ring *r, unsigned op, int fd, const void *p,
						unsigned n)
{
	unsigned i = r->tail++ % r->p.sq_entries;
	struct io_uring_sqe *s = &r->sqes[i];

	memset(s, 0, sizeof(*s));
	s->opcode = (uint8_t)op, s->fd = fd, s->addr = (uintptr_t)p, s->len = n;
	s->user_data = r->tail;
	ring_word(r, r->p.sq_off.array)[i] = i;
	return s;
}

/* What is made becomes visible to the kernel. */
static inline void ring_publish(struct ring *r)
{
	__atomic_store_n(ring_word(r, r->p.sq_off.tail), r->tail, __ATOMIC_RELEASE);
}

static inline int ring_enter(struct ring *r, unsigned submit, unsigned wait)
{
	ring_publish(r);
	return (int)syscall(SYS_io_uring_enter, r->fd, submit, wait,
			    wait ? IORING_ENTER_GETEVENTS : 0, NULL, 0);
}

/* The next completion: 0 if there is none. */
static inline int ring_done(struct ring *r, struct io_uring_cqe *c)
{
	unsigned *head = ring_word(r, r->p.cq_off.head), at = *head;

	if (at == __atomic_load_n(ring_word(r, r->p.cq_off.tail), __ATOMIC_ACQUIRE))
		return 0;
	*c = ((struct io_uring_cqe *)(r->rings + r->p.cq_off.cqes))[at % r->p.cq_entries];
	__atomic_store_n(head, at + 1, __ATOMIC_RELEASE);
	return 1;
}

#endif
