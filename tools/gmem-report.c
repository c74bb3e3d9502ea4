/*
 * gmem-report.c - shows reports, and serves libgmem and run-with-gmem.sh in what needs the
 * option table.
 */
#include "tools/view.h"
#include "tools/view_fields.h"
#include "devsim/driver/sim.h"
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct verb {
	const char *name;
	int nargs;			/* at least */
	int (*run)(int n, char **args); /* NULL: in_python() */
	const char *help;		/* NULL: internal */
};

static void put_help(const char *line)
{
	puts(line);
}

static int show_options(int n, char **args)
{
	gmi_opt_help(put_help, false);
	return 0;
}

static int show_options_markdown(int n, char **args)
{
	gmi_opt_help(put_help, true);
	return 0;
}

static int show_schema(int n, char **args)
{
	view_print_schema();
	return 0;
}

static int show_fields_markdown(int n, char **args)
{
	view_print_markdown();
	return 0;
}

static int show_profiles(int n, char **args)
{
	gmi_sim_help(put_help);
	return 0;
}

/* What lies beside this program; NULL: it does not say where it is. */
static char *beside(const char *name, char *path, size_t bytes)
{
	ssize_t len = readlink("/proc/self/exe", path, bytes - strlen(name) - 1);
	char *slash = len > 0 ? memrchr(path, '/', (size_t)len) : NULL;

	return slash ? strcpy(slash + 1, name), path : NULL;
}

/* gmem-profile does the work. */
static int profile_from(int n, char **args)
{
	char tool[4096];

	if (!beside("gmem-profile", tool, sizeof tool))
		return 1;
	execl(tool, tool, "--from", args[0], (char *)NULL);
	perror(tool);
	return 1;
}

/*
 * The part of the tools that is written in Python, tools/python. The system's interpreter first: it
 * has the distribution's modules, which one that the user has installed elsewhere may lack.
 */
static int in_python(const char *verb, char **args)
{
	char folder[4096];
	int n = 0;

	while (args[n])
		n++;
	char **argv = calloc((size_t)n + 6, sizeof *argv);
	if (!argv || !beside("python", folder, sizeof folder))
		return 1;
	memcpy(argv, (char *[]){"python3", "-I", "-B", folder, (char *)verb}, 5 * sizeof *argv);
	memcpy(argv + 5, args, (size_t)n * sizeof *argv);
	execv("/usr/bin/python3", argv);
	execvp("python3", argv);
	fprintf(stderr, "gmem-report: %s needs python3: %m\n", verb);
	return 1;
}

static int show_version(int n, char **args)
{
	return printf("gmem-report %s\n", GMEM_VERSION) < 0;
}

static int do_follow(int n, char **args)
{
	return follow(atoi(args[0]), args[1], n > 2 ? args[2] : NULL);
}

static int do_check_elf(int n, char **args)
{
	char why[1024];
	int r = check_target(args[0], why, sizeof why);

	if (r)
		fprintf(stderr, "gmem-report: %s\n", why);
	return r;
}

static int do_check_loaded(int n, char **args)
{
	return dlopen(args[0], RTLD_LAZY | RTLD_NOLOAD) ? 0 : 1;
}

static int do_run(int n, char **args)
{
	return run(args[0], args[1], args + 2);
}

static int show_live(int n, char **args)
{
	return live();
}

static int show_help(int n, char **args);

static const struct verb verbs[] = {
	{"diff", 0, NULL, "A.json B.json: in what two reports differ"},
	{"export", 0, NULL, "TRACE --perfetto|--sqlite|--csv FILE: a trace for other tools"},
	{"html", 0, NULL, "A.json [B.json ...] -o FILE.html: a page for the browser, in one file"},
	{"merge", 0, NULL, "A.json B.json ...: of several processes (MPI ranks) one, and by rank"},
	{"--options", 0, show_options, "the options of run-with-gmem.sh and their GMEM_ variables"},
	{"--options-markdown", 0, show_options_markdown, "the same for docs/options.md"},
	{"--schema", 0, show_schema, "the JSON Schema of the reports"},
	{"--fields-markdown", 0, show_fields_markdown, "their fields for docs/report.md"},
	{"--profiles", 0, show_profiles,
	 "the devices that can be simulated, and the keys that override their properties"},
	{"--profile-from", 1, profile_from,
	 "FILE.csv: a device profile from measurements, to standard output (docs/devices.md)"},
	{"--check-elf", 1, do_check_elf,
	 "FILE: can the library be preloaded into this program? 0, or 126, 127 and why"},
	{"--help", 0, show_help, "this text"},
	{"--version", 0, show_version, "the version"},
	{"--live", 0, show_live, NULL},
	{"--follow", 2, do_follow, NULL},
	{"--check-loaded", 1, do_check_loaded, NULL},
	{"--run", 2, do_run, NULL},
};

static int show_help(int n, char **args)
{
	puts("Usage: gmem-report FILE.json...   shows saved reports of gmem as text");
	for (unsigned i = 0; i < GM_ARRAY_LEN(verbs); i++)
		if (verbs[i].help)
			printf("       gmem-report %-18s %s\n", verbs[i].name, verbs[i].help);
	return 0;
}

static int show_files(int n, char **files)
{
	static struct view v;
	int status = 0;

	for (int i = 0; i < n; i++)
		if (view_read_json(&v, files[i]) == 0)
			view_text(&v, stdout);
		else
			status = 1;
	return status;
}

/* This program is also called by these names. */
static const struct {
	const char *name, *verb;
} also[] = {{"gmem-sweep", "sweep"}, {"gmem-top", "top"}};

int main(int argc, char **argv)
{
	for (unsigned i = 0; i < GM_ARRAY_LEN(also) && argc; i++)
		if (!strcmp(basename(argv[0]), also[i].name))
			return in_python(also[i].verb, argv + 1);
	if (argc < 2) {
		fputs("gmem-report: no file given (see --help)\n", stderr);
		return 2;
	}
	for (unsigned i = 0; i < GM_ARRAY_LEN(verbs); i++)
		if (!strcmp(argv[1], verbs[i].name)) {
			if (argc - 2 >= verbs[i].nargs)
				return verbs[i].run ? verbs[i].run(argc - 2, argv + 2)
						    : in_python(verbs[i].name, argv + 2);
			fprintf(stderr, "gmem-report: %s needs %d arguments\n", argv[1],
				verbs[i].nargs);
			return 2;
		}
	if (argv[1][0] == '-') {
		fprintf(stderr, "gmem-report: unknown option %s (see --help)\n", argv[1]);
		return 2;
	}
	return show_files(argc - 1, argv + 1);
}
