/*
 * jemalloc's configuration, and the arenas of the managed heap: extent hooks over core's window. See
 * gmp_malloc.h.
 *
 * Only whole extents pass through here. jemalloc keeps (retains) what it once mapped, so a program's steady
 * state calls no hook at all. Arena 0 and all of jemalloc's metadata stay in ordinary memory: they must never
 * migrate.
 */
#include "gmp_malloc.h"

#include <errno.h>
#include <jemalloc/jemalloc.h>
#include <sys/mman.h>

#include "../core/thread.h"
#include "../core/vm.h"

/* Our words of last resort: parsed by jemalloc after the program's MALLOC_CONF, so that nothing can undo
 * them. */
const char *malloc_conf_2_conf_harder =
	"background_thread:false," /* its start-up can deadlock in a preload, and a fork would lose it */
	"oversize_threshold:0,"	   /* else big blocks go to an automatic arena, past our hooks */
	"percpu_arena:disabled,"   /* else threads leave the arena that they were bound to */
	"retain:true,"		   /* else every freed page run is a hook call and an munmap */
	"dss:disabled,"		   /* sbrk is the program's */
	"zero_realloc:free,"	   /* realloc(p, 0) frees and returns NULL, as glibc's does */
	"hpa:false,"		   /* takes memory past the extent hooks */
	"abort_conf:false";	   /* somebody else's MALLOC_CONF is no reason to die */

/*
 * The managed arenas: as many as jemalloc itself would make (4 a core), made when a thread first needs one. A
 * slot holds the arena's index, 0 for "not made yet" (index 0 is never ours) or MAKING; slot 0 is always
 * made.
 */
#define MAX_ARENAS 256
#define MAKING	   UINT32_MAX
static _Atomic uint32_t arenas[MAX_ARENAS];
static uint32_t narenas = 1;
static _Atomic uint32_t next_thread;

/* Growth of the retained pool is geometric; unbounded it would map gigabytes at a time for a big heap. */
static const size_t retain_grow_limit = 256ul << 20;

#define TRIAL_BYTES (1ul << 20) /* large, and no multiple of odd size classes */

static struct gm_as *space;

