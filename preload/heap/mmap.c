/*
 * mmap and its relatives as the program calls them: what belongs to the managed window goes to
 * core/space/vm.c, all else to the kernel. Passing through costs a comparison and the system
 * call. errno is set on failure only; nothing here calls libc.
 *
 * Managed: private anonymous mappings without a fixed address; a hint is no more than that.
 * Passed through: stacks, MAP_GROWSDOWN, MAP_32BIT, MAP_HUGETLB, fixed addresses outside the
 * window, files, shared and executable memory.
 * Inside the window everything that MAP_FIXED brings is recorded, and what
 * cannot migrate stays on the host.
 *
 * Thread stacks come from libc's own mmap and are never seen here: good, they are left alone.
 */
#include "preload/heap/gmp_mmap.h"
#include "preload/heap/limits.h"
#include "preload/heap/gmp_malloc.h"

#include <stdarg.h>
#include <sys/mman.h>
#include <sys/types.h>

#include "core/count/site.h"
#include "core/entry/outside.h"
#include "core/entry/hold.h"
#include "core/page/activate.h"
#include "core/space/vm.h"
#include "preload/ground/ground.h"
#include "preload/syscalls/uring.h"

static struct gm_as *space;	       /* NULL until gmp_mmap_init() */
static uintptr_t window_lo, window_hi; /* empty until then */

void gmp_mmap_init(void)
{
	space = gmi_vm_space();
	if (space)
		gmi_vm_window(space, &window_lo, &window_hi);
}

void gmp_mmap_leave(void)
{
	window_lo = window_hi = 0;
	space = NULL;
}

/* Any byte of [p, p+len) in the window? Lengths that wrap around are the kernel's to refuse. */
static bool inside_window(const void *p, size_t len)
{
	return (uintptr_t)p < window_hi && (uintptr_t)p + len > window_lo;
}

/* ---- mmap ---- */

/* NULL: more than the window has, the kernel may still have it. */
static void *map_anywhere_inside(size_t len, int prot, int flags, unsigned site)
{
	if (gmp_over_limit(len))
		return (void *)(intptr_t)-ENOMEM;
	void *p = gmi_vm_map(space, len, 0, prot, flags, GM_REGION_ANON, site);
	return gm_is_err(p) && gm_err(p) == -ENOMEM ? NULL : p;
}

static void *map_program(void *addr, size_t len, int prot, int flags, int fd, off_t off,
			 unsigned site)
{
	const int placed = flags & (MAP_FIXED | MAP_FIXED_NOREPLACE);

	if (addr && inside_window(addr, len)) {
		if (placed)
			return gmi_vm_map_fixed(space, addr, len, prot, flags, fd, (uint64_t)off,
						site);
		/* a hint: there if it is free, else anywhere */
		if (gmi_vm_may_migrate(prot, flags)) {
			void *at = (void *)gm_align_down((uintptr_t)addr, GM_PAGE_BYTES);
			void *p =
				gmi_vm_map_fixed(space, at, len, prot, flags | MAP_FIXED_NOREPLACE,
						 fd, (uint64_t)off, site);
			if (!gm_is_err(p))
				return p;
		}
	}
	if (space && !placed && gmi_vm_may_migrate(prot, flags)) {
		void *p = map_anywhere_inside(len, prot, flags, site);
		if (p)
			return p;
	}
	struct gm_outside_change change;
	if (placed)
		gmi_outside_begin(&change, addr, len);
	void *p = gm_sys_mmap(addr, len, prot, flags, fd, (uint64_t)off);
	if (placed)
		gmi_outside_end(&change);
	if (fd >= 0 && !gm_is_err(p))
		gmp_uring_mapped(p, len, (uint64_t)off);
	return p;
}

GM_EXPORT void *mmap(void *addr, size_t len, int prot, int flags, int fd, off_t off)
{
	return (void *)gmp_ret((long)map_program(addr, len, prot, flags, fd, off,
						 gmp_callsite_of(__builtin_return_address(0))));
}

GM_EXPORT void *mmap64(void *addr, size_t len, int prot, int flags, int fd, off64_t off)
{
	return (void *)gmp_ret((long)map_program(addr, len, prot, flags, fd, off,
						 gmp_callsite_of(__builtin_return_address(0))));
}

/* ---- changing mappings ---- */

/* A call that changes mappings outside the window. */
static long change_outside(long nr, const void *addr, size_t len, long a2)
{
	struct gm_outside_change change;

	gmi_outside_begin(&change, addr, len);
	long r = gm_sys3(nr, addr, len, a2);
	gmi_outside_end(&change);
	return r;
}

/* Two ranges are everything between them. */
long gmp_mremap_outside(void *old, size_t old_len, size_t new_len, int flags, void *new_addr)
{
	uintptr_t lo = (uintptr_t)old, hi = lo + gm_max(old_len, new_len);
	struct gm_outside_change change;

	if (flags & MREMAP_FIXED) {
		lo = gm_min(lo, (uintptr_t)new_addr);
		hi = gm_max(hi, (uintptr_t)new_addr + new_len);
	}
	gmi_outside_begin(&change, (void *)lo, hi - lo);
	long r = gm_sys5(SYS_mremap, old, old_len, new_len, flags, new_addr);
	gmi_outside_end(&change);
	return r;
}

