/*
 * cpu_uffd.c - GMEM_FAULT=uffd: the CPU's page tables by userfaultfd. See cpu_mmu.h.
 *
 * Asks for the privileged form (CAP_SYS_PTRACE, or vm.unprivileged_userfaultfd=1): the other one
 * answers EFAULT to system calls, where sigsegv with its holds does better. Linux 6.4:
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

void (*gmc_uffd_service)(int fd, int wake);
static int uffd = -1, wake_fd = -1; /* wake_fd: an eventfd; the service ends when it can be read */
static _Atomic uint32_t serving;    /* futex */

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

static void *serve(void *arg)
{
	gmc_uffd_service(uffd, wake_fd);
	atomic_store(&serving, false);
	gmi_futex_wake(&serving, INT32_MAX);
	return arg;
}

static int start_service(void)
{
	atomic_store(&serving, true);
	int err = gmi_thread_start(serve, NULL);
	if (err)
		atomic_store(&serving, false);
	return err;
}

/* Threads that touch what is not there wait until gmc_uffd_return(). */
void gmc_uffd_rest(void)
{
	uint64_t one = 1;

	gm_sys3(SYS_write, wake_fd, &one, sizeof one);
	while (atomic_load(&serving))
		gmi_futex_wait(&serving, true, -1);
	gm_sys3(SYS_read, wake_fd, &one, sizeof one);
}

int gmc_uffd_return(void)
{
	return start_service();
}

static void close_fds(void)
{
	gmi_fd_close(uffd);
	gmi_fd_close(wake_fd);
	uffd = wake_fd = -1;
}

int gmc_uffd_start(void)
{
	struct uffdio_api api = {.api = UFFD_API, .features = FEATURES};

	uffd = gmi_fd_raise((int)gm_sys1(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK));
	if (uffd < 0)
		return uffd;
	wake_fd = gmi_fd_raise((int)gm_sys2(SYS_eventfd2, 0, O_CLOEXEC));
	int err = gm_min(wake_fd, 0);
	if (!err)
		err = (int)gm_sys3(SYS_ioctl, uffd, UFFDIO_API, &api);
	if (!err)
		err = start_service();
	if (err)
		close_fds();
	return err;
}

void gmc_uffd_forked(void)
{
	close_fds();
	atomic_store(&serving, false);
}

/* Nothing is adopted any more; who still waits for a page looks again. */
void gmc_uffd_leave(void)
{
	close_fds();
}
