/*
 * opt.h - the one table of options: environment variable, flag of the wrapper, type, default,
 * meaning.
 *
 * opt.c parses the environment with it, prints the help (gmem-report --options prints it for
 * run-with-gmem.sh), and generates docs/options.md. Values are read once, before main, and never
 * change; reading gmi_opt needs no lock.
 */
#ifndef GM_CORE_OPT_H
#define GM_CORE_OPT_H

#include <gmem/policy.h>
#include "core/sys/sys.h"

#define GM_MAX_DEV 8

enum gm_prefetch_kind {
	GM_PREFETCH_NONE,
	GM_PREFETCH_SEQ64K,
	GM_PREFETCH_TREE,
	GM_PREFETCH_ADAPTIVE
};
enum gm_evict_kind {
	GM_EVICT_LRU2M,
	GM_EVICT_LRU4K,
	GM_EVICT_TREE,
	GM_EVICT_ACCESS,
	GM_EVICT_ADAPTIVE
};
enum gm_placement_kind {
	GM_PLACE_MIGRATE,
	GM_PLACE_FIRST_USE,
	GM_PLACE_REMOTE,
	GM_PLACE_DUPLICATE,
	GM_PLACE_COPY,
	GM_PLACE_COUNTED
};
enum gm_thrash_kind { GM_THRASH_NONE, GM_THRASH_THROTTLE, GM_THRASH_PIN };
enum gm_residence_kind { GM_RESIDENCE_NONE, GM_RESIDENCE_KEEP };
enum gm_report_kind { GM_REPORT_NONE, GM_REPORT_TEXT, GM_REPORT_JSON };
enum gm_progress_kind { GM_PROGRESS_NONE, GM_PROGRESS_AUTO, GM_PROGRESS_ALWAYS };
enum gm_children_kind { GM_CHILDREN_ALL, GM_CHILDREN_NONE };

enum gm_fault_kind { GM_FAULT_SIGSEGV, GM_FAULT_UFFD };
/* What kernels may do with memory outside every window; in the order of how much. */
enum gm_foreign_kind { GM_FOREIGN_NONE, GM_FOREIGN_COPY, GM_FOREIGN_SHARED, GM_FOREIGN_COHERENT };

struct gm_options {
	bool disable; /* GMEM_DISABLE=1 */
	int ndev;     /* entries of GMEM_DEVICE; 0 for "none" */
	char device[GM_MAX_DEV]
		   [768];  /* each "profile[,key=value]...", checked by gmi_opt_hook_device */
	bool offload_blas; /* GMEM_OFFLOAD=none|blas,openmp:REGEX */
	bool offload_openmp;
	char openmp_regex[256]; /* POSIX, extended; empty: every region */
	double blas_min;	/* GMEM_BLAS_MIN, (m*n*k)^(1/3) */
	enum gm_prefetch_kind prefetch;
	enum gm_evict_kind evict;
	enum gm_placement_kind placement;
	enum gm_thrash_kind thrash;
	enum gm_residence_kind residence;
	unsigned policy_number[GM_POLICY_KINDS]; /* what follows the name: tree:51, pin:500 */
	/* GMEM_RECLAIM: of a device's memory, kept free by the background; 0: none */
	unsigned reclaim_percent;
	int watchdog_s; /* GMEM_WATCHDOG; 0: a silent device is waited for */
	enum gm_fault_kind fault;
	enum gm_foreign_kind foreign; /* GMEM_FOREIGN */
	char share[32];		      /* GMEM_SHARE; empty: devices are the process's own */
	char policy_file[1024];	      /* GMEM_POLICY: absolute; empty: no plug-in */
	bool throttle;		      /* GMEM_THROTTLE=1 */
	/* GMEM_LIMIT; each 0: none. limit_end: the program is to end then */
	bool limited, limit_end;
	uint64_t limit_ns, limit_faults, limit_bytes;
	bool sample;	       /* GMEM_SAMPLE=0: nobody looks which pages a launch touches */
	uint64_t retain_bytes; /* GMEM_RETAIN: host copies kept for ping-pong; 64K, 1M, 2G */
	enum gm_report_kind report;
	bool report_given;	/* GMEM_REPORT stood in the environment */
	char rank[12];		/* of an MPI program's process, as its launcher says; empty: none */
	char report_file[1024]; /* absolute; each %p and %r in it is already the pid or rank */
	int report_pid, trace_pid; /* that pid, as it was when they were read; 0: it is not in it */
	char trace_file[1024];	   /* as report_file; empty: no trace */
	char record_file[1024];	   /* as report_file; empty: no recording */
	enum gm_progress_kind progress;
	enum gm_log_level log;
	enum gm_children_kind children;
	char restrict_exe[1024]; /* colon-separated names or paths; empty: every program */
	unsigned chaos_rate;	 /* GMEM_CHAOS: changes a second, 0: none (chaos.h) */
	uint64_t chaos_seed;
	bool chaos_write;
	/*
	 * GMEM_MAIN_PID: the process that the wrapper becomes. Only that one reports whatever it
	 * did; for the others report_given is false, so they report once they use a device. 0:
	 * every process is a main one.
	 */
	int main_pid;
};
GM_EXPORT extern struct gm_options gmi_opt;

/* Does somebody read what is counted, and names who asked for memory? */
static inline bool gm_opt_reports(void)
{
	return gmi_opt.report != GM_REPORT_NONE || *gmi_opt.trace_file ||
	       gmi_opt.progress != GM_PROGRESS_NONE;
}

/*
 * Parses all GMEM_* of envp into gmi_opt. Returns 0, or -EINVAL with one line in err naming the
 * variable, the value and the valid ones. Allocates nothing. Unknown GMEM_ names are errors.
 */
GM_EXPORT int gmi_opt_parse(char *const *envp, char *err, size_t err_bytes);
/* Parses "64K", "1.5G", "4096" into bytes; 0 or -EINVAL. */
GM_EXPORT int gmi_parse_bytes(const char *s, uint64_t *bytes);
/*
 * The help text of the table, for a terminal (flags and variables) or as Markdown. out(line) is
 * called for each line, which has no newline.
 */
GM_EXPORT void gmi_opt_help(void (*out)(const char *line), bool markdown);
/*
 * The variable that a flag of the wrapper stands for ("--blas-min" -> "GMEM_BLAS_MIN"); NULL: no
 * such flag.
 */
GM_EXPORT const char *gmi_opt_flag(const char *flag);
/*
 * Checks one device string; set by the devsim driver, which knows the profiles. NULL: only
 * syntax is checked.
 */
GM_EXPORT extern int (*gmi_opt_check_device)(const char *spec, char *err, size_t err_bytes);
/* Is that one? Set by tools; NULL: not checked (libc is not to be asked where options are read). */
GM_EXPORT extern bool (*gmi_opt_check_regex)(const char *regex);

#endif
