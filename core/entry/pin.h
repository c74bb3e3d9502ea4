/*
 * pin.h - what the kernel or a device uses for longer than a call: on the host for good.
 */
#ifndef GM_CORE_PIN_H
#define GM_CORE_PIN_H

#include "core/page/block.h"

/* Pins for the life of the process or until unpinned (altstacks, io_uring): marks the pages,
 * brings them home and into the store, so that nothing but their rights changes when a device
 * wants them. What is pinned already costs a look. 0 or -errno */
GM_EXPORT int gmi_pin_range(const void *p, size_t len, bool pin);
/* The same for pages of one block, which is locked. */
int gmc_pin_pages(struct gm_block *b, gm_bm set, bool pin);
/* All pages that are pinned for good go into the store: before the first page leaves the CPU. */
GM_EXPORT void gmi_adopt_pinned(void);
#endif
