/* view_json.c - one table says which field stands where in the JSON, for writing and for
 * reading. */
#include "tools/view.h"
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum kind { COUNT, SECONDS, TEXT };
struct field {
	const char *group, *key; /* group NULL: at the top */
	enum kind kind;
	size_t offset, bytes;
};

#define AT(type, field) offsetof(struct type, field), sizeof(((struct type *)0)->field)

static const struct field top[] = {
	{NULL, "program", TEXT, AT(view, program)},
	{NULL, "command", TEXT, AT(view, command)},
	{NULL, "pid", COUNT, AT(view, pid)},
	{NULL, "wall_s", SECONDS, AT(view, wall_s)},
	{NULL, "ended", TEXT, AT(view, ended)},
	{NULL, "signal", COUNT, AT(view, signal)},
	{"migrated", "h2d_bytes", COUNT, AT(view, h2d_bytes)},
	{"migrated", "d2h_bytes", COUNT, AT(view, d2h_bytes)},
	{"migrated", "h2d_pages", COUNT, AT(view, h2d_pages)},
	{"migrated", "d2h_pages", COUNT, AT(view, d2h_pages)},
	{"migrated", "prefetched_pages", COUNT, AT(view, prefetched_pages)},
	{"migrated", "zeroed_pages", COUNT, AT(view, zeroed_pages)},
	{"cpu_faults", "count", COUNT, AT(view, cpu_faults)},
	{"cpu_faults", "p50_ns", COUNT, AT(view, p50_ns)},
	{"cpu_faults", "p99_ns", COUNT, AT(view, p99_ns)},
	{"cpu_faults", "spurious", COUNT, AT(view, cpu_faults_spurious)},
	{"managed", "bytes_peak", COUNT, AT(view, managed_peak_bytes)},
	{"managed", "metadata_bytes", COUNT, AT(view, metadata_bytes)},
	{"offload", "blas_calls", COUNT, AT(view, blas_calls)},
	{"offload", "blas_device", COUNT, AT(view, blas_device)},
	{"offload", "blas_host", COUNT, AT(view, blas_host)},
	{"syscalls", "pinned", COUNT, AT(view, syscalls_pinned)},
	{"syscalls", "dispatched", COUNT, AT(view, syscalls_dispatched)},
	{"forks", "count", COUNT, AT(view, forks)},
	{"forks", "copied_bytes", COUNT, AT(view, forks_copied_bytes)},
	{"chaos", "reads", COUNT, AT(view, chaos_reads)},
	{"chaos", "writes", COUNT, AT(view, chaos_writes)},
	{"chaos", "places", COUNT, AT(view, chaos_places)},
	{"chaos", "refused", COUNT, AT(view, chaos_refused)},
};
static const struct field per_device[] = {
	{NULL, "name", TEXT, AT(view_dev, name)},
	{NULL, "mem_bytes", COUNT, AT(view_dev, mem_bytes)},
	{NULL, "page_bytes", COUNT, AT(view_dev, page_bytes)},
	{NULL, "kernels", COUNT, AT(view_dev, kernels)},
	{NULL, "kernels_failed", COUNT, AT(view_dev, kernels_failed)},
	{NULL, "faults", COUNT, AT(view_dev, faults)},
	{NULL, "faults_merged", COUNT, AT(view_dev, faults_merged)},
	{NULL, "fault_batches", COUNT, AT(view_dev, fault_batches)},
	{NULL, "modelled_s", SECONDS, AT(view_dev, modelled_s)},
	{NULL, "resident_peak_bytes", COUNT, AT(view_dev, resident_peak_bytes)},
	{NULL, "evicted_bytes", COUNT, AT(view_dev, evicted_bytes)},
	{NULL, "remote_bytes", COUNT, AT(view_dev, remote_bytes)},
	{NULL, "restarts", COUNT, AT(view_dev, restarts)},
};

static const struct field per_kernel[] = {
	{NULL, "name", TEXT, AT(view_kernel, name)},
	{NULL, "device", COUNT, AT(view_kernel, device)},
	{NULL, "launches", COUNT, AT(view_kernel, launches)},
	{NULL, "failed", COUNT, AT(view_kernel, failed)},
	{NULL, "wall_s", SECONDS, AT(view_kernel, wall_s)},
	{NULL, "modelled_s", SECONDS, AT(view_kernel, modelled_s)},
	{NULL, "faults", COUNT, AT(view_kernel, faults)},
	{NULL, "h2d_bytes", COUNT, AT(view_kernel, h2d_bytes)},
};

static const struct field per_site[] = {
	{NULL, "where", TEXT, AT(view_site, where)},
	{NULL, "h2d_bytes", COUNT, AT(view_site, h2d_bytes)},
	{NULL, "d2h_bytes", COUNT, AT(view_site, d2h_bytes)},
	{NULL, "cpu_faults", COUNT, AT(view_site, cpu_faults)},
	{NULL, "device_faults", COUNT, AT(view_site, device_faults)},
};

/* ---- writing ---- */

