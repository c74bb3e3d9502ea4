/*
 * exec.c - exec and spawn: another process, or the kernel on its way into one, reads our
 * strings. While active they are copied into private memory first. A vfork child runs these
 * hooks too, on its parent's memory, with dispatch off.
 */
#include <fcntl.h>
#include <limits.h>
#include <malloc.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/entry/pin.h"
#include "preload/ground/ground.h"
#include "preload/ground/real.h"
#include "preload/ground/thread.h"
#include "preload/process/libc.h"
#include "preload/process/process.h"
#include "preload/signals/inherit.h"
#include "preload/syscalls/execcopy.h"

/*
 * The memory of an attempt is kept until the thread's next one: in a vfork child the parent
 * finds it there. What execvpe has copied must live through its attempts in each directory,
 * which are dispatched and copy again.
 */
static char *attempt_memory(enum gmp_exec_level level, size_t bytes)
{
	struct gmp_exec_copy *c = &gmp_self()->exec_copy[level];

	gmi_free(c->p, c->bytes);
	c->p = gmi_alloc(bytes);
	c->bytes = bytes;
	return c->p;
}

struct exec_args {
	char *path;
	char **argv, **envp;
};

static long copy_args(struct gmp_copier *c, struct exec_args *to, const char *path,
		      char *const argv[], char *const envp[])
{
	to->path = gmp_copy_string(c, path);
	to->argv = gmp_copy_vector(c, argv);
	to->envp = gmp_copy_vector(c, envp);
	const void *all[] = {to->path, to->argv, to->envp};
	for (unsigned i = 0; i < GM_ARRAY_LEN(all); i++)
		if (gm_is_err(all[i]))
			return gm_err(all[i]);
	return 0;
}

/*
 * Copies all three. The environment may be changed by another thread between the passes: then
 * measure again.
 */
static long private_args(enum gmp_exec_level level, struct exec_args *to, const char *path,
			 char *const argv[], char *const envp[])
{
	for (;;) {
		struct gmp_copier c = {0};
		long r = copy_args(&c, to, path, argv, envp);
		if (r)
			return r;
		size_t room = c.used + 4096, need = c.used;
		c = (struct gmp_copier){.base = attempt_memory(level, room)};
		if (!c.base)
			return -ENOMEM;
		struct gmp_copier again = {0};
		if ((r = copy_args(&again, to, path, argv, envp)))
			return r;
		if (again.used > need)
			continue;
		return copy_args(&c, to, path, argv, envp);
	}
}

long gmp_execveat(int dirfd, const char *path, char *const argv[], char *const envp[], int flags)
{
	struct exec_args x = {(char *)path, (char **)argv, (char **)envp};

	if (gmp_is_active()) {
		long r = private_args(GMP_EXEC_CALL, &x, path, argv, envp);
		if (r)
			return r;
	}
	struct gmp_inherited given = gmp_inherit_begin(GMP_BY_EXEC);
	bool plain = dirfd == AT_FDCWD && !flags;
	long r = plain ? gm_sys3(SYS_execve, x.path, x.argv, x.envp)
		       : gm_sys5(SYS_execveat, dirfd, x.path, x.argv, x.envp, flags);
	gmp_inherit_end(given);
	return r;
}

GMP_HOOK int execve(const char *path, char *const argv[], char *const envp[])
{
	if (!gmp_on || !gmp_armed)
		return GMP_REAL(execve)(path, argv, envp);
	return (int)gmp_ret(gmp_execveat(AT_FDCWD, path, argv, envp, 0));
}

GMP_HOOK int execv(const char *path, char *const argv[])
{
	return execve(path, argv, environ);
}

GMP_HOOK int fexecve(int fd, char *const argv[], char *const envp[])
{
	if (!gmp_on || !gmp_armed)
		return GMP_REAL(fexecve)(fd, argv, envp);
	return (int)gmp_ret(gmp_execveat(fd, "", argv, envp, AT_EMPTY_PATH));
}

/* libc searches PATH and falls back on the shell; it only must not meet memory that is away. */
GMP_HOOK int execvpe(const char *file, char *const argv[], char *const envp[])
{
	struct exec_args x = {(char *)file, (char **)argv, (char **)envp};

	if (gmp_on && gmp_is_active()) {
		long r = private_args(GMP_EXEC_SEARCH, &x, file, argv, envp);
		if (r)
			return (int)gmp_ret(r);
	}
	if (gmp_is_active())
		/* its attempts come by gmp_execveat() */
		return GMP_REAL(execvpe)(x.path, x.argv, x.envp);
	struct gmp_inherited given = gmp_inherit_begin(GMP_BY_EXEC);
	int r = GMP_REAL(execvpe)(x.path, x.argv, x.envp);
	gmp_inherit_end(given);
	return r;
}

