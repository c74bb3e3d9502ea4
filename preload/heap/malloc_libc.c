/*
 * What libc has beside jemalloc's functions, and where the two differ in ways that a program can
 * see.
 *
 * The link renames the archive's memalign, aligned_alloc, valloc and realloc to gmp_je_*, so
 * that ours can stand in front. malloc, free, calloc and posix_memalign are jemalloc's own.
 */
#include "preload/heap/gmp_malloc.h"

#include <errno.h>
#include <jemalloc/jemalloc.h>
#include <malloc.h>
#include <string.h>
#include <sys/mman.h>

#include "core/sys/sys.h"

void *gmp_je_memalign(size_t align, size_t bytes);
void *gmp_je_realloc(void *p, size_t bytes);

/*
 * glibc gives 16-byte alignment to every block; jemalloc has an 8-byte class. Sizes 0..8 are
 * sent to the next class by its own lookup table, right after it was built: no cost per call.
 */
#define LOOKUP_SMALLEST 2 /* entries for size 0 and sizes 1..8 */
extern uint8_t je_sz_size2index_tab[];
extern size_t je_sz_index2size_tab[];
struct sc_data;
void __real_je_sz_boot(const struct sc_data *data, bool cache_oblivious);
void __wrap_je_sz_boot(const struct sc_data *data, bool cache_oblivious);
void __wrap_je_sz_boot(const struct sc_data *data, bool cache_oblivious)
{
	__real_je_sz_boot(data, cache_oblivious);
	gmp_malloc_count_arenas();
	for (int i = 0; i < LOOKUP_SMALLEST; i++)
		if (je_sz_index2size_tab[je_sz_size2index_tab[i]] == 8 &&
		    je_sz_index2size_tab[1] == 16)
			je_sz_size2index_tab[i] = 1;
}

/* jemalloc 5.3 forgets errno in realloc, memalign and valloc. */
static void *or_enomem(void *p)
{
	if (gm_unlikely(!p))
		errno = ENOMEM;
	return p;
}

GM_EXPORT void *realloc(void *p, size_t bytes)
{
	void *q = gmp_je_realloc(p, bytes);
	/* realloc(p, 0) has freed p: no failure */
	return gm_likely(q || (p && !bytes)) ? q : or_enomem(q);
}

/* glibc rounds an alignment up to a power of two (2.36; aligned_alloc is memalign there).
 * jemalloc would refuse it. */
GM_EXPORT void *memalign(size_t align, size_t bytes)
{
	if (align > SIZE_MAX / 2 + 1) {
		errno = EINVAL;
		return NULL;
	}
	size_t pow2 = 16;
	while (pow2 < align)
		pow2 <<= 1;
	return or_enomem(gmp_je_memalign(pow2, bytes));
}

GM_EXPORT void *aligned_alloc(size_t align, size_t bytes)
{
	return memalign(align, bytes);
}

GM_EXPORT void *valloc(size_t bytes)
{
	return memalign(GM_PAGE_BYTES, bytes);
}

GM_EXPORT void *pvalloc(size_t bytes)
{
	return bytes > PTRDIFF_MAX ? or_enomem(NULL)
				   : memalign(GM_PAGE_BYTES, gm_align_up(bytes, GM_PAGE_BYTES));
}

GM_EXPORT void *reallocarray(void *p, size_t n, size_t bytes)
{
	size_t total;
	if (__builtin_mul_overflow(n, bytes, &total))
		return or_enomem(NULL);
	return realloc(p, total);
}

static size_t stat_bytes(const char *name)
{
	size_t v = 0, v_bytes = sizeof(v);
	return mallctl(name, &v, &v_bytes, NULL, 0) ? 0 : v;
}

struct heap_stats {
	size_t mapped, active, allocated, resident;
};

static struct heap_stats heap_stats(void)
{
	uint64_t epoch = 1;
	int saved = errno;
	mallctl("epoch", NULL, NULL, &epoch, sizeof(epoch));
	struct heap_stats s = {
		.mapped = stat_bytes("stats.mapped"),
		.active = stat_bytes("stats.active"),
		.allocated = stat_bytes("stats.allocated"),
		.resident = stat_bytes("stats.resident"),
	};
	errno = saved;
	return s;
}

/* Gives every arena's unused pages back. 1 if anything was released, as glibc defines it. */
GM_EXPORT int malloc_trim(size_t pad)
{
	size_t before = heap_stats().resident;
	int saved = errno;
	mallctl("thread.tcache.flush", NULL, NULL, NULL, 0);
	mallctl("arena.4096.purge", NULL, NULL, NULL, 0); /* 4096: MALLCTL_ARENAS_ALL */
	errno = saved;
	return heap_stats().resident < before;
}

GM_EXPORT struct mallinfo2 mallinfo2(void)
{
	struct heap_stats s = heap_stats();
	return (struct mallinfo2){
		.arena = s.mapped,
		.ordblks = 1, /* glibc counts at least the top chunk */
		.uordblks = s.allocated,
		.fordblks = s.mapped - gm_min(s.mapped, s.allocated),
		.keepcost = s.resident - gm_min(s.resident, s.active),
	};
}

static int wrap_int(size_t bytes) /* mallinfo's fields are int and wrap around, as documented */
{
	return (int)(unsigned)bytes;
}

GM_EXPORT struct mallinfo mallinfo(void)
{
	struct mallinfo2 m = mallinfo2();
	return (struct mallinfo){
		.arena = wrap_int(m.arena),
		.ordblks = wrap_int(m.ordblks),
		.uordblks = wrap_int(m.uordblks),
		.fordblks = wrap_int(m.fordblks),
		.keepcost = wrap_int(m.keepcost),
	};
}

/* Every glibc tunable is accepted and has no meaning here; glibc answers 1 even to those it does
 * not know. */
GM_EXPORT int mallopt(int param, int value)
{
	return 1;
}

GM_EXPORT void malloc_stats(void)
{
	struct heap_stats s = heap_stats();
	char line[256];
	int n = gmi_snprintf(
		line, sizeof(line),
		"Total (incl. mmap):\nsystem bytes     = %lu\nin use bytes     = %lu\n",
		(unsigned long)s.mapped, (unsigned long)s.allocated);
	gm_sys3(SYS_write, 2, line, n);
}
