/* vma.c - see vma.h. */
#include "core/sys/vma.h"
#include "core/sys/text.h"
#include <errno.h>
#include <fcntl.h>

/* linux/fs.h, since 6.11 */
struct procmap_query {
	uint64_t size, query_flags, query_addr;
	uint64_t vma_start, vma_end, vma_flags, vma_page_size, vma_offset, inode;
	uint32_t dev_major, dev_minor, vma_name_size, build_id_size;
	uint64_t vma_name_addr, build_id_addr;
};
#define PROCMAP_QUERY_ 0xc0686611u /* _IOWR('f', 17, struct procmap_query) */
#define QUERY_READABLE 1
#define QUERY_WRITABLE 2
#define QUERY_EXECUTE  4
#define QUERY_SHARED   8
#define QUERY_OR_NEXT  0x10

_Static_assert(sizeof(struct procmap_query) == 0x68, "the ioctl's number holds its size");

static uint64_t device_number(uint64_t major, uint64_t minor)
{
	return (minor & 0xff) | (major & 0xfff) << 8 | (minor & ~0xffull) << 12 |
	       (major & ~0xfffull) << 32;
}

static int query(long fd, uint64_t va, struct gm_vma *vma)
{
	struct procmap_query q = {
		.size = sizeof q,
		.query_flags = QUERY_OR_NEXT,
		.query_addr = va,
		.vma_name_size = sizeof vma->name,
		.vma_name_addr = (uint64_t)vma->name,
	};

	vma->name[0] = 0;
	long err = gm_sys3(SYS_ioctl, fd, PROCMAP_QUERY_, &q);
	if (err == -ENAMETOOLONG) {
		q.vma_name_size = 0;
		q.vma_name_addr = 0;
		err = gm_sys3(SYS_ioctl, fd, PROCMAP_QUERY_, &q);
	}
	if (err)
		return (int)err;
	vma->lo = q.vma_start;
	vma->hi = q.vma_end;
	vma->off = q.vma_offset;
	vma->dev = device_number(q.dev_major, q.dev_minor);
	vma->ino = q.inode;
	vma->read = q.vma_flags & QUERY_READABLE;
	vma->write = q.vma_flags & QUERY_WRITABLE;
	vma->exec = q.vma_flags & QUERY_EXECUTE;
	vma->shared = q.vma_flags & QUERY_SHARED;
	vma->huge = q.vma_page_size > GM_PAGE_BYTES;
	return 0;
}

/* ---- the text ---- */

struct text {
	long fd;
	size_t at, n;
	char buf[1024];
};

static int next_char(struct text *t)
{
	if (t->at == t->n) {
		long n = gm_sys3(SYS_read, t->fd, t->buf, sizeof t->buf);
		t->n = n > 0 ? (size_t)n : 0;
		t->at = 0;
	}
	return t->at < t->n ? (unsigned char)t->buf[t->at++] : -1;
}

/* A number up to the next other character, which is swallowed. */
static uint64_t text_number(struct text *t, unsigned base)
{
	uint64_t v = 0;

	for (int c; (c = next_char(t)) >= 0;) {
		unsigned digit = c >= '0' && c <= '9'	? (unsigned)c - '0'
				 : c >= 'a' && c <= 'f' ? (unsigned)c - 'a' + 10
							: base;
		if (digit >= base)
			break;
		v = v * base + digit;
	}
	return v;
}

/* "lo-hi rwxp off major:minor ino   name". False: no more. */
static bool read_line(struct text *t, struct gm_vma *vma)
{
	size_t n = 0;
	int c;

	vma->lo = text_number(t, 16);
	vma->hi = text_number(t, 16);
	vma->read = next_char(t) == 'r';
	vma->write = next_char(t) == 'w';
	vma->exec = next_char(t) == 'x';
	vma->shared = next_char(t) == 's';
	next_char(t);
	vma->off = text_number(t, 16);
	uint64_t major = text_number(t, 16);
	vma->dev = device_number(major, text_number(t, 16));
	vma->ino = text_number(t, 10);
	while ((c = next_char(t)) >= 0 && c != '\n')
		if ((n || c != ' ') && n + 1 < sizeof vma->name)
			vma->name[n++] = (char)c;
	vma->name[n] = 0;
	vma->huge = gm_text_after(vma->name, "/anon_hugepage");
	return vma->hi;
}

/* What is mapped at va, or next behind it; va rises. 0, -ENOENT */
static int next_text(struct text *t, uint64_t va, struct gm_vma *vma)
{
	while (read_line(t, vma))
		if (va < vma->hi)
			return 0;
	return -ENOENT;
}

long gmc_vma_each_way(uint64_t lo, uint64_t hi, long (*each)(const struct gm_vma *, void *),
		      void *arg, enum gm_vma_way way)
{
	long fd = gm_sys4(SYS_openat, AT_FDCWD, "/proc/thread-self/maps", O_RDONLY | O_CLOEXEC, 0),
	     result = 0;
	struct text t = {.fd = fd};
	struct gm_vma vma;
	int err = fd < 0 ? (int)fd : 0;

	while (!err && !result && lo < hi) {
		if (way == GM_VMA_BEST)
			err = query(fd, lo, &vma);
		if (err == -ENOTTY || err == -EINVAL) /* Linux before 6.11 */
			way = GM_VMA_TEXT;
		if (way == GM_VMA_TEXT)
			err = next_text(&t, lo, &vma);
		lo = err ? lo : vma.hi;
		if (!err && vma.lo < hi)
			result = each(&vma, arg);
	}
	if (fd >= 0)
		gm_sys1(SYS_close, fd);
	return err && err != -ENOENT ? err : result;
}

long gmi_vma_each(uint64_t lo, uint64_t hi, long (*each)(const struct gm_vma *, void *), void *arg)
{
	return gmc_vma_each_way(lo, hi, each, arg, GM_VMA_BEST);
}

static long take_first(const struct gm_vma *vma, void *to)
{
	*(struct gm_vma *)to = *vma;
	return 1;
}

int gmi_vma_next(uint64_t va, struct gm_vma *vma)
{
	long r = gmi_vma_each(va, UINT64_MAX, take_first, vma);

	return r > 0 ? 0 : r < 0 ? (int)r : -ENOENT;
}
