/*
 * trace.h - what happened, one by one: every event that the counters of stats.h add up, with its
 * time, place and cause.
 *
 * Off unless GMEM_TRACE names a file: then one branch at each place. On, an event goes into a ring
 * in the memory that the reporter maps as well; the reporter takes it out and writes the file
 * (tools/trace_file.c, docs/trace.md). This process writes no file and waits for nobody: a ring
 * that is full loses the event and counts that.
 *
 * Each thread has one ring for all its life, some share one. Producers reserve a slot by a
 * compare-and-swap and publish it by its sequence number (2 * round: free, + 1: filled), so a
 * signal handler may put an event while its thread is putting one. One consumer.
 */
#ifndef GM_CORE_TRACE_H
#define GM_CORE_TRACE_H

#include "core/sys/sys.h"

#define GM_TRACE_RINGS 32
#define GM_TRACE_SLOTS 8192 /* a power of two; 48 bytes each, in memory once used */

/* The names in files: tools/trace_file.c. New ones at the end. */
enum gm_event_kind {
	GM_EV_CPU_FAULT = 1, /* a SIGSEGV or userfaultfd event that was ours; pc */
	GM_EV_DEVICE_FAULT,  /* a far fault that was served; kernel */
	GM_EV_TO_DEVICE,     /* pages copied to a device */
	GM_EV_HOME,	     /* pages copied from it */
	GM_EV_ZERO,	     /* pages given to a device as zeros */
	GM_EV_PREFETCH,	     /* of those, pages that nobody had asked for */
	GM_EV_EVICT,	     /* pages sent home to make room */
	GM_EV_BUS,	     /* pages mapped over the bus */
	GM_EV_REVOKE,	     /* pages that a device lost its entries of */
	GM_EV_THROTTLE,	     /* a page that thrashes: left where it is for a while */
	GM_EV_PARK,	     /* a page that thrashes: held on the host */
	GM_EV_LAUNCH,	     /* a kernel, from begin to end in the device process */
	GM_EV_COPY,	     /* hmemcpy */
	GM_EV_ADOPT,	     /* pages moved from private memory into the store */
	GM_EV_FORK,	     /* until the child was there */
	GM_EV_RESIDENT,	     /* pages: what the device holds from now on */
	GM_EV_PEER_COPY,     /* pages copied to a device from another, over their link */
	GM_EV_PEER_MAP,	     /* pages mapped by a device in another one's memory */
	GM_EV_KINDS
};
enum gm_event_cause {
	GM_CAUSE_OTHER,
	GM_CAUSE_CPU_FAULT,
	GM_CAUSE_DEVICE_FAULT,
	GM_CAUSE_EVICT,
	GM_CAUSE_SYSCALL, /* a buffer that the kernel is about to use */
	GM_CAUSE_ADVICE,  /* hmadvise */
	GM_CAUSE_COPY,
	GM_CAUSE_FORK,
	GM_CAUSES
};
enum { /* flags */
       GM_EV_WRITE = 1,
       GM_EV_MERGED = 2,   /* device fault: the page had just come with another one */
       GM_EV_SPURIOUS = 4, /* CPU fault: somebody else had been faster */
       GM_EV_FAILED = 8,
       GM_EV_LONG = 16 /* duration in us */
};

/* In files as here, little-endian. */
struct gm_event {
	uint64_t time_ns; /* CLOCK_MONOTONIC, of its begin */
	uint64_t addr;	  /* of the (first) page; 0: none */
	uint64_t pc;	  /* CPU faults: the instruction's address */
	uint32_t duration_ns;
	uint32_t pages; /* of 4 KiB */
	int32_t tid;
	uint16_t site, kernel; /* rows of gm_stats.site and .kernel; 0: none known */
	uint8_t kind, device;  /* device: its index, or GM_EV_NO_DEVICE */
	uint8_t cause, flags;
	uint32_t reserved;
};
#define GM_EV_NO_DEVICE 255

struct gm_trace_slot {
	_Atomic uint64_t seq;
	struct gm_event event;
};
struct gm_trace_ring {
	_Atomic uint64_t head __attribute__((aligned(64)));
	_Atomic uint64_t lost __attribute__((aligned(64)));
	struct gm_trace_slot slot[GM_TRACE_SLOTS];
};
struct gm_trace {
	struct gm_trace_ring ring[GM_TRACE_RINGS];
};

/* NULL: off. Set once by report.c, NULL again in a fork child. */
GM_EXPORT extern struct gm_trace *_Atomic gmi_trace;

/* What this thread is doing, for the events that come of it. */
struct gm_trace_here {
	uint64_t pc;
	uint16_t kernel;
	uint8_t cause;
};
extern __thread struct gm_trace_here gmc_trace_here;
/* The instruction whose fault this thread serves. */
GM_EXPORT void gmi_trace_pc(uint64_t pc);

/*
 * The event lasts from its time_ns until now; without one it is now and takes no time. Thread,
 * cause, kernel (but a launch's) and pc are filled in. Any thread, any lock, signal handlers.
 */
GM_EXPORT void gmi_trace_put(struct gm_event e);
GM_EXPORT void gmi_trace_span(struct gm_event e, uint64_t ns); /* it has lasted so long */
/* In a fork child: its own report starts its own trace. */
void gmc_trace_forked(void);
/* The one consumer: takes the next event of a ring, *tail being how many it has had. */
bool gmc_trace_take(struct gm_trace_ring *r, uint64_t *tail, struct gm_event *e);

static inline bool gm_tracing(void)
{
	return gm_unlikely(atomic_load_explicit(&gmi_trace, memory_order_relaxed) != NULL);
}
/* The begin of what is to be an event. */
static inline uint64_t gm_trace_begin(void)
{
	return gm_tracing() ? gmi_now_ns() : 0;
}
/* GM_TRACE(GM_EV_EVICT, .device = 0, .pages = 16) */
#define GM_TRACE(...)                                                                              \
	do {                                                                                       \
		if (gm_tracing())                                                                  \
			gmi_trace_put((struct gm_event){.kind = __VA_ARGS__});                     \
	} while (0)

/* Events of this thread have this cause, until the one returned is set again. */
static inline uint8_t gm_trace_cause(uint8_t cause)
{
	uint8_t was = gmc_trace_here.cause;

	gmc_trace_here.cause = cause;
	return was;
}

#endif
