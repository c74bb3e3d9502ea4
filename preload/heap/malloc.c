/*
 * jemalloc's configuration, and the arenas of the managed heap: extent hooks over core's window.
 * See gmp_malloc.h.
 *
 * Only whole extents pass through here. jemalloc keeps (retains) what it once mapped, so a
 * program's steady state calls no hook at all. Arena 0 and all of jemalloc's metadata stay in
 * ordinary memory: they must never migrate.
 */
#include "preload/heap/gmp_malloc.h"
#include "preload/heap/limits.h"

#include <errno.h>
#include <jemalloc/jemalloc.h>
#include <string.h>
#include <sys/mman.h>

#include "core/page/activate.h"
#include "core/page/thread.h"
#include "core/space/vm.h"

/* Our words of last resort: parsed by jemalloc after the program's MALLOC_CONF, so that nothing
 * can undo them. */
const char *malloc_conf_2_conf_harder =
	/* its start-up can deadlock in a preload, and a fork would lose it */
	"background_thread:false,"
	"oversize_threshold:0,"	 /* else big blocks go to an automatic arena, past our hooks */
	"percpu_arena:disabled," /* else threads leave the arena that they were bound to */
	"retain:true,"		 /* else every freed page run is a hook call and an munmap */
	"dss:disabled,"		 /* sbrk is the program's */
	"zero_realloc:free,"	 /* realloc(p, 0) frees and returns NULL, as glibc's does */
	"hpa:false,"		 /* takes memory past the extent hooks */
	"san_guard_small:0,"	 /* guard pages would be protected past core's back */
	"san_guard_large:0,"
	"abort_conf:false"; /* somebody else's MALLOC_CONF is no reason to die */

/*
 * Arena 0 serves what runs before init and jemalloc's own bookkeeping; all others are managed,
 * and every thread is bound to one of them. They are jemalloc's automatic arenas, not some made
 * by arenas.create: jemalloc keeps a locked list of the large blocks of those, two mutexes a
 * malloc/free pair.
 */
#define FIRST_MANAGED 1
static bool managed; /* the window is there */
static bool left;    /* the process makes no calls that it need not make */
static _Atomic uint32_t next_thread;

#define TRIAL_BYTES (1ul << 20)

/* Growth of the retained pool is geometric; unbounded it would map gigabytes at a time for a big
 * heap. */
#define RETAIN_GROW_LIMIT (256ul << 20)

static struct gm_as *space;

/*
 * ---- extent hooks ----
 *
 * jemalloc's default hooks, replaced at link time (--wrap), not extent_hooks_t of its API: those
 * cost two changes of the thread's state around every split and merge, a third of a big malloc.
 * The default ones also zero by discarding, while with API hooks jemalloc writes zeros itself,
 * with its locks held. Metadata goes past all of these, straight to mmap.
 */
#define WRAP(ret, name, ...)                                                                       \
	ret __real_je_##name(__VA_ARGS__);                                                         \
	ret __wrap_je_##name(__VA_ARGS__);                                                         \
	ret __wrap_je_##name(__VA_ARGS__)

WRAP(void *, ehooks_default_alloc_impl, void *tsdn, void *new_addr, size_t bytes, size_t align,
     bool *zero, bool *commit, unsigned arena)
{
	if (arena < FIRST_MANAGED || !managed)
		return __real_je_ehooks_default_alloc_impl(tsdn, new_addr, bytes, align, zero,
							   commit, arena);
	/* growing in place happens within the retained pool; beyond it jemalloc can move */
	if (new_addr || gmp_over_limit(bytes))
		return NULL;
	/* Whole 2 MiB blocks: two arenas then never share a block, and huge pages fit. */
	if (bytes >= GM_BLOCK_BYTES)
		align = gm_max(align, GM_BLOCK_BYTES);
	void *p = gmi_vm_map(space, bytes, align, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, GM_REGION_HEAP, 0);
	if (gm_is_err(p))
		return NULL;
	*zero = true; /* never used before, or discarded: the kernel gives zeros */
	*commit = true;
	return p;
}

/* These three return true for "not done". */
WRAP(bool, ehooks_default_purge_forced_impl, void *addr, size_t offset, size_t bytes)
{
	if (left)
		return true;
	if (!gmi_vm_contains(addr))
		return __real_je_ehooks_default_purge_forced_impl(addr, offset, bytes);
	return gmi_vm_discard(space, (char *)addr + offset, bytes) != 0;
}

/* MADV_FREE means nothing for pages that a device holds; jemalloc then purges by force. */
WRAP(bool, ehooks_default_purge_lazy_impl, void *addr, size_t offset, size_t bytes)
{
	return left || gmi_vm_contains(addr) ||
	       __real_je_ehooks_default_purge_lazy_impl(addr, offset, bytes);
}

/* Would map over the window without its owner's knowledge; matters where overcommit is off. */
WRAP(bool, ehooks_default_decommit_impl, void *addr, size_t offset, size_t bytes)
{
	return left || gmi_vm_contains(addr) ||
	       __real_je_ehooks_default_decommit_impl(addr, offset, bytes);
}

