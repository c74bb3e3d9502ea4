/*
 * uring.c - io_uring: the kernel uses memory of requests after the call that submitted them, and
 * learns of requests from shared memory. What they name is pinned for good: a page of the
 * program that the kernel may write to at any moment must not move, and nothing says when the
 * last request that named it has ended.
 *
 * Requests are found where the program writes them: the mappings of submission queue entries.
 * All of them are looked at before each submission, also those of earlier ones: which are new is
 * known to the owner of a ring only, and memory that is pinned already costs a look. Rings of
 * provided buffers are treated the same way.
 *
 * A ring whose submission queue is polled by a kernel thread would need no call at all. It is
 * made without the thread and its queue always says "wake me up": the program then calls for
 * each submission, as after an idle time.
 */
#include "preload/syscalls/uring.h"

#include <fcntl.h>
#include <linux/io_uring.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "preload/ground/gate.h"
#include "preload/ground/ground.h"
#include "preload/syscalls/descriptors.h"
#include "core/sys/vma.h"
#include "preload/syscalls/held.h"
#include "preload/syscalls/syscall_table.h"

#ifndef IORING_SETUP_NO_MMAP
#define IORING_SETUP_NO_MMAP (1u << 14)
#endif
#define SETUP_SQE128 (1u << 10)
#define SETUP_CQE32  (1u << 11)
/* COOP_TASKRUN, TASKRUN_FLAG, DEFER_TASKRUN */
#define NOT_WITH_SQPOLL	   (1u << 8 | 1u << 9 | 1u << 13)
#define REGISTER_PBUF_RING 22
#define REGISTER_BY_NUMBER (1u << 31)
#define MAX_AREAS	   64
#define SQE_BYTES	   64

/* Memory in which the program writes requests or buffers. */
static struct area {
	const char *lo;
	size_t bytes; /* 0: free */
	enum gmp_layout_id layout;
} areas[MAX_AREAS];
static _Atomic unsigned nareas; /* slots that were ever in use */
static struct gm_lock lock;

static void add_area(const void *lo, size_t bytes, enum gmp_layout_id layout)
{
	static _Atomic bool told;
	gm_sigmask mask = gmi_block_signals();

	gmi_lock(&lock);
	unsigned n = atomic_load(&nareas), i = 0;
	while (i < n && areas[i].bytes && areas[i].lo != lo)
		i++;
	if (i < MAX_AREAS) {
		areas[i] = (struct area){lo, bytes, layout};
		atomic_store(&nareas, gm_max(n, i + 1));
	}
	gmi_unlock(&lock);
	gmi_restore_signals(mask);
	if (i == MAX_AREAS && !atomic_exchange(&told, true))
		gm_log(GM_LOG_WARN,
		       "more than %d io_uring rings: memory of their requests may move", MAX_AREAS);
}

void gmp_uring_mapped(const void *addr, size_t len, uint64_t off)
{
	if (off == IORING_OFF_SQES)
		add_area(addr, len, GMP_LAYOUT_SQE);
}

bool gmp_uring_any(void)
{
	return atomic_load_explicit(&nareas, memory_order_relaxed) != 0;
}

void gmp_uring_unmapped(const void *addr, size_t len)
{
	if (gm_likely(!gmp_uring_any()))
		return;
	gm_sigmask mask = gmi_block_signals();
	gmi_lock(&lock);
	for (unsigned i = 0; i < atomic_load(&nareas); i++)
		if (areas[i].lo >= (const char *)addr && areas[i].lo < (const char *)addr + len)
			areas[i].bytes = 0;
	gmi_unlock(&lock);
	gmi_restore_signals(mask);
}

void gmp_uring_forked(void)
{
	lock = (struct gm_lock){0};
}

void gmp_uring_submitting(void)
{
	struct gmp_ranges rs = {.pin = gmp_keep};

	for (unsigned i = 0; i < atomic_load_explicit(&nareas, memory_order_acquire); i++) {
		struct area a = areas[i];
		if (a.bytes)
			gmp_ranges_layout(&rs, a.layout, a.lo,
					  a.bytes / gmp_layouts[a.layout].bytes);
	}
}

/* ---- the three calls ---- */

static unsigned power_of_two(unsigned n)
{
	return n > 1 ? 2u << (31 - __builtin_clz(n - 1)) : 1;
}

/* Rings in the program's own memory: in use for as long as the ring is. */
static void keep_rings(unsigned entries, const struct io_uring_params *p)
{
	/* of sq_off.resv2 and cq_off.resv2 in older headers: user_addr */
	uint64_t sqes = p->sq_off.resv2, rings = p->cq_off.resv2;
	size_t n = power_of_two(entries),
	       cq = p->flags & IORING_SETUP_CQSIZE ? p->cq_entries : 2 * n;
	size_t bytes = n * SQE_BYTES << !!(p->flags & SETUP_SQE128);

	gmp_keep((void *)sqes, bytes, true);
	gmp_keep((void *)rings, GM_PAGE_BYTES + n * 4 + (cq * 16 << !!(p->flags & SETUP_CQE32)),
		 true);
	add_area((void *)sqes, bytes, GMP_LAYOUT_SQE);
}

static long say_wake_me_up(int fd, const struct io_uring_params *p)
{
	size_t bytes = p->sq_off.flags + sizeof(unsigned);
	char *ring = gm_sys_mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
				 IORING_OFF_SQ_RING);

	if (gm_is_err(ring))
		return gm_err(ring);
	__atomic_fetch_or((unsigned *)(ring + p->sq_off.flags), IORING_SQ_NEED_WAKEUP,
			  __ATOMIC_SEQ_CST);
	gm_sys_munmap(ring, bytes);
	return 0;
}

