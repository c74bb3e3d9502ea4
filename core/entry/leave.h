/*
 * leave.h - the devices rest, and memory becomes ordinary: for a process that must be alone for a
 * moment (unshare), or that confines itself (seccomp) and must make no calls of ours from then on.
 *
 * The simulated devices' processes have ended before (gmi_sims_rest): nothing that runs on a
 * device is waited for. One caller at a time; not from within core.
 */
#ifndef GM_CORE_LEAVE_H
#define GM_CORE_LEAVE_H

#include "core/sys/sys.h"

/* Every page is at home, and no device gets one (-ENODEV) until gmi_devices_return(). */
GM_EXPORT void gmi_devices_rest(void);
GM_EXPORT void gmi_devices_return(void);
/*
 * For who looks at memory past the page faults, a core or a debugger: every page comes home; for
 * good: no device gets one any more, the process is about to die. As far as that can be had within
 * a second: the locks may be held by who waits for ever. Not from within core. True: all came.
 */
GM_EXPORT bool gmi_all_home(bool for_good);
/*
 * After gmi_devices_rest(): the store's pages become private memory. False: some stay, because a
 * system call of another thread was using them; forks go on asking core. gmi_active is
 * GM_INACTIVE then.
 */
GM_EXPORT bool gmi_memory_leave(void);

/*
 * Does no explicit mapping (gm_as_map) hold any page? Those are forgotten when devices rest. Then,
 * while they do: the store's pages become private memory; false: system calls are using some.
 */
GM_EXPORT bool gmi_memory_loose(void);
GM_EXPORT bool gmi_memory_private(void);

#endif
