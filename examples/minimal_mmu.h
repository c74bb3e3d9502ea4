/* minimal_mmu.h - the MMU functions of the example device (minimal_hw.h), for its driver. */
#ifndef MINIMAL_MMU_H
#define MINIMAL_MMU_H

#include <gmem/gmem.h>

extern const struct gm_mmu minimal_mmu; /* dev_data: struct hw; one space at a time */

#endif
