/*
 * spare.h - gives back what is kept for speed (page/spare.h) before a control group's limit is met
 * and the kernel kills: a run needs little more memory than the program itself, wherever its
 * pages are.
 *
 * The background thread looks: often where little is left, at most once a second, not at all while
 * nothing is kept or no group has a limit. Between two looks no more can be added than the last
 * one allowed. (A limit that is set first while a device is attached is not seen.)
 */
#ifndef GM_CORE_CARE_SPARE_H
#define GM_CORE_CARE_SPARE_H

#include "core/page/spare.h"

/* The first look, in time: before a page moves. Also after fork. */
void gmc_spare_begin(void);
/* Looks, if it is time for it. `wanted`: somebody keeps something that nobody watches. */
void gmc_spare_look(bool wanted);
/* The program is about to have that much new memory. No lock held. */
void gmc_spare_leave(size_t bytes);
/* Until the next look; -1: none is due. */
int64_t gmc_spare_in_ns(void);

#endif
