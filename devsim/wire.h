/*
 * wire.h - the protocol between the driver (host process) and gmem-devsim (device process): one
 * shared control area.
 *
 * Included by both sides; it includes nothing of core or preload. Fields that both sides touch
 * while the other runs are atomic. Futex words are waited on without FUTEX_PRIVATE. Sizes are
 * bytes. Both sides are of one build (DS_VERSION).
 *
 * Waking follows one pattern: the sleeper raises its flag, looks again, sleeps; the other side
 * changes the word, then looks at the flag. Every one of these accesses is sequentially
 * consistent.
 */
#ifndef GM_DEVSIM_WIRE_H
#define GM_DEVSIM_WIRE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DS_MAGIC   0x56454447u
#define DS_VERSION 11
#define DS_WINDOWS 16
#define DS_OBJECTS 256	/* of the program, that the device keeps descriptors of */
#define DS_PEERS   8	/* other devices */
#define DS_CMDS	   4096 /* power of two */
#define DS_SLOTS                                                                                   \
	64 /* threads of the device that can fault at a time: one bit each of ds_ctl.posted */
#define DS_LAUNCHES    32
#define DS_FAULT_MAPS  64
#define DS_ARGS_MAX    512
#define DS_WRITTEN_MAX 1024
#define DS_NAME_MAX    256
#define DS_MODULES     32
#define DS_TOUCHED     4096 /* power of two */
#define DS_LEAVES      32   /* 64 KiB each, of 2 MiB */
#define DS_REPLY_SPAN                                                                              \
	((uint64_t)2                                                                               \
	 << 20) /* a reply's entries lie in the aligned 2 MiB around its address                 \
			     */

/* Memory of the program outside every window comes and goes in chunks of this size
 * (dev_foreign.c). */
#define DS_FOREIGN_PAGES 16
#define DS_FOREIGN_BYTES (DS_FOREIGN_PAGES * 4096)

/* The journal is sparse: launch slot i owns [i * DS_JOURNAL_SPAN, (i+1) * DS_JOURNAL_SPAN). */
#define DS_JOURNAL_SPAN ((uint64_t)64 << 30)

/* What comes with the descriptor of object n; with a window's: its place in ds_ctl.window. */
#define DS_OBJECT_INDEX(n) (0x80000000u | (n))
#define DS_PEER_INDEX(n)   (0x40000000u | (n)) /* the memory of device n */

/* Descriptors that the device process starts with; everything else is closed (2 is for its
 * one-line messages). */
enum {
	DS_FD_CTL = 3,
	DS_FD_DEVMEM = 4,
	DS_FD_SOCK = 5,
	DS_FD_JOURNAL = 6,
	DS_FD_RECORD = 7, /* if ds_ctl.record says so: record.h */
	DS_FDS = 8
};

/*
 * OBJECT: a file or other shared memory of the program, outside every window: it is mapped on
 * both sides. Objects are numbered as they come; number n has the place n % DS_OBJECTS, where the
 * one before it is forgotten.
 */
enum ds_mem {
	DS_DEVICE_STORE,
	DS_HOST_STORE, /* of the window that va lies in */
	DS_OBJECT,
	DS_PEER_STORE /* another device's memory */
};
struct ds_map { /* one run of page-table entries */
	uint64_t va, len;
	uint64_t off; /* in what `mem` says */
	uint8_t prot; /* 1 read, 2 write */
	uint8_t mem;  /* enum ds_mem */
	uint8_t pad[2];
	uint32_t object; /* DS_OBJECT, DS_PEER_STORE: which */
};

/*
 * The ring. MAP may be late or forgotten: the kernel faults. After UNMAP is applied (cmd_tail
 * passed it) no thread of the device reaches the range, and no reply to a fault that was given
 * before can bring it back. REMAP is both in one step: what was there cannot be reached after
 * it, what is there now may be forgotten. WINDOW: the descriptor of the store of window map.va
 * arrives on the socket; windows that exist at start need no command. ACCESSED: ds_ctl.accessed
 * tells which pages of the range, 2 MiB at most, were touched since the last such command, or
 * since they were mapped (mapping counts as a touch; by reads, the kernel's fault-around makes
 * it 64 KiB at a time). PING: nothing; that it is applied is a sign of life. OBJECT: the
 * descriptor of object map.object arrives on the socket. DROP: UNMAP of what is mapped of
 * objects in the range. PEER: the descriptor of the memory of device map.object arrives on the
 * socket (those of ds_ctl.peer at start need no command). UNPEER: it is of no use any more.
 */
