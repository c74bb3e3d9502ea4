/*
 * record.h - a recording: which pages the device and the CPU touched, in which order, and what the
 * program did to its memory meanwhile. Independent of policies and of the device's memory, so that
 * gmem-replay can put any of them in (docs/replay.md).
 *
 * Written by both processes at once: a place in the file is taken by counting `head` up. The
 * device records a touch of one of its pages when the page was out of its reach, as all are but a
 * handful (dev_record.c). Little-endian.
 */
#ifndef GM_DEVSIM_RECORD_H
#define GM_DEVSIM_RECORD_H

#include <stdatomic.h>
#include <stdint.h>

#define DS_RECORD_MAGIC	  "GMRECORD"
#define DS_RECORD_VERSION 1
#define DS_RECORD_BYTES	  ((uint64_t)256 << 20)
#define DS_RECORD_MAX	  (DS_RECORD_BYTES / sizeof(struct ds_record) - 256 /* the head's */)

struct ds_record_head {
	char magic[8];
	uint32_t version, page_bytes; /* the device's */
	uint64_t base, bytes;	      /* the program's window */
	_Atomic uint64_t head;	      /* records; those beyond DS_RECORD_MAX are lost */
	uint64_t start_ns;	      /* CLOCK_MONOTONIC */
	uint32_t window;	      /* pages */
	uint32_t complete;	      /* 1: the program told its end */
	unsigned char pad[4096 - 56];
};

/* What `addr`, `arg` and in brackets the record after it (struct ds_record_more) say. */
enum ds_record_kind {
	DS_R_NONE,    /* a place that was taken and not written: the process died */
	DS_R_DEVICE,  /* the device touches addr's page; slot of the launch, thread << 8 */
	DS_R_CPU,     /* the CPU takes it back, by a fault or (DS_R_CALL) for a system call */
	DS_R_LAUNCH,  /* a launch begins: row of the kernel, slot */
	DS_R_NAME,    /* of a row: records of name that follow, row */
	DS_R_END,     /* pages of 4 KiB seen touched, slot | flop type << 8 [flops, bytes] */
	DS_R_REGION,  /* from there on, site [to, value; 0: unmapped] */
	DS_R_DROP,    /* contents from there on [to] are gone */
	DS_R_PRESENT, /* so many pages of 4 KiB hold something when they first move */
	DS_R_SITE,    /* the 2 MiB are most of that site */
	DS_R_COPY,    /* hmemcpy to there, 1: on the device [bytes] */
	DS_R_ADVICE,  /* hmadvise of it, 1: about the device [bytes, behaviour] */
	DS_R_CUT,     /* a launch comes back too often: from here on first touches only */
	DS_R_KINDS
};
enum { DS_R_WRITE = 1, DS_R_CALL = 2, DS_R_FAILED = 4 };
/* Of DS_R_END's flags: log2 of the bytes of an access, + 1; 0: not known. */
#define DS_R_ACCESS_SHIFT 3
struct ds_record {
	uint64_t addr;
	uint32_t time_us; /* since start_ns */
	uint16_t arg;
	uint8_t kind, flags;
};
struct ds_record_more {
	uint64_t a, b;
};
_Static_assert(sizeof(struct ds_record) == 16 && sizeof(struct ds_record_more) == 16, "places");
_Static_assert(sizeof(struct ds_record_head) == 4096, "a page");

/* The place of n records in a row; NULL: the file is full. */
static inline struct ds_record *ds_record_take(struct ds_record_head *h, unsigned n)
{
	uint64_t at = atomic_fetch_add_explicit(&h->head, n, memory_order_relaxed);

	return at < DS_RECORD_MAX && at + n <= DS_RECORD_MAX ? (struct ds_record *)(h + 1) + at
							     : NULL;
}

#endif
