/* arena.h - functions of the host that parallel regions call. */
#ifndef GM_OMP_PARALLEL_ARENA_H
#define GM_OMP_PARALLEL_ARENA_H

#include "omp/core/region.h"

/* The arena of this process, made the first time; its threads answer calls from then on. NULL:
 * it cannot be had (said). */
struct gmo_arena *gmo_arena(void);
/* A slot for what the first thread of a region calls, which this thread answers by
 * gmo_answer(slot); NULL: none is left. */
struct gmo_slot *gmo_starter_slot(void);
void gmo_starter_slot_free(struct gmo_slot *s);
void gmo_answer(void *slot);
/* Does this thread call a function for a region now? */
bool gmo_in_host_call(void);

#endif
