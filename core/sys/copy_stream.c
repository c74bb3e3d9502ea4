/*
 * copy_stream.c - copies of whole pages that nobody is about to read in full: what a migration
 * moves.
 *
 * Stores go past the caches (no read for ownership of the destination), and four pages are
 * copied side by side, four lines at a time, so that four DRAM pages are open at once: what
 * glibc's memcpy does from some MiB on.
 */
#include "core/sys/sys.h"
#include <emmintrin.h>

#define LINE  64
#define CHUNK (4 * LINE)
#define AHEAD (2 * CHUNK) /* of prefetch, in each page */

static inline void copy_chunk(char *dst, const char *src)
{
	for (int line = 0; line < CHUNK; line += LINE)
		_mm_prefetch(src + AHEAD + line, _MM_HINT_T0);
	for (int i = 0; i < CHUNK; i += (int)sizeof(__m128i))
		_mm_stream_si128((__m128i *)(dst + i), _mm_load_si128((const __m128i *)(src + i)));
}

void gmc_copy_stream(void *dst, const void *src, size_t bytes)
{
	gm_assert(bytes % GM_STREAM_BYTES == 0 &&
		  ((uintptr_t)dst | (uintptr_t)src) % GM_PAGE_BYTES == 0);
	for (size_t group = 0; group < bytes; group += GM_STREAM_BYTES)
		for (size_t chunk = group; chunk < group + GM_PAGE_BYTES; chunk += CHUNK)
			for (size_t at = chunk; at < group + GM_STREAM_BYTES; at += GM_PAGE_BYTES)
				copy_chunk((char *)dst + at, (const char *)src + at);
	_mm_sfence(); /* before whoever is told that the pages are there */
}
