/*
 * dev_touch_outside.c - which pages outside the windows a launch touched, all over the bus: as in
 * dev_touch.c, by what is present in the mappings of dev_outside.c at its end.
 *
 * A mapping that goes meanwhile, often for a larger one in its place, is looked at before; its
 * pages are kept here, so that one that is touched again counts once. Page table locked.
 */
#include "devsim/device/dev.h"
#include <sys/mman.h>

#define PAGE  ((uint64_t)4096)
#define BLOCK ((uint64_t)2 << 20)
#define WORDS 8u
#define GONE  256

static struct gone {
	uint64_t va; /* of 2 MiB */
	uint64_t bits[WORDS];
} gone[GONE];
static unsigned ngone;
static uint64_t told; /* pages since the last end */

static void tell_outside(uint64_t va, const uint64_t *bits)
{
	unsigned n = 0;

	for (unsigned w = 0; w < WORDS; w++)
		n += (unsigned)__builtin_popcountll(bits[w]);
	told += n;
	if (n)
		dev_touch_tell(va, bits);
}

static struct gone *find_gone(uint64_t va)
{
	for (unsigned i = 0; i < ngone; i++)
		if (gone[i].va == va)
			return &gone[i];
	return NULL;
}

/* fn for the pages of [va, va + len) that are present, by 2 MiB. */
static void each_present(uint64_t va, uint64_t len, void (*fn)(uint64_t va, const uint64_t *bits))
{
	uint64_t end = va + len, bits[WORDS];

	for (uint64_t block = va / BLOCK * BLOCK; block < end; block += BLOCK) {
		uint64_t lo = va > block ? va : block,
			 hi = end < block + BLOCK ? end : block + BLOCK;
		if (dev_touch_look(block, (unsigned)((lo - block) / PAGE),
				   (unsigned)((hi - block) / PAGE), bits))
			fn(block, bits);
	}
}

static void keep_gone(uint64_t va, const uint64_t *bits)
{
	struct gone *g = find_gone(va);

	if (!g && ngone < GONE) {
		g = &gone[ngone++];
		*g = (struct gone){.va = va};
	}
	for (unsigned w = 0; g && w < WORDS; w++)
		g->bits[w] |= bits[w];
	if (!g) /* no room: what is touched again counts twice */
		tell_outside(va, bits);
}

static void tell_present(uint64_t va, const uint64_t *bits)
{
	struct gone *g = find_gone(va);

	for (unsigned w = 0; g && w < WORDS; w++)
		g->bits[w] &= ~bits[w];
	tell_outside(va, bits);
}

void dev_touch_outside_goes(uint64_t va, uint64_t len)
{
	if (dev_touch_sampled())
		each_present(va, len, keep_gone);
}

static void look_at_range(uint64_t va, uint64_t len)
{
	each_present(va, len, tell_present);
}

uint64_t dev_touch_outside_end(void)
{
	dev_outside_each(look_at_range);
	for (unsigned i = 0; i < ngone; i++)
		tell_outside(gone[i].va, gone[i].bits);
	uint64_t n = told;
	ngone = 0;
	told = 0;
	return n;
}

/* The mapping stays: of what is shared only the entries go. */
static void drop_range(uint64_t va, uint64_t len)
{
	madvise((void *)va, len, MADV_DONTNEED);
}

void dev_touch_outside_drop(void)
{
	dev_outside_each(drop_range);
}
