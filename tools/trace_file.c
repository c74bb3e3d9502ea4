/* trace_file.c - see trace_file.h. */
#include "tools/trace_file.h"
#include "tools/view_fields.h"
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

struct trace_file {
	FILE *out;
	const char *path;
	struct gm_trace *rings;
	uint64_t tail[GM_TRACE_RINGS], events;
	int error; /* the first one; then nothing is written any more */
	struct gm_event batch[GM_TRACE_SLOTS];
};

static const char *const kinds[] = {
	[GM_EV_CPU_FAULT] = "cpu_fault", [GM_EV_DEVICE_FAULT] = "device_fault",
	[GM_EV_TO_DEVICE] = "to_device", [GM_EV_HOME] = "to_host",
	[GM_EV_ZERO] = "zero",		 [GM_EV_PREFETCH] = "prefetch",
	[GM_EV_EVICT] = "evict",	 [GM_EV_BUS] = "bus",
	[GM_EV_REVOKE] = "revoke",	 [GM_EV_THROTTLE] = "throttle",
	[GM_EV_PARK] = "park",		 [GM_EV_LAUNCH] = "launch",
	[GM_EV_COPY] = "copy",		 [GM_EV_ADOPT] = "adopt",
	[GM_EV_FORK] = "fork",		 [GM_EV_RESIDENT] = "resident",
	[GM_EV_PEER_COPY] = "peer_copy", [GM_EV_PEER_MAP] = "peer_map",
};
static const char *const causes[] = {[GM_CAUSE_OTHER] = "other",
				     [GM_CAUSE_CPU_FAULT] = "cpu fault",
				     [GM_CAUSE_DEVICE_FAULT] = "device fault",
				     [GM_CAUSE_EVICT] = "evict",
				     [GM_CAUSE_SYSCALL] = "system call",
				     [GM_CAUSE_ADVICE] = "advice",
				     [GM_CAUSE_COPY] = "copy",
				     [GM_CAUSE_FORK] = "fork"};
_Static_assert(GM_ARRAY_LEN(kinds) == GM_EV_KINDS, "every kind has a name");
_Static_assert(GM_ARRAY_LEN(causes) == GM_CAUSES, "every cause has a name");
_Static_assert(sizeof(struct gm_event) == 48, "docs/trace.md");

static void write_all(struct trace_file *t, const void *p, size_t bytes)
{
	if (!t->error && fwrite(p, 1, bytes, t->out) != bytes)
		t->error = errno;
}

static void write_chunk(struct trace_file *t, uint32_t kind, const void *p, size_t bytes)
{
	struct trace_chunk c = {kind, (uint32_t)bytes};

	write_all(t, &c, sizeof c);
	write_all(t, p, bytes);
}

struct trace_file *trace_open(const char *path, struct gm_trace *rings)
{
	struct trace_file *t = calloc(1, sizeof *t);
	struct trace_head head = {.version = TRACE_VERSION, .event_bytes = sizeof(struct gm_event)};

	if (!t || !(t->out = fopen(path, "we"))) {
		dprintf(GM_REPORT_FD_STDERR, "gmem: cannot write the trace %s: %s\n", path,
			strerror(errno));
		free(t);
		return NULL;
	}
	t->path = path;
	t->rings = rings;
	memcpy(head.magic, TRACE_MAGIC, sizeof head.magic);
	write_all(t, &head, sizeof head);
	return t;
}

size_t trace_drain(struct trace_file *t)
{
	size_t all = 0;

	for (unsigned i = 0; i < GM_TRACE_RINGS; i++) {
		size_t n = 0;
		while (n < GM_ARRAY_LEN(t->batch) &&
		       gmc_trace_take(&t->rings->ring[i], &t->tail[i], &t->batch[n]))
			n++;
		if (n)
			write_chunk(t, TRACE_EVENTS, t->batch, n * sizeof t->batch[0]);
		all += n;
	}
	t->events += all;
	return all;
}

/* ---- what the numbers mean ---- */

static json_t *words(const char *const *word, size_t n)
{
	json_t *list = json_array();

	for (size_t i = 0; i < n; i++)
		json_array_append_new(list, word[i] ? json_string(word[i]) : json_null());
	return list;
}

/* By the rows of gm_stats, which events name. */
static void name_row(json_t *all, unsigned row, const char *name)
{
	char key[16];

	snprintf(key, sizeof key, "%u", row);
	json_object_set_new(all, key, view_text_json(name));
}

static json_t *sites(const struct view *v)
{
	json_t *all = json_object();

	for (unsigned i = 0; i < v->nsites; i++)
		name_row(all, v->site[i].row, v->site[i].where);
	return all;
}

static json_t *kernels(const struct view *v)
{
	json_t *all = json_object();

	for (unsigned i = 0; i < v->nkernels; i++)
		name_row(all, v->kernel[i].row, v->kernel[i].name);
	return all;
}

void trace_close(struct trace_file *t, struct view *v, const struct gm_stats *s)
{
	while (trace_drain(t))
		;
	v->trace_events = t->events;
	for (unsigned i = 0; i < GM_TRACE_RINGS; i++)
		v->trace_lost += atomic_load(&t->rings->ring[i].lost);
	json_t *meta = json_pack("{s:o, s:o, s:o, s:o, s:I, s:I, s:I, s:o}", "kinds",
				 words(kinds, GM_ARRAY_LEN(kinds)), "causes",
				 words(causes, GM_ARRAY_LEN(causes)), "sites", sites(v), "kernels",
				 kernels(v), "start_ns", (json_int_t)s->start_ns, "end_ns",
				 (json_int_t)s->end_ns, "lost", (json_int_t)v->trace_lost, "report",
				 view_to_json(v));
	char *text = json_dumps(meta, JSON_COMPACT);
	if (text)
		write_chunk(t, TRACE_META, text, strlen(text));
	if (fclose(t->out) != 0 && !t->error)
		t->error = errno;
	if (t->error || !text)
		dprintf(GM_REPORT_FD_STDERR, "gmem: the trace %s is not whole: %s\n", t->path,
			strerror(text ? t->error : ENOMEM));
	free(text);
	json_decref(meta);
	free(t);
}
