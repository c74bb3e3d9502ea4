/* arena.h - functions of the host that parallel regions call. */
#ifndef GM_OMP_PARALLEL_ARENA_H
#define GM_OMP_PARALLEL_ARENA_H

#include "omp/core/region.h"

/* The arena of this process, made the first time; its threads answer calls from then on. NULL:
 * it cannot be had (said). Device locked. */
struct gmo_arena *gmo_arena(void);
/* Does this thread call a function for a region now? */
bool gmo_in_host_call(void);

#endif