/* A name that is not UTF-8 is shown byte by byte rather than dropped. */
static json_t *text(const char *s)
{
	json_t *j = json_string(s);
	char ascii[1024 * 2];
	size_t n = 0;

	if (j)
		return j;
	for (; *s && n + 5 < sizeof ascii; s++)
		n += (size_t)snprintf(ascii + n, sizeof ascii - n, *s & 0x80 ? "\\x%02x" : "%c",
				      (unsigned char)*s);
	return json_string(ascii);
}

static json_t *value(const struct field *f, const void *from)
{
	const void *at = (const char *)from + f->offset;

	switch (f->kind) {
	case COUNT:
		return json_integer((json_int_t) * (const uint64_t *)at);
	case SECONDS:
		return json_real(*(const double *)at);
	case TEXT:
		break;
	}
	return text(at);
}

static json_t *group_of(json_t *root, const char *name)
{
	if (!name)
		return root;
	if (!json_object_get(root, name))
		json_object_set_new(root, name, json_object());
	return json_object_get(root, name);
}

static void add_fields(json_t *root, const struct field *f, size_t n, const void *from)
{
	for (; n--; f++)
		json_object_set_new(group_of(root, f->group), f->key, value(f, from));
}

static void add_list(json_t *root, const char *key, const struct field *f, size_t nfields,
		     const void *items, size_t n, size_t item_bytes)
{
	json_t *list = json_array();

	for (size_t i = 0; i < n; i++) {
		json_t *item = json_object();
		add_fields(item, f, nfields, (const char *)items + i * item_bytes);
		json_array_append_new(list, item);
	}
	json_object_set_new(root, key, list);
}
#define ADD_LIST(root, key, fields, items, n)                                                      \
	add_list((root), (key), (fields), GM_ARRAY_LEN(fields), (items), (n), sizeof *(items))

static json_t *to_json(const struct view *v)
{
	json_t *root = json_object();

	add_fields(root, top, 6, v); /* who and how long, then the devices, then the rest */
	ADD_LIST(root, "devices", per_device, v->dev, v->ndev);
	add_fields(root, top + 6, GM_ARRAY_LEN(top) - 6, v);
	ADD_LIST(root, "kernels", per_kernel, v->kernel, v->nkernels);
	ADD_LIST(root, "sites", per_site, v->site, v->nsites);
	return root;
}

int view_write_json(const struct view *v, const char *file)
{
	char temp[4096];
	json_t *root = to_json(v);
	int err = 0;

	snprintf(temp, sizeof temp, "%s.%d.tmp", file, (int)v->pid);
	FILE *out = fopen(temp, "we");
	if (!out) {
		err = -errno;
		goto free_root;
	}
	if (json_dumpf(root, out, JSON_INDENT(2)) != 0 || fputc('\n', out) == EOF)
		err = -EIO;
	if (fclose(out) != 0 && !err)
		err = -errno;
	if (!err && rename(temp, file) != 0)
		err = -errno;
	if (err)
		unlink(temp);
free_root:
	json_decref(root);
	return err;
}

/* ---- reading ---- */

static void read_field(const struct field *f, const json_t *root, void *to)
{
	const json_t *j =
		json_object_get(f->group ? json_object_get(root, f->group) : root, f->key);
	void *at = (char *)to + f->offset;

	switch (f->kind) {
	case COUNT:
		*(uint64_t *)at = (uint64_t)json_integer_value(j);
		break;
	case SECONDS:
		*(double *)at = json_number_value(j);
		break;
	case TEXT:
		snprintf(at, f->bytes, "%s", json_is_string(j) ? json_string_value(j) : "");
		break;
	}
}

static void read_fields(const struct field *f, size_t n, const json_t *root, void *to)
{
	for (; n--; f++)
		read_field(f, root, to);
}

static uint64_t read_list(const json_t *list, const struct field *f, size_t nfields, void *items,
			  size_t max, size_t item_bytes)
{
	size_t n = gm_min(json_array_size(list), max);

	for (size_t i = 0; i < n; i++)
		read_fields(f, nfields, json_array_get(list, i), (char *)items + i * item_bytes);
	return n;
}
#define READ_LIST(list, fields, items)                                                             \
	read_list((list), (fields), GM_ARRAY_LEN(fields), (items), GM_ARRAY_LEN(items),            \
		  sizeof *(items))

int view_read_json(struct view *v, const char *file)
{
	json_error_t err;
	json_t *root = json_load_file(file, 0, &err), *devices = json_object_get(root, "devices");

	if (!root) {
		fprintf(stderr, "gmem-report: %s:%d: %s\n", file, err.line, err.text);
		return -1;
	}
	if (!json_is_string(json_object_get(root, "program")) || !json_is_array(devices)) {
		fprintf(stderr, "gmem-report: %s is not a report of gmem\n", file);
		json_decref(root);
		return -1;
	}
	*v = (struct view){0};
	read_fields(top, GM_ARRAY_LEN(top), root, v);
	v->ndev = READ_LIST(devices, per_device, v->dev);
	v->nkernels = READ_LIST(json_object_get(root, "kernels"), per_kernel, v->kernel);
	v->nsites = READ_LIST(json_object_get(root, "sites"), per_site, v->site);
	json_decref(root);
	return 0;
}
