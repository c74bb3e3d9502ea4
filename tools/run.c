/*
 * run.c - run-with-gmem.sh behind its shell part: flags become variables, the target and the
 * library are checked, then this process becomes the program, so that its exit status and every
 * signal are its own.
 */
#include "tools/view.h"
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <regex.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define NAME	    "run-with-gmem.sh"
#define USAGE	    2
#define OWN_FAILURE 125 /* as env, nohup, timeout */
#define NOT_FOUND   127

extern char **environ;

static void put_variable(const char *line)
{
	puts(line);
}

static int help(void)
{
	puts("Usage: " NAME " [flags] [--] program [arguments]\n\n"
	     "Runs an unmodified program with its heap in a unified address space of the CPU and "
	     "simulated\n"
	     "accelerators, its BLAS-3 calls on them, and reports what moved.\n\n"
	     "Flags (each is a variable of the environment as well; the flag wins):");
	gmi_opt_help(put_variable, false);
	puts("  --help, --version\n\n"
	     "Exit status: the program's own; 2 wrong usage, 125 the library cannot be loaded, 126 "
	     "the "
	     "program cannot\n"
	     "be run under gmem, 127 it was not found.");
	return 0;
}

__attribute__((format(printf, 2, 3))) static int fail_run(int status, const char *fmt, ...)
{
	va_list ap;

	fputs(NAME ": ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	return status;
}

/* ---- flags ---- */

/* --device adds to the --device before it, not to what the environment says. */
static void set_option(const char *name, const char *value, bool *device_given)
{
	char *joined = NULL;

	if (!strcmp(name, "GMEM_DEVICE")) {
		if (*device_given && asprintf(&joined, "%s;%s", getenv(name), value) > 0)
			value = joined;
		*device_given = true;
	}
	setenv(name, value, 1);
	free(joined);
}

/* One flag at args[0], with its value in args[1] or behind '='. Returns how many words it took,
 * 0 after an error. */
static int take_flag(char **args, bool *device_given)
{
	char flag[64];
	const char *equals = strchr(args[0], '='), *value = equals ? equals + 1 : args[1];

	snprintf(flag, sizeof flag, "%.*s",
		 (int)(equals ? equals - args[0] : (long)strlen(args[0])), args[0]);
	const char *name = gmi_opt_flag(flag);
	if (!name) {
		fail_run(USAGE, "unknown flag %s (see --help)", flag);
		return 0;
	}
	if (!value) {
		fail_run(USAGE, "%s needs a value (see --help)", flag);
		return 0;
	}
	set_option(name, value, device_given);
	return equals ? 1 : 2;
}

/* args moves on to the program. -1: go on, else the exit status. */
static int take_flags(char ***args)
{
	bool device_given = false;

	while (**args && ***args == '-') {
		if (!strcmp(**args, "--")) {
			++*args;
			break;
		}
		if (!strcmp(**args, "--help") || !strcmp(**args, "-h"))
			return help();
		if (!strcmp(**args, "--version"))
			return printf(NAME " %s\n", GMEM_VERSION) < 0;
		int n = take_flag(*args, &device_given);
		if (!n)
			return USAGE;
		*args += n;
	}
	return **args ? -1
		      : fail_run(USAGE, "no program given\nUsage: " NAME
					" [flags] [--] program [arguments]");
}

/* ---- the environment ---- */

/* A relative file means this directory, also for children that have gone elsewhere. */
static void make_absolute(const char *variable)
{
	const char *file = getenv(variable);
	char *cwd, *path;

	if (!file || !*file || *file == '/' || !strcmp(file, "text") || !strcmp(file, "none") ||
	    !(cwd = getcwd(NULL, 0)))
		return;
	if (asprintf(&path, "%s/%s", cwd, file) > 0) {
		setenv(variable, path, 1);
		free(path);
	}
	free(cwd);
}

static bool is_regex(const char *s)
{
	regex_t regex;

	if (regcomp(&regex, s, REG_EXTENDED | REG_NOSUB))
		return false;
	regfree(&regex);
	return true;
}

/* 0, or an exit status. */
static int check_options(void)
{
	char err[1024], pid[16];

	gmi_opt_check_regex = is_regex;
	setenv("GMEM_REPORT", "text", 0);
	snprintf(pid, sizeof pid, "%d", getpid());
	setenv("GMEM_MAIN_PID", pid, 1);
	if (gmi_opt_parse(environ, err, sizeof err) != 0)
		return fail_run(USAGE, "%s", err);
	make_absolute("GMEM_REPORT");
	make_absolute("GMEM_TRACE");
	return 0;
}

/* ---- profiles in files ---- */

/* What gmem-profile, beside this program, prints for the n characters at `file`. Allocated;
 * NULL: it said why not. */
static char *profile_of(const char *self, const char *file, size_t n)
{
	char *tool, *name = strndup(file, n), *line = NULL;
	size_t room = 0;
	int to_us[2], status = 1;
	pid_t pid;

	if (!name ||
	    asprintf(&tool, "%.*sgmem-profile", (int)(strrchr(self, '/') + 1 - self), self) < 0)
		return NULL;
	char *argv[] = {tool, name, NULL};
	posix_spawn_file_actions_t actions;
	posix_spawn_file_actions_init(&actions);
	if (pipe2(to_us, O_CLOEXEC) == 0) {
		posix_spawn_file_actions_adddup2(&actions, to_us[1], 1);
		int err = posix_spawn(&pid, tool, &actions, NULL, argv, environ);
		close(to_us[1]);
		FILE *in = fdopen(to_us[0], "r");
		if (err)
			fail_run(USAGE, "%s: %s", tool, strerror(err));
		else if (in && getline(&line, &room, in) > 0)
			line[strcspn(line, "\n")] = 0;
		if (in)
			fclose(in);
		if (!err)
			waitpid(pid, &status, 0);
	}
	posix_spawn_file_actions_destroy(&actions);
	free(tool);
	free(name);
	if (!status)
		return line;
	free(line);
	return NULL;
}

static bool is_file(const char *entry, size_t n)
{
	return memchr(entry, '/', n) || (n > 5 && !memcmp(entry + n - 5, ".toml", 5));
}

/*
 * GMEM_DEVICE with every profile that is named by its file turned into the string it stands for:
 * no program under GMEM is made to read the file, and children in other directories mean the
 * same. 0, or an exit status.
 */
static int read_profiles(const char *self)
{
	const char *entry = getenv("GMEM_DEVICE");
	char *all = NULL, *longer;

	if (!entry || !strrchr(self, '/'))
		return 0;
	for (;;) {
		size_t n = strcspn(entry, ";"), name = strcspn(entry, ",;");
		char *spec =
			is_file(entry, name) ? profile_of(self, entry, name) : strndup(entry, name);
		if (!spec || asprintf(&longer, "%s%s%s%.*s", all ? all : "", all ? ";" : "", spec,
				      (int)(n - name), entry + name) < 0)
			return USAGE;
		free(spec);
		free(all);
		all = longer;
		if (!entry[n])
			break;
		entry += n + 1;
	}
	setenv("GMEM_DEVICE", all, 1);
	free(all);
	return 0;
}

/* Children in other directories mean the same file. One that is not there is check_options()'s. */
static void make_policy_absolute(void)
{
	const char *file = getenv("GMEM_POLICY");
	char *whole = file ? realpath(file, NULL) : NULL;

	if (whole)
		setenv("GMEM_POLICY", whole, 1);
	free(whole);
}

/* ---- target and library ---- */

/* As execvp would find it. The result is allocated; NULL: nowhere. */
static char *find_program(const char *name)
{
	const char *path = getenv("PATH");
	char *found = NULL;

	if (strchr(name, '/'))
		return strdup(name);
	for (path = path ? path : "/bin:/usr/bin"; *name; path++) {
		size_t n = strcspn(path, ":");
		struct stat st;
		if (asprintf(&found, "%.*s%s%s", (int)n, path, n ? "/" : "./", name) < 0)
			return NULL;
		if (stat(found, &st) == 0 && S_ISREG(st.st_mode) && access(found, X_OK) == 0)
			return found;
		free(found);
		path += n;
		if (!*path)
			break;
	}
	return NULL;
}

/* Starts this program with the library alone and lets it look whether it is there: ld.so would
 * only warn. */
static bool loads(const char *self, const char *lib)
{
	char *preload = NULL, *path = NULL;
	const char *lib_path = getenv("LD_LIBRARY_PATH");
	pid_t pid;
	int status = 0;

	if (asprintf(&preload, "LD_PRELOAD=%s", lib) < 0 ||
	    asprintf(&path, "LD_LIBRARY_PATH=%s", lib_path ? lib_path : "") < 0)
		return false;
	char *env[] = {preload, (char[]){"GMEM_DISABLE=1"}, path, NULL};
	char *argv[] = {(char *)self, (char[]){"--check-loaded"}, (char *)lib, NULL};
	bool ok = posix_spawn(&pid, self, NULL, NULL, argv, env) == 0 &&
		  waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
	free(preload);
	free(path);
	return ok;
}

/* With an auditor (LD_AUDIT) the loader has less room for thread-local variables, and no more for
 * the library's, if it is not told. */
static void make_room_beside_auditors(void)
{
	const char *audit = getenv("LD_AUDIT"), *old = getenv("GLIBC_TUNABLES");
	char *all;

	if (!audit || !*audit || (old && strstr(old, "optional_static_tls")))
		return;
	if (asprintf(&all, "%s%sglibc.rtld.optional_static_tls=4096", old && *old ? old : "",
		     old && *old ? ":" : "") < 0)
		return;
	setenv("GLIBC_TUNABLES", all, 1);
	free(all);
}

static int preload(const char *self, const char *lib)
{
	const char *old = getenv("LD_PRELOAD");
	char *all;

	if (strpbrk(lib, " :"))
		return fail_run(OWN_FAILURE, "%s: the loader takes no path with a space or a colon",
				lib);
	if (!loads(self, lib))
		return fail_run(OWN_FAILURE, "%s cannot be loaded", lib);
	if (asprintf(&all, old && *old ? "%s:%s" : "%s", lib, old) < 0)
		return OWN_FAILURE;
	setenv("LD_PRELOAD", all, 1);
	free(all);
	make_room_beside_auditors();
	return 0;
}

/*
 * The plug-in for OpenMP target programs, which their runtime opens by its name: in a folder of
 * its own below the library's, so that nothing else is found there. Without devices the
 * runtime's own plug-in is left to work.
 */
static int offer_plugin(const char *lib)
{
	static const char *const folders[] = {"omp", "gmem/omp"};
	const char *old = getenv("LD_LIBRARY_PATH");
	int n = (int)(strrchr(lib, '/') ? strrchr(lib, '/') - lib : 0), r = 0;

	for (unsigned i = 0; i < GM_ARRAY_LEN(folders) && n && gmi_opt.ndev; i++) {
		char *folder, *plugin, *all;
		if (asprintf(&folder, "%.*s/%s", n, lib, folders[i]) < 0 ||
		    asprintf(&plugin, "%s/libomptarget.rtl.x86_64.so", folder) < 0 ||
		    asprintf(&all, old && *old ? "%s:%s" : "%s", folder, old) < 0)
			return OWN_FAILURE;
		bool there = access(plugin, R_OK) == 0;
		if (there)
			r = setenv("LD_LIBRARY_PATH", all, 1) ? OWN_FAILURE : 0;
		free(folder);
		free(plugin);
		free(all);
		if (there)
			break;
	}
	return r;
}

/* A runtime that looks after memory itself and refuses to be second: the program, without us. */
static bool is_sanitized(const char *path)
{
	const char *name = needed(path).sanitizer;

	if (name)
		fprintf(stderr, NAME ": %s is built with the %s sanitizer: it runs without GMEM\n",
			path, name);
	return name;
}

/* What our heap takes before the program has a byte, with a page of each size. */
#define LEAST_DATA ((rlim_t)24 << 20)

static bool is_confined(const char *path)
{
	struct rlimit data;

	if (getrlimit(RLIMIT_DATA, &data) || data.rlim_cur >= LEAST_DATA)
		return false;
	fprintf(stderr,
		NAME
		": %s: RLIMIT_DATA (ulimit -d) is %lu KiB, GMEM's heap alone needs %lu: it runs "
		"without GMEM\n",
		path, (unsigned long)data.rlim_cur >> 10, (unsigned long)LEAST_DATA >> 10);
	return true;
}

int run(const char *self, const char *lib, char **args)
{
	char why[1024];
	int r = take_flags(&args);

	if (r >= 0)
		return r;
	make_policy_absolute();
	if ((r = read_profiles(self)) || (r = check_options()))
		return r;
	char *path = find_program(args[0]);
	if (!path)
		return fail_run(NOT_FOUND, "%s: command not found", args[0]);
	if ((r = check_target(path, why, sizeof why)))
		r = fail_run(r, "%s", why);
	else if (is_sanitized(path) || is_confined(path) ||
		 (!(r = preload(self, lib)) && !(r = offer_plugin(lib)))) {
		execve(path, args, environ);
		r = fail_run(126, "%s: %s", path, strerror(errno));
	}
	free(path);
	return r;
}
