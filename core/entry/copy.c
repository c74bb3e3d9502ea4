/*
 * copy.c - hmemcpy: bytes from wherever they are to a node of the caller's choice, in all
 * combinations.
 *
 * Through a private bounce buffer of 64 KiB, so that only one block is locked at a time and the
 * source does not move: a copy costs two copies of a cached buffer, and never a migration that
 * nobody asked for. Only the destination goes to its node.
 */
#include "core/page/activate.h"
#include "core/page/driver.h"
#include "core/page/frame.h"
#include "core/page/migrate.h"
#include "core/page/entries.h"
#include "core/page/store.h"
#include "core/space/range.h"
#include "core/count/record.h"
#include "core/count/trace.h"
#include <errno.h>
#include <sys/uio.h>

#define BOUNCE_BYTES 65536u

static struct gm_ctx *device_that_has(const struct gm_block *b, unsigned i)
{
	gm_for_each_dev (b, d)
		if (gm_bm_test(&b->dev[d]->valid, i))
			return b->as->ctx[d];
	return NULL;
}

/* Block locked: the part of one page, to or from `buf`, where its bytes are. */
static int access_page(struct gm_block *b, uintptr_t va, char *buf, size_t len, bool write)
{
	unsigned i = gm_page_index(va);

	if (gm_bm_test(&b->host, i)) {
		/* Anonymous pages at their own VA: unadopted, so no device has taken them, and
		 * nobody can under this lock. */
		char *at = gm_bm_test(&b->adopted, i) ? gm_alias(b->as, va) : (char *)va;
		gm_copy(write ? at : buf, write ? buf : at, len);
		if (write && gm_bm_test(&b->adopted, i))
			b->backed.w[i >> 6] |= 1ull << (i & 63);
		return 0;
	}
	struct gm_ctx *ctx = device_that_has(b, i);
	struct gm_dev *dev = ctx->dev;
	uint64_t pa = dev->phys_begin + gm_frame_of(b->dev[dev->index], i) * GM_PAGE_BYTES +
		      va % GM_PAGE_BYTES;
	if (dev->aperture) {
		char *at = dev->aperture + pa;
		gm_copy(write ? at : buf, write ? buf : at, len);
		return 0;
	}
	struct gm_ops o = {.ctx = ctx};
	gmc_ops_add(&o, (struct gm_op){.kind = write ? GM_OP_COPY_IN : GM_OP_COPY_OUT,
				       .host = buf,
				       .pa = pa,
				       .len = len});
	return gmc_ops_flush(&o);
}

/* A chunk of managed memory, and the bytes beside it. */
struct transfer {
	uintptr_t va;
	size_t len;
	char *buf;
	bool write;
	struct gm_dev *dev;
};

/* The chunk's part in one block, locked; managed: of the pages that it is about. */
static int transfer_block(struct gm_block *b, gm_bm managed, void *arg)
{
	const struct transfer *t = arg;
	uintptr_t lo = gm_max(t->va, b->va), hi = gm_min(t->va + t->len, b->va + GM_BLOCK_BYTES);
	gm_bm set = gm_block_pages(b, lo, hi);
	int err = 0;

	if (!gm_bm_empty(gm_bm_andnot(set, gm_bm_and(managed, b->prog_r))))
		return -EFAULT;
	if (t->write && !gm_bm_empty(gm_bm_andnot(set, b->prog_w)))
		return -EPERM;
	if (t->write)
		err = gmc_migrate_dest(b, set, t->dev);
	for (size_t n; !err && lo < hi; lo += n) {
		n = gm_min(hi - lo, GM_PAGE_BYTES - lo % GM_PAGE_BYTES);
		err = access_page(b, lo, t->buf + (lo - t->va), n, t->write);
	}
	return err;
}

/*
 * Memory outside every space. By the kernel, which knows what is there and may be read or
 * written; where that call is forbidden, by hand.
 */
static int copy_unmanaged(char *mem, char *buf, size_t len, bool write)
{
	struct iovec ours = {buf, len}, theirs = {mem, len};
	long n = gm_sys6(write ? SYS_process_vm_writev : SYS_process_vm_readv, gmi_gettid(), &ours,
			 1, &theirs, 1, 0);

	if (n == (long)len)
		return 0;
	if (n != -ENOSYS && n != -EPERM)
		return n == -ENOMEM ? -ENOMEM : -EFAULT;
	gm_copy(write ? mem : buf, write ? buf : mem, len);
	return 0;
}

/* One side of a chunk. */
static int chunk(char *mem, struct gm_as *as, char *buf, size_t len, bool write, struct gm_dev *dev)
{
	struct transfer t = {(uintptr_t)mem, len, buf, write, dev};

	return as ? gmc_each_block(as, t.va, t.va + len, true, transfer_block, &t)
		  : copy_unmanaged(mem, buf, len, write);
}

static bool bad_range(const void *p, size_t bytes)
{
	return !p || (uintptr_t)p + bytes < (uintptr_t)p;
}

static bool leaves_space(const struct gm_as *as, const void *p, size_t bytes)
{
	return as && (uintptr_t)p + bytes > as->base + as->bytes;
}

static int check_copy(int hnid, const struct gm_dev *dev, const void *dest, const void *src,
		      size_t bytes)
{
	const struct gm_as *das = gm_as_of(dest), *sas = gm_as_of(src);

	if (hnid < -1 || bad_range(dest, bytes) || bad_range(src, bytes))
		return -EINVAL;
	if (hnid != -1 && (!dev || (das && !das->ctx[dev->index])))
		return -ENODEV;
	if ((dev && !das) || leaves_space(das, dest, bytes) || leaves_space(sas, src, bytes))
		return -EFAULT;
	return 0;
}

int hmemcpy(int hnid, void *dest, const void *src, size_t bytes)
{
	if (gmc_called_back(__func__))
		return -EDEADLK;
	struct gm_as *das = gm_as_of(dest), *sas = gm_as_of(src);
	struct gm_dev *dev = hnid == -1 ? NULL : gmc_dev_by_hnid(hnid);
	int err = check_copy(hnid, dev, dest, src, bytes);

	if (!err && dev)
		err = gmi_activate();
	char *buf = err ? NULL : gmi_alloc(BOUNCE_BYTES);
	if (!buf)
		return err ? err : -ENOMEM;
	/* Backwards when the destination overlaps the source's end, as memmove. */
	uint8_t cause = gm_trace_cause(GM_CAUSE_COPY);
	uint64_t begin = gm_trace_begin();
	bool back = (uintptr_t)dest - (uintptr_t)src < bytes;
	for (size_t done = 0, n; !err && done < bytes; done += n) {
		n = gm_min(bytes - done, (size_t)BOUNCE_BYTES);
		size_t at = back ? bytes - done - n : done;
		err = chunk((char *)src + at, sas, buf, n, false, NULL);
		if (!err)
			err = chunk((char *)dest + at, das, buf, n, true, dev);
	}
	gm_trace_cause(cause);
	if (!err)
		GM_RECORD(GM_RECORD_COPY, .addr = (uintptr_t)dest, .a = bytes, .site = dev != NULL);
	GM_TRACE(GM_EV_COPY, .time_ns = begin, .addr = (uintptr_t)dest,
		 .pages = (uint32_t)((bytes + GM_PAGE_BYTES - 1) / GM_PAGE_BYTES),
		 .device = dev ? (uint8_t)dev->index : GM_EV_NO_DEVICE,
		 .flags = err ? GM_EV_FAILED : 0);
	gmi_free(buf, BOUNCE_BYTES);
	return err;
}
