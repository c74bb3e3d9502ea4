/*
 * fault.h - the CPU as one more MMU: what a SIGSEGV handler asks core. (A device's driver asks by
 * gm_dev_fault, gmem/gmem.h.)
 *
 * entry/: where others come in: a touch, a system call, a fork, a driver's report.
 *    here     CPU and device faults, holds of system calls, fork, the public calls that move pages,
 *             chaos
 *    come in  signal handlers, libc's fork hooks, drivers, programs
 *    touch    everything below; nothing below knows of it (offer.h)
 *    locks    takes the block's; a thread inside fork() has them all already (fork.h)
 */
#ifndef GM_CORE_FAULT_H
#define GM_CORE_FAULT_H

#include "core/sys/sys.h"

enum gm_cpu_fault_result {
	GM_CPU_NOT_OURS, /* a fault of the program's own: forward it */
	GM_CPU_RESOLVED, /* return from the handler, the access is tried again */
	GM_CPU_LOST,	 /* ours, but the bytes cannot be brought home: SIGBUS with this address */
};
/*
 * Serves a CPU fault. Called in a SIGSEGV handler with signals blocked. write: REG_ERR & 2.
 * Takes the block's lock, touches no managed memory, calls no libc.
 */
GM_EXPORT enum gm_cpu_fault_result gmi_cpu_fault(uintptr_t addr, bool write);
/* Makes the whole range accessible to the CPU (write: for writing). For gmi_hold and the driver.
 * Signals blocked. */
GM_EXPORT int gmi_cpu_make_resident(uintptr_t addr, size_t len, bool write);

#endif
