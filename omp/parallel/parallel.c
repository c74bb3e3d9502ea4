/*
 * parallel.c - parallel regions of programs for the CPU, on a device: the call of the OpenMP
 * runtime that starts a region is made in the device process (device/parallel.c), with the
 * program's own code.
 *
 * A region that cannot run there is the host's, for good, and the report names it with the
 * reason. One that has begun on the device and failed has changed memory: then the program ends
 * as it would by such a failure on the host.
 */
#include "omp/parallel/front.h"
#include "omp/core/host.h"
#include "omp/parallel/arena.h"
#include "core/count/stats.h"
#include <dlfcn.h>
#include <errno.h>
#include <regex.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define API __attribute__((visibility("default")))

/* An OpenMP runtime of the program, and what it has been told by the calling thread. */
struct runtime {
	struct runtime *next;
	const void *base;
	int (*level)(void), (*threads)(void), (*dynamic)(void), (*levels)(void), (*teams)(void);
	void (*schedule)(int *kind, int *chunk);
	bool answers; /* all of these */
	bool is_libomp;
};
struct known { /* a region */
	struct known *next;
	const void *fn;
	const struct runtime *runtime;
	char label[GMO_LABEL_BYTES];
	bool on_host;
};
static struct runtime *runtimes;			       /* only grows */
static struct known *_Atomic known;			       /* likewise */
static pthread_mutex_t known_lock = PTHREAD_MUTEX_INITIALIZER; /* of both */

/* ---- once ---- */

static regex_t chosen;
static bool choose_all;

static void compile_choice(void)
{
	choose_all = !gmi_opt.openmp_regex[0];
	if (!choose_all && regcomp(&chosen, gmi_opt.openmp_regex, REG_EXTENDED | REG_NOSUB)) {
		/* run-with-gmem.sh refuses it; the environment may have it all the same */
		gm_log(GM_LOG_WARN,
		       "GMEM_OFFLOAD: openmp:%s is not a regular expression: no "
		       "parallel region is offloaded",
		       gmi_opt.openmp_regex);
		regcomp(&chosen, "^$", REG_NOSUB);
	}
}

static void begin(void)
{
	compile_choice();
	gmo_arena_make = gmo_arena;
}

/* ---- runtimes ---- */

static void find_getters(struct runtime *r, void *library)
{
	*(void **)&r->level = dlsym(library, "omp_get_level");
	*(void **)&r->threads = dlsym(library, "omp_get_max_threads");
	*(void **)&r->dynamic = dlsym(library, "omp_get_dynamic");
	*(void **)&r->levels = dlsym(library, "omp_get_max_active_levels");
	*(void **)&r->teams = dlsym(library, "omp_get_num_teams");
	*(void **)&r->schedule = dlsym(library, "omp_get_schedule");
	r->answers = r->level && r->threads && r->dynamic && r->levels && r->teams && r->schedule;
	r->is_libomp = dlsym(library, "__kmpc_fork_call");
}

/* The one that `real` is a function of; NULL: no memory, or it is of no file. Locked. */
static const struct runtime *runtime_of(const void *real)
{
	struct runtime *r = runtimes;
	Dl_info info;

	if (!dladdr(real, &info))
		return NULL;
	while (r && r->base != info.dli_fbase)
		r = r->next;
	void *library = r ? NULL : dlopen(info.dli_fname, RTLD_LAZY | RTLD_NOLOAD);
	if (r || !library || !(r = calloc(1, sizeof *r)))
		return r;
	r->base = info.dli_fbase;
	find_getters(r, library);
	r->next = runtimes;
	return runtimes = r;
}

/* ---- which regions ---- */

/* How many modules had thread-local variables at the first region; -1: none was reached. */
static int first_locals = -1;

/*
 * Why the program's thread-local variables cannot be those of a region; NULL: they can. Threads
 * other than the one that starts a region have theirs on the device only: so all regions must run
 * there.
 */
static const char *why_no_locals(char *text, size_t bytes)
{
	struct gmo_local locals[GMO_LOCALS];
	const char *file = "", *slash;
	int n = gmo_program_locals(locals, &file);

	if (gmo_program_once() < 0)
		return "the program uses std::call_once of a libstdc++ that was loaded later";
	if (first_locals < 0 && n >= 0)
		first_locals = n;
	if (n != first_locals)
		n = -ENOTSUP;
	if (n == 0)
		return NULL;
	slash = strrchr(file, '/');
	if (n < 0) {
		snprintf(text, bytes,
			 "%s has thread-local variables that are too large (more than %d bytes in "
			 "all), or came later than the program",
			 slash ? slash + 1 : "the program", GMO_LOCAL_BYTES);
		return text;
	}
	if (gmo_program_calls("__cxa_thread_atexit"))
		return "the program has thread-local variables with destructors";
	return choose_all ? NULL
			  : "the program has thread-local variables, which need all regions on one "
			    "side: --offload openmp";
}

