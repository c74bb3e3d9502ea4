/* progress.c - see progress.h. On a terminal the line is written over itself; elsewhere each is one
 * more, less often. */
#include "tools/progress.h"
#include "tools/view.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TERMINAL_MS 500
#define FILE_MS	    5000

static bool progress_wanted(const struct gm_stats *s, int fd)
{
	uint32_t kind = atomic_load(&s->progress);

	return kind == GM_PROGRESS_ALWAYS || (kind == GM_PROGRESS_AUTO && isatty(fd));
}

/* Whoever has stderr closed or full does without. */
static void put_line(int fd, const char *text, size_t bytes)
{
	if (write(fd, text, bytes) < 0)
		return;
}

static void put_progress(const struct gm_stats *s, double since_s, int fd)
{
	static struct view now, before;
	char *text = NULL;
	size_t bytes = 0;
	uint64_t resident = 0;
	bool terminal = isatty(fd);
	FILE *out = open_memstream(&text, &bytes);

	if (!out)
		return;
	before = now;
	view_counters(&now, s);
	now.wall_s = (double)(gmi_now_ns() - atomic_load(&s->start_ns)) / 1e9;
	for (unsigned d = 0; d < now.ndev; d++)
		resident += atomic_load(&s->dev[d].resident_bytes);
	fputs(terminal ? "\r\033[K" : "", out);
	view_progress(&now, &before, since_s, resident, out);
	fputs(terminal ? "" : "\n", out);
	if (fclose(out) == 0)
		put_line(fd, text, bytes);
	free(text);
}

int progress_show(const struct gm_stats *s, int fd)
{
	static uint64_t last_ns;

	/* 0: it has not begun to count, and has not said what it wants */
	if (s->magic != GM_STATS_MAGIC)
		return TERMINAL_MS;
	if (s->version != GM_STATS_VERSION || !progress_wanted(s, fd))
		return -1;
	uint64_t now = gmi_now_ns(), every = (isatty(fd) ? TERMINAL_MS : FILE_MS) * 1000000ull;
	uint64_t from = last_ns ? last_ns : atomic_load(&s->start_ns);
	if (now - from >= every) {
		put_progress(s, (double)(now - from) / 1e9, fd);
		last_ns = now;
		return (int)(every / 1000000);
	}
	return (int)((every - (now - from)) / 1000000) + 1;
}

void progress_end(const struct gm_stats *s, int fd)
{
	if (s->magic == GM_STATS_MAGIC && s->version == GM_STATS_VERSION &&
	    progress_wanted(s, fd) && isatty(fd))
		put_line(fd, "\r\033[K", 4);
}
