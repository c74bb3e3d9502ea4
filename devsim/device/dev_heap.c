/*
 * dev_heap.c - what libraries allocate lies where a module has given memory.
 *
 * An OpenMP runtime keeps arguments of tasks in its heap, and libstdc++ the texts of exceptions;
 * regions hand pointers to these to functions of the host. So malloc() and its kin of this program
 * come before libc's, for every library that is loaded here; until there is such memory, and
 * where it is used up, they are libc's.
 *
 * A block has one of four sizes for each power of two, and its class before it. Free blocks of a
 * class are a list; nothing is merged: runtimes ask for the same sizes again and again. Large ones
 * give their pages back.
 */
#include "devsim/device/dev_region.h"
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

/* A sanitizer has a malloc of its own. */
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)

#define EXPORT	  __attribute__((visibility("default")))
#define PAGE	  ((uint64_t)4096)
#define LARGE	  ((uint64_t)1 << 20)
#define LEAST	  64 /* bytes of a block of class 0, with its head */
#define LEAST_LOG 6
#define CLASSES	  144
#define MOST	  ((uint64_t)1 << 40)
#define MOST_EVEN ((uint64_t)1 << 30) /* alignment: head.offset has room for it */

/* libc's own, by the names that nothing interposes. */
extern void *__libc_malloc(size_t bytes);
extern void *__libc_calloc(size_t n, size_t bytes);
extern void *__libc_realloc(void *p, size_t bytes);
extern void *__libc_memalign(size_t alignment, size_t bytes);
extern void __libc_free(void *p);

struct head {
	uint32_t class;
	/* of what the caller has, in the block; of a free one: are its pages zeros? */
	uint32_t offset;
	struct head *next;
};
_Static_assert(sizeof(struct head) == 16, "what follows is aligned as malloc's");

static struct {
	char *base, *end;
	char *fresh; /* from here on nothing was ever given out */
	bool zeros;  /* and it is zeros */
	struct head *free[CLASSES];
} heap;
static pthread_mutex_t heap_lock = PTHREAD_MUTEX_INITIALIZER;

static uint64_t heap_bytes(unsigned class)
{
	return (uint64_t)(4 + class % 4) << (class / 4 + LEAST_LOG - 2);
}

static unsigned heap_class(uint64_t bytes)
{
	if (bytes <= LEAST)
		return 0;
	unsigned shift = 63 - (unsigned)__builtin_clzll(bytes - 1) - 2;
	return (shift - (LEAST_LOG - 2)) * 4 + (unsigned)((bytes - 1) >> shift) + 1 - 4;
}

static bool is_in_heap(const void *p)
{
	return (const char *)p >= heap.base && (const char *)p < heap.end;
}

static struct head *heap_head(void *p)
{
	return (struct head *)p - 1;
}

static uint64_t heap_room(void *p)
{
	const struct head *h = heap_head(p);

	return heap_bytes(h->class) - h->offset;
}

/* A block of the class; *dirty: so many of its first bytes may not be zeros. NULL: no more. */
static char *pop_block(unsigned class, uint64_t *dirty)
{
	uint64_t bytes = heap_bytes(class);
	char *at = NULL;

	pthread_mutex_lock(&heap_lock);
	if (heap.free[class]) {
		at = (char *)heap.free[class];
		heap.free[class] = heap.free[class]->next;
		*dirty = ((struct head *)at)->offset ? 2 * PAGE : bytes;
	} else if (heap.base && bytes <= (uint64_t)(heap.end - heap.fresh)) {
		at = heap.fresh;
		heap.fresh += bytes;
		*dirty = heap.zeros ? sizeof(struct head) : bytes;
	}
	pthread_mutex_unlock(&heap_lock);
	return at;
}

static void push_block(void *p)
{
	struct head *h = heap_head(p);
	struct head *block = (struct head *)((char *)p - h->offset);
	unsigned class = h->class;
	uint64_t bytes = heap_bytes(class);
	char *pages = (char *)(((uint64_t)block + sizeof *block + PAGE - 1) / PAGE * PAGE);

	/* all but the first page and what follows the last whole one */
	block->offset = bytes >= LARGE &&
			madvise(pages, (uint64_t)((char *)block + bytes - pages) / PAGE * PAGE,
				MADV_REMOVE) == 0;
	pthread_mutex_lock(&heap_lock);
	block->next = heap.free[class];
	heap.free[class] = block;
	pthread_mutex_unlock(&heap_lock);
}

