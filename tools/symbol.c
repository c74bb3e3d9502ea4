/*
 * symbol.c - names for addresses, by elfutils' libdw: functions with file and line, also those that
 * were inlined, from the module's own tables or those of a debug package. Read by this process,
 * never by the program's.
 */
#include "tools/view.h"
#include <dwarf.h>
#include <elfutils/libdwfl.h>
#include <libiberty/demangle.h>
#include <stdlib.h>
#include <string.h>

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static void name_by_offset(struct symbol *s)
{
	if (s->line && s->line->line)
		snprintf(s->name, sizeof s->name, "%s (%s:%u)", s->line->function,
			 base_name(s->line->file), s->line->line);
	else if (s->line)
		snprintf(s->name, sizeof s->name, "%s (%s)", s->line->function,
			 base_name(s->line->file));
	else if (!*s->module)
		snprintf(s->name, sizeof s->name, "0x%llx (generated code)",
			 (unsigned long long)s->offset);
	else
		snprintf(s->name, sizeof s->name, "%s+0x%llx", base_name(s->module),
			 (unsigned long long)s->offset);
}

/* ---- one function more: the first is the innermost ---- */

struct place {
	const char *file; /* NULL: not known */
	int line;
};

static void add_function(struct symbol *s, const char *linkage, struct place at)
{
	size_t used = s->named ? strlen(s->name) : 0, room = sizeof s->name - used;
	char *plain = cplus_demangle(linkage, DMGL_PARAMS | DMGL_ANSI);
	const char *function = plain ? plain : linkage, *before = used ? " < " : "";

	if (at.file && at.line)
		snprintf(s->name + used, room, "%s%s (%s:%d)", before, function, base_name(at.file),
			 at.line);
	else if (at.file)
		snprintf(s->name + used, room, "%s%s (%s)", before, function, base_name(at.file));
	else
		snprintf(s->name + used, room, "%s%s in %s", before, function,
			 base_name(s->module));
	free(plain);
	s->named = true;
}

/* ---- from DWARF ---- */

static const char *name_of_die(Dwarf_Die *die)
{
	Dwarf_Attribute a;
	const char *name = dwarf_formstring(dwarf_attr_integrate(die, DW_AT_linkage_name, &a));

	return name ? name : dwarf_diename(die);
}

static int number_of_die(Dwarf_Die *die, unsigned attribute)
{
	Dwarf_Attribute a;
	Dwarf_Word value;

	return dwarf_formudata(dwarf_attr(die, attribute, &a), &value) ? 0 : (int)value;
}

/* Where an inlined function was called. */
static struct place called_at(Dwarf_Die *cu, Dwarf_Die *inlined)
{
	Dwarf_Files *files;
	struct place p = {.line = number_of_die(inlined, DW_AT_call_line)};

	if (!dwarf_getsrcfiles(cu, &files, NULL))
		p.file = dwarf_filesrc(files, (size_t)number_of_die(inlined, DW_AT_call_file), NULL,
				       NULL);
	return p;
}

/* The scopes around the innermost one at `at`, where they stand in the code and not where what was
 * inlined was defined. */
static int scopes_at(Dwarf_Die *cu, Dwarf_Addr at, Dwarf_Die **scopes)
{
	Dwarf_Die *found, innermost;

	if (dwarf_getscopes(cu, at, &found) <= 0)
		return 0;
	innermost = found[0];
	free(found);
	return dwarf_getscopes_die(&innermost, scopes);
}

/* clang writes no table of which unit has which addresses. */
static Dwarf_Die *unit_at(Dwfl_Module *m, GElf_Addr at, Dwarf_Addr *bias)
{
	Dwarf_Die *cu = dwfl_module_addrdie(m, at, bias);

	if (!cu)
		while ((cu = dwfl_module_nextcu(m, cu, bias)) && dwarf_haspc(cu, at - *bias) != 1)
			;
	return cu;
}

static struct place line_at(Dwarf_Die *cu, Dwarf_Addr at)
{
	Dwarf_Line *line = dwarf_getsrc_die(cu, at);
	struct place p = {NULL, 0};

	if (line && !dwarf_lineno(line, &p.line))
		p.file = dwarf_linesrc(line, NULL, NULL);
	return p;
}

static void add_scopes(Dwfl_Module *m, GElf_Addr at, struct symbol *s)
{
	Dwarf_Addr bias;
	Dwarf_Die *scopes, *cu = unit_at(m, at, &bias);
	int n = cu ? scopes_at(cu, at - bias, &scopes) : 0;
	struct place p = cu ? line_at(cu, at - bias) : (struct place){NULL, 0};

	for (int i = 0; i < n; i++) {
		int tag = dwarf_tag(&scopes[i]);
		const char *name = name_of_die(&scopes[i]);
		if (tag != DW_TAG_inlined_subroutine && tag != DW_TAG_subprogram)
			continue;
		if (name)
			add_function(s, name, p);
		if (tag == DW_TAG_subprogram)
			break;
		p = called_at(cu, &scopes[i]);
	}
	if (n > 0)
		free(scopes);
}

/* ---- from the table of symbols: only what the address lies in, for a stripped module's nearest
 * one before it is another function ---- */

static void add_symbol(Dwfl_Module *m, GElf_Addr at, struct symbol *s)
{
	GElf_Off offset;
	GElf_Sym sym;
	const char *name = dwfl_module_addrinfo(m, at, &offset, &sym, NULL, NULL, NULL);

	if (name && offset < sym.st_size)
		add_function(s, name, (struct place){NULL, 0});
}

static void name_in(Dwfl_Module *m, struct symbol *s)
{
	GElf_Addr bias;

	if (!dwfl_module_getelf(m, &bias))
		return;
	/* a return address: the call is before it */
	add_scopes(m, s->offset - 1 + bias, s);
	if (!s->named)
		add_symbol(m, s->offset - 1 + bias, s);
}

void symbol_names(struct symbol *all, size_t n)
{
	static const Dwfl_Callbacks callbacks = {
		.find_elf = dwfl_build_id_find_elf,
		.find_debuginfo = dwfl_standard_find_debuginfo,
		.section_address = dwfl_offline_section_address,
	};

	unsetenv("DEBUGINFOD_URLS"); /* nothing is fetched from anywhere */
	for (size_t i = 0; i < n; i++) {
		all[i].name[0] = '\0';
		name_by_offset(&all[i]);
	}
	for (size_t i = 0; i < n; i++) {
		if (all[i].asked || !*all[i].module)
			continue;
		Dwfl *dwfl = dwfl_begin(&callbacks);
		Dwfl_Module *m = dwfl ? dwfl_report_offline(dwfl, "", all[i].module, -1) : NULL;
		if (dwfl)
			dwfl_report_end(dwfl, NULL, NULL);
		for (size_t j = i; j < n; j++)
			if (!all[j].asked && !strcmp(all[j].module, all[i].module)) {
				all[j].asked = true;
				if (m)
					name_in(m, &all[j]);
			}
		if (dwfl)
			dwfl_end(dwfl);
	}
}
