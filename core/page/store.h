/*
 * store.h - the host store: how a page's VA is backed, and by what. Block locked, where a block is
 * meant.
 */
#ifndef GM_CORE_STORE_H
#define GM_CORE_STORE_H

#include "core/page/registry.h"

int gmc_store_open(struct gm_as *as); /* memfd, alias, mold; idempotent, under the registry lock */
void gmc_store_close(struct gm_as *as);
#define gm_alias(as, va) ((as)->store.alias + ((uintptr_t)(va) - (as)->base))
/* Puts the store under [va, va+len) in one step, inaccessible (to a device's memory) or writable
 * (stays on the host). */
int gmc_store_map_none(struct gm_as *as, uintptr_t va, size_t len);
int gmc_store_map_rw(struct gm_as *as, uintptr_t va, size_t len);
/*
 * Memory behind [va, va+len) of the store (or behind p, of any shared mapping of ours) now, so
 * that writing there cannot fail later. 0, or -ENOMEM: the host has none.
 */
int gmc_store_populate(struct gm_as *as, uintptr_t va, size_t len);
int gmc_populate(void *p, size_t len);
/* A second mapping of `len` bytes of ours (the device's aperture) at va, readable and writable.
 * 0 or -errno */
int gmc_store_clone(char *of, uintptr_t va, size_t len);
/* The bytes that are at [va, va+len) now, in private memory that nobody writes to, go into it. */
void gmc_store_take(struct gm_as *as, uintptr_t va, size_t len);
/* Gives the store's memory there back to the host. */
void gmc_store_punch(struct gm_as *as, uintptr_t va, size_t len);
/* Puts private anonymous memory under [va, va+len): filled from the store (copy) or fresh zeros,
 * with prot. 0 or -errno */
int gmc_store_unmap(struct gm_as *as, uintptr_t va, size_t len, int prot, bool copy);
/* /proc/self/pagemap; -errno: none. And n entries of it from va on; false: they cannot be read. */
int gmc_pagemap_fd(void);
bool gmc_pagemap_read(int fd, uint64_t va, size_t n, uint64_t *entry);
/* Bit 63 present, bit 62 swapped: somebody has touched the page. */
static inline bool gm_pagemap_holds(uint64_t entry)
{
	return entry >> 62;
}
/* Which pages of an unadopted run the program ever touched (present or swapped). All of them
 * when that cannot be known. */
gm_bm gmc_touched(struct gm_block *b, unsigned first, unsigned end);
/* Pages of `set` for which the store holds nothing: zeros that nobody has written. None when that
 * cannot be known. */
gm_bm gmc_store_holes(const struct gm_block *b, gm_bm set);
/* b's pages moved: stale host copies are retained, the oldest of the space punched beyond
 * GMEM_RETAIN. */
void gmc_retain(struct gm_block *b);

#endif
