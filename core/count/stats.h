/*
 * stats.h - every number of the report, counted where the thing happens.
 *
 * One struct in a shared mapping (memfd) that outlives the process: the reporter (gmem-report
 * --follow) maps it too and renders it when the process is gone, however it ended. All fields
 * are updated with relaxed atomic adds (GM_COUNT). The layout is private to one build: version
 * is checked by the reporter.
 *
 * count/: what happened. Every number of the report, and handing it to the reporter.
 *    here     counters, call sites, the reporter's start and end
 *    come in  everybody who counts (GM_COUNT); main's end
 *    touch    the shared mapping of the counters; whoever keeps numbers of his own offers a
 *             collector
 *    locks    its own, of the reporter's start; none to count
 */
#ifndef GM_CORE_STATS_H
#define GM_CORE_STATS_H

#include "core/rules/opt.h"

#define GM_STATS_MAGIC	 0x53544d47u /* GMTS */
#define GM_STATS_VERSION 15
/* Log-linear histogram: 8 sub-buckets an octave, 64 octaves; relative error below 7 %. */
#define GM_HIST_BUCKETS 512

struct gm_hist {
	_Atomic uint64_t n[GM_HIST_BUCKETS];
};
struct gm_dev_stats {
	char name[64];
	_Atomic uint64_t mem_bytes, page_bytes;
	_Atomic uint64_t kernels; /* launches that ran to their end */
	_Atomic uint64_t kernels_failed;
	_Atomic uint64_t faults;	/* far faults served for this device */
	_Atomic uint64_t faults_merged; /* faults on pages that another thread's had just brought */
	_Atomic uint64_t fault_batches;
	/* Virtual time, and its parts: kernels, what the bus adds to them, far faults,
	 * transfers, the CPU over the bus. */
	_Atomic uint64_t modelled_ns, kernel_ns, bus_ns, fault_ns, link_ns, cpu_bus_ns;
	_Atomic uint64_t peer_ns; /* copies over links between devices, and use of them in place */
	_Atomic uint64_t unmodelled; /* launches whose time lacks a part (GM_TIME_NOT_MODELLED) */
	_Atomic uint64_t estimated;  /* launches whose way over the bus is a mean of others */
	/* launches of kernels of which none was looked at: touched_bytes lacks them */
	_Atomic uint64_t unseen;
	_Atomic uint64_t touched_bytes, bus_bytes,
		cpu_bus_bytes; /* by launches; of it over the bus; by the CPU */
	_Atomic uint64_t
		copies_ns; /* the same launches with all that they touch copied in and back */
	_Atomic uint64_t resident_bytes, resident_peak_bytes;
	_Atomic uint64_t evicted_bytes;
	_Atomic uint64_t given_bytes; /* of these, for other processes (page/share.h) */
	_Atomic uint64_t h2d_bytes,
		refetched_bytes;       /* moved to it; of these, what it had had to evict */
	_Atomic uint64_t served_ns;    /* measured: its kernels' faults were being served */
	_Atomic uint64_t restarts;     /* device processes lost */
	_Atomic uint64_t remote_bytes; /* mapped over the bus instead of moved */
	/* of h2d_bytes: from other devices; mapped in their memory; used there by launches */
	_Atomic uint64_t peer_bytes, peer_mapped_bytes, peer_used_bytes;
	/* what it had used when it was noticed that it thrashes (care/notice.h); 0: it was not */
	_Atomic uint64_t needs_bytes;
};
#define GM_SITES       128
#define GM_SITE_FRAMES 8
#define GM_MODULES     96
/* A line of a language whose code is data to the processor, such as Python's. */
#define GM_SITE_LINES  512	/* [0] stays empty */
#define GM_LINE_MODULE 0xfffull /* a frame's module: then its offset is a row of these */
struct gm_site_line {
	char file[112], function[56]; /* ends of what is longer */
	uint32_t line;		      /* 0: not known */
	uint32_t installed;	      /* the language's own, or of a package: not the program's */
};
struct gm_site_stats { /* one call site: site.h; [0]: all other memory */
	/* Return addresses, innermost first: number of the module << 48 | offset in it; module 0:
	 * an address in code that no module holds. 0: no (more) frame. */
	_Atomic uint64_t frame[GM_SITE_FRAMES];
	_Atomic uint64_t h2d_bytes, refetched_bytes, d2h_bytes, cpu_faults, device_faults;
	_Atomic uint64_t bounced; /* leaves that began to thrash (care/thrash.h) */
};
/* Why a BLAS-3 call stayed on the host. */
enum gm_blas_why {
	GM_BLAS_OFF,
	GM_BLAS_NOTHING,
	GM_BLAS_SMALL,
	GM_BLAS_OUTSIDE,
	GM_BLAS_LIBRARY,
	GM_BLAS_NO_DEVICE,
	GM_BLAS_LIMIT,
	GM_BLAS_FAILED,
	GM_BLAS_WHYS /* so many; none: it ran on the device */
};
#define GM_KERNELS 64
/* one kernel of one device; [0]: those for which no row was left */
struct gm_kernel_stats {
	char name[80];		 /* "": no such row */
	_Atomic uint64_t device; /* its index */
	_Atomic uint64_t launches, failed, wall_ns, modelled_ns;
	/* Launches that were looked at, the pages of 4 KiB that they touched, of these over the bus
	 * (and the sum of its squares), and what looking took. */
	_Atomic uint64_t samples, touched_pages, remote_pages, remote_pages2, sample_ns;
	_Atomic uint64_t unmodelled, estimated, bus_ns, bus_bytes; /* as the device's */
	/* of its own threads' faults, what these moved, and of that what had had to be evicted */
	_Atomic uint64_t faults, h2d_bytes, refetched_bytes;
	_Atomic uint64_t running, since_ns; /* launches that have not ended; when the last began */
};
/* Memory outside the windows that devices use over the bus, by what it is (entry/outside.h); [0]:
 * that for which no row was left. */
