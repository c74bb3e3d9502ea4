/*
 * view.h - one report as plain numbers: made from the counters of a run or from a saved JSON,
 * shown as text or JSON.
 *
 * Measured times (wall_s, p50_ns, p99_ns) and times of the device model (modelled_s) are never
 * added or compared.
 */
#ifndef GM_TOOLS_VIEW_H
#define GM_TOOLS_VIEW_H

#include <stdbool.h>
#include <stdio.h>
#include "core/count/stats.h"

struct view_dev {
	char name[64];
	uint64_t mem_bytes, page_bytes, kernels, kernels_failed, faults, faults_merged,
		fault_batches, resident_peak_bytes, evicted_bytes, given_bytes, remote_bytes,
		restarts;
	uint64_t unmodelled, touched_bytes, bus_bytes, cpu_bus_bytes;
	/* The known parts of the modelled time, and their sum: the whole only if nothing is
	 * unmodelled. */
	double modelled_s, known_s, kernel_s, bus_s, fault_s, link_s, cpu_bus_s, peer_s;
	/* The same launches otherwise: with all that they touch copied in and back (NAN: not
	 * known), on the host (measured) */
	double copies_s, host_s;
	uint64_t h2d_bytes, refetched_bytes, needs_bytes;
	uint64_t peer_bytes, peer_mapped_bytes, peer_used_bytes;
	char verdict[320]; /* in words (verdict.c) */
	char basis
		[32]; /* what the time is known from: "counted", "sampled +-N %", "not modelled" */
};
struct view_site {
	uint64_t row;	  /* of gm_stats.site */
	char stack[2048]; /* innermost first, " < " between */
	char where
		[512]; /* function and line if known, else file+offset; "other": everything else */
	uint64_t h2d_bytes, refetched_bytes, d2h_bytes, cpu_faults, device_faults;
};
struct view_kernel {
	unsigned row; /* of gm_stats.kernel */
	char name[80];
	uint64_t device, launches, failed, faults, h2d_bytes, refetched_bytes;
	uint64_t running; /* launches that the end of the process has cut */
	double wall_s, modelled_s, running_s;
	char basis[32];
};
struct view_object {
	char name[80];
	uint64_t bus_bytes, device_faults;
};
struct view_refused {
	char name[80], why[176];
};
struct view {
	char program[256];  /* the executable */
	char command[1024]; /* the command line; may be empty */
	char ended[16];	    /* exit, exec, signal, unknown */
	char idle[320];	    /* why nothing ran on a device (idle.c); "": something did */
	char rank[12];	    /* of an MPI program; "": none */
	uint64_t pid, signal;
	char limit[16]; /* which --limit was reached; "": none */
	double limit_s; /* when */
	char left[32];	/* the system call before which it left; "": it did not */
	double wall_s, left_s;
	uint64_t ndev;
	struct view_dev dev[GM_MAX_DEV];
	uint64_t peer_bytes;
	uint64_t h2d_bytes, d2h_bytes, h2d_pages, d2h_pages, prefetched_pages, zeroed_pages,
		counted_pages;
	uint64_t thrash_leaves, thrash_throttled, thrash_pins;
	uint64_t cpu_faults, p50_ns, p99_ns, cpu_faults_spurious;
	uint64_t managed_peak_bytes, metadata_bytes;
	uint64_t blas_calls, blas_device, blas_host;
	uint64_t syscalls_pinned, syscalls_dispatched;
	uint64_t forks, forks_copied_bytes;
	uint64_t chaos_reads, chaos_writes, chaos_places, chaos_refused;
	uint64_t trace_events, trace_lost; /* 0 without a trace */
	uint64_t nsites;		   /* of which something moved, most bytes first */
	struct view_site site[GM_SITES];
	uint64_t nkernels; /* that were launched, the longest first */
	struct view_kernel kernel[GM_KERNELS];
	uint64_t nobjects; /* most bytes first */
	struct view_object object[GM_OBJECTS];
	uint64_t nrefused;
	struct view_refused refused[GM_REFUSED];
};

/* live.c: what this user runs under GMEM now, as JSON to standard output. */
int live(void);

/* All but sites and kernels, which take longer. */
void view_counters(struct view *v, const struct gm_stats *s);
/* ended and signal are the caller's. */
void view_from_stats(struct view *v, const struct gm_stats *s);
/* symbol.c: names each as well as the symbols of its module allow. */
struct symbol {
	char *module;			 /* a file; "": code that none holds */
	uint64_t offset;		 /* in it, of a return address */
	bool asked, named;		 /* symbol.c's: false */
	const struct gm_site_line *line; /* instead of module and offset; NULL: these */
	char name[512]; /* with inlined functions: the innermost first, " < " between */
};
void symbol_names(struct symbol *all, size_t n);
void view_text(const struct view *v, FILE *out);
/* One line, without its end: how far the process is, and what has moved a second since `before`,
 * so many seconds ago. resident: bytes on all devices. */
void view_progress(const struct view *v, const struct view *before, double seconds,
		   uint64_t resident, FILE *out);
/* Writes file atomically (a temporary beside it, renamed). 0 or -errno. */
int view_write_json(const struct view *v, const char *file);
/* 0, or -1 after a line to stderr. */
int view_read_json(struct view *v, const char *file);

/* verdict.c: what each device's run was bound by, in words. The rest of the view is filled in. */
void view_verdicts(struct view *v);

/* follow.c: the reporter process. report: "text" (to stderr), "none", or an absolute path; trace: a
 * path, or NULL. Returns the exit status. */
int follow(int pid, const char *report, const char *trace);

/*
 * target.c: can a library be preloaded into this program? 0, or the exit status for a shell
 * (126, 127) with one line in why.
 */
int check_target(const char *path, char *why, size_t bytes);

/* needed.c: what the ELF program at path, no script, says of the libraries that it is linked
 * with. */
struct needed {
	const char *sanitizer; /* whose runtime is among them; NULL: no sanitizer's */
	bool none;	       /* it is dynamically linked, with no library */
};
struct needed needed(const char *path);
/* Which of the n names (at most 32) begin a dynamic symbol's name, or another string of its
 * dynamic section? One bit each. */
unsigned names_in(const char *path, const char *const names[], unsigned n);
/* run.c: run-with-gmem.sh. Does not return when the program starts. */
int run(const char *self, const char *lib, char **args);

#endif