enum ds_cmd_kind {
	DS_CMD_MAP,
	DS_CMD_UNMAP,
	DS_CMD_REMAP,
	DS_CMD_WINDOW,
	DS_CMD_UNWINDOW,
	DS_CMD_ACCESSED,
	DS_CMD_PING,
	DS_CMD_OBJECT,
	DS_CMD_DROP,
	DS_CMD_PEER,
	DS_CMD_UNPEER,
	DS_CMD_KINDS
};
struct ds_cmd {
	uint32_t kind, pad;
	struct ds_map map;
};

/*
 * A faulting thread's slot.
 *
 *	FREE -> CLAIMED -> POSTED (device) -> BUSY -> FILLED -> REPLIED (host) -> FREE (device)
 *	BUSY -> POSTED (host: later), BUSY | FILLED -> FAILED (host)
 *	FILLED | REPLIED -> CANCELLED (device: an UNMAP overlaps its entries; it faults again)
 *
 * The host fills entries in while it holds core's lock of that block, and an UNMAP of the block
 * comes under the same lock: whoever applies it sees FILLED with all entries that it must
 * cancel.
 */
enum ds_fault_state {
	DS_FREE,
	DS_CLAIMED,
	DS_POSTED,
	DS_BUSY,
	DS_FILLED,
	DS_REPLIED,
	DS_FAILED,
	DS_CANCELLED
};
enum ds_fault_kind {
	/* an entry for va; outside the windows -ENOTSUP: only a copy can be had */
	DS_F_PAGE,
	/* the readable pages of va's chunk, into foreign[slot]; which: `pages` */
	DS_F_FOREIGN_READ,
	/* `bytes` of runs in foreign[slot] go to the program's memory; va: of the one that
	 * failed */
	DS_F_FOREIGN_WRITE,
};
struct ds_foreign_run { /* followed by its bytes */
	uint64_t va;
	uint32_t bytes, pad;
};
struct ds_fault {
	_Alignas(64) _Atomic uint32_t state; /* futex */
	_Atomic uint32_t waiting;	     /* the worker sleeps: wake it */
	uint64_t va;
	uint32_t kind, write;
	uint32_t pages, bytes;
	uint32_t launch; /* slot of the launch whose thread it is, DS_LAUNCHES: not known */
	int32_t error;	 /* FAILED: -EFAULT, -EPERM, -ENOMEM */
	_Atomic uint32_t nmaps;
	struct ds_map map[DS_FAULT_MAPS];
};

/* The host moves a slot to QUEUED, and back to FREE from DONE; the device does the rest. */
enum ds_launch_state {
	DS_L_FREE,
	DS_L_FILLING,
	DS_L_QUEUED,
	DS_L_RUNNING,
	DS_L_DONE,
	DS_L_CALLS /* running, and waits for the launching thread to do something for it */
};
struct ds_launch {
	_Alignas(64) _Atomic uint32_t state; /* futex */
	_Atomic uint32_t waiting;	     /* the launching thread sleeps: wake it */
	uint64_t seq;			     /* order of submission */
	/* commands before this one are applied before it starts */
	uint32_t after_cmd;
	uint32_t module; /* 0: built-in */
	uint32_t nblocks, args_bytes;
	char kernel[64]; /* "": only load the module */
	_Alignas(16) unsigned char args[DS_ARGS_MAX];
	/* filled by the device */
	_Atomic uint32_t next_block, blocks_done;
	/* 0 or -errno, the first one; set after the fields that explain it */
	_Atomic int32_t error;
	int32_t kernel_code;
	uint64_t fault_addr, start_ns, end_ns;
	_Atomic uint64_t flops, bytes;
	char flop_type;	      /* 's', 'd', 'c', 'z': which peak of the model flops count against */
	uint8_t access_bytes; /* of the kernel's accesses; 0: not known */
	/* What an in-place kernel saved before it began to write. Valid: also when the process
	 * is lost. */
	uint64_t journal_bytes;
	_Atomic uint32_t journal_valid;
	/* The host asks for it (sample): the pages of 4 KiB that it touched (dev_touch.c), and
	 * what finding out took. */
	uint32_t sample;
	uint64_t local_pages, remote_pages, peer_pages, sample_ns;
	uint64_t reply; /* dev_launch_reply() */
	/* What a region wrote outside the windows, as in DS_F_FOREIGN_WRITE, where it is little:
	 * for the launching thread. */
	uint32_t written_bytes;
	unsigned char written[DS_WRITTEN_MAX];
};

