/*
 * symbol.c - names for addresses, by binutils' addr2line where it is installed (no library of
 * its kind is small enough to be linked in).
 */
#include "tools/view.h"
#include <fcntl.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/* The first two lines that it prints: function, file:line. */
static bool ask(const char *module, uint64_t offset, char *function, char *line, size_t bytes)
{
	char address[24];
	char *const argv[] = {"addr2line", "-f", "-C", "-e", (char *)module, address, NULL};
	posix_spawn_file_actions_t actions;
	int pipe_fd[2], status = -1;
	pid_t pid;

	snprintf(address, sizeof address, "0x%llx", (unsigned long long)offset);
	if (pipe(pipe_fd))
		return false;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, pipe_fd[1], STDOUT_FILENO);
	posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
	posix_spawn_file_actions_addclose(&actions, pipe_fd[0]);
	int err = posix_spawnp(&pid, argv[0], &actions, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	close(pipe_fd[1]);
	FILE *in = fdopen(pipe_fd[0], "r");
	bool ok = !err && in && fgets(function, (int)bytes, in) && fgets(line, (int)bytes, in);
	if (in)
		fclose(in);
	else
		close(pipe_fd[0]);
	if (!err)
		waitpid(pid, &status, 0);
	return ok && status == 0;
}

void symbol_name(const char *module, uint64_t offset, char *out, size_t bytes)
{
	char function[256], line[256];
	const char *slash = strrchr(module, '/'), *name = slash ? slash + 1 : module;

	if (!*module) {
		snprintf(out, bytes, "0x%llx (generated code)", (unsigned long long)offset);
		return;
	}
	/* A return address: the call is before it. */
	if (!ask(module, offset - 1, function, line, sizeof function) || function[0] == '?') {
		snprintf(out, bytes, "%s+0x%llx", name, (unsigned long long)offset);
		return;
	}
	function[strcspn(function, "\n")] = '\0';
	line[strcspn(line, "\n ")] = '\0';
	const char *file = strrchr(line, '/') ? strrchr(line, '/') + 1 : line;
	if (line[0] == '?')
		snprintf(out, bytes, "%s in %s", function, name);
	else
		snprintf(out, bytes, "%s (%s)", function, file);
}
