/*
 * symbol.c - names for addresses, by binutils' addr2line where it is installed (no library of its
 * kind is small enough to be linked in). One process for all addresses of a module.
 */
#include "tools/view.h"
#include <elf.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

#define LINE_BYTES 512
#define AT_ONCE	   256 /* addresses in one command line */

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

/* Has it names for all its functions, or only for those that others may call? */
static bool has_all_names(const char *module)
{
	Elf64_Ehdr h;
	Elf64_Shdr s;
	int fd = open(module, O_RDONLY | O_CLOEXEC);
	bool has = false;

	if (fd >= 0 && pread(fd, &h, sizeof h, 0) == sizeof h &&
	    !memcmp(h.e_ident, ELFMAG, SELFMAG) && h.e_shentsize == sizeof s)
		for (unsigned i = 0; i < h.e_shnum && !has; i++)
			has = pread(fd, &s, sizeof s, (off_t)(h.e_shoff + i * sizeof s)) ==
				      sizeof s &&
			      s.sh_type == SHT_SYMTAB;
	if (fd >= 0)
		close(fd);
	return has;
}

/* One function more, with file:line, from what addr2line says: the first is the innermost. */
static void add_function(struct symbol *s, char *function, char *line, bool all_names)
{
	size_t at = s->named ? strlen(s->name) : 0;

	/* Without them it names the nearest function before it, which is not the one. */
	if (function[0] == '?' || (line[0] == '?' && !all_names))
		return;
	function[strcspn(function, "\n")] = '\0';
	line[strcspn(line, "\n ")] = '\0';
	snprintf(s->name + at, sizeof s->name - at, "%s%s%s%s%s", at ? " < " : "", function,
		 line[0] == '?' ? " in " : " (", base_name(line[0] == '?' ? s->module : line),
		 line[0] == '?' ? "" : ")");
	s->named = true;
}

/* From a child that runs argv: for each of the n symbols its address and two lines for its function
 * and those that it is inlined in. */
static void ask(char *const *argv, struct symbol *const *s, size_t n)
{
	char function[LINE_BYTES], line[LINE_BYTES];
	bool all_names = has_all_names(s[0]->module);
	posix_spawn_file_actions_t actions;
	int pipe_fd[2], status;
	pid_t pid;

	if (pipe2(pipe_fd, O_CLOEXEC))
		return;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, pipe_fd[1], STDOUT_FILENO);
	posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
	int err = posix_spawnp(&pid, argv[0], &actions, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	close(pipe_fd[1]);
	FILE *in = fdopen(pipe_fd[0], "r");
	size_t i = SIZE_MAX;
	while (!err && in && fgets(function, sizeof function, in)) {
		if (!strncmp(function, "0x", 2))
			i++;
		else if (i < n && fgets(line, sizeof line, in))
			add_function(s[i], function, line, all_names);
	}
	if (in)
		fclose(in);
	else
		close(pipe_fd[0]);
	if (!err)
		waitpid(pid, &status, 0);
}

/* The symbols of one module, at most AT_ONCE. */
static void ask_module(struct symbol *const *s, size_t n)
{
	static char address[AT_ONCE][24];
	char *argv[6 + AT_ONCE] = {"addr2line", "-aifC", "-e", s[0]->module};

	for (size_t i = 0; i < n; i++) {
		/* A return address: the call is before it. */
		snprintf(address[i], sizeof address[i], "0x%llx",
			 (unsigned long long)s[i]->offset - 1);
		argv[4 + i] = address[i];
	}
	ask(argv, s, n);
}

void symbol_names(struct symbol *all, size_t n)
{
	struct symbol *batch[AT_ONCE];

	for (size_t i = 0; i < n; i++) {
		all[i].name[0] = '\0';
		name_by_offset(&all[i]);
	}
	for (size_t i = 0; i < n; i++) {
		size_t k = 0;
		if (all[i].asked || !*all[i].module)
			continue;
		for (size_t j = i; j < n && k < AT_ONCE; j++)
			if (!all[j].asked && !strcmp(all[j].module, all[i].module)) {
				all[j].asked = true;
				batch[k++] = &all[j];
			}
		ask_module(batch, k);
	}
}
