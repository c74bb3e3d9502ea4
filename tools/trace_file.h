/* trace_file.h - the reporter's side of core/count/trace.h: events from the rings into a file. */
#ifndef GM_TOOLS_TRACE_FILE_H
#define GM_TOOLS_TRACE_FILE_H

#include "core/count/report.h"
#include "tools/view.h"

/*
 * The file (docs/trace.md): struct trace_head, then chunks: struct trace_chunk and its bytes each,
 * any number with events, at the end one with JSON that says what their numbers mean.
 */
#define TRACE_MAGIC   "GMTRACE\n"
#define TRACE_VERSION 1
struct trace_head {
	char magic[8];
	uint32_t version, event_bytes;
};
enum { TRACE_EVENTS = 1, TRACE_META = 2 };
struct trace_chunk {
	uint32_t kind, bytes;
};

struct trace_file;
/* NULL after a line to GM_REPORT_FD_STDERR. */
struct trace_file *trace_open(const char *path, struct gm_trace *rings);
/* All that is in the rings; how many events that were. */
size_t trace_drain(struct trace_file *t);
/* The last events and the JSON; v gets how many there were and were lost, and is in it. */
void trace_close(struct trace_file *t, struct view *v, const struct gm_stats *s);

#endif
