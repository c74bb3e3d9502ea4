/* progress.h - GMEM_PROGRESS: one line about a process that runs, brought up to date. */
#ifndef GM_TOOLS_PROGRESS_H
#define GM_TOOLS_PROGRESS_H

#include "core/count/stats.h"

/* Shows it on the descriptor, if it is time for that. Returns in how many ms it is again; -1:
 * never. */
int progress_show(const struct gm_stats *s, int fd);
/* The line goes, where it can. */
void progress_end(const struct gm_stats *s, int fd);

#endif