/*
 * libomp keeps some of what regions share in memory of its own, which the other process has not:
 * locks other than those that are a word of the program's (so init.c of the preload library asks
 * for these), and copies of thread-private variables that are not the compiler's.
 */
static const char *why_not_libomp(char *text, size_t bytes)
{
	static const struct {
		const char *begins, *why;
	} own[] = {
		{"omp_init_nest_lock", "libomp keeps nestable locks in its own memory"},
		{"omp_init_lock_with_hint", "libomp keeps locks with hints in its own memory"},
		{"__kmpc_critical_with_hint", "libomp keeps locks with hints in its own memory"},
		{"__kmpc_threadprivate_cached", "libomp keeps the program's threadprivate "
						"variables (-fnoopenmp-use-tls)"},
	};
	const char *kind = getenv("KMP_LOCK_KIND");

	for (size_t i = 0; i < GM_ARRAY_LEN(own); i++)
		if (gmo_program_calls(own[i].begins))
			return own[i].why;
	if (kind && (!strcmp(kind, "tas") || !strcmp(kind, "futex")))
		return NULL;
	snprintf(text, bytes,
		 "KMP_LOCK_KIND is %s: libomp keeps such locks in its own memory; tas and futex "
		 "lie in the program's",
		 kind ? kind : "not set");
	return text;
}

static const char *why_not(const struct runtime *runtime, const struct gmo_parallel_call *call,
			   char *text, size_t bytes)
{
	const char *why = why_no_locals(text, bytes);

	if (gmo_program_calls("GOMP_target") || gmo_program_calls("GOACC_") ||
	    gmo_program_calls("__tgt_"))
		return "the program has target regions as well, and these have the device";
	if (!why && runtime->is_libomp)
		why = why_not_libomp(text, bytes);
	if (why)
		return why;
	if (call->nargs > GMO_CALL_MAX) {
		snprintf(text, bytes, "it shares %zu variables; the device takes %d",
			 call->nargs - 3, GMO_CALL_MAX - 3);
		return text;
	}
	if (!gmo_is_function((uint64_t)call->region))
		return "its code is in no file";
	if (!runtime->answers)
		return "its OpenMP runtime does not answer omp_get_*()";
	if (gmo_devices() < 1)
		return "no device works";
	return NULL;
}

static void refuse_region(struct known *k, const char *why)
{
	k->on_host = true;
	gmi_region_refused(k->label, why);
	gm_log(GM_LOG_INFO, "parallel region %s runs on the host: %s", k->label, why);
}

/* A field of ";file;function;line;column;;", from 1. */
static int source_field(const struct gmo_location *at, int n, const char **text)
{
	const char *s = at && at->source ? at->source : "";

	for (; n && *s; s++)
		n -= *s == ';';
	*text = s;
	return (int)strcspn(s, ";");
}

/*
 * What people call it: its symbol. What clang makes of a region has the function's name since 17
 * ("solve.omp_outlined"), before it was ".omp_outlined..1": then it is the function that the call
 * names (-g), or that calls. `place`: its file and line, "" if the compiler has not written them.
 */
static void name_region(struct known *k, const struct gmo_parallel_call *call, char *place,
			size_t bytes)
{
	static const char bare[] = ".omp_outlined.";
	const char *symbol = gmo_label(call->region), *file, *function, *line;
	int file_bytes = source_field(call->location, 1, &file),
	    function_bytes = source_field(call->location, 2, &function),
	    line_bytes = source_field(call->location, 3, &line);
	bool placed = line_bytes && strncmp(line, "0;", 2);

	*place = 0;
	if (placed)
		snprintf(place, bytes, "%.*s:%.*s", file_bytes, file, line_bytes, line);
	if (!call->from || strncmp(symbol, bare, sizeof bare - 1))
		snprintf(k->label, sizeof k->label, "%s", symbol);
	else if (placed)
		snprintf(k->label, sizeof k->label, "%.*s.omp_outlined%s", function_bytes, function,
			 symbol + sizeof bare - 1);
	else
		snprintf(k->label, sizeof k->label, "%s.omp_outlined%s", gmo_label(call->from),
			 symbol + sizeof bare - 1);
}

