/*
 * record.h - for a recording (GMEM_RECORD): what the program does to its memory, told to whoever
 * writes it down (devsim/driver/sim_record.c). Off: one branch at each place.
 */
#ifndef GM_CORE_RECORD_H
#define GM_CORE_RECORD_H

#include "core/sys/sys.h"

struct gm_as;

enum gm_record_kind {
	GM_RECORD_CPU,	   /* the CPU takes addr's page back; b: 1: writes, or GM_RECORD_CALL */
	GM_RECORD_REGION,  /* [addr, a) is mapped with value b now, by site `site`; 0: unmapped */
	GM_RECORD_DROP,	   /* contents of [addr, a) are gone */
	GM_RECORD_PRESENT, /* a pages from addr on hold something when they first move */
	GM_RECORD_SITE,	   /* most of addr's 2 MiB is of `site` */
	GM_RECORD_COPY,	   /* hmemcpy of a bytes to addr; site: 1: to the device */
	GM_RECORD_ADVICE,  /* hmadvise of a bytes from addr on, behaviour b; site: 1: the device */
};
#define GM_RECORD_CALL	 2		     /* a system call with it */
#define GM_RECORD_MAPPED ((uint64_t)1 << 63) /* in b of a REGION that is mapped */
struct gm_record {
	enum gm_record_kind kind;
	unsigned site;
	uint64_t addr, a, b;
};
/* Any locks, any thread, signal handlers: takes no lock, allocates nothing. NULL: off. */
extern void (*_Atomic gmc_recorder)(const struct gm_record *r);

static inline bool gm_recording(void)
{
	return gm_unlikely(atomic_load_explicit(&gmc_recorder, memory_order_relaxed) != NULL);
}
/* GM_RECORD(GM_RECORD_DROP, .addr = lo, .a = hi) */
#define GM_RECORD(...)                                                                             \
	do {                                                                                       \
		void (*put_)(const struct gm_record *) =                                           \
			atomic_load_explicit(&gmc_recorder, memory_order_relaxed);                 \
		if (gm_unlikely(put_ != NULL))                                                     \
			put_(&(struct gm_record){.kind = __VA_ARGS__});                            \
	} while (0)

#endif
