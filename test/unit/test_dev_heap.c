/* What libraries allocate in the device process lies in memory that a module has given. */
#include "devsim/device/dev_region.h"
#include "test/threads.h"
#include <criterion/criterion.h>
#include <errno.h>
#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define MIB	((size_t)1 << 20)
#define BLOCKS	64
#define STEPS	3000
#define THREADS 4

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define GIVEN false /* the sanitizer's malloc remains */
#else
#define GIVEN true
#endif

static char *base;
static size_t room;

static void give(size_t bytes)
{
	base = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE,
		    -1, 0);
	cr_assert_neq(base, MAP_FAILED);
	room = bytes;
	memset(base, 0x5a, 4 * MIB < bytes ? 4 * MIB : bytes); /* of a process that is lost */
	dev_region_heap(base, bytes);
}

static bool is_given(const void *p)
{
	return (const char *)p >= base && (const char *)p < base + room;
}

struct block {
	unsigned char *p;
	size_t bytes;
	unsigned char is;
};

static unsigned next(unsigned *seed)
{
	return *seed = *seed * 1664525 + 1013904223;
}

static size_t some_bytes(unsigned *seed)
{
	size_t most = (size_t)1 << (4 + next(seed) / 65536 % 18);

	return 1 + next(seed) / 16 % most;
}

static void fill(struct block *b, unsigned char is)
{
	b->is = is;
	memset(b->p, is, b->bytes);
}

static void expect_all(const unsigned char *p, size_t n, unsigned char is)
{
	size_t i = 0;

	while (i < n && p[i] == is)
		i++;
	cr_assert_eq(i, n, "byte %zu of %zu", i, n);
}

static void step(struct block *b, unsigned *seed)
{
	size_t bytes = some_bytes(seed), alignment = 16;
	unsigned how = next(seed) / 65536 % 4;

	if (b->p && how == 0) {
		b->p = realloc(b->p, bytes);
		expect_all(b->p, bytes < b->bytes ? bytes : b->bytes, b->is);
	} else if (b->p) {
		expect_all(b->p, b->bytes, b->is);
		free(b->p);
		b->p = NULL;
		return;
	} else if (how < 2) {
		b->p = malloc(bytes);
	} else if (how == 2) {
		b->p = calloc(1, bytes);
		expect_all(b->p, bytes, 0);
	} else {
		alignment = (size_t)16 << next(seed) / 65536 % 12;
		cr_assert_eq(posix_memalign((void **)&b->p, alignment, bytes), 0);
	}
	cr_assert(b->p && (uintptr_t)b->p % alignment == 0);
	cr_assert(malloc_usable_size(b->p) >= bytes);
	cr_assert(!GIVEN || is_given(b->p));
	b->bytes = bytes;
	fill(b, (unsigned char)(1 + next(seed) / 65536 % 255));
}

static void *work(void *of)
{
	struct block blocks[BLOCKS] = {{NULL, 0, 0}};
	unsigned seed = *(unsigned *)of;

	for (int i = 0; i < STEPS; i++)
		step(&blocks[next(&seed) / 65536 % BLOCKS], &seed);
	for (int i = 0; i < BLOCKS; i++) {
		if (blocks[i].p)
			expect_all(blocks[i].p, blocks[i].bytes, blocks[i].is);
		free(blocks[i].p);
	}
	return NULL;
}

Test(dev_heap, blocks_keep_what_is_written)
{
	pthread_t threads[THREADS];
	unsigned seeds[THREADS];

	void *before = malloc(1000); /* libc's */
	give(4096 * MIB);
	for (unsigned i = 0; i < THREADS; i++) {
		seeds[i] = i;
		pthread_create(&threads[i], NULL, work, &seeds[i]);
	}
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	before = realloc(before, 2000);
	cr_expect(!is_given(before));
	free(before);
}

Test(dev_heap, what_is_libcs_has_the_room_that_libc_says)
{
	unsigned char *small = malloc(1000), *mapped = malloc(MIB); /* of its heap; by itself */
	size_t rooms[] = {malloc_usable_size(small), malloc_usable_size(mapped)};

	give(64 * MIB);
	cr_expect_eq(malloc_usable_size(small), rooms[0]);
	/* pages, but for the two words before what the caller has */
	cr_expect(!GIVEN || ((uintptr_t)mapped + rooms[1]) % 4096 == 0, "%zu", rooms[1]);
	memset(mapped, 1, rooms[1]);
	free(mapped);
	free(small);
	cr_expect_eq(malloc_usable_size(NULL), 0);
}

Test(dev_heap, when_it_is_used_up_libc_goes_on)
{
	unsigned char *p[64];

	give(MIB);
	for (unsigned i = 0; i < 64; i++) {
		p[i] = malloc(100000);
		cr_assert_not_null(p[i]);
		memset(p[i], (int)i, 100000);
	}
	cr_expect(!GIVEN || is_given(p[0]));
	cr_expect(!is_given(p[63]));
	for (unsigned i = 0; i < 64; i++) {
		expect_all(p[i], 100000, (unsigned char)i);
		free(p[i]);
	}
	void *again = malloc(100000);
	cr_expect(!GIVEN || is_given(again));
	free(again);
}

Test(dev_heap, large_blocks_give_their_pages_back)
{
	give(256 * MIB);
	unsigned char *p = malloc(64 * MIB), in_core[2] = {1, 1};
	uintptr_t at = (uintptr_t)p;

	memset(p, 1, 64 * MIB);
	free(p);
	void *middle = (void *)((at + 32 * MIB) / 4096 * 4096);
	cr_assert(!GIVEN || mincore(middle, 8192, in_core) == 0);
	cr_expect(!GIVEN || !((in_core[0] | in_core[1]) & 1));
	unsigned char *q = calloc(64, MIB);
	cr_expect(!GIVEN || (uintptr_t)q == at, "it is given again");
	expect_all(q, 64 * MIB, 0);
	free(q);
}

Test(dev_heap, what_cannot_be_is_refused)
{
	give(16 * MIB);
	volatile size_t many = SIZE_MAX / 8;

	if (!GIVEN)
		return; /* a sanitizer ends the process */
	cr_expect_null(malloc(many));
	cr_expect_null(calloc(many, 16));
	cr_expect_null(reallocarray(NULL, many, 16));
	void *p = NULL;
	cr_expect_eq(posix_memalign(&p, 24, 10), EINVAL);
	free(NULL);
}