#define GM_OBJECTS 64
struct gm_object_stats {
	char name[80]; /* "": no such row */
	/* pages that launches touched there, each once a launch; of the launches that were looked
	 * at */
	_Atomic uint64_t bus_bytes;
	_Atomic uint64_t device_faults;
};
/* A parallel region that was to run on a device and runs on the host. */
#define GM_REFUSED 32
struct gm_refused {
	char name[80], why[176]; /* "": no such row */
};
struct gm_stats {
	uint32_t magic, version;
	_Atomic int32_t pid;
	_Atomic uint32_t final;		   /* 1: the process told its end itself */
	char program[256];		   /* its executable */
	char command[1024];		   /* its arguments, with spaces between */
	_Atomic uint64_t start_ns, end_ns; /* CLOCK_MONOTONIC */
	/* when it left (entry/leave.h), 0: it did not; the system call that it was about to make */
	_Atomic uint64_t left_ns;
	char left_by[32];
	char rank[12]; /* of an MPI program (gmi_opt.rank) */
	/* it is recorded: what does not move here may do so in a replay, and needs its name */
	_Atomic uint32_t recorded;
	_Atomic uint32_t progress; /* enum gm_progress_kind: the reporter shows it */
	/* enum gm_limit_kind: which --limit was reached, and when (limit.h) */
	_Atomic uint32_t limit;
	_Atomic uint64_t limit_ns;
	_Atomic uint32_t ndev;
	struct gm_dev_stats dev[GM_MAX_DEV];
	/* pages are 4 KiB */
	_Atomic uint64_t h2d_bytes, d2h_bytes, h2d_pages, d2h_pages, prefetched_pages;
	_Atomic uint64_t peer_bytes;   /* from device to device, not in h2d_bytes */
	_Atomic uint64_t zeroed_pages; /* given to the device as zeros, nothing copied */
	_Atomic uint64_t cpu_faults;   /* SIGSEGVs that brought pages home or restored rights */
	_Atomic uint64_t cpu_faults_spurious;
	struct gm_hist cpu_fault_ns;
	_Atomic uint64_t managed_bytes, managed_peak_bytes, metadata_bytes, metadata_peak_bytes;
	_Atomic uint64_t blas_calls, blas_device, blas_host, blas_why[GM_BLAS_WHYS];
	_Atomic uint64_t syscalls_pinned, syscalls_dispatched;
	_Atomic uint64_t forks, forks_copied_bytes;
	/* 64 KiB leaves that came back three times within a second; throttled faults; parkings
	 * (thrash.h) */
	_Atomic uint64_t thrash_leaves, thrash_throttled, thrash_pins;
	/* moved because they were used often over the bus (counter.h) */
	_Atomic uint64_t counted_pages;
	/* GMEM_CHAOS: pages read and written on the device, pages whose place was changed, and
	 * what was refused */
	_Atomic uint64_t chaos_reads, chaos_writes, chaos_places, chaos_refused;
	char module[GM_MODULES][112]; /* files; [0] stays empty */
	struct gm_site_stats site[GM_SITES];
	struct gm_site_line site_line[GM_SITE_LINES];
	struct gm_kernel_stats kernel[GM_KERNELS];
	struct gm_refused refused[GM_REFUSED];
	struct gm_object_stats object[GM_OBJECTS];
};