WRAP(void, ehooks_default_zero_impl, void *addr, size_t bytes)
{
	if (left)
		memset(addr, 0, bytes);
	else if (!gmi_vm_contains(addr))
		__real_je_ehooks_default_zero_impl(addr, bytes);
	else if (gmi_vm_zero(space, addr, bytes))
		memset(addr, 0, bytes); /* locked pages (mlockall) cannot be discarded */
}

/*
 * Extents go back to an arena through je_pa_dalloc, and may be handed out again at once. What a
 * device has of them would then come home page by page, by faults, only to be overwritten: so it
 * is given up here. The address and size stand in jemalloc's edata_t (5.3: e_bits, e_addr,
 * e_size_esn), which no header publishes; a trial block shows whether they do.
 */
struct edata {
	uint64_t bits;
	uintptr_t addr;	 /* the low bits are a random offset, against cache aliasing */
	size_t size_esn; /* the low bits are a serial number */
};
static uintptr_t trial_addr;
static bool edata_known;
WRAP(void, pa_dalloc, void *tsdn, void *shard, struct edata *e, bool *deferred)
{
	uintptr_t lo = gm_align_down(e->addr, GM_PAGE_BYTES);
	size_t bytes = gm_align_down(e->size_esn, GM_PAGE_BYTES);

	if (edata_known && atomic_load_explicit(&gmi_active, memory_order_relaxed))
		gmi_vm_forget(space, (void *)lo, bytes);
	else if (gm_unlikely(trial_addr))
		edata_known =
			trial_addr - lo < GM_PAGE_BYTES && bytes - TRIAL_BYTES <= GM_PAGE_BYTES;
	if (edata_known && managed && bytes >= GM_BLOCK_BYTES && gmi_vm_contains((void *)lo))
		gmi_vm_note_site(space, (void *)lo, bytes, 0);
	__real_je_pa_dalloc(tsdn, shard, e, deferred);
}

/* Memory for blocks of every size comes from here; those of 2 MiB and more are noted one by one. */
WRAP(struct edata *, pa_alloc, void *tsdn, void *shard, size_t bytes, size_t align, bool slab,
     unsigned szind, bool zero, bool guarded, bool *deferred)
{
	struct edata *e =
		__real_je_pa_alloc(tsdn, shard, bytes, align, slab, szind, zero, guarded, deferred);

	if (e && edata_known && bytes < GM_BLOCK_BYTES)
		gmp_callsite_sample((void *)gm_align_down(e->addr, GM_PAGE_BYTES), bytes);
	return e;
}

static void learn_edata(void)
{
	void *p = mallocx(TRIAL_BYTES, MALLOCX_TCACHE_NONE);
	if (!p)
		return;
	trial_addr = (uintptr_t)p;
	dallocx(p, MALLOCX_TCACHE_NONE);
	trial_addr = 0;
	if (!edata_known)
		gm_log(GM_LOG_INFO, "this jemalloc is not 5.3: freed memory stays on the device "
				    "until it is reused");
}

/* ---- arenas ---- */

/* As many as jemalloc would make, and arena 0. Called while jemalloc starts, options read,
 * arenas not yet counted. */
extern unsigned je_opt_narenas;
void gmp_malloc_count_arenas(void)
{
	unsigned long mask[128] = {0}; /* 8192 CPUs */
	unsigned cpus = 0;

	if (!je_opt_narenas) {
		long bytes = gm_sys3(SYS_sched_getaffinity, 0, sizeof(mask), mask);
		for (long i = 0; i < bytes / (long)sizeof(mask[0]); i++)
			cpus += (unsigned)__builtin_popcountl(mask[i]);
		je_opt_narenas = cpus > 1 ? 4 * cpus : 1;
	}
	je_opt_narenas += FIRST_MANAGED;
}

int gmp_malloc_init(void)
{
	space = gmi_vm_space();
	if (!space)
		return -ENOMEM;
	learn_edata();
	managed = true;
	return 0;
}

void gmp_malloc_leave(void)
{
	left = true;
	managed = false;
}

void gmp_malloc_thread_bind(void)
{
	size_t mib[3], miblen = 3, limit = RETAIN_GROW_LIMIT;

	if (!managed)
		return;
	int saved = errno;
	unsigned nth = atomic_fetch_add_explicit(&next_thread, 1, memory_order_relaxed);
	unsigned arena = FIRST_MANAGED + nth % (je_opt_narenas - FIRST_MANAGED);
	if (!mallctl("thread.arena", NULL, NULL, &arena, sizeof(arena))) {
		/* blocks cached before are unmanaged */
		mallctl("thread.tcache.flush", NULL, NULL, NULL, 0);
		if (!mallctlnametomib("arena.0.retain_grow_limit", mib, &miblen)) {
			mib[1] = arena;
			/* only a size */
			mallctlbymib(mib, miblen, NULL, NULL, &limit, sizeof(limit));
		}
	}
	errno = saved;
}
