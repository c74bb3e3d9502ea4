/*
 * cpu_uffd.c - GMEM_FAULT=uffd: the CPU's page tables by userfaultfd. See cpu_mmu.h.
 *
 * Asks for the privileged form (CAP_SYS_PTRACE, or vm.unprivileged_userfaultfd=1): the other one
 * answers EFAULT to system calls, where sigsegv with its pins does better. Linux 6.4:
 * UFFDIO_CONTINUE_MODE_WP.
 */
#include "core/page/cpu_mmu.h"
#include "core/page/store.h"
#include "core/sys/own_thread.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#define CONTINUE_MODE_WP ((uint64_t)1 << 1) /* newer than some headers */
#define FEATURE_WP_SHMEM ((uint64_t)1 << 12)
#define FEATURES	 (UFFD_FEATURE_MISSING_SHMEM | UFFD_FEATURE_MINOR_SHMEM | FEATURE_WP_SHMEM)
#define DONTNEED_LOCKED	 24

void *(*gmc_uffd_service)(void *fd);
static int uffd = -1;

static int uffd_request(unsigned long what, void *arg)
{
	return (int)gm_sys3(SYS_ioctl, uffd, what, arg);
}

static void *va_at(const struct gm_block *b, unsigned i)
{
	return (void *)(b->va + i * GM_PAGE_BYTES);
}

/* Adopted pages that userfaultfd watches; all others have their rights from mprotect. */
static gm_bm watched(const struct gm_block *b, gm_bm set)
{
	return gm_bm_andnot(gm_bm_and(set, b->adopted), b->unwatched);
}

static int write_protect(struct gm_block *b, unsigned first, unsigned end, bool on)
{
	struct uffdio_writeprotect wp = {
		.range = {(uintptr_t)va_at(b, first), (end - first) * GM_PAGE_BYTES},
		.mode = on ? UFFDIO_WRITEPROTECT_MODE_WP : 0};
	int err;

	do
		err = uffd_request(UFFDIO_WRITEPROTECT, &wp);
	while (err == -EAGAIN); /* somebody changes mappings at this moment */
	return err;
}

static int uffd_lower(struct gm_block *b, gm_bm set, gm_bm keep_read)
{
	gm_bm seen = watched(b, set), dark = gm_bm_andnot(seen, keep_read),
	      ro = gm_bm_and(seen, keep_read);
	int err = gmc_protect_runs(b, gm_bm_andnot(set, seen), keep_read, gm_bm_zero());

	gm_bm_for_each_run (&dark, first, end)
		if (!err)
			err = (int)gm_sys3(SYS_madvise, va_at(b, first),
					   (end - first) * GM_PAGE_BYTES, DONTNEED_LOCKED);
	gm_bm_for_each_run (&ro, first, end)
		if (!err)
			err = write_protect(b, first, end, true);
	return err;
}

/* Entries for the store's pages [first, end), which may exist in part already. */
static int uffd_enter(struct gm_block *b, unsigned first, unsigned end, bool writable)
{
	while (first < end) {
		size_t len = (end - first) * GM_PAGE_BYTES;
		struct uffdio_continue c = {.range = {(uintptr_t)va_at(b, first), len},
					    .mode = writable ? 0 : CONTINUE_MODE_WP};
		int err = uffd_request(UFFDIO_CONTINUE, &c);
		if (!err)
			return 0;
		if (c.mapped > 0) {
			first += (unsigned)((uint64_t)c.mapped >> GM_PAGE_SHIFT);
			continue;
		}
		if (err == -ENOENT && end - first > 1) { /* several VMAs */
			unsigned middle = first + (end - first) / 2;
			err = uffd_enter(b, first, middle, writable);
			first = middle;
		} else if (err == -EFAULT) { /* a page that the store does not have yet: zeros */
			err = gmc_store_populate(b->as, (uintptr_t)va_at(b, first), GM_PAGE_BYTES);
		} else if (err == -EEXIST) {
			err = write_protect(b, first, first + 1, !writable);
			first++;
		}
		if (err && err != -EAGAIN)
			return err;
	}
	return 0;
}

/* As far as [i, end) is writable or not alike. */
static unsigned alike(const gm_bm *w, unsigned i, unsigned end)
{
	return gm_min(end, gm_bm_next(w, i, !gm_bm_test(w, i)));
}