/* Points at a private static struct until gmi_report_start() moved it into the shared mapping.
 * Never NULL, never freed. */
GM_EXPORT extern struct gm_stats *gmi_stats;
static inline uint64_t gm_counted(const _Atomic uint64_t *c)
{
	return atomic_load_explicit(c, memory_order_relaxed);
}
#define GM_COUNT(field, n)                                                                         \
	((void)atomic_fetch_add_explicit(&gmi_stats->field, (n), memory_order_relaxed))

static inline unsigned gm_hist_bucket(uint64_t ns)
{
	if (ns < 8)
		return (unsigned)ns;
	unsigned top = 63u - (unsigned)__builtin_clzll(ns);
	return (top - 2) * 8 + (unsigned)(ns >> (top - 3) & 7);
}
static inline uint64_t gm_hist_value(unsigned bucket) /* middle of the bucket, ns */
{
	if (bucket < 8)
		return bucket;
	unsigned top = bucket / 8 + 2;
	return (1ull << top) + ((uint64_t)(bucket % 8) << (top - 3)) + (1ull << (top - 3)) / 2;
}
static inline void gm_hist_add(struct gm_hist *h, uint64_t ns)
{
	atomic_fetch_add_explicit(&h->n[gm_hist_bucket(ns)], 1, memory_order_relaxed);
}
/* The value that p (0..1) of the entries do not pass; 0 of an empty histogram. */
static inline uint64_t gm_hist_quantile(const struct gm_hist *h, double p)
{
	uint64_t total = 0, below = 0;

	for (unsigned i = 0; i < GM_HIST_BUCKETS; i++)
		total += atomic_load_explicit(&h->n[i], memory_order_relaxed);
	for (unsigned i = 0; i < GM_HIST_BUCKETS && total; i++) {
		below += atomic_load_explicit(&h->n[i], memory_order_relaxed);
		if ((double)below >= p * (double)total && below)
			return gm_hist_value(i);
	}
	return 0;
}
/* The number of the row of a kernel of device d: found, or made; 0: none is left. Any thread, no
 * locks held. */
GM_EXPORT unsigned gmi_kernel_row(unsigned d, const char *name);
/* The same of an object outside the windows. */
GM_EXPORT unsigned gmi_object_row(const char *name);
/* Notes that a region runs on the host, and why; once for each (the first GM_REFUSED of them). */
GM_EXPORT void gmi_region_refused(const char *name, const char *why);
/* The reason in words. */
struct gm_blas_reason {
	const char *why, *advice; /* to the user, in words */
};
GM_EXPORT const struct gm_blas_reason *gmi_blas_why(enum gm_blas_why why);
/* Adds to a gauge and raises its peak. */
GM_EXPORT void gmi_gauge_add(_Atomic uint64_t *gauge, _Atomic uint64_t *peak, int64_t delta);

/*
 * report.c: moves the counters into the shared mapping and starts gmem-report --follow, once per
 * process (again in a fork child; further calls return 0 at once). Does nothing when
 * GMEM_REPORT=none. Called before main when GMEM_REPORT was given, else when the first device
 * starts. 0 or -errno (then the run goes on without a report; one warning).
 */
GM_EXPORT int gmi_report_start(void);
/* Normal end (destructor): final numbers, and wait until the reporter has rendered them. */
GM_EXPORT void gmi_report_finish(void);
/* The process is ordinary from now on and will not tell its end: the numbers up to here, and what
 * it left for. The reporter sees the end by itself. */
GM_EXPORT void gmi_report_leave(const char *by);
/* In a fork child: fresh counters, no reporter yet; gauges of what the child has inherited go
 * on. */
GM_EXPORT void gmi_report_forked(void);

/*
 * stats.c: moves every count of `from` into `to` (sums and gauges are added, peaks raised),
 * leaving zeros; both may be counted in meanwhile and nothing is lost. Texts and times are
 * copied where `to` has none.
 */
void gmc_stats_move(struct gm_stats *to, struct gm_stats *from);
/* The private struct that gmi_stats points at first. */
extern struct gm_stats gmc_stats_private;

#endif