long gmp_uring_setup(unsigned entries, void *user)
{
	struct io_uring_params p;

	if (gmp_copy(&p, user, sizeof(p)))
		return -EFAULT;
	const unsigned asked = p.flags & (IORING_SETUP_SQPOLL | IORING_SETUP_SQ_AFF);
	const bool polled = (asked & IORING_SETUP_SQPOLL) &&
			    !(p.flags & (NOT_WITH_SQPOLL | IORING_SETUP_NO_MMAP));
	if (polled)
		p.flags &= ~asked;
	if (p.flags & IORING_SETUP_NO_MMAP)
		keep_rings(entries, &p);
	long fd = gm_sys2(SYS_io_uring_setup, entries, &p);
	if (fd < 0)
		return fd;
	long err = polled ? say_wake_me_up((int)fd, &p) : 0;
	if (polled)
		p.flags |= asked;
	if (!err)
		err = gmp_copy(user, &p, sizeof(p));
	if (err)
		gm_sys1(SYS_close, fd);
	return err ? err : fd;
}

struct buf_reg { /* struct io_uring_buf_reg */
	uint64_t addr;
	uint32_t entries;
	uint16_t group, flags;
};

long gmp_uring_register(const long a[6])
{
	struct buf_reg reg;
	bool ring = ((uint32_t)a[1] & ~REGISTER_BY_NUMBER) == REGISTER_PBUF_RING &&
		    !gmp_copy(&reg, (void *)a[2], sizeof(reg));
	long r = gmp_held_syscall(SYS_io_uring_register, a);

	if (!r && ring && reg.addr)
		add_area((void *)reg.addr, reg.entries * sizeof(struct io_uring_buf),
			 GMP_LAYOUT_PBUF);
	return r;
}

/* ---- rings from before the activation ---- */

static void each_line(const char *path, void (*each)(const char *line, void *arg), void *arg)
{
	char buf[4096];
	size_t have = 0;
	long n, fd = gm_sys3(SYS_open, path, O_RDONLY | O_CLOEXEC, 0);

	if (fd < 0)
		return;
	while ((n = gm_sys3(SYS_read, fd, buf + have, sizeof(buf) - 1 - have)) > 0) {
		char *line = buf, *end;
		buf[have += (size_t)n] = '\0';
		for (; (end = strchr(line, '\n')); line = end + 1) {
			*end = '\0';
			each(line, arg);
		}
		have = (size_t)(buf + have - line);
		if (have == sizeof(buf) - 1) /* a name as long as that is no ring's */
			have = 0;
		memmove(buf, line, have);
	}
	gm_sys1(SYS_close, fd);
}

static uint64_t digits(const char **s, unsigned base)
{
	uint64_t v = 0;

	for (; (**s >= '0' && **s <= '9') || (base == 16 && **s >= 'a' && **s <= 'f'); ++*s)
		v = v * base + (uint64_t)(**s <= '9' ? **s - '0' : **s - 'a' + 10);
	return v;
}

static long look_at_mapping(const struct gm_vma *vma, void *unused)
{
	if (strstr(vma->name, "[io_uring]"))
		gmp_uring_mapped((void *)vma->lo, vma->hi - vma->lo, vma->off);
	return 0;
}

/* Of a ring's /proc/self/fdinfo: "UserBufs: count", then "number: 0xaddress/bytes" for each. The
 * kernel leaves those out while the ring is busy. */
struct registered {
	bool inside;
	uint64_t said, seen;
};

static void look_at_buffer(const char *line, void *arg)
{
	static const char title[] = "UserBufs:";
	struct registered *r = arg;
	const char *s = line, *at = strstr(line, ": 0x");

	if (!strncmp(line, title, sizeof(title) - 1)) {
		for (s += sizeof(title) - 1; *s == '\t' || *s == ' '; s++)
			;
		*r = (struct registered){.inside = true, .said = digits(&s, 10)};
	} else if (r->inside && at && *line == ' ') {
		s = at + 4;
		void *p = (void *)digits(&s, 16);
		s++;
		size_t n = digits(&s, 10);
		/* the kernel has these very pages: they cannot go into the store any more */
		if (gmp_managed(p, n))
			gmp_keep(p, n, false);
		r->seen++;
	} else {
		r->inside = false;
	}
}

#define BUSY_TRIES 100

static void look_at_fd(unsigned fd, void *unused)
{
	static const char ring[] = "anon_inode:[io_uring]";
	char path[64], name[sizeof(ring)] = "";
	struct registered r = {0};
	struct timespec pause = {0, 50000};

	gmi_snprintf(path, sizeof(path), "/proc/thread-self/fd/%u", fd);
	if (gm_sys3(SYS_readlink, path, name, sizeof(name)) != sizeof(ring) - 1 ||
	    memcmp(name, ring, sizeof(ring) - 1))
		return;
	gmi_snprintf(path, sizeof(path), "/proc/thread-self/fdinfo/%u", fd);
	for (int i = 0; i < BUSY_TRIES; i++) {
		each_line(path, look_at_buffer, &r);
		if (r.seen >= r.said)
			return;
		gm_sys2(SYS_nanosleep, &pause, NULL);
	}
	gm_log(GM_LOG_WARN,
	       "io_uring: of %lu registered buffers only %lu are known: the others may move",
	       (unsigned long)r.said, (unsigned long)r.seen);
}

void gmp_uring_find(void)
{
	gmp_each_fd(look_at_fd, NULL);
	gmi_vma_each(0, UINT64_MAX, look_at_mapping, NULL);
	gmp_uring_submitting(); /* what is under way has been submitted from there */
}
