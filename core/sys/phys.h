/*
 * phys.h - the physical memory of one device: a buddy allocator of frames, 4 KiB .. 2 MiB.
 *
 * A frame is named by its byte offset in the device store. Chunks of 2 MiB hold one bit per 4
 * KiB page and are listed by their largest free frame; state is private memory, 80 bytes a
 * chunk. Own lock inside (PHYS, the innermost): callers have signals blocked. Usable in signal
 * handlers.
 */
#ifndef GM_CORE_PHYS_H
#define GM_CORE_PHYS_H

#include "core/sys/sys.h"

#define GM_PHYS_MAX_ORDER 9 /* 4 KiB << 9 = 2 MiB */
#define GM_PHYS_NONE	  UINT64_MAX

struct gm_phys;

/* bytes is a multiple of 2 MiB. NULL when out of memory. */
GM_EXPORT struct gm_phys *gmi_phys_create(uint64_t bytes);
GM_EXPORT void gmi_phys_destroy(struct gm_phys *p);
/*
 * A frame of (4 KiB << order), aligned to its size, or GM_PHYS_NONE when no such frame is free.
 * In this order:
 *   1. `prefer`, when that very frame is free: the place beside the frames of neighbouring
 *      pages, so that they map as one run;
 *   2. while at least 1/8 of the 2 MiB chunks are untouched: in an untouched chunk, at the offset
 *      that `prefer` has within its chunk, so that the rest of the block finds its places (1)
 *      whichever page came first;
 *   3. best fit: the chunk whose largest free frame is the smallest that does, in it the smallest
 *      free frame that does; untouched chunks last.
 * prefer may be any number. GM_PHYS_ANY_CHUNK + offset wishes for an offset only, GM_PHYS_NONE
 * for nothing (offset 0).
 */
#define GM_PHYS_ANY_CHUNK ((uint64_t)1 << 63)
GM_EXPORT uint64_t gmi_phys_alloc(struct gm_phys *p, unsigned order, uint64_t prefer);
/* That very frame. False: it, or a part of it, is not free. */
GM_EXPORT bool gmi_phys_take(struct gm_phys *p, uint64_t frame, unsigned order);
GM_EXPORT void gmi_phys_free(struct gm_phys *p, uint64_t frame, unsigned order);
GM_EXPORT uint64_t gmi_phys_used_bytes(const struct gm_phys *p); /* relaxed, without the lock */
GM_EXPORT uint64_t gmi_phys_total_bytes(const struct gm_phys *p);

#endif
