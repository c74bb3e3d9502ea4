/*
 * live.c - what runs under GMEM now, for gmem-top: finds the reporters of this user's processes and
 * looks into the counters that they hold.
 */
#include "tools/view.h"
#include "tools/view_fields.h"
#include "core/count/report.h"
#include <dirent.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Is the process `gmem-report --follow PID ...`? Its PID, or 0. */
static int follows(const char *process)
{
	char path[300], line[512];
	size_t n = 0;

	snprintf(path, sizeof path, "/proc/%s/cmdline", process);
	FILE *in = fopen(path, "re");
	if (in) {
		n = fread(line, 1, sizeof line - 1, in);
		fclose(in);
	}
	line[n] = 0;
	const char *verb = memchr(line, 0, n);
	if (!verb || strcmp(verb + 1, "--follow") != 0 || verb + 1 + sizeof "--follow" >= line + n)
		return 0;
	return atoi(verb + 1 + sizeof "--follow");
}

/* The counters of the process that the reporter follows; NULL: another user's, of another build,
 * or gone. */
static const struct gm_stats *counters(const char *reporter)
{
	char path[300];

	snprintf(path, sizeof path, "/proc/%s/fd/%d", reporter, GM_REPORT_FD_STATS);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return NULL;
	const struct gm_stats *s = mmap(NULL, sizeof *s, PROT_READ, MAP_SHARED, fd, 0);
	close(fd);
	if (s == MAP_FAILED)
		return NULL;
	if (s->magic == GM_STATS_MAGIC && s->version == GM_STATS_VERSION)
		return s;
	munmap((void *)s, sizeof *s);
	return NULL;
}

/* What holds at this moment, beside the report as far as it has come. */
static json_t *now(const struct gm_stats *s, const struct view *v)
{
	json_t *resident = json_array();

	for (unsigned d = 0; d < v->ndev; d++)
		json_array_append_new(
			resident, json_integer((json_int_t)atomic_load(&s->dev[d].resident_bytes)));
	return json_pack("{s:I, s:o, s:I}", "time_ns", (json_int_t)gmi_now_ns(), "resident_bytes",
			 resident, "managed_bytes", (json_int_t)atomic_load(&s->managed_bytes));
}

int live(void)
{
	static struct view v;
	json_t *all = json_array();
	DIR *proc = opendir("/proc");
	struct dirent *e;

	while (proc && (e = readdir(proc))) {
		if (e->d_name[0] < '0' || e->d_name[0] > '9' || !follows(e->d_name))
			continue;
		const struct gm_stats *s = counters(e->d_name);
		if (!s)
			continue;
		v = (struct view){0};
		view_counters(&v, s);
		v.wall_s = (double)(gmi_now_ns() - atomic_load(&s->start_ns)) / 1e9;
		json_array_append_new(all, json_pack("{s:o, s:o}", "now", now(s, &v), "report",
						     view_to_json(&v)));
		munmap((void *)s, sizeof *s);
	}
	if (proc)
		closedir(proc);
	json_dumpf(all, stdout, JSON_COMPACT);
	putchar('\n');
	json_decref(all);
	return 0;
}
