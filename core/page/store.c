/*
 * store.c - the host store: how the bytes behind a VA change their home without anybody
 * noticing.
 *
 * The store is one sparse memfd, offset = VA - base. Its VMAs come from cloning the mold or the
 * alias with mremap(old_size 0): atomic, needs no descriptor (programs close those), and linear
 * offsets let neighbours merge again.
 */
#include "core/page/store.h"
#include "core/page/spare.h"
#include "core/sys/at_fork.h"
#include "core/sys/inject.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

int gmc_store_open(struct gm_as *as)
{
	if (as->store.alias)
		return 0;
	int fd = gmi_memfd("gmem-store", as->bytes);
	if (fd < 0)
		return fd;
	/* 2 MiB aligned as the window is, so that large folios line up. */
	size_t span = as->bytes + GM_BLOCK_BYTES;
	char *room = gm_sys_mmap(NULL, 2 * span, PROT_NONE,
				 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	int err = gm_is_err(room) ? gm_err(room) : 0;
	if (err)
		goto close;
	char *alias = (char *)gm_align_up((uintptr_t)room, GM_BLOCK_BYTES), *mold = alias + span;
	int shared = MAP_SHARED | MAP_NORESERVE | MAP_FIXED;
	void *a = gm_sys_mmap(alias, as->bytes, PROT_NONE, shared, fd, 0);
	void *m = gm_sys_mmap(mold, as->bytes, PROT_NONE, shared, fd, 0);
	err = gm_is_err(a) ? gm_err(a) : gm_is_err(m) ? gm_err(m) : 0;
	/* Where the program has said mlockall(MCL_FUTURE), what can be accessed is filled with
	 * memory as it is mapped: so unlocked first. */
	gm_sys2(SYS_munlock, room, 2 * span);
	if (!err)
		err = gm_sys_mprotect(alias, as->bytes, PROT_READ | PROT_WRITE);
	if (err) {
		gm_sys_munmap(room, 2 * span);
		goto close;
	}
	/* A dying program's core would fill all of the window with memory to write it out. */
	gm_sys3(SYS_madvise, room, 2 * span, MADV_DONTDUMP);
	as->store = (struct gm_store){
		.fd = fd, .alias = alias, .mold = mold, .room = room, .room_bytes = 2 * span};
	return 0;
close:
	gmi_fd_close(fd);
	return err;
}

void gmc_store_close(struct gm_as *as)
{
	if (!as->store.alias)
		return;
	gm_sys_munmap(as->store.room, as->store.room_bytes);
	gmi_fd_close(as->store.fd);
	as->store = (struct gm_store){.fd = -1};
}

#define POPULATE_WRITE 23

int gmc_store_clone(char *of, uintptr_t va, size_t len)
{
	if (gm_inject(GM_INJ_REMAP))
		return -ENOMEM;
	void *p = (void *)gm_sys5(SYS_mremap, of, 0, len, MREMAP_MAYMOVE | MREMAP_FIXED, va);
	if (gm_is_err(p))
		return gm_err(p);
	gm_sys3(SYS_madvise, va, len, MADV_DODUMP); /* the program's memory belongs into its core */
	return 0;
}

int gmc_store_map_none(struct gm_as *as, uintptr_t va, size_t len)
{
	return gmc_store_clone(as->store.mold + (va - as->base), va, len);
}

int gmc_store_map_rw(struct gm_as *as, uintptr_t va, size_t len)
{
	return gmc_store_clone(as->store.alias + (va - as->base), va, len);
}

/* Kernels before 5.14 do not know the advice: there a host without memory kills, as it always
 * did. */
int gmc_populate(void *p, size_t len)
{
	if (gm_inject(GM_INJ_HOSTMEM))
		return -ENOMEM;
	int err = (int)gm_sys3(SYS_madvise, p, len, POPULATE_WRITE);
	return err == -EINVAL ? 0 : err ? -ENOMEM : 0;
}

int gmc_store_populate(struct gm_as *as, uintptr_t va, size_t len)
{
	return gmc_populate(gm_alias(as, va), len);
}

void gmc_store_take(struct gm_as *as, uintptr_t va, size_t len)
{
	gm_copy(gm_alias(as, va), (void *)va, len);
}

void gmc_store_punch(struct gm_as *as, uintptr_t va, size_t len)
{
	gm_sys3(SYS_madvise, gm_alias(as, va), len, MADV_REMOVE);
}

int gmc_store_unmap(struct gm_as *as, uintptr_t va, size_t len, int prot, bool copy)
{
	int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
	if (gm_inject(GM_INJ_REMAP))
		return -ENOMEM;
	if (!copy) {
		void *p = gm_sys_mmap((void *)va, len, prot, flags | MAP_FIXED, -1, 0);
		return gm_is_err(p) ? gm_err(p) : 0;
	}
	/* Filled out of sight, then moved over the VA in one step: no other thread sees half of
	 * it. */
	char *tmp = gm_sys_mmap(NULL, len, PROT_READ | PROT_WRITE, flags, -1, 0);
	if (gm_is_err(tmp))
		return gm_err(tmp);
	gm_copy(tmp, gm_alias(as, va), len);
	int err = gm_sys_mprotect(tmp, len, prot);
	if (!err) {
		void *p = (void *)gm_sys5(SYS_mremap, tmp, len, len, MREMAP_MAYMOVE | MREMAP_FIXED,
					  va);
		err = gm_is_err(p) ? gm_err(p) : 0;
	}
	if (err)
		gm_sys_munmap(tmp, len);
	return err;
}

/*
 * /proc/self/pagemap, opened once: a descriptor that comes and goes takes the lowest number,
 * which the program expects of its next open(). A fork child's shows the child's memory.
 */
static _Atomic int pagemap = -1;

static void pagemap_forked(void)
{
	gmi_fd_close(atomic_exchange(&pagemap, -1));
}

int gmc_pagemap_fd(void)
{
	int fd = atomic_load_explicit(&pagemap, memory_order_acquire), none = -1;

	if (gm_inject(GM_INJ_PAGEMAP))
		return -ENOENT;
	if (fd >= 0)
		return fd;
	gmi_at_fork_child(pagemap_forked);
	fd = (int)gm_sys4(SYS_openat, AT_FDCWD, "/proc/thread-self/pagemap", O_RDONLY | O_CLOEXEC,
			  0);
	fd = gmi_fd_raise(fd);
	if (fd < 0 || atomic_compare_exchange_strong(&pagemap, &none, fd))
		return fd;
	gmi_fd_close(fd);
	return none;
}

bool gmc_pagemap_read(int fd, uint64_t va, size_t n, uint64_t *entry)
{
	long bytes = (long)(n * sizeof *entry);

	return fd >= 0 &&
	       gm_sys4(SYS_pread64, fd, entry, bytes, va / GM_PAGE_BYTES * sizeof *entry) == bytes;
}

gm_bm gmc_touched(struct gm_block *b, unsigned first, unsigned end)
{
	gm_bm all = gm_bm_range(first, end), touched = gm_bm_zero();
	uint64_t entry[64];
	int fd = gmc_pagemap_fd();

	for (unsigned i = first; i < end; i += GM_ARRAY_LEN(entry)) {
		unsigned n = gm_min((unsigned)GM_ARRAY_LEN(entry), end - i);
		if (!gmc_pagemap_read(fd, gm_va_of(b, i), n, entry))
			return all;
		for (unsigned k = 0; k < n; k++)
			if (gm_pagemap_holds(entry[k]))
				touched.w[(i + k) >> 6] |= 1ull << ((i + k) & 63);
	}
	return touched;
}

gm_bm gmc_store_holes(const struct gm_block *b, gm_bm set)
{
	int fd = b->as->store.fd;
	uint64_t start = b->va - b->as->base;
	gm_bm holes = gm_bm_zero();

	gm_bm_for_each_run (&set, first, end) {
		for (unsigned i = first; i < end;) {
			long data = gm_sys3(SYS_lseek, fd, start + i * GM_PAGE_BYTES, SEEK_DATA);
			if (data < 0 && data != -ENXIO)
				return gm_bm_zero();
			uint64_t at = data < 0 ? end : (data - start) / GM_PAGE_BYTES;
			unsigned next = (unsigned)gm_min(at, (uint64_t)end);
			gm_bm_add(&holes, gm_bm_range(i, next));
			if (next == end)
				break;
			long hole = gm_sys3(SYS_lseek, fd, data, SEEK_HOLE);
			if (hole < 0)
				return gm_bm_zero();
			at = (hole - start) / GM_PAGE_BYTES;
			i = (unsigned)gm_min(at, (uint64_t)end);
		}
	}
	return holes;
}

/* What the block retains changed: keep the space's sum true. */
static void recount(struct gm_block *b)
{
	uint32_t pages = gm_bm_count(gm_bm_andnot(b->backed, b->host));
	int64_t delta = ((int64_t)pages - b->retained_pages) * (int64_t)GM_PAGE_BYTES;

	b->retained_pages = pages;
	if (delta)
		atomic_fetch_add_explicit(&b->as->retained_bytes, delta, memory_order_relaxed);
	if (delta > 0)
		gm_spare_grows();
}

/* Gives the stale host copies of b back. */
static void punch_stale(struct gm_block *b)
{
	gm_bm stale = gm_bm_andnot(b->backed, b->host);
	gm_bm_for_each_run (&stale, first, end)
		gmc_store_punch(b->as, b->va + first * GM_PAGE_BYTES,
				(end - first) * GM_PAGE_BYTES);
	gm_bm_remove(&b->backed, stale);
	recount(b);
}

static int64_t over_limit(struct gm_as *as)
{
	int64_t most = atomic_load_explicit(&gmc_retain_most, memory_order_relaxed);

	return atomic_load_explicit(&as->retained_bytes, memory_order_relaxed) -
	       gm_min(most, (int64_t)gmi_opt.retain_bytes);
}

/*
 * Blocks with stale copies queue in the order in which they first had some. retained_pages and
 * on_retain belong to the block's lock, the links to retain_lock. A block at the head that
 * somebody has locked ends the search: the next caller continues it. `own` is locked by the caller.
 */
static void punch_oldest(struct gm_as *as, struct gm_block *own)
{
	while (over_limit(as) > 0 && as->retain_head) {
		struct gm_block *old = as->retain_head;
		if (old != own && !gmi_trylock(&old->lock))
			break;
		as->retain_head = old->retain_next;
		old->on_retain = false;
		punch_stale(old);
		if (old != own)
			gmi_unlock(&old->lock);
	}
}

void gmc_retain_trim(struct gm_as *as)
{
	gmi_lock(&as->retain_lock);
	punch_oldest(as, NULL);
	gmi_unlock(&as->retain_lock);
}

void gmc_retain(struct gm_block *b)
{
	struct gm_as *as = b->as;

	recount(b);
	if (b->retained_pages && gmi_opt.retain_bytes == 0)
		punch_stale(b);
	if ((!b->retained_pages || b->on_retain) && over_limit(as) <= 0)
		return;
	gmi_lock(&as->retain_lock);
	if (b->retained_pages && !b->on_retain) {
		b->on_retain = true;
		b->retain_next = NULL;
		*(as->retain_head ? &as->retain_tail->retain_next : &as->retain_head) = b;
		as->retain_tail = b;
	}
	punch_oldest(as, b);
	gmi_unlock(&as->retain_lock);
}
