/*
 * copy.c - which copy is fastest here. What a migration moves is in no cache, mostly, and what
 * is best for that is a matter of the processor: stores past the caches on one, `rep movsb` on
 * another (decisions.md).
 */
#include "core/sys/copy.h"
#include <emmintrin.h>

#define LINE   64
#define ROUNDS 4

static void copy_movsb(void *dst, const void *src, size_t bytes)
{
	gm_copy_cached(dst, src, bytes);
}

static const struct gm_copier copiers[] = {
	{"past the caches", gmc_copy_stream},
	{"rep movsb", copy_movsb},
};

/* By size: the copies of at least so many bytes, and the copier of those. */
static struct {
	size_t bytes;
	_Atomic unsigned copier;
} classes[] = {{GM_COPY_TRIAL, 0}, {64 << 10, 0}, {GM_STREAM_BYTES, 0}};

void gmc_copy_pages(void *dst, const void *src, size_t bytes)
{
	unsigned i = 0;

	while (i < GM_ARRAY_LEN(classes) - 1 && bytes < classes[i].bytes)
		i++;
	copiers[atomic_load_explicit(&classes[i].copier, memory_order_relaxed)].copy(dst, src,
										     bytes);
}

static void flush_line(const char *p)
{
	for (size_t i = 0; i < GM_COPY_TRIAL; i += LINE)
		_mm_clflush(p + i);
	_mm_mfence();
}

static uint64_t trial(const struct gm_copier *c, size_t piece, char *dst, const char *src)
{
	flush_line(dst);
	flush_line(src);
	uint64_t start = gmi_now_ns();
	for (size_t at = 0; at < GM_COPY_TRIAL; at += piece)
		c->copy(dst + at, src + at, piece);
	return gmi_now_ns() - start;
}

/* In turn, and the best of each: what disturbs a copy only ever adds time. */
unsigned gmc_copy_fastest(const struct gm_copier *c, unsigned n, size_t piece, char *dst,
			  const char *src)
{
	uint64_t best = UINT64_MAX;
	unsigned which = 0;

	for (int round = 0; round < ROUNDS; round++)
		for (unsigned i = 0; i < n; i++) {
			uint64_t ns = trial(&c[i], piece, dst, src);
			if (ns < best) {
				best = ns;
				which = i;
			}
		}
	return which;
}

void gmc_copy_choose(void)
{
	static _Atomic bool asked;
	char *room = atomic_exchange(&asked, true) ? NULL : gmi_alloc(2 * GM_COPY_TRIAL);

	if (!room)
		return;
	for (size_t i = 0; i < 2 * GM_COPY_TRIAL; i += GM_PAGE_BYTES)
		room[i] = 1;
	for (unsigned i = 0; i < GM_ARRAY_LEN(classes); i++) {
		unsigned which = gmc_copy_fastest(copiers, GM_ARRAY_LEN(copiers), classes[i].bytes,
						  room, room + GM_COPY_TRIAL);
		atomic_store_explicit(&classes[i].copier, which, memory_order_relaxed);
		gm_log(GM_LOG_INFO, "copies from %zu KiB on: %s", classes[i].bytes >> 10,
		       copiers[which].name);
	}
	gmi_free(room, 2 * GM_COPY_TRIAL);
}
