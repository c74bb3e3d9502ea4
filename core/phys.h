/*
 * phys.h - the physical memory of one device: a buddy allocator of frames, 4 KiB .. 2 MiB.
 *
 * A frame is named by its byte offset in the device store. Per order a bitmap and a rotating search hint; state is
 * private memory (about 1 bit per 4 KiB and order). Own lock inside (PHYS, the innermost). Signal-safe.
 */
#ifndef GM_CORE_PHYS_H
#define GM_CORE_PHYS_H

#include "sys.h"

#define GM_PHYS_MAX_ORDER 9 /* 4 KiB << 9 = 2 MiB */
#define GM_PHYS_NONE      UINT64_MAX

struct gm_phys;

/* bytes is a multiple of 2 MiB. NULL when out of memory. */
GM_EXPORT struct gm_phys *gmi_phys_create(uint64_t bytes);
GM_EXPORT void gmi_phys_destroy(struct gm_phys *p);
/*
 * A frame of (4 KiB << order), aligned to its size. `prefer` is a frame the caller would like (so that the pages of one
 * block lie side by side and map as one run), or GM_PHYS_NONE: then a frame from the fullest chunk for orders below 9...
 * unless whole 2 MiB chunks are plenty, when it is the first frame of an untouched chunk. Returns GM_PHYS_NONE when full.
 */
GM_EXPORT uint64_t gmi_phys_alloc(struct gm_phys *p, unsigned order, uint64_t prefer);
GM_EXPORT void gmi_phys_free(struct gm_phys *p, uint64_t frame, unsigned order);
GM_EXPORT uint64_t gmi_phys_used_bytes(const struct gm_phys *p); /* relaxed, without the lock */
GM_EXPORT uint64_t gmi_phys_total_bytes(const struct gm_phys *p);

#endif