static void *extent_alloc(extent_hooks_t *hooks, void *new_addr, size_t bytes, size_t align, bool *zero,
			  bool *commit, unsigned arena)
{
	if (new_addr) /* growing in place happens within the retained pool; beyond it jemalloc can move */
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

static bool extent_purge_forced(extent_hooks_t *hooks, void *addr, size_t bytes, size_t offset, size_t length,
				unsigned arena)
{
	return gmi_vm_discard(space, (char *)addr + offset, length) != 0;
}

/* Extents are only ranges of one window: any two neighbours may be one, any one may be two. */
static bool extent_split(extent_hooks_t *hooks, void *addr, size_t bytes, size_t a, size_t b, bool committed,
			 unsigned arena)
{
	return false;
}
static bool extent_merge(extent_hooks_t *hooks, void *a, size_t a_bytes, void *b, size_t b_bytes,
			 bool committed, unsigned arena)
{
	return false;
}

/*
 * No dalloc: memory is retained (and purged) instead of unmapped. No commit and decommit: the window is
 * overcommitted. No purge_lazy: MADV_FREE is undefined for pages that a device holds; jemalloc falls back to
 * purge_forced.
 */
static extent_hooks_t hooks = {
	.alloc = extent_alloc,
	.purge_forced = extent_purge_forced,
	.split = extent_split,
	.merge = extent_merge,
};

/* The experimental call's argument (jemalloc 5.3): its type stands in no public header. */
struct arena_config {
	extent_hooks_t *extent_hooks;
	bool metadata_use_hooks;
};

static int arena_make(uint32_t *index)
{
	unsigned i;
	size_t i_bytes = sizeof(i), limit = retain_grow_limit, mib[3], miblen = 3;
	struct arena_config config = {.extent_hooks = &hooks, .metadata_use_hooks = false};
	int err = mallctl("experimental.arenas_create_ext", &i, &i_bytes, &config, sizeof(config));
	if (err)
		return -err;
	if (!mallctlnametomib("arena.0.retain_grow_limit", mib, &miblen)) {
		mib[1] = i;
		mallctlbymib(mib, miblen, NULL, NULL, &limit,
			     sizeof(limit)); /* only a size; the default works */
	}
	*index = i;
	return 0;
}

/* The arena of a slot. While another thread is making it, slot 0's: nobody waits inside malloc's start-up. */
static uint32_t arena_of(uint32_t slot)
{
	uint32_t i = atomic_load_explicit(&arenas[slot], memory_order_acquire);
	if (i == 0 && atomic_compare_exchange_strong(&arenas[slot], &i, MAKING)) {
		if (arena_make(&i))
			i = arenas[0];
		atomic_store_explicit(&arenas[slot], i, memory_order_release);
	}
	return i == MAKING ? arenas[0] : i;
}

static uint32_t cpu_count(void)
{
	unsigned long mask[128] = {0}; /* 8192 CPUs */
	long bytes = gm_sys3(SYS_sched_getaffinity, 0, sizeof(mask), mask);
	uint32_t n = 0;
	for (long i = 0; i < bytes / (long)sizeof(mask[0]); i++)
		n += (uint32_t)__builtin_popcountl(mask[i]);
	return gm_max(n, 1u);
}

/*
 * Extents go back to an arena through je_pa_dalloc, and may be handed out again at once. What a device has of
 * them would then come home page by page, by faults, only to be overwritten: so it is given up here. The
 * address and size stand in jemalloc's edata_t (5.3: e_bits, e_addr, e_size_esn), which no header publishes;
 * a trial block shows whether they do.
 */
struct edata {
	uint64_t bits;
	uintptr_t addr;	 /* the low bits are a random offset, against cache aliasing */
	size_t size_esn; /* the low bits are a serial number */
};
static uintptr_t trial_addr;
static bool edata_known;
void __real_je_pa_dalloc(void *tsdn, void *shard, struct edata *e, bool *deferred);
void __wrap_je_pa_dalloc(void *tsdn, void *shard, struct edata *e, bool *deferred);
void __wrap_je_pa_dalloc(void *tsdn, void *shard, struct edata *e, bool *deferred)
{
	uintptr_t lo = gm_align_down(e->addr, GM_PAGE_BYTES);
	size_t bytes = gm_align_down(e->size_esn, GM_PAGE_BYTES);

	if (edata_known && atomic_load_explicit(&gmi_active, memory_order_relaxed))
		gmi_vm_forget(space, (void *)lo, bytes);
	else if (gm_unlikely(trial_addr))
		edata_known = trial_addr - lo < GM_PAGE_BYTES && bytes - TRIAL_BYTES <= GM_PAGE_BYTES;
	__real_je_pa_dalloc(tsdn, shard, e, deferred);
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
		gm_log(GM_LOG_INFO,
		       "this jemalloc is not 5.3: freed memory stays on the device until it is reused");
}

int gmp_malloc_init(void)
{
	uint32_t first;
	space = gmi_vm_space();
	if (!space)
		return -ENOMEM;
	int err = arena_make(&first);
	if (err)
		return err;
	learn_edata();
	narenas = gm_min(4 * cpu_count(), (uint32_t)MAX_ARENAS);
	atomic_store_explicit(&arenas[0], first, memory_order_release);
	return 0;
}

void gmp_malloc_thread_bind(void)
{
	if (!atomic_load_explicit(&arenas[0], memory_order_acquire))
		return;
	int saved = errno;
	unsigned i = arena_of(atomic_fetch_add_explicit(&next_thread, 1, memory_order_relaxed) % narenas);
	if (!mallctl("thread.arena", NULL, NULL, &i, sizeof(i)))
		mallctl("thread.tcache.flush", NULL, NULL, NULL, 0); /* blocks cached before are unmanaged */
	errno = saved;
}