GM_EXPORT int munmap(void *addr, size_t len)
{
	gmp_uring_unmapped(addr, len);
	return (int)gmp_ret(inside_window(addr, len) ? gmi_vm_unmap(space, addr, len)
						     : change_outside(SYS_munmap, addr, len, 0));
}

GM_EXPORT int mprotect(void *addr, size_t len, int prot)
{
	return (int)gmp_ret(inside_window(addr, len)
				    ? gmi_vm_protect(space, addr, len, prot)
				    : change_outside(SYS_mprotect, addr, len, prot));
}

GM_EXPORT void *mremap(void *old, size_t old_len, size_t new_len, int flags, ...)
{
	void *new_addr = NULL;
	/* the one case in which the kernel takes a hint, too */
	if (flags & (MREMAP_FIXED | MREMAP_DONTUNMAP)) {
		va_list ap;
		va_start(ap, flags);
		new_addr = va_arg(ap, void *);
		va_end(ap);
	}
	bool ours = inside_window(old, old_len ? old_len : 1) ||
		    (flags & MREMAP_FIXED && inside_window(new_addr, new_len));
	return (void *)gmp_ret(
		ours ? (long)gmi_vm_remap(space, old, old_len, new_len, flags, new_addr)
		     : gmp_mremap_outside(old, old_len, new_len, flags, new_addr));
}

GM_EXPORT int madvise(void *addr, size_t len, int advice)
{
	return (int)gmp_ret(inside_window(addr, len)
				    ? gmi_vm_advise(space, addr, len, advice)
				    : change_outside(SYS_madvise, addr, len, advice));
}

/* Returns the error instead of setting errno. POSIX_MADV_DONTNEED must not lose data: libc does
 * nothing for it. */
GM_EXPORT int posix_madvise(void *addr, size_t len, int advice)
{
	if (advice == POSIX_MADV_DONTNEED)
		return 0;
	return (int)-(inside_window(addr, len) ? gmi_vm_advise(space, addr, len, advice)
					       : change_outside(SYS_madvise, addr, len, advice));
}

/* ---- asking and unlocking (lock.c locks): a hole of the window must look like one ---- */

static long unless_hole(const void *addr, size_t len, long r)
{
	return r == 0 && inside_window(addr, len) && !gmi_vm_covered(space, addr, len) ? -ENOMEM
										       : r;
}

long gmp_munlock(const void *addr, size_t len)
{
	return unless_hole(addr, len, gm_sys2(SYS_munlock, addr, len));
}

GM_EXPORT int munlock(const void *addr, size_t len)
{
	return (int)gmp_ret(gmp_munlock(addr, len));
}

long gmp_msync(void *addr, size_t len, int flags)
{
	return unless_hole(addr, len, gm_sys3(SYS_msync, addr, len, flags));
}

GM_EXPORT int msync(void *addr, size_t len, int flags)
{
	return (int)gmp_ret(gmp_msync(addr, len, flags));
}

long gmp_mincore(void *addr, size_t len, unsigned char *vec)
{
	return inside_window(addr, len) ? gmi_vm_mincore(space, addr, len, vec)
					: gm_sys3(SYS_mincore, addr, len, vec);
}

GM_EXPORT int mincore(void *addr, size_t len, unsigned char *vec)
{
	unsigned hold = gmi_hold(vec, (len + GM_PAGE_BYTES - 1) >> GM_PAGE_SHIFT, true);
	long r = gmp_mincore(addr, len, vec);
	gmi_unhold(hold);
	return (int)gmp_ret(r);
}

/* ---- jemalloc's own calls (see WRAP in the Makefile): never managed, and errno is nobody's
 * business there ---- */

void *__wrap_mmap(void *addr, size_t len, int prot, int flags, int fd, off_t off);
int __wrap_munmap(void *addr, size_t len);
int __wrap_mprotect(void *addr, size_t len, int prot);
int __wrap_madvise(void *addr, size_t len, int advice);

bool gmp_heap_started;

void *__wrap_mmap(void *addr, size_t len, int prot, int flags, int fd, off_t off)
{
	void *p = gm_sys_mmap(addr, len, prot, flags, fd, (uint64_t)off);
	if (gm_unlikely(gm_err(p) == -ENOMEM && gm_is_err(p) && !gmp_heap_started)) {
		/* it would go on, into a null pointer */
		gmi_log(GM_LOG_ERROR,
			"no memory for the heap to start with: RLIMIT_DATA and RLIMIT_AS (ulimit "
			"-d, -v) must leave 16 MiB");
		gm_sys1(SYS_exit_group, 127);
	}
	return gm_is_err(p) ? MAP_FAILED : p;
}

int __wrap_munmap(void *addr, size_t len)
{
	return gm_sys_munmap(addr, len) ? -1 : 0;
}

int __wrap_mprotect(void *addr, size_t len, int prot)
{
	return gm_sys_mprotect(addr, len, prot) ? -1 : 0;
}

int __wrap_madvise(void *addr, size_t len, int advice)
{
	return gm_sys3(SYS_madvise, addr, len, advice) ? -1 : 0;
}
