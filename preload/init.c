/*
 * init.c - before main: options, bypass, then the parts in the order they need each other. After
 * main: the report.
 *
 * Everything here runs once, on the first thread, or on the one that moves a page before that
 * (activate.h). A bypassed process keeps gmp_on clear; every hook then calls libc.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/count/stats.h"
#include "core/page/activate.h"
#include "core/page/guard.h"
#include "core/page/plugin.h"
#include "core/rules/opt.h"
#include "devsim/driver/sim.h"
#include "preload/dispatch/dispatch.h"
#include "preload/ground/gate.h"
#include "preload/ground/ground.h"
#include "preload/ground/real.h"
#include "preload/heap/gmp_malloc.h"
#include "preload/heap/gmp_mmap.h"
#include "preload/heap/limits.h"
#include "preload/process/process.h"
#include "preload/process/thread.h"
#include "preload/signals/signals.h"

/* Does a sanitizer's runtime or valgrind watch this process? Weak: bound by the loader, no
 * lookup of ours. */
extern void __asan_init(void) __attribute__((weak, visibility("default")));
extern void __tsan_init(void) __attribute__((weak, visibility("default")));
extern void __msan_init(void) __attribute__((weak, visibility("default")));
extern void __hwasan_init(void) __attribute__((weak, visibility("default")));

static const char *watcher(char *const *envp)
{
	const char *preload = gmp_env(envp, "LD_PRELOAD");

	if (preload && strstr(preload, "vgpreload"))
		return "valgrind";
	if (__asan_init || __hwasan_init)
		return "the address sanitizer";
	if (__tsan_init)
		return "the thread sanitizer";
	return __msan_init ? "the memory sanitizer" : NULL;
}

/* GMEM_RESTRICT_EXE: colon-separated; an entry with a slash is a whole path, else a name. */
static bool is_wanted(const char *list)
{
	char exe[4096];
	long n = gm_sys3(SYS_readlink, "/proc/self/exe", exe, sizeof(exe) - 1);

	if (!*list || n < 0)
		return true;
	exe[n] = '\0';
	const char *name = strrchr(exe, '/') + 1;
	while (*list) {
		size_t len = strcspn(list, ":");
		const char *whole = memchr(list, '/', len) ? exe : name;
		if (len && strlen(whole) == len && !memcmp(whole, list, len))
			return true;
		list += len + (list[len] == ':');
	}
	return false;
}

static void fail_start(const char *why)
{
	gmi_log_level = GM_LOG_ERROR;
	gmi_log(GM_LOG_ERROR, "%s", why);
	gm_sys1(SYS_exit_group, 2);
}

static bool should_run(char *const *envp)
{
	char err[512];

	if (gmi_opt_parse(envp, err, sizeof(err)))
		fail_start(err);
	gmi_log_level = gmi_opt.log;
	if (gmi_opt.disable || !is_wanted(gmi_opt.restrict_exe))
		return false;
	const char *who = watcher(envp);
	gmi_guard_restorer = gmp_restore_own;
	if (!who && gmi_opt.ndev && gmi_plugin_load(gmi_opt.policy_file, err, sizeof(err)))
		fail_start(err);
	if (who)
		gm_log(GM_LOG_WARN, "%s is at work here: this process runs without GMEM", who);
	return !who;
}

static void start(void)
{
	char **envp = environ;

	gmp_real_resolve();
	void *volatile first = malloc(1); /* jemalloc starts */
	free(first);
	gmp_heap_started = true;
	if (!should_run(envp))
		return;
	if (gmi_opt.children == GM_CHILDREN_NONE)
		gmp_children_plain(envp);
	gmp_limits_init();
	int r = gmp_malloc_init();
	if (r) /* core has said why */
		gmp_limits_give_back();
	gmp_process_init();
	gmp_on = true;
	gmp_threads_init();
	if (gmi_opt.ndev > 0) {
		gmp_armed = true;
		gmp_signals_init();
		gmp_dispatch_init();
		gmp_thread_arm(gmp_self()->vmask);
	}
	gmp_malloc_thread_bind();
	gmp_mmap_init();
	if (gmi_opt.offload_openmp) /* before libomp reads it: omp/parallel/parallel.c says why */
		setenv("KMP_LOCK_KIND", "tas", 0);
	if (gmi_opt.report_given)
		gmi_report_start();
}

void gmi_preload_start(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, start);
}

__attribute__((constructor(101))) static void gmp_init(void)
{
	gmi_preload_start();
	if (gmp_armed && !(gmp_tls && gmp_tls->armed)) { /* another thread was the one */
		gmp_thread_arm(gmp_self()->vmask);
		gmp_malloc_thread_bind();
	}
	if (gmp_armed)
		gmi_chaos_start(); /* activates, which would wait for its own start */
}

__attribute__((destructor(101))) static void gmp_fini(void)
{
	if (gmp_on)
		gmi_report_finish();
}
