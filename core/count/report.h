/*
 * report.h - what report.c and the reporter process (tools/follow.c) agree upon.
 *
 * The reporter is started as "gmem-report --follow PID REPORT [TRACE]" with exactly these
 * descriptors. REPORT: a path for JSON, "text" (to GM_REPORT_FD_STDERR) or "none".
 */
#ifndef GM_CORE_REPORT_H
#define GM_CORE_REPORT_H

#include "core/count/stats.h"
#include "core/count/trace.h"

enum {
	/* GM_REPORT_DONE, then end of file; only end of file when the process died */
	GM_REPORT_FD_SOCK,
	GM_REPORT_FD_STATS,  /* memfd of struct gm_stats */
	GM_REPORT_FD_STDERR, /* the program's own */
	GM_REPORT_FD_LOCK,   /* locked FILE.lock, removed by the reporter; or /dev/null */
	GM_REPORT_FD_PID,    /* pidfd of the process; or /dev/null */
};
#define GM_REPORT_DONE	 'd'
#define GM_REPORT_NOTICE 'n' /* there is something to be said now (care/notice.h) */

/* With a trace, its rings follow the counters in the memfd. */
#define GM_REPORT_TRACE_OFFSET ((sizeof(struct gm_stats) + 4095) / 4096 * 4096)
#define GM_REPORT_TRACED_BYTES (GM_REPORT_TRACE_OFFSET + sizeof(struct gm_trace))

/* The reporter is to say what care/notice.h has found out. False: there is none. Any thread. */
bool gmc_report_notice(void);
/* fn adds what it has counted for itself, when the report is written. Once for each fn, however
 * often it is given. Up to 4. Signal-safe. */
void gmc_report_collect(void (*fn)(void));

#endif
