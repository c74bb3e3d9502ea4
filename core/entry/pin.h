/*
 * pin.h - what the kernel is about to use for the program: on the CPU, and there to stay until
 * the call has ended.
 */
#ifndef GM_CORE_PIN_H
#define GM_CORE_PIN_H

#include "core/page/block.h"

/*
 * Pins [p, p+len) and makes it resident on the CPU with the right asked for, so that the kernel
 * can access it. A range outside every window costs one comparison. Returns a token for
 * gmi_unpin. errno is kept. Memory that the program itself may not access is left alone: the
 * kernel then gives EFAULT as it would without us.
 */
GM_EXPORT unsigned gmi_pin(const void *p, size_t len, bool write);
GM_EXPORT void gmi_unpin(unsigned token);
struct gm_pin_wish {
	struct gm_as *as;
	uintptr_t lo, hi;
	bool write;
};
/* What a pin asks for, when it is not there: moves pages. */
void gmc_pin_ready(const struct gm_pin_wish *w);
/* Pins for the life of the process or until unpinned (altstacks, io_uring): marks the pages,
 * brings them home and into the store, so that nothing but their rights changes when a device
 * wants them. What is pinned already costs a look. 0 or -errno */
GM_EXPORT int gmi_pin_range(const void *p, size_t len, bool pin);
/* The same for pages of one block, which is locked. */
int gmc_pin_pages(struct gm_block *b, gm_bm set, bool pin);
/* All pages that are pinned for good go into the store: before the first page leaves the CPU. */
GM_EXPORT void gmi_adopt_pinned(void);
#endif
