/* notice.c - see notice.h. */
#include "tools/notice.h"
#include "core/care/notice.h"
#include "tools/view.h"

static struct view named;

static const char *where_site(unsigned site)
{
	for (unsigned i = 0; i < named.nsites; i++)
		if (named.site[i].row == site && site)
			return named.site[i].where;
	return NULL;
}

void notice_show(const struct gm_stats *s, int fd)
{
	static uint32_t told;
	char line[512];

	if (s->magic != GM_STATS_MAGIC || s->version != GM_STATS_VERSION)
		return;
	named = (struct view){0};
	view_from_stats(&named, s);
	while (gm_notice_next(s, &told, where_site, line, sizeof line))
		dprintf(fd, "gmem: %s\n", line);
}
