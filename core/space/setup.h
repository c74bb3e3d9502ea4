/*
 * setup.h - is what a driver or a program brings to gm_dev_create, gm_dev_register_physmem and
 * gm_as_attach right? Each thing that can be wrong has its own message (gm_last_error()).
 */
#ifndef GM_CORE_SETUP_H
#define GM_CORE_SETUP_H

#include "core/page/registry.h"

/* 0, or -EINVAL and the message; -EDEADLK: a driver is the caller, which is its name. */
int gmc_check_dev(const char *caller, const struct gm_mmu *mmu, uint64_t cap, struct gm_dev **out);
int gmc_check_aperture(const struct gm_dev *dev);
int gmc_check_physmem(const char *caller, const struct gm_dev *dev, uint64_t begin, uint64_t end);
int gmc_check_attach(const char *caller, const struct gm_as *as, const struct gm_dev *dev,
		     int mode);
int gmc_check_link(const char *caller, const struct gm_dev *dev, const struct gm_dev *peer,
		   unsigned how);
/* Registry lock held. */
int gmc_check_spill(const struct gm_dev *dev, const struct gm_dev *to);
/* The sizes of entries that core uses, as bits of bytes: 4 KiB to 2 MiB. */
uint64_t gmc_page_sizes(const struct gm_mmu *mmu);
const char *gmc_dev_name(const struct gm_dev *dev);

#endif