/* Pages of 4 KiB touched over the bus by a sampled launch: a bit each. */
struct ds_touched {
	uint64_t va; /* of 2 MiB */
	uint64_t pages[8];
};

struct ds_ctl {
	uint32_t magic, version;
	uint64_t mem_bytes;
	uint32_t workers;
	uint32_t keep_away; /* kernels will touch memory outside the windows: keep out of its way */
	uint32_t record;    /* what it touches is to be recorded */
	int32_t host_pid;
	char name[64];
	char blas[DS_NAME_MAX]; /* the BLAS library that the program itself uses, or "" */
	struct {
		uint64_t base, bytes;	/* bytes 0: no such window */
		_Atomic uint32_t state; /* futex, enum ds_window_state */
	} window[DS_WINDOWS];
	uint32_t peer[DS_PEERS];	      /* 1: its memory can be mapped */
	char module[DS_MODULES][DS_NAME_MAX]; /* paths; 0 is the built-in one */

	_Alignas(64) _Atomic uint32_t cmd_head; /* host: next to write */
	_Alignas(64) _Atomic uint32_t cmd_tail; /* device: all before are applied; futex */
	_Atomic uint32_t cmd_waiting;		/* host threads sleep on cmd_tail */
	_Alignas(64) _Atomic uint32_t cmd_bell; /* host: apply commands now; futex */
	_Atomic uint32_t mmu_sleeping;
	/* there is work for workers; futex, waited on by bitset */
	_Alignas(64) _Atomic uint32_t launch_bell;
	/* number + 1 of the idle worker that has not gone to sleep */
	_Atomic uint32_t worker_awake;
	_Atomic uint64_t workers_asleep;      /* a bit each */
	_Alignas(64) _Atomic uint64_t posted; /* device: one bit for each slot that was POSTED */
	_Atomic uint32_t fault_bell;	      /* device: posted changed; futex */
	_Atomic uint32_t host_sleeping;
	_Alignas(64) _Atomic uint32_t ready; /* enum ds_ready; futex */

	/* answer to ACCESSED: a bit for each 4 KiB; valid once cmd_tail has passed it */
	uint64_t accessed[8];

	_Atomic uint32_t touched_head, touched_tail; /* device: next to write; host: next to read */
	struct ds_touched touched[DS_TOUCHED];

	struct ds_cmd cmd[DS_CMDS];
	struct ds_fault fault[DS_SLOTS];
	struct ds_launch launch[DS_LAUNCHES];
	_Alignas(4096) unsigned char foreign[DS_SLOTS][DS_FOREIGN_BYTES]; /* sparse */
};

/* The bit of FUTEX_WAIT_BITSET that a worker sleeps on. */
static inline uint32_t ds_futex_bit(uint64_t worker_bit)
{
	return (uint32_t)(worker_bit | worker_bit >> 32);
}

/*
 * Rings for n workers more. The caller wakes the bits that it returns (FUTEX_WAKE_BITSET on
 * launch_bell), unless 0. A call takes a worker off the idle ones, so that each counts for one
 * ring only. First the one that is awake, then those of low number: what computed last has warm
 * caches, and a team of OpenMP threads beside it.
 */
static inline uint32_t ds_call_workers(struct ds_ctl *ctl, uint32_t n)
{
	uint64_t asleep, called;

	atomic_fetch_add(&ctl->launch_bell, 1);
	if (n && atomic_load(&ctl->worker_awake) && atomic_exchange(&ctl->worker_awake, 0))
		n--;
	asleep = atomic_load(&ctl->workers_asleep);
	do {
		uint64_t left = asleep;
		for (uint32_t i = 0; i < n && left; i++)
			left &= left - 1;
		called = asleep & ~left;
	} while (called &&
		 !atomic_compare_exchange_weak(&ctl->workers_asleep, &asleep, asleep & ~called));
	return ds_futex_bit(called);
}

enum ds_ready { DS_STARTING, DS_READY, DS_REFUSED /* its message says why */ };
enum ds_window_state {
	DS_W_NONE,
	DS_W_PRESENT,
	DS_W_TAKEN /* the device has something else there */
};

/* Do [a, a+alen) and [b, b+blen) overlap? */
static inline bool ds_overlap(uint64_t a, uint64_t alen, uint64_t b, uint64_t blen)
{
	return a < b + blen && b < a + alen;
}

#endif
