/* view_schema.c - the table of view_fields.h for others: JSON Schema for programs, Markdown for
 * people. */
#include "tools/view_fields.h"
#include <jansson.h>
#include <string.h>

static const struct {
	const char *type, *unit;
} kinds[] = {
	[VIEW_COUNT] = {"integer", ""},	     [VIEW_BYTES] = {"integer", "bytes"},
	[VIEW_PAGES] = {"integer", "4 KiB"}, [VIEW_NS] = {"integer", "ns"},
	[VIEW_SECONDS] = {"number", "s"},    [VIEW_KNOWN_SECONDS] = {"number", "s or null"},
	[VIEW_TEXT] = {"string", ""},
};

/* ---- JSON Schema ----------------------------------------------------------------------------- */

/* Without additionalProperties: a later build may have more. */
static json_t *object(void)
{
	return json_pack("{s:s, s:{}, s:[]}", "type", "object", "properties", "required");
}

static void add_property(json_t *to, const char *key, json_t *schema)
{
	json_object_set_new(json_object_get(to, "properties"), key, schema);
	json_array_append_new(json_object_get(to, "required"), json_string(key));
}

static json_t *of_field(const struct view_field *f)
{
	json_t *j = json_pack("{s:s, s:s}", "type", kinds[f->kind].type, "description", f->meaning);

	if (f->kind == VIEW_KNOWN_SECONDS)
		json_object_set_new(j, "type", json_pack("[s, s]", "number", "null"));
	if (f->kind != VIEW_TEXT)
		json_object_set_new(j, "minimum", json_integer(0));
	if (*kinds[f->kind].unit)
		json_object_set_new(j, "x-unit", json_string(kinds[f->kind].unit));
	return j;
}

static void add_field_rows(json_t *root, const struct view_field *f, size_t n)
{
	for (; n--; f++) {
		json_t *to = root;
		if (f->group) {
			if (!json_object_get(json_object_get(root, "properties"), f->group))
				add_property(root, f->group, object());
			to = json_object_get(json_object_get(root, "properties"), f->group);
		}
		add_property(to, f->key, of_field(f));
	}
}

void view_print_schema(void)
{
	json_t *root = object();

	json_object_set_new(root, "$schema",
			    json_string("https://json-schema.org/draft/2020-12/schema"));
	json_object_set_new(root, "title", json_string("Report of a run under GMEM"));
	add_property(root, "schema",
		     json_pack("{s:s, s:i, s:s}", "type", "integer", "const", VIEW_SCHEMA,
			       "description", "the number of this schema"));
	add_field_rows(root, view_fields, view_nfields);
	for (size_t i = 0; i < view_nlists; i++) {
		json_t *item = object();
		add_field_rows(item, view_lists[i].fields, view_lists[i].nfields);
		add_property(root, view_lists[i].key,
			     json_pack("{s:s, s:s, s:i, s:o}", "type", "array", "description",
				       view_lists[i].meaning, "maxItems", (int)view_lists[i].max,
				       "items", item));
	}
	json_dumpf(root, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(root);
}

/* ---- Markdown -------------------------------------------------------------------------------- */

static void field_row(const char *prefix, const char *dot, const char *key, const char *unit,
		      const char *meaning)
{
	printf("| `%s%s%s` | %s | %s |\n", prefix, dot, key, unit, meaning);
}

void view_print_markdown(void)
{
	puts("| field | unit | what it is |\n|---|---|---|");
	printf("| `schema` | | %d: the number of this schema |\n", VIEW_SCHEMA);
	for (const struct view_field *f = view_fields; f < view_fields + view_nfields; f++)
		field_row(f->group ? f->group : "", f->group ? "." : "", f->key,
			  kinds[f->kind].unit, f->meaning);
	for (const struct view_list *l = view_lists; l < view_lists + view_nlists; l++) {
		field_row(l->key, "", "[]", "", l->meaning);
		for (const struct view_field *f = l->fields; f < l->fields + l->nfields; f++)
			field_row(l->key, "[].", f->key, kinds[f->kind].unit, f->meaning);
	}
}
