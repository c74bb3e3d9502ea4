/*
 * background.h - one thread of our own for what may happen a little later: keeping frames free,
 * ending pins.
 *
 * Made when the first device is attached, with all signals blocked; it sleeps until it is woken,
 * and looks at the time only while there are pins. Nothing waits for it: without it
 * everything is right, only later.
 *
 * care/: what is done about pages over time, beyond the single touch.
 *    here     thrashing, access counters, the background thread that reclaims and ends parking
 *    come in  entry/fault asks whether it is a page's turn; space/attach starts the thread
 *    touch    blocks that nobody has locked (trylock), through page/
 *    locks    registry, then block
 */
#ifndef GM_CORE_BACKGROUND_H
#define GM_CORE_BACKGROUND_H

#include "core/page/jobs.h"

/* Is the calling thread the background? */
GM_EXPORT bool gmi_in_background(void);
void gmc_background_start(void); /* once per process; no locks held */
/* What the thread does between two sleeps: the jobs that are wanted, and those left over from the
 * last turn. Returns those that are. */
uint32_t gmc_background_turn(uint32_t todo);
/* gmi_threads_rest is up: returns when the thread is through. */
void gmc_background_rest(void);
#endif