GMP_HOOK int execvp(const char *file, char *const argv[])
{
	return execvpe(file, argv, environ);
}

/* execl, execlp, execle: the arguments become a vector on the stack, then as above. */
#define EXECL(name, execute, env)                                                                  \
	GMP_HOOK int name(const char *path, const char *arg, ...)                                  \
	{                                                                                          \
		va_list ap;                                                                        \
		size_t n = 1;                                                                      \
		va_start(ap, arg);                                                                 \
		for (const char *a = arg; a; a = va_arg(ap, const char *))                         \
			n++;                                                                       \
		va_end(ap);                                                                        \
		char *argv[n + 1], **envp = environ;                                               \
		va_start(ap, arg);                                                                 \
		argv[0] = (char *)arg;                                                             \
		for (size_t i = 1; argv[i - 1]; i++)                                               \
			argv[i] = va_arg(ap, char *);                                              \
		env;                                                                               \
		va_end(ap);                                                                        \
		return execute(path, argv, envp);                                                  \
	}
EXECL(execl, execve, )
EXECL(execlp, execvpe, )
EXECL(execle, execve, envp = va_arg(ap, char **))

/* ---- posix_spawn: everything that its child reads in user mode, where our handler is gone ---- */

struct spawn_args {
	struct exec_args x;
	posix_spawn_file_actions_t *actions;
	posix_spawnattr_t *attr;
};

/*
 * What an action looks like is glibc's secret (posix/spawn_int.h), the same since it has them:
 * actions_known() asks libc itself. The rest of an action is not initialised, and may look like
 * anything.
 */
struct file_action {
	int tag;
	union {
		struct {
			int fd;
			char *path;
			int flags;
			mode_t mode;
		} open;
		char *chdir;
	};
};
enum { ACTION_OPEN = 2, ACTION_CHDIR = 3 };

static char **path_of(struct file_action *a)
{
	return a->tag == ACTION_OPEN ? &a->open.path : a->tag == ACTION_CHDIR ? &a->chdir : NULL;
}

static bool actions_known(void)
{
	static _Atomic int known; /* 1: no, 2: yes */
	posix_spawn_file_actions_t fa;

	if (!known && !posix_spawn_file_actions_init(&fa)) {
		bool yes = !posix_spawn_file_actions_addclose(&fa, 3) &&
			   !posix_spawn_file_actions_addopen(&fa, 3, "/open", 0, 0) &&
			   !posix_spawn_file_actions_addchdir_np(&fa, "/chdir") && fa.__used == 3;
		struct file_action *a = (void *)fa.__actions;
		yes = yes && !path_of(&a[0]) && path_of(&a[1]) &&
		      !strcmp(*path_of(&a[1]), "/open") && path_of(&a[2]) &&
		      !strcmp(*path_of(&a[2]), "/chdir");
		posix_spawn_file_actions_destroy(&fa);
		known = 1 + yes;
		if (!yes)
			gm_log(GM_LOG_WARN,
			       "posix_spawn: the file actions of this libc are not known: paths in "
			       "them must not be away");
	}
	return known == 2;
}

static void *copy_actions(struct gmp_copier *c, const posix_spawn_file_actions_t *fa)
{
	size_t n = fa->__actions ? (size_t)fa->__used : 0;
	posix_spawn_file_actions_t *to = gmp_copy_bytes(c, fa, sizeof(*fa));
	struct file_action *from = (void *)fa->__actions,
			   *actions = gmp_copy_bytes(c, from, n * sizeof(*from));

	for (size_t i = 0; i < n; i++) {
		char **path = path_of(&from[i]);
		char *s = path ? gmp_copy_string(c, *path) : NULL;
		if (actions && s && !gm_is_err(s))
			*path_of(&actions[i]) = s;
	}
	if (to)
		to->__actions = (void *)actions;
	return to;
}

static long copy_spawn(struct gmp_copier *c, struct spawn_args *to, const struct spawn_args *from)
{
	long r = copy_args(c, &to->x, from->x.path, from->x.argv, from->x.envp);

	if (r)
		return r;
	to->actions =
		from->actions && actions_known() ? copy_actions(c, from->actions) : from->actions;
	to->attr = from->attr ? gmp_copy_bytes(c, from->attr, sizeof(*from->attr)) : NULL;
	return 0;
}

typedef int spawn_fn(pid_t *, const char *, const posix_spawn_file_actions_t *,
		     const posix_spawnattr_t *, char *const[], char *const[]);

