/*
 * lock.c - mlock, mlock2 and mlockall: what is the program's is locked, as it means it; the store,
 * apertures and reservations never are, which would fill all of them with memory.
 *
 * mlockall(MCL_CURRENT) is therefore made mapping by mapping. MCL_FUTURE is the kernel's: core
 * makes its large mappings without access first, and unlocks them (store.c).
 */
#include "preload/heap/gmp_mmap.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "core/entry/fault.h"
#include "core/page/activate.h"
#include "core/space/vm.h"
#include "core/sys/vma.h"
#include "preload/ground/ground.h"

#define USER_END	0x7ffffffff000ul
#define MCL_KNOWN	(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT)
#define MLOCK_ONFAULT_1 1 /* MLOCK_ONFAULT */

/* Pages of the window that are away come home first; what cannot come makes the call fail. */
static long lock_piece(uintptr_t lo, uintptr_t hi, long flags)
{
	if (gmi_vm_contains((void *)lo) &&
	    atomic_load_explicit(&gmi_active, memory_order_acquire)) {
		gm_sigmask old = gmi_block_signals();
		while (gmi_cpu_make_resident(lo, hi - lo, false) == -EAGAIN)
			;
		gmi_restore_signals(old);
	}
	return gm_sys3(SYS_mlock2, lo, hi - lo, flags);
}

/* Memory of ours beside the window. */
static bool is_ours(const struct gm_vma *v)
{
	return v->shared && !gmi_vm_contains((void *)v->lo) && gmi_memfd_is_ours(v->dev, v->ino);
}

static long find_ours(const struct gm_vma *v, void *unused)
{
	return is_ours(v);
}

/* Is any of it in [lo, hi)? Only a process that is active has some. */
static bool has_ours(uintptr_t lo, uintptr_t hi)
{
	return atomic_load_explicit(&gmi_active, memory_order_relaxed) &&
	       gmi_vma_each(lo, hi, find_ours, NULL) > 0;
}

struct locking {
	uintptr_t lo, hi;
	long flags, result; /* the first error */
	bool accessible;    /* only what may be touched */
	uintptr_t seen;	    /* up to here */
	bool hole;	    /* not all of that is mapped */
};

static long lock_mapping(const struct gm_vma *v, void *arg)
{
	struct locking *l = arg;
	bool away = v->shared && gmi_vm_contains((void *)v->lo);

	l->hole |= v->lo > l->seen;
	l->seen = v->hi;
	if (is_ours(v) || (l->accessible && !v->read && !v->write && !away))
		return 0;
	long r = lock_piece(gm_max(l->lo, (uintptr_t)v->lo), gm_min(l->hi, (uintptr_t)v->hi),
			    l->flags);
	l->result = l->result ? l->result : r;
	return 0;
}

/* Everything in [lo, hi) that is mapped and the program's: all that may be touched, or all, where
 * holes are an error. The first error, or 0. */
static long lock_theirs(uintptr_t lo, uintptr_t hi, long flags, bool accessible)
{
	struct locking l = {lo, hi, flags, 0, accessible, lo, false};

	gmi_vma_each(lo, hi, lock_mapping, &l);
	if (!l.result && !accessible && (l.hole || l.seen < hi))
		return -ENOMEM;
	return l.result;
}

long gmp_mlock(long nr, const void *addr, size_t len, long flags)
{
	uintptr_t lo = gm_align_down((uintptr_t)addr, GM_PAGE_BYTES);
	uintptr_t hi = gm_align_up((uintptr_t)addr + len, GM_PAGE_BYTES);

	flags = nr == SYS_mlock ? 0 : flags;
	if (hi <= lo || flags & ~MLOCK_ONFAULT_1)
		return gm_sys3(nr, addr, len, flags);
	if (has_ours(lo, hi))
		return lock_theirs(lo, hi, flags, false);
	long r = lock_piece(lo, hi, flags);
	struct gm_as *space = gmi_vm_space();
	bool managed = space && (gmi_vm_contains((void *)lo) || gmi_vm_contains((void *)(hi - 1)));
	return r == 0 && managed && !gmi_vm_covered(space, addr, len) ? -ENOMEM : r;
}

/* The kernel answers for the limit, and says nothing of pages that it cannot bring in. */
static bool is_limited(long r)
{
	struct rlimit lim = {RLIM_INFINITY, RLIM_INFINITY};

	gm_sys4(SYS_prlimit64, 0, RLIMIT_MEMLOCK, NULL, &lim);
	return r == -EPERM ||
	       (r == -ENOMEM && lim.rlim_cur != RLIM_INFINITY && gm_sys0(SYS_geteuid) != 0);
}

long gmp_mlockall(long flags)
{
	if (!gmp_on || flags & ~MCL_KNOWN || !(flags & (MCL_CURRENT | MCL_FUTURE)))
		return gm_sys1(SYS_mlockall, flags);
	long r = flags & MCL_FUTURE ? gm_sys1(SYS_mlockall, flags & ~MCL_CURRENT) : 0;
	if (r || !(flags & MCL_CURRENT))
		return r;
	r = lock_theirs(0, USER_END, flags & MCL_ONFAULT ? MLOCK_ONFAULT_1 : 0, true);
	return is_limited(r) ? r : 0;
}

GM_EXPORT int mlock(const void *addr, size_t len)
{
	return (int)gmp_ret(gmp_mlock(SYS_mlock, addr, len, 0));
}

GM_EXPORT int mlock2(const void *addr, size_t len, unsigned flags)
{
	return (int)gmp_ret(gmp_mlock(SYS_mlock2, addr, len, (long)flags));
}

GM_EXPORT int mlockall(int flags)
{
	return (int)gmp_ret(gmp_mlockall(flags));
}
