/*
 * wire.h - the protocol between the driver (host process) and gmem-devsim (device process): one shared control area.
 *
 * Included by both sides; it includes nothing of core or preload. All fields that both sides write are atomic. Futex
 * words are waited on without FUTEX_PRIVATE. Sizes are bytes. The two sides are always of one build (DS_VERSION).
 */
#ifndef GM_DEVSIM_WIRE_H
#define GM_DEVSIM_WIRE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DS_MAGIC    0x56454447u
#define DS_VERSION  1
#define DS_WINDOWS  16
#define DS_CMDS     4096 /* power of two */
#define DS_SLOTS    64   /* threads of the device that can fault at a time */
#define DS_LAUNCHES 32
#define DS_FAULT_MAPS 16
#define DS_ARGS_MAX 512
#define DS_NAME_MAX 256

/* Descriptors that the device process inherits; everything else is closed (stderr is 2 for its one-line messages). */
enum { DS_FD_CTL = 3, DS_FD_DEVMEM = 4, DS_FD_SOCK = 5, DS_FD_JOURNAL = 6, DS_FD_STORE0 = 7 /* one per space */ };

struct ds_map {          /* one run of page-table entries */
	uint64_t va, len, off; /* off: in the device store or in the space's host store */
	uint8_t prot;          /* 1 read, 2 write */
	uint8_t host;          /* 1: host store (remote) */
	uint8_t pad[6];
};

enum ds_cmd_kind { DS_CMD_MAP, DS_CMD_UNMAP, DS_CMD_PROTECT };
struct ds_cmd {
	uint32_t kind, pad;
	struct ds_map map;
};

/* A faulting thread's slot: FREE -> POSTED (device) -> BUSY (host) -> REPLIED or FAILED (host) -> FREE (device);
 * REPLIED -> CANCELLED by the device's own unmap processing. */
enum ds_fault_state { DS_FREE, DS_POSTED, DS_BUSY, DS_REPLIED, DS_FAILED, DS_CANCELLED };
struct ds_fault {
	_Alignas(64) _Atomic uint32_t state; /* futex */
	_Atomic uint32_t waiting;            /* the worker sleeps: wake it */
	uint64_t va;
	uint32_t write;
	int32_t error;                       /* FAILED: -EFAULT, -EPERM, -ENOMEM */
	uint32_t launch;                     /* which launch this thread works for; UINT32_MAX: unknown thread */
	uint32_t nmaps;
	struct ds_map map[DS_FAULT_MAPS];
};

enum ds_launch_state { DS_L_FREE, DS_L_FILLING, DS_L_QUEUED, DS_L_RUNNING, DS_L_DONE };
struct ds_launch {
	_Alignas(64) _Atomic uint32_t state; /* futex */
	_Atomic uint32_t waiting;
	uint64_t seq;                        /* order of submission */
	uint32_t after_cmd;                  /* commands up to here are applied before it starts */
	uint32_t module, nblocks;
	uint32_t args_bytes;
	char kernel[64];
	_Alignas(16) unsigned char args[DS_ARGS_MAX];
	/* filled by the device */
	_Atomic uint32_t next_block, blocks_done;
	_Atomic int32_t error;               /* 0 or -errno */
	int32_t kernel_code;
	uint64_t fault_addr, start_ns, end_ns;
	_Atomic uint64_t flops, bytes;
	/* journal: bytes that an in-place kernel saved before it began to write (restored by the host if it is lost) */
	_Atomic uint32_t journal_valid;
};

struct ds_ctl {
	uint32_t magic, version;
	uint64_t mem_bytes, page_bytes;
	uint32_t workers, throttle;
	int32_t host_pid;
	char blas[DS_NAME_MAX];              /* the BLAS library that the program itself uses, or "" */
	_Atomic uint32_t nwindows;
	struct {
		uint64_t base, bytes;
	} window[DS_WINDOWS];
	char module[32][DS_NAME_MAX];        /* paths of loaded modules; 0 is the built-in one */
	_Atomic uint32_t nmodules;

	_Alignas(64) _Atomic uint32_t cmd_head; /* host: next to write */
	_Alignas(64) _Atomic uint32_t cmd_tail; /* device: all before are applied; futex */
	_Atomic uint32_t cmd_waiting;           /* a host thread sleeps on cmd_tail */
	_Alignas(64) _Atomic uint32_t doorbell; /* host rings: commands that are waited for, or a launch; futex */
	_Atomic uint32_t device_sleeping;
	_Alignas(64) _Atomic uint32_t fault_bell; /* device rings: a fault was posted or a launch is done; futex */
	_Atomic uint32_t host_sleeping;
	_Alignas(64) _Atomic uint32_t ready;    /* 1: the device process is up; 2: it refused (see its message) */
	_Atomic uint32_t quit;

	struct ds_cmd cmd[DS_CMDS];
	struct ds_fault fault[DS_SLOTS];
	struct ds_launch launch[DS_LAUNCHES];
};

#endif
