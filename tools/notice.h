/* notice.h - what the reporter says while the process runs (core/care/notice.h), with names. */
#ifndef GM_TOOLS_NOTICE_H
#define GM_TOOLS_NOTICE_H

#include "core/count/stats.h"

/* s: the counters as they are now. */
void notice_show(const struct gm_stats *s, int fd);

#endif
