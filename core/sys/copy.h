/*
 * copy.h - which copy is fastest on this processor, by size.
 */
#ifndef GM_CORE_COPY_H
#define GM_CORE_COPY_H

#include "core/sys/sys.h"

/* Page-aligned addresses, a multiple of GM_STREAM_BYTES. */
struct gm_copier {
	const char *name;
	void (*copy)(void *dst, const void *src, size_t bytes);
};

/*
 * The one of n that moves memory which is in no cache fastest, in pieces of `piece` bytes (a
 * multiple of GM_STREAM_BYTES that divides GM_COPY_TRIAL). dst and src: GM_COPY_TRIAL bytes each,
 * page-aligned, present.
 */
#define GM_COPY_TRIAL ((size_t)256 << 10)
unsigned gmc_copy_fastest(const struct gm_copier *c, unsigned n, size_t piece, char *dst,
			  const char *src);
/*
 * Measures once in a process (about 2 ms), and gm_copy() goes by it from then on; until then, and
 * without memory for it, copies go past the caches. Signals blocked or not.
 */
void gmc_copy_choose(void);

#endif
