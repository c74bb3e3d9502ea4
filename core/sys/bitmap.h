/*
 * bitmap.h - 512-bit sets of the 4 KiB pages of one 2 MiB block.
 *
 * Plain words; whoever owns the block's lock owns its bitmaps. Only gm_bm_test_relaxed may be
 * used without it.
 */
#ifndef GM_CORE_BITMAP_H
#define GM_CORE_BITMAP_H

#include <gmem/policy.h>
#include "core/sys/sys.h"

#define GM_LEAF_PAGES 16u /* 64 KiB: what prefetching, eviction and thrashing count in */
#define GM_LEAF_BYTES (GM_LEAF_PAGES * GM_PAGE_BYTES)
#define GM_LEAVES     (GM_PAGES_PER_BLOCK / GM_LEAF_PAGES)

typedef struct gm_page_set gm_bm;

static inline bool gm_bm_test(const gm_bm *b, unsigned i)
{
	return b->w[i >> 6] >> (i & 63) & 1;
}
static inline bool gm_bm_test_relaxed(const gm_bm *b, unsigned i)
{
	return __atomic_load_n(&b->w[i >> 6], __ATOMIC_RELAXED) >> (i & 63) & 1;
}
static inline gm_bm gm_bm_and(gm_bm a, gm_bm b)
{
	for (int i = 0; i < 8; i++)
		a.w[i] &= b.w[i];
	return a;
}
static inline gm_bm gm_bm_or(gm_bm a, gm_bm b)
{
	for (int i = 0; i < 8; i++)
		a.w[i] |= b.w[i];
	return a;
}
static inline gm_bm gm_bm_andnot(gm_bm a, gm_bm b) /* a & ~b */
{
	for (int i = 0; i < 8; i++)
		a.w[i] &= ~b.w[i];
	return a;
}
static inline bool gm_bm_empty(gm_bm a)
{
	uint64_t x = 0;
	for (int i = 0; i < 8; i++)
		x |= a.w[i];
	return !x;
}
static inline unsigned gm_bm_count(gm_bm a)
{
	unsigned n = 0;
	for (int i = 0; i < 8; i++)
		n += (unsigned)__builtin_popcountll(a.w[i]);
	return n;
}
/* The set {first .. end-1}; empty when first >= end. */
static inline gm_bm gm_bm_range(unsigned first, unsigned end)
{
	gm_bm b;
	for (unsigned i = 0; i < 8; i++) {
		unsigned lo = gm_max(first, i * 64), hi = gm_min(end, i * 64 + 64);
		b.w[i] = lo >= hi ? 0 : (~0ull >> (64 - (hi - lo))) << (lo - i * 64);
	}
	return b;
}
static inline gm_bm gm_bm_all(void)
{
	return gm_bm_range(0, GM_PAGES_PER_BLOCK);
}
static inline gm_bm gm_bm_page(unsigned i)
{
	return gm_bm_range(i, i + 1);
}
/* A page of 4 KiB << order that begins with page `first`. */
static inline gm_bm gm_bm_page_of_order(unsigned first, unsigned order)
{
	return gm_bm_range(first, first + (1u << order));
}
/* The page at va, within its block. */
static inline unsigned gm_page_index(uintptr_t va)
{
	return (unsigned)(va >> GM_PAGE_SHIFT) % GM_PAGES_PER_BLOCK;
}
/* The pages that [lo, hi) touches of the block at va; none when it lies elsewhere. */
static inline gm_bm gm_bm_of_range(uintptr_t va, uintptr_t lo, uintptr_t hi)
{
	lo = gm_max(lo, va);
	hi = gm_min(hi, va + GM_BLOCK_BYTES);
	if (lo >= hi)
		return gm_bm_range(0, 0);
	return gm_bm_range((unsigned)((lo - va) >> GM_PAGE_SHIFT),
			   (unsigned)((hi - 1 - va) >> GM_PAGE_SHIFT) + 1);
}
static inline gm_bm gm_bm_not(gm_bm a)
{
	for (int i = 0; i < 8; i++)
		a.w[i] = ~a.w[i];
	return a;
}
static inline void gm_bm_add(gm_bm *b, gm_bm set)
{
	*b = gm_bm_or(*b, set);
}
static inline void gm_bm_remove(gm_bm *b, gm_bm set)
{
	*b = gm_bm_andnot(*b, set);
}
/* `set` is in b from now on, or is not. */
static inline void gm_bm_assign(gm_bm *b, gm_bm set, bool in)
{
	*b = in ? gm_bm_or(*b, set) : gm_bm_andnot(*b, set);
}
/* `old`, but for `set`, where it is as in `new`. */
static inline gm_bm gm_bm_merge(gm_bm old, gm_bm set, gm_bm new)
{
	return gm_bm_or(gm_bm_andnot(old, set), gm_bm_and(new, set));
}
/* Publishes a new value to readers without the lock, word by word. */
static inline void gm_bm_store(gm_bm *b, gm_bm v)
{
	for (int i = 0; i < 8; i++)
		__atomic_store_n(&b->w[i], v.w[i], __ATOMIC_RELEASE);
}
static inline gm_bm gm_bm_zero(void)
{
	return (gm_bm){{0}};
}
/* First set (or clear) bit at or after i, or 512. */
static inline unsigned gm_bm_next(const gm_bm *b, unsigned i, bool set)
{
	while (i < GM_PAGES_PER_BLOCK) {
		uint64_t x = (set ? b->w[i >> 6] : ~b->w[i >> 6]) >> (i & 63);
		if (x)
			return i + (unsigned)__builtin_ctzll(x);
		i = (i | 63) + 1;
	}
	return GM_PAGES_PER_BLOCK;
}

/* Groups of 1 << order pages (order 0..9), aligned: those that lie in `a` wholly, ... */
static inline gm_bm gm_bm_whole(gm_bm a, unsigned order)
{
	unsigned words = order > 6 ? 1u << (order - 6) : 1, in_word = gm_min(order, 6u);
	uint64_t firsts = ~0ull / (~0ull >> (64 - (1u << in_word))); /* a bit for each group */

	for (unsigned i = 0; i < 8; i += words) {
		uint64_t x = ~0ull;
		for (unsigned k = 0; k < words; k++)
			x &= a.w[i + k];
		for (unsigned k = 0; k < in_word; k++)
			x &= x >> (1u << k);
		x &= firsts;
		for (unsigned k = 0; k < in_word; k++)
			x |= x << (1u << k);
		for (unsigned k = 0; k < words; k++)
			a.w[i + k] = x;
	}
	return a;
}
/* ... and those of which any page does. */
static inline gm_bm gm_bm_grow(gm_bm a, unsigned order)
{
	return gm_bm_not(gm_bm_whole(gm_bm_not(a), order));
}
/* for each maximal run [first, end) of set bits */
#define gm_bm_for_each_run(bm, first, end)                                                         \
	for (unsigned first = gm_bm_next((bm), 0, true), end;                                      \
	     first < GM_PAGES_PER_BLOCK && ((end) = gm_bm_next((bm), first, false), true);         \
	     first = gm_bm_next((bm), end, true))

/* The first page of bm in each 64 KiB where it has any. */
#define gm_bm_for_each_leaf(bm, i)                                                                 \
	for (unsigned i = gm_bm_next((bm), 0, true); i < GM_PAGES_PER_BLOCK;                       \
	     i = gm_bm_next((bm), (i | (GM_LEAF_PAGES - 1)) + 1, true))

#endif
