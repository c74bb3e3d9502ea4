/*
 * hold.h - what the kernel is about to use for the program: on the CPU, and there to stay until
 * the call has ended. The protocol is told in page/thread.h.
 */
#ifndef GM_CORE_HOLD_H
#define GM_CORE_HOLD_H

#include "core/page/block.h"

/*
 * Holds [p, p+len) and makes it resident on the CPU with the right asked for, so that the kernel
 * can access it. A range outside every window costs one comparison. Returns a token for
 * gmi_unhold. errno is kept. Memory that the program itself may not access is left alone: the
 * kernel then gives EFAULT as it would without us.
 */
GM_EXPORT unsigned gmi_hold(const void *p, size_t len, bool write);
GM_EXPORT void gmi_unhold(unsigned token);
struct gm_hold_wish {
	struct gm_as *as;
	uintptr_t lo, hi;
	bool write;
};
/* Ends w where the kernel would end: at memory that is not there. For long ones: programs name
 * lengths that no memory has. */
void gmc_hold_shorten(struct gm_hold_wish *w);
/* What a hold asks for, when it is not there: moves pages. */
void gmc_hold_ready(const struct gm_hold_wish *w);
#endif
