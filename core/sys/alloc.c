/*
 * alloc.c - private memory of core: size classes cut from 1 MiB chunks of raw anonymous memory.
 *
 * Lock-free, so that it works in any signal handler without blocking signals, and in a fork
 * child whatever the other threads were doing. Per class a stack of free objects: its head packs
 * the top object's address and a tag that changes with every push and pop, because a pop must
 * notice that its object went and came back (ABA). Chunks are never given back, so reading the
 * link of an object that somebody else has just popped is harmless: the tag makes that pop fail.
 */
#include "core/sys/inject.h"
#include "core/sys/sys.h"
#include <sys/mman.h>

#define CHUNK_BYTES ((uintptr_t)1 << 20)
#define SMALL_MAX   ((size_t)32768) /* above: straight from the kernel */
#define SMALL_STEPS 4		    /* classes of 16, 32, 48, 64 bytes, then four an octave */
#define OCTAVES	    9		    /* 64 .. 32768 */
#define CLASSES	    (SMALL_STEPS + OCTAVES * 4)

/* User addresses are below 2^47 and objects 16-byte aligned: 43 bits of address, 21 of tag. */
#define TAG_BITS 21
#define TAG_MASK (((uint64_t)1 << TAG_BITS) - 1)

struct object {
	struct object *next;
	uint64_t freed; /* debug: set while on a free list */
};

static _Atomic uint64_t free_list[CLASSES];
static _Atomic uintptr_t
	bump; /* next unused byte of the newest chunk; a multiple of CHUNK_BYTES: none left */
static _Atomic size_t private_bytes;

static unsigned class_of(size_t bytes)
{
	if (bytes <= 64)
		return bytes ? (unsigned)((bytes - 1) / 16) : 0;
	/* 2^octave < bytes <= 2^(octave+1) */
	unsigned octave = 63u - (unsigned)__builtin_clzll(bytes - 1);
	unsigned quarter = (unsigned)((bytes - 1) >> (octave - 2)) & 3;

	return SMALL_STEPS + (octave - 6) * 4 + quarter;
}

/* Above 64 bytes a multiple of 64, so that alignment follows from the size: 80, 96 and 112
 * become 128. */
static size_t class_bytes(unsigned c)
{
	if (c < SMALL_STEPS)
		return (c + 1) * (size_t)16;
	unsigned octave = 6 + (c - SMALL_STEPS) / 4, quarter = (c - SMALL_STEPS) % 4;

	return gm_align_up(((size_t)1 << octave) + ((size_t)(quarter + 1) << (octave - 2)), 64);
}

static struct object *top_of(uint64_t head)
{
	return (struct object *)(uintptr_t)(head >> TAG_BITS << 4);
}

static uint64_t pack(const struct object *top, uint64_t old_head)
{
	return (uint64_t)(uintptr_t)top >> 4 << TAG_BITS | ((old_head + 1) & TAG_MASK);
}

/* Perhaps of an object that another thread has just taken and writes to: then the tag has
 * changed, and the result is not used. Private memory is never unmapped. */
GM_RACY static struct object *next_of(const struct object *o)
{
	return __atomic_load_n(&o->next, __ATOMIC_RELAXED);
}

static struct object *pop(_Atomic uint64_t *list)
{
	uint64_t head = atomic_load_explicit(list, memory_order_acquire);
	struct object *top;

	while ((top = top_of(head))) {
		struct object *next = next_of(top);
		if (atomic_compare_exchange_weak_explicit(list, &head, pack(next, head),
							  memory_order_acquire,
							  memory_order_acquire))
			break;
	}
	return top;
}

static void push(_Atomic uint64_t *list, struct object *o)
{
	uint64_t head = atomic_load_explicit(list, memory_order_relaxed);

	do
		__atomic_store_n(&o->next, top_of(head), __ATOMIC_RELAXED);
	while (!atomic_compare_exchange_weak_explicit(list, &head, pack(o, head),
						      memory_order_release, memory_order_relaxed));
}

static void *map_pages(size_t bytes)
{
	void *p = gm_sys_mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			      0);

	return gm_is_err(p) ? NULL : p;
}

/* A chunk aligned to its size; 0 when the host is out of memory. */
static uintptr_t map_chunk(void)
{
	uintptr_t p = (uintptr_t)map_pages(2 * CHUNK_BYTES), chunk = gm_align_up(p, CHUNK_BYTES);

	if (!p)
		return 0;
	if (chunk > p)
		gm_sys_munmap((void *)p, chunk - p);
	gm_sys_munmap((void *)(chunk + CHUNK_BYTES), p + CHUNK_BYTES - chunk);
	return chunk;
}

/* Never-used, hence zeroed, memory. What is left of a chunk that is too small for `bytes` is
 * given up. */
static void *carve(size_t bytes)
{
	uintptr_t align = bytes >= 64 ? 64 : 16,
		  at = atomic_load_explicit(&bump, memory_order_relaxed);

	for (;;) {
		uintptr_t start = gm_align_up(at, align), end = start + bytes, fresh = 0;
		if (!(at & (CHUNK_BYTES - 1)) || end > gm_align_up(at, CHUNK_BYTES)) {
			fresh = map_chunk();
			if (!fresh)
				return NULL;
			start = fresh;
			end = start + bytes;
		}
		if (atomic_compare_exchange_strong_explicit(&bump, &at, end, memory_order_relaxed,
							    memory_order_relaxed)) {
			/* Only pages that were reached are held: the kernel has not given the
			 * rest yet. */
			uintptr_t reached = fresh ? fresh : gm_align_up(at, GM_PAGE_BYTES);
			if (gm_align_up(end, GM_PAGE_BYTES) > reached)
				atomic_fetch_add_explicit(&private_bytes,
							  gm_align_up(end, GM_PAGE_BYTES) - reached,
							  memory_order_relaxed);
			return (void *)start;
		}
		if (fresh)
			gm_sys_munmap((void *)fresh, CHUNK_BYTES);
	}
}

static void *alloc_large(size_t bytes)
{
	if (bytes > PTRDIFF_MAX)
		return NULL;
	bytes = gm_align_up(bytes, GM_PAGE_BYTES);
	void *p = map_pages(bytes);
	if (p)
		atomic_fetch_add_explicit(&private_bytes, bytes, memory_order_relaxed);
	return p;
}

void *gmi_alloc(size_t bytes)
{
	if (gm_inject(GM_INJ_ALLOC))
		return NULL;
	if (bytes > SMALL_MAX)
		return alloc_large(bytes);
	unsigned c = class_of(bytes);
	struct object *o = pop(&free_list[c]);
	if (!o)
		return carve(class_bytes(c));
	gm_zero(o, class_bytes(c));
	return o;
}

#define FREED_MARK(o) ((uint64_t)(uintptr_t)(o) ^ 0x6765656672650000ull)

void gmi_free(void *p, size_t bytes)
{
	if (!p)
		return;
	if (bytes > SMALL_MAX) {
		bytes = gm_align_up(bytes, GM_PAGE_BYTES);
		gm_sys_munmap(p, bytes);
		atomic_fetch_sub_explicit(&private_bytes, bytes, memory_order_relaxed);
		return;
	}
	struct object *o = p;
#ifdef GM_DEBUG
	gm_assert(((uintptr_t)p & 15) == 0);
	gm_assert(o->freed != FREED_MARK(o)); /* freed twice */
	o->freed = FREED_MARK(o);
#endif
	push(&free_list[class_of(bytes)], o);
}

size_t gmi_private_bytes(void)
{
	return atomic_load_explicit(&private_bytes, memory_order_relaxed);
}
