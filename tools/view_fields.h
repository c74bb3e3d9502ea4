/*
 * view_fields.h - which field of a report stands where in the JSON, in which unit, and what it
 * means.
 *
 * One table (view_fields.c): the JSON is written and read with it (view_json.c), its schema and the
 * list in docs/report.md are printed from it (view_schema.c).
 */
#ifndef GM_TOOLS_VIEW_FIELDS_H
#define GM_TOOLS_VIEW_FIELDS_H

#include "tools/view.h"

/*
 * In each file as "schema". Goes up when a field goes away or changes its meaning, not when one is
 * added. Files without it are older than the number; all that they have means the same today.
 */
#define VIEW_SCHEMA 1

enum view_kind {
	VIEW_COUNT,
	VIEW_BYTES,
	VIEW_PAGES,
	VIEW_NS,
	VIEW_SECONDS,
	VIEW_KNOWN_SECONDS,
	VIEW_TEXT
};
/* VIEW_KNOWN_SECONDS: null in the JSON, NAN here, when it is not known. */
struct view_field {
	const char *group, *key; /* group NULL: not in an object of its own */
	enum view_kind kind;
	size_t offset, bytes;
	const char *meaning;
};
struct view_list {
	const char *key, *meaning;
	const struct view_field *fields;
	size_t nfields;
	/* offsets in struct view: of the array, of the uint64_t with its used length */
	size_t items, count;
	size_t item_bytes, max;
};
extern const struct view_field view_fields[];
extern const size_t view_nfields;
extern const struct view_list view_lists[];
extern const size_t view_nlists;

/* view_json.c: a text as JSON, whatever bytes it has; a whole report. */
struct json_t *view_text_json(const char *s);
struct json_t *view_to_json(const struct view *v);
/* view_schema.c: the JSON Schema, and the table of docs/report.md, to standard output. */
void view_print_schema(void);
void view_print_markdown(void);

#endif