static bool is_chosen(const struct known *k, const char *place)
{
	return choose_all || !regexec(&chosen, k->label, 0, NULL, 0) ||
	       (*place && !regexec(&chosen, place, 0, NULL, 0));
}

static struct known *learn(const struct gmo_parallel_call *call)
{
	struct known *k = calloc(1, sizeof *k);
	char text[256], place[512];

	if (!k || !(k->runtime = runtime_of(call->real))) {
		free(k);
		return NULL;
	}
	k->fn = call->region;
	name_region(k, call, place, sizeof place);
	if (!is_chosen(k, place)) {
		k->on_host = true; /* as the user wishes */
		return k;
	}
	const char *why = why_not(k->runtime, call, text, sizeof text);
	if (why)
		refuse_region(k, why);
	return k;
}

static struct known *find_known(const void *fn)
{
	struct known *k = known;

	while (k && k->fn != fn)
		k = k->next;
	return k;
}

static struct known *region_of(const struct gmo_parallel_call *call)
{
	struct known *k = find_known(call->region);

	if (k)
		return k;
	pthread_mutex_lock(&known_lock);
	k = find_known(call->region);
	if (!k && (k = learn(call))) {
		k->next = known;
		known = k;
	}
	pthread_mutex_unlock(&known_lock);
	return k;
}

/* ---- running ---- */

/* The process that has run regions on the device, if threads have variables there. */
static pid_t begun;

/* As the same failure ends a program without us. */
static void end_program(int err, const struct gm_launch_result *result)
{
	int sig = err == -EFAULT || err == -EPERM		   ? SIGSEGV
		  : err == -ECANCELED && result->kernel_code > 128 ? result->kernel_code - 128
								   : SIGABRT;
	raise(sig);
	abort();
}

static void ask_icvs(const struct runtime *r, int32_t icv[GMO_ICVS])
{
	icv[GMO_ICV_THREADS] = r->threads();
	icv[GMO_ICV_DYNAMIC] = r->dynamic();
	icv[GMO_ICV_LEVELS] = r->levels();
	r->schedule(&icv[GMO_ICV_SCHEDULE], &icv[GMO_ICV_CHUNK]);
}

static int launch_region(struct gmo_device *d, const struct known *k, struct gmo_parallel *a,
			 uint64_t *result, struct gm_launch_result *launch)
{
	struct gmo_slot *slot = gmo_starter_slot();

	a->slot = (uint64_t)slot;
	int err = gmo_program_run(d,
				  &(struct gmo_region){.kernel = "gmo_parallel",
						       .label = k->label,
						       .args = a,
						       .bytes = sizeof *a,
						       .reply = result,
						       .result = launch,
						       .serve = gmo_answer,
						       .serve_of = slot},
				  &a->epoch);
	gmo_starter_slot_free(slot);
	return err;
}

static bool run_there(struct gmo_device *d, const struct gmo_parallel_call *call,
		      const struct known *k, uint64_t *result)
{
	struct gmo_parallel a = {.thread = gmo_thread_pointer(),
				 .tid = gettid(),
				 .resumes = begun == getpid(),
				 .threads = call->threads};
	struct gm_launch_result launch = {0};
	int saved = errno;
	void *more;

	snprintf(a.entry, sizeof a.entry, "%s", call->entry);
	ask_icvs(k->runtime, a.icv);
	int err = gmo_put_words(d, call->args, call->nargs, &a.words, &more);
	if (!err)
		err = launch_region(d, k, &a, result, &launch);
	gmo_free(d, more);
	if (err == -ECANCELED && launch.kernel_code == GMO_LOST_LOCALS)
		gmo_say(d, "its process was lost, and with it the thread-local variables of the "
			   "program's regions: the program ends");
	if (err && err != -ESTALE)
		end_program(err, &launch);
	if (first_locals > 0 && !err)
		begun = getpid();
	errno = saved;
	return !err;
}

API bool gmo_parallel_run(const struct gmo_parallel_call *call, uint64_t *result)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	if (gmo_in_host_call())
		return false; /* a library's, for a region */
	pthread_once(&once, begin);
	struct known *k = region_of(call);
	if (!k || k->on_host)
		return false;
	if (k->runtime->level() > 0 || k->runtime->teams() > 1)
		return false; /* inside one that runs here */
	struct gmo_device *d = gmo_device_init(0) ? NULL : gmo_device(0);
	if (d && run_there(d, call, k, result))
		return true;
	refuse_region(k, "the device cannot be given the program's code");
	return false;
}
