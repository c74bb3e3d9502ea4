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

struct known { /* a region */
	struct known *next;
	const void *fn;
	const char *label;
	bool on_host;
};
static struct known *_Atomic known; /* only grows */
static pthread_mutex_t known_lock = PTHREAD_MUTEX_INITIALIZER;

/* What the program has told its runtime; of the calling thread. */
static struct {
	int (*level)(void), (*threads)(void), (*dynamic)(void), (*levels)(void);
	void (*schedule)(int *kind, int *chunk);
	bool all;
} omp;

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

/* The runtime that the call belongs to. */
static void find_omp_getters(const void *real)
{
	Dl_info info;
	void *library =
		dladdr(real, &info) ? dlopen(info.dli_fname, RTLD_LAZY | RTLD_NOLOAD) : NULL;

	if (!library)
		return;
	*(void **)&omp.level = dlsym(library, "omp_get_level");
	*(void **)&omp.threads = dlsym(library, "omp_get_max_threads");
	*(void **)&omp.dynamic = dlsym(library, "omp_get_dynamic");
	*(void **)&omp.levels = dlsym(library, "omp_get_max_active_levels");
	*(void **)&omp.schedule = dlsym(library, "omp_get_schedule");
	omp.all = omp.level && omp.threads && omp.dynamic && omp.levels && omp.schedule;
}

static const void *first_real;

static void begin(void)
{
	compile_choice();
	find_omp_getters(first_real);
	gmo_arena_make = gmo_arena;
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

static const char *why_not(const void *fn, char *text, size_t bytes)
{
	const char *why = why_no_locals(text, bytes);

	if (gmo_program_calls("GOMP_target") || gmo_program_calls("GOACC_") ||
	    gmo_program_calls("__tgt_"))
		return "the program has target regions as well, and these have the device";
	if (why)
		return why;
	if (!gmo_is_function((uint64_t)fn))
		return "its code is in no file";
	if (!omp.all)
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

static struct known *learn(const void *fn)
{
	struct known *k = calloc(1, sizeof *k);
	char text[256];

	if (!k)
		return NULL;
	k->fn = fn;
	k->label = gmo_label(fn);
	if (!choose_all && regexec(&chosen, k->label, 0, NULL, 0)) {
		k->on_host = true; /* as the user wishes */
		return k;
	}
	const char *why = why_not(fn, text, sizeof text);
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

static struct known *region_of(const void *fn)
{
	struct known *k = find_known(fn);

	if (k)
		return k;
	pthread_mutex_lock(&known_lock);
	k = find_known(fn);
	if (!k && (k = learn(fn))) {
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

static bool run_there(struct gmo_device *d, const struct gmo_parallel_call *call,
		      const struct known *k, uint64_t *result)
{
	struct gmo_slot *slot = gmo_starter_slot();
	struct gmo_parallel a = {.slot = (uint64_t)slot,

				 .thread = gmo_thread_pointer(),
				 .tid = gettid(),
				 .resumes = begun == getpid()};
	struct gm_launch_result launch = {0};
	int saved = errno;

	snprintf(a.entry, sizeof a.entry, "%s", call->entry);
	memcpy(a.args, call->args, sizeof a.args);
	a.icv[GMO_ICV_THREADS] = omp.threads();
	a.icv[GMO_ICV_DYNAMIC] = omp.dynamic();
	a.icv[GMO_ICV_LEVELS] = omp.levels();
	omp.schedule(&a.icv[GMO_ICV_SCHEDULE], &a.icv[GMO_ICV_CHUNK]);
	int err = gmo_program_run(d,
				  &(struct gmo_region){.kernel = "gmo_parallel",
						       .label = k->label,
						       .args = &a,
						       .bytes = sizeof a,
						       .reply = result,
						       .result = &launch,
						       .serve = gmo_answer,
						       .serve_of = slot},
				  &a.epoch);
	gmo_starter_slot_free(slot);
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
	if (!first_real)
		first_real = call->real;
	pthread_once(&once, begin);
	if (omp.level && omp.level() > 0)
		return false; /* inside one that runs here */
	struct known *k = region_of(call->region);
	if (!k || k->on_host)
		return false;
	struct gmo_device *d = gmo_device_init(0) ? NULL : gmo_device(0);
	if (d && run_there(d, call, k, result))
		return true;
	refuse_region(k, "the device cannot be given the program's code");
	return false;
}
