/*
 * notice.h - a run that thrashes is noticed while it runs, and one line (at warn) says what to do.
 *
 * Two ways of thrashing: a device's memory is too small for the order of use (as much as all of it
 * came again that had had to go, and a quarter of all that came), or pages go back and forth
 * between the CPU and devices (32 leaves thrash as thrash.h says). Each is said once, by the
 * reporter, which can name call sites; without one by the process itself.
 */
#ifndef GM_CORE_NOTICE_H
#define GM_CORE_NOTICE_H

#include "core/page/registry.h"
#include "core/count/stats.h"

#define GM_NOTICE_BOUNCED 32 /* leaves of 64 KiB that began to thrash */

/* A far fault was served. Block locked or not; cheap. */
void gmc_notice_fault(struct gm_dev *dev);
/* A leaf more goes back and forth. */
void gmc_notice_bounced(void);
/* What is to be said is found out and said: the background thread. */
void gmc_notice_tell(void);
/*
 * The next line from these counters, or 0. told: what was said already (0 at first). where(site):
 * the name of a call site of these counters, or NULL; where NULL: nobody can read symbols.
 */
size_t gm_notice_next(const struct gm_stats *s, uint32_t *told, const char *(*where)(unsigned site),
		      char *line, size_t bytes);

#endif