/* Around all that spawns in libc: no activation meanwhile, and the child inherits. */
static struct gmp_inherited before_spawn(void)
{
	gmp_libc_enter(); /* also when active: the selector may not be on yet */
	return gmp_inherit_begin(GMP_BY_SPAWN);
}

static void after_spawn(struct gmp_inherited given)
{
	gmp_inherit_end(given);
	gmp_libc_leave();
}

static int spawn_by(spawn_fn *libc, pid_t *pid, const struct spawn_args *a)
{
	struct gmp_inherited given = before_spawn();
	int err = libc(pid, a->x.path, a->actions, a->attr, a->x.argv, a->x.envp);

	after_spawn(given);
	return err;
}

static int spawn_active(pid_t *pid, const struct spawn_args *from)
{
	struct gmp_copier c = {0};
	struct spawn_args to;
	pid_t child = 0;

	long r = copy_spawn(&c, &to, from);
	if (r)
		return (int)-r;
	size_t bytes = c.used + 16;
	c = (struct gmp_copier){.base = gmi_alloc(bytes)};
	if (!c.base)
		return ENOMEM;
	r = copy_spawn(&c, &to, from);
	if (!r)
		r = -spawn_by(GMP_REAL(posix_spawn), &child, &to);
	gmi_free(c.base, bytes);
	if (!r && pid)
		*pid = child;
	return (int)-r;
}

/* The arguments of a hook. */
#define SPAWN_ARGS(path)                                                                           \
	{                                                                                          \
		{(char *)(path), (char **)argv, (char **)envp},                                    \
			(posix_spawn_file_actions_t *)actions, (posix_spawnattr_t *)attr           \
	}

GMP_HOOK int posix_spawn(pid_t *pid, const char *path, const posix_spawn_file_actions_t *actions,
			 const posix_spawnattr_t *attr, char *const argv[], char *const envp[])
{
	struct spawn_args from = SPAWN_ARGS(path);

	return gmp_on && gmp_is_active() ? spawn_active(pid, &from)
					 : spawn_by(GMP_REAL(posix_spawn), pid, &from);
}

/* libc's child would search PATH itself, reading the environment: here the parent does. */
static int search_path(const char *file, char *path, size_t bytes)
{
	const char *dirs = getenv("PATH"), *end;
	int err = ENOENT;

	for (const char *d = dirs ? dirs : "/bin:/usr/bin";; d = end + 1) {
		end = strchrnul(d, ':');
		size_t n = (size_t)(end - d), len = strlen(file);
		if (n + len + 2 <= bytes) {
			char *p = mempcpy(path, d, n);
			if (n)
				*p++ = '/';
			memcpy(p, file, len + 1);
			long r = gm_sys3(SYS_faccessat, AT_FDCWD, path, X_OK);
			if (!r)
				return 0;
			if (r == -EACCES)
				err = EACCES;
		}
		if (!*end)
			return err;
	}
}

GMP_HOOK int posix_spawnp(pid_t *pid, const char *file, const posix_spawn_file_actions_t *actions,
			  const posix_spawnattr_t *attr, char *const argv[], char *const envp[])
{
	struct spawn_args from = SPAWN_ARGS(file);
	char path[PATH_MAX];

	if (!gmp_on || !gmp_is_active())
		return spawn_by(GMP_REAL(posix_spawnp), pid, &from);
	if (!strchr(file, '/')) {
		int err = search_path(file, path, sizeof(path));
		if (err)
			return err;
		from.x.path = path;
	}
	return spawn_active(pid, &from);
}

/* ---- system, popen: libc spawns a shell by itself, with our environment ---- */

/* The environment goes to every child: once it had to be read by one, it stays on the host. */
static void pin_environment(void)
{
	size_t n = 0;

	for (; environ && environ[n]; n++)
		gmi_pin_range(environ[n], strlen(environ[n]) + 1, true);
	gmi_pin_range(environ, (n + 1) * sizeof(*environ), true);
}

static char *private_string(const char *s, size_t *bytes)
{
	*bytes = strlen(s) + 1;
	char *copy = gmi_alloc(*bytes);
	return copy ? memcpy(copy, s, *bytes) : NULL;
}

GMP_HOOK FILE *popen(const char *command, const char *mode)
{
	size_t bytes;
	char *copy;

	if (!gmp_on)
		return GMP_REAL(popen)(command, mode);
	if (!(copy = private_string(command, &bytes))) {
		errno = ENOMEM;
		return NULL;
	}
	if (gmp_is_active())
		pin_environment();
	struct gmp_inherited given = before_spawn();
	FILE *f = GMP_REAL(popen)(copy, mode);
	after_spawn(given);
	gmi_free(copy, bytes);
	return f;
}
