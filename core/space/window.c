/*
 * window.c - where the default space lies. Every device process must reserve the same addresses,
 * so places are tried that neither programs, libraries, stacks nor sanitizers use.
 */
#include "core/space/window.h"
#include "core/space/vm.h"
#include "core/space/vm_int.h"

#include <sys/resource.h>

#define LARGEST	 (4ul << 40)
#define SMALLEST (64ul << 30)

static const uintptr_t places[] = {
	0x200000000000, 0x100000000000, 0x300000000000, 0x400000000000,
	0x080000000000, 0x500000000000, 0x600000000000,
};

static bool reserve_at(uintptr_t base, size_t bytes)
{
	int flags = gmc_vm_nothing.flags | MAP_FIXED_NOREPLACE;
	void *p = gm_sys_mmap((void *)base, bytes, PROT_NONE, flags, -1, 0);
	if (gm_is_err(p))
		return false;
	if ((uintptr_t)p == base)
		return true;
	gm_sys_munmap(p, bytes); /* a kernel that takes the flag for a hint */
	return false;
}

/* Wherever the kernel has room. The part before and after the aligned window goes back. */
static uintptr_t reserve_anywhere(size_t bytes)
{
	char *p = gm_sys_mmap(NULL, bytes + GM_BLOCK_BYTES, PROT_NONE, gmc_vm_nothing.flags, -1, 0);
	if (gm_is_err(p))
		return 0;
	uintptr_t base = gm_align_up((uintptr_t)p, GM_BLOCK_BYTES);
	size_t before = base - (uintptr_t)p;
	if (before)
		gm_sys_munmap(p, before);
	if (before < GM_BLOCK_BYTES)
		gm_sys_munmap((void *)(base + bytes), GM_BLOCK_BYTES - before);
	return base;
}

/* The host store is mapped twice beside the window, and the program wants room too: a quarter of
 * the limit is ours. */
static size_t largest_allowed(void)
{
	struct rlimit lim = {RLIM_INFINITY, RLIM_INFINITY};
	gm_sys4(SYS_prlimit64, 0, RLIMIT_AS, NULL, &lim);
	size_t bytes = LARGEST;
	while (lim.rlim_cur != RLIM_INFINITY && bytes > lim.rlim_cur / 4)
		bytes /= 2;
	return bytes;
}

int gmc_window_reserve(uintptr_t *base, size_t *bytes)
{
	for (size_t n = largest_allowed(); n >= SMALLEST; n /= 2) {
		uintptr_t at = 0;
		for (size_t i = 0; i < GM_ARRAY_LEN(places) && !at; i++)
			at = reserve_at(places[i], n) ? places[i] : 0;
		if (!at)
			at = reserve_anywhere(n);
		if (at) {
			*base = at;
			*bytes = n;
			return 0;
		}
	}
	static atomic_bool said;
	if (!atomic_exchange(&said, true))
		gm_log(GM_LOG_ERROR, "cannot reserve 64 GiB of addresses (RLIMIT_AS, ulimit -v, "
				     "must leave 256 GiB): "
				     "memory stays on the host");
	return -ENOMEM;
}

/* ---- the default space, as the hooks ask for it ---- */

static struct gm_as *_Atomic space;

struct gm_as *gmi_vm_space(void)
{
	struct gm_as *as = atomic_load_explicit(&space, memory_order_acquire);
	if (!as) {
		as = gm_as_default();
		atomic_store_explicit(&space, as, memory_order_release);
	}
	return as;
}

bool gmi_vm_contains(const void *p)
{
	struct gm_as *as = atomic_load_explicit(&space, memory_order_acquire);
	return as && (uintptr_t)p - as->base < as->bytes;
}

void gmi_window_dumped(bool dumped)
{
	struct gm_as *as = atomic_load_explicit(&space, memory_order_acquire);
	struct gm_range r;

	if (!as)
		return;
	gm_sigmask old = gmc_vm_enter(as);
	const uintptr_t end = as->base + as->bytes;
	for (uintptr_t at = as->base, next; at < end; at = next) {
		bool any = gmi_rangemap_next(&as->regions, at, &r) && r.start < end;
		uintptr_t hole = any ? gm_max(r.start, at) : end;
		next = any ? r.end : end;
		if (hole > at)
			gm_sys3(SYS_madvise, at, hole - at, dumped ? MADV_DODUMP : MADV_DONTDUMP);
	}
	gmc_vm_leave(as, old);
}

void gmi_vm_window(const struct gm_as *as, uintptr_t *lo, uintptr_t *hi)
{
	*lo = as->base;
	*hi = as->base + as->bytes;
}
