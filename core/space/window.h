/* window.h - where the default space lies. */
#ifndef GM_CORE_WINDOW_H
#define GM_CORE_WINDOW_H

#include <stddef.h>
#include <stdint.h>

/* Finds and reserves the default window: 4 TiB at 0x200000000000, or what there is, down to 64
 * GiB. 0 or -ENOMEM */
int gmc_window_reserve(uintptr_t *base, size_t *bytes);

#endif
