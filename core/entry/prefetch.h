/*
 * prefetch.h - moving ranges to a device before it asks: the program's wish, or a plug-in's.
 */
#ifndef GM_CORE_ENTRY_PREFETCH_H
#define GM_CORE_ENTRY_PREFETCH_H

#include "core/page/registry.h"

/*
 * The mapped pages of [lo, hi) go to the device. 0; -ENODEV it is not attached; -EBUSY some did not
 * go, as the program asked otherwise, or a system call is using them; other errors. No locks held.
 */
int gmc_prefetch(struct gm_as *as, uintptr_t lo, uintptr_t hi, struct gm_dev *dev);

#endif
