/* view_json.c - a report as JSON, written and read by the table of view_fields.h. */
#include "tools/view_fields.h"
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- writing -------------------------------------------------------------------------------- */

/* A name that is not UTF-8 is shown byte by byte rather than dropped. */
json_t *view_text_json(const char *s)
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

static json_t *value_of(const struct view_field *f, const void *from)
{
	const void *at = (const char *)from + f->offset;

	switch (f->kind) {
	case VIEW_KNOWN_SECONDS:
		if (isnan(*(const double *)at))
			return json_null();
		/* fall through */
	case VIEW_SECONDS:
		return json_real(*(const double *)at);
	case VIEW_TEXT:
		return view_text_json(at);
	default:
		return json_integer((json_int_t) * (const uint64_t *)at);
	}
}

static json_t *group_of(json_t *root, const char *name)
{
	if (!name)
		return root;
	if (!json_object_get(root, name))
		json_object_set_new(root, name, json_object());
	return json_object_get(root, name);
}

static void add_member_fields(json_t *root, const struct view_field *f, size_t n, const void *from)
{
	for (; n--; f++)
		json_object_set_new(group_of(root, f->group), f->key, value_of(f, from));
}

static json_t *list_to_json(const struct view_list *l, const struct view *v)
{
	json_t *list = json_array();
	uint64_t n = *(const uint64_t *)((const char *)v + l->count);

	for (uint64_t i = 0; i < n; i++) {
		json_t *item = json_object();
		add_member_fields(item, l->fields, l->nfields,
				  (const char *)v + l->items + i * l->item_bytes);
		json_array_append_new(list, item);
	}
	return list;
}

json_t *view_to_json(const struct view *v)
{
	json_t *root = json_object();

	json_object_set_new(root, "schema", json_integer(VIEW_SCHEMA));
	add_member_fields(root, view_fields, view_nfields, v);
	for (size_t i = 0; i < view_nlists; i++)
		json_object_set_new(root, view_lists[i].key, list_to_json(&view_lists[i], v));
	return root;
}

int view_write_json(const struct view *v, const char *file)
{
	char temp[4096];
	json_t *root = view_to_json(v);
	int err = 0;

	snprintf(temp, sizeof temp, "%s.%d.tmp", file, (int)v->pid);
	/* new, and no link of somebody's */
	int fd = open(temp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
	FILE *out = fd < 0 ? NULL : fdopen(fd, "w");
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

/* ---- reading -------------------------------------------------------------------------------- */

static void read_field(const struct view_field *f, const json_t *root, void *to)
{
	const json_t *j =
		json_object_get(f->group ? json_object_get(root, f->group) : root, f->key);
	void *at = (char *)to + f->offset;

	switch (f->kind) {
	case VIEW_KNOWN_SECONDS:
		*(double *)at = json_is_null(j) ? NAN : json_number_value(j);
		break;
	case VIEW_SECONDS:
		*(double *)at = json_number_value(j);
		break;
	case VIEW_TEXT:
		snprintf(at, f->bytes, "%s", json_is_string(j) ? json_string_value(j) : "");
		break;
	default:
		*(uint64_t *)at = (uint64_t)json_integer_value(j);
	}
}

static void read_fields(const struct view_field *f, size_t n, const json_t *root, void *to)
{
	for (; n--; f++)
		read_field(f, root, to);
}

static void read_list(const struct view_list *l, const json_t *list, struct view *v)
{
	size_t n = gm_min(json_array_size(list), l->max);

	for (size_t i = 0; i < n; i++)
		read_fields(l->fields, l->nfields, json_array_get(list, i),
			    (char *)v + l->items + i * l->item_bytes);
	*(uint64_t *)((char *)v + l->count) = n;
}

/* 0, or -1 after a line that says why this is no report that can be read. */
static int check_member(const json_t *root, const char *file)
{
	const json_t *schema = json_object_get(root, "schema");

	if (!json_is_string(json_object_get(root, "program")) ||
	    !json_is_array(json_object_get(root, "devices"))) {
		fprintf(stderr, "gmem-report: %s is not a report of gmem\n", file);
		return -1;
	}
	if (schema && (!json_is_integer(schema) || json_integer_value(schema) > VIEW_SCHEMA)) {
		char *is = json_dumps(schema, JSON_ENCODE_ANY);
		fprintf(stderr, "gmem-report: %s has schema %s; this gmem-report reads up to %d\n",
			file, is ? is : "?", VIEW_SCHEMA);
		free(is);
		return -1;
	}
	return 0;
}

int view_read_json(struct view *v, const char *file)
{
	json_error_t err;
	json_t *root = json_load_file(file, 0, &err);

	if (!root) {
		fprintf(stderr, "gmem-report: %s:%d: %s\n", file, err.line, err.text);
		return -1;
	}
	int r = check_member(root, file);
	if (!r) {
		*v = (struct view){0};
		read_fields(view_fields, view_nfields, root, v);
		for (size_t i = 0; i < view_nlists; i++)
			read_list(&view_lists[i], json_object_get(root, view_lists[i].key), v);
	}
	json_decref(root);
	return r;
}