/* NULL: libc's are asked. `alignment`: a power of two. */
static void *heap_take(uint64_t bytes, uint64_t alignment, bool zeros)
{
	uint64_t dirty;

	if (!heap.base || bytes > MOST || alignment > MOST_EVEN)
		return NULL;
	unsigned class = heap_class(bytes + sizeof(struct head) + (alignment > 16 ? alignment : 0));
	char *block = pop_block(class, &dirty);
	if (!block)
		return NULL;
	char *p = block + sizeof(struct head);
	if (alignment > 16)
		p = (char *)(((uint64_t)p + alignment - 1) & -alignment);
	if (zeros && dirty > sizeof(struct head)) {
		memset(p, 0, bytes < dirty ? bytes : dirty);
		if (bytes > dirty) /* what follows the last whole page */
			memset(p + bytes - PAGE, 0, PAGE);
	}
	heap_head(p)->class = class;
	heap_head(p)->offset = (uint32_t)(p - block);
	return p;
}

EXPORT void *malloc(size_t bytes)
{
	void *p = heap_take(bytes, 0, false);

	return p ? p : __libc_malloc(bytes);
}

EXPORT void *calloc(size_t n, size_t each)
{
	size_t bytes;
	void *p = __builtin_mul_overflow(n, each, &bytes) ? NULL : heap_take(bytes, 0, true);

	return p ? p : __libc_calloc(n, each);
}

EXPORT void free(void *p)
{
	int saved = errno;

	if (is_in_heap(p))
		push_block(p);
	else
		__libc_free(p);
	errno = saved;
}

EXPORT void *realloc(void *p, size_t bytes)
{
	if (!p)
		return malloc(bytes);
	if (!is_in_heap(p))
		return __libc_realloc(p, bytes);
	if (!bytes) {
		free(p);
		return NULL;
	}
	uint64_t room = heap_room(p);
	if (bytes <= room && bytes >= room / 2)
		return p;
	void *to = malloc(bytes);
	if (!to)
		return bytes <= room ? p : NULL;
	memcpy(to, p, bytes < room ? bytes : room);
	free(p);
	return to;
}

EXPORT void *reallocarray(void *p, size_t n, size_t each)
{
	size_t bytes;

	if (!__builtin_mul_overflow(n, each, &bytes))
		return realloc(p, bytes);
	errno = ENOMEM;
	return NULL;
}

EXPORT void *memalign(size_t alignment, size_t bytes)
{
	void *p = alignment & (alignment - 1) ? NULL : heap_take(bytes, alignment, false);

	return p ? p : __libc_memalign(alignment, bytes);
}

EXPORT void *aligned_alloc(size_t alignment, size_t bytes)
{
	return memalign(alignment, bytes);
}

EXPORT int posix_memalign(void **to, size_t alignment, size_t bytes)
{
	int saved = errno;

	if (alignment % sizeof(void *) || !alignment || alignment & (alignment - 1))
		return EINVAL;
	void *p = memalign(alignment, bytes);
	errno = saved;
	if (!p)
		return ENOMEM;
	*to = p;
	return 0;
}

EXPORT void *valloc(size_t bytes)
{
	return memalign(PAGE, bytes);
}

EXPORT void *pvalloc(size_t bytes)
{
	return memalign(PAGE, (bytes + PAGE - 1) / PAGE * PAGE);
}

EXPORT size_t malloc_usable_size(void *p)
{
	static size_t (*_Atomic of_libc)(void *p);
	size_t (*real)(void *p) = atomic_load(&of_libc);

	if (is_in_heap(p))
		return heap_room(p);
	if (!real) {
		*(void **)&real = dlsym(RTLD_NEXT, "malloc_usable_size");
		atomic_store(&of_libc, real);
	}
	return real(p);
}

void dev_region_heap(void *base, uint64_t bytes)
{
	pthread_mutex_lock(&heap_lock);
	heap.zeros = madvise(base, bytes, MADV_REMOVE) == 0; /* what a lost process has left */
	heap.fresh = base;
	heap.end = (char *)base + bytes;
	heap.base = base;
	pthread_mutex_unlock(&heap_lock);
}

#else

void dev_region_heap(void *base, uint64_t bytes)
{
	(void)base;
	(void)bytes;
}

#endif