static int uffd_raise(struct gm_block *b, gm_bm set, gm_bm r, gm_bm w)
{
	gm_bm seen = watched(b, set), now = gm_bm_and(seen, r);
	int err = gmc_protect_runs(b, gm_bm_andnot(set, seen), r, w);

	gm_bm_for_each_run (&now, first, end)
		for (unsigned i = first, j; i < end && !err; i = j) {
			j = alike(&w, i, end);
			err = uffd_enter(b, i, j, gm_bm_test(&w, i));
		}
	return err;
}

static int uffd_watch(struct gm_block *b, unsigned first, unsigned end)
{
	struct uffdio_register r = {
		.range = {(uintptr_t)va_at(b, first), (end - first) * GM_PAGE_BYTES},
		.mode = UFFDIO_REGISTER_MODE_MISSING | UFFDIO_REGISTER_MODE_MINOR |
			UFFDIO_REGISTER_MODE_WP};

	return uffd_request(UFFDIO_REGISTER, &r);
}

/*
 * A VMA that is cloned into place has lost its userfaultfd. Out of reach it is only opened when
 * it is watched; a touch before that is a SIGSEGV, which waits for the block like any fault.
 * Pages that cannot be watched (out of VMAs) stay with mprotect.
 */
static int uffd_adopt(struct gm_block *b, unsigned first, unsigned end, bool present)
{
	gm_bm run = gm_bm_range(first, end);
	size_t len = (end - first) * GM_PAGE_BYTES;
	int err = (present ? gmc_store_map_rw
			   : gmc_store_map_none)(b->as, (uintptr_t)va_at(b, first), len);

	if (err)
		return err;
	gm_bm_remove(&b->unwatched, run);
	if (!uffd_watch(b, first, end)) {
		if (!gmc_protect_runs(b, run, b->prog_r, b->prog_w))
			return 0;
		struct uffdio_range range = {(uintptr_t)va_at(b, first), len};
		uffd_request(UFFDIO_UNREGISTER, &range);
		if (!present) /* it may be half open */
			gm_sys_mprotect(va_at(b, first), len, PROT_NONE);
	}
	gm_bm_add(&b->unwatched, run);
	return 0;
}

static int uffd_prog(struct gm_block *b, gm_bm set)
{
	return gmc_protect_runs(b, watched(b, set), b->prog_r, b->prog_w);
}

static void uffd_settle(struct gm_block *b, unsigned i)
{
	gm_bm page = gm_bm_page(i);

	if (gm_bm_empty(watched(b, page)) || !gm_bm_test(&b->cpu_r, i))
		return;
	/* out of reach after a fault that was lost */
	gmc_protect_runs(b, page, b->prog_r, b->prog_w);
	uffd_enter(b, i, i + 1, gm_bm_test(&b->cpu_w, i));
}

/* A child inherits the VMAs, but neither the entries that are missing nor the protection of
 * those that are not. */
static int uffd_freeze(struct gm_block *b, gm_bm set, gm_bm w)
{
	return gmc_protect_runs(b, set, b->cpu_r, gm_bm_zero());
}

static int uffd_thaw(struct gm_block *b)
{
	return uffd_prog(b, b->adopted);
}

const struct gm_cpu_mmu gmc_cpu_uffd = {
	.name = "uffd",
	.lower = uffd_lower,
	.raise = uffd_raise,
	.adopt = uffd_adopt,
	.prog = uffd_prog,
	.settle = uffd_settle,
	.freeze = uffd_freeze,
	.thaw = uffd_thaw,
};

/* ---- its descriptor ---- */

int gmc_uffd_start(void)
{
	struct uffdio_api api = {.api = UFFD_API, .features = FEATURES};
	int fd = (int)gm_sys1(SYS_userfaultfd, O_CLOEXEC);

	if (fd < 0)
		return fd;
	fd = gmi_fd_raise(fd);
	if (fd < 0)
		return fd;
	int err = (int)gm_sys3(SYS_ioctl, fd, UFFDIO_API, &api);
	uffd = err ? -1 : fd;
	if (!err)
		err = gmi_thread_start(gmc_uffd_service, (void *)(intptr_t)fd);
	if (err) {
		gmi_fd_close(fd);
		uffd = -1;
	}
	return err;
}

void gmc_uffd_forked(void)
{
	gmi_fd_close(uffd);
	uffd = -1;
}
