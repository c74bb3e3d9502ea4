/*
 * target.c - can the library be preloaded into a program? ld.so only warns, or ignores
 * LD_PRELOAD without a word.
 */
#include "tools/view.h"
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#define CANNOT_RUN 126
#define NOT_FOUND  127
#define MAX_NESTED 5 /* interpreters of interpreters, as the kernel */
#define LOADER	   "ld-linux-x86-64.so.2"

struct target {
	const char *path;
	int fd;
	struct stat st;
	char *why;
	size_t bytes;
};

__attribute__((format(printf, 2, 3))) static int refuse_target(const struct target *t,
							       const char *fmt, ...)
{
	va_list ap;
	int n = snprintf(t->why, t->bytes, "%s ", t->path);

	va_start(ap, fmt);
	vsnprintf(t->why + n, n < (int)t->bytes ? t->bytes - (size_t)n : 0, fmt, ap);
	va_end(ap);
	return CANNOT_RUN;
}

/* With these, ld.so runs in secure mode and ignores a library outside its own directories. */
static int check_privileges(const struct target *t)
{
	if ((t->st.st_mode & S_ISUID) && t->st.st_uid != getuid())
		return refuse_target(t, "is setuid: the loader ignores LD_PRELOAD for it");
	if ((t->st.st_mode & S_ISGID) && (t->st.st_mode & S_IXGRP) && t->st.st_gid != getgid())
		return refuse_target(t, "is setgid: the loader ignores LD_PRELOAD for it");
	if (getuid() != 0 && fgetxattr(t->fd, "security.capability", NULL, 0) > 0)
		return refuse_target(t,
				     "has file capabilities: the loader ignores LD_PRELOAD for it");
	return 0;
}

static int check_elf(const struct target *t)
{
	Elf64_Ehdr h;
	Elf64_Phdr p;
	char interp[256] = "";

	if (pread(t->fd, &h, sizeof h, 0) != sizeof h || memcmp(h.e_ident, ELFMAG, SELFMAG) != 0)
		return refuse_target(t,
				     "is neither an ELF program nor a script that begins with #!");
	if (h.e_ident[EI_CLASS] != ELFCLASS64 || h.e_machine != EM_X86_64)
		return refuse_target(
			t, "is built for another machine (%d bits, ELF machine %d), not for x86-64",
			h.e_ident[EI_CLASS] == ELFCLASS64 ? 64 : 32, h.e_machine);
	for (unsigned i = 0; i < h.e_phnum; i++)
		if (pread(t->fd, &p, sizeof p, (off_t)(h.e_phoff + (uint64_t)i * h.e_phentsize)) ==
			    sizeof p &&
		    p.p_type == PT_INTERP &&
		    pread(t->fd, interp, sizeof interp - 1, (off_t)p.p_offset) > 0)
			break;
	if (!*interp)
		return refuse_target(t,
				     "is statically linked: no library can be preloaded into it");
	const char *slash = strrchr(interp, '/');
	if (strcmp(slash ? slash + 1 : interp, LOADER) != 0)
		return refuse_target(t, "runs under %s, not under glibc's %s", interp, LOADER);
	if (needed(t->path).none)
		return refuse_target(
			t, "uses no library, not even libc: it makes its system calls and "
			   "threads itself");
	return check_privileges(t);
}

static int check_nested(const char *path, char *why, size_t bytes, int depth);

/* "#! interpreter argument" */
static int check_script(const struct target *t, const char *line, int depth)
{
	char interp[256];
	const char *from = line + 2 + strspn(line + 2, " \t");
	size_t n = strcspn(from, " \t\r\n");

	if (n == 0 || n >= sizeof interp || depth >= MAX_NESTED)
		return refuse_target(t, "has no usable interpreter after its #!");
	memcpy(interp, from, n);
	interp[n] = 0;
	int r = check_nested(interp, t->why, t->bytes, depth + 1);
	if (r) {
		char *inner = strndup(t->why, 300);
		snprintf(t->why, t->bytes, "%s: its interpreter %s", t->path, inner ? inner : "");
		free(inner);
		return CANNOT_RUN;
	}
	return 0;
}

static int check_open(struct target *t, int depth)
{
	char line[258] = "";

	if (S_ISDIR(t->st.st_mode))
		return refuse_target(t, "is a directory");
	if (!S_ISREG(t->st.st_mode) || access(t->path, X_OK) != 0)
		return refuse_target(t, "is not executable");
	t->fd = open(t->path, O_RDONLY | O_CLOEXEC);
	if (t->fd < 0) /* may be run but not read: the loader will do, and perhaps warn */
		return errno == EACCES ? 0
				       : refuse_target(t, "cannot be read: %s", strerror(errno));
	ssize_t n = pread(t->fd, line, sizeof line - 1, 0);
	int r = n > 2 && line[0] == '#' && line[1] == '!' ? check_script(t, line, depth)
							  : check_elf(t);
	close(t->fd);
	return r;
}

static int check_nested(const char *path, char *why, size_t bytes, int depth)
{
	struct target t = {.path = path, .why = why, .bytes = bytes};

	if (stat(path, &t.st) != 0) {
		int err = errno;
		refuse_target(&t, "cannot be run: %s", strerror(err));
		return err == ENOENT || err == ENOTDIR ? NOT_FOUND : CANNOT_RUN;
	}
	return check_open(&t, depth);
}

int check_target(const char *path, char *why, size_t bytes)
{
	return check_nested(path, why, bytes, 0);
}
