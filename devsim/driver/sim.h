/*
 * sim.h - the driver's side of a simulated device, for the preload's offload code and the tools
 * (beyond the public device.h). None of these may be called from a signal handler.
 */
#ifndef GM_DEVSIM_SIM_H
#define GM_DEVSIM_SIM_H

#include <gmem/device.h>
#include "core/rules/opt.h"

/* The device of GMEM_DEVICE entry i, opened and attached to the default space on first use;
 * NULL: none or it cannot run. */
GM_EXPORT struct gm_sim *gmi_sim_default(int i);
/*
 * Which BLAS the device loads, told before its first "blas" kernel: the file that the program's
 * own calls resolve to. Without it: libopenblas.so.0 or libblas.so.3.
 */
GM_EXPORT void gmi_sim_set_blas(const char *path);

/*
 * A launch of a built-in kernel that saves what it overwrites. Like gm_sim_launch; but when it
 * fails after the kernel began to write (the device was lost), *journal points to what had been
 * saved, in the layout that the kernel defines (blas_wire.h), until gmi_sim_journal_done(sim,
 * *slot). NULL: the memory is as it was before the launch, or nothing needed saving; then there
 * is nothing to be done.
 */
GM_EXPORT int gmi_sim_launch_journalled(struct gm_sim *sim, const char *kernel, uint32_t nblocks,
					const void *args, size_t args_bytes,
					struct gm_launch_result *result, int *slot,
					const void **journal);
GM_EXPORT void gmi_sim_journal_done(struct gm_sim *sim, int slot);

/* Can its kernels use memory that was not mapped for them before? */
GM_EXPORT bool gmi_sim_can_fault(const struct gm_sim *sim);
/*
 * GMEM_CHAOS: starts the thread that drives device 0 to take pages away (core/entry/chaos.h),
 * and returns once dispatch is on. Does nothing when the option is 0 or there is no device.
 * Again in a fork child, when its heap can be used.
 */
GM_EXPORT void gmi_chaos_start(void);
/*
 * A launch on behalf of a runtime. `label` is the kernel's name for people (NULL: `kernel`).
 * `reply`: the number that the kernel gave (dev_launch_reply). Otherwise as gm_sim_launch.
 */
struct gmi_launch {
	int module;
	const char *kernel, *label;
	const void *args;
	size_t args_bytes;
	uint64_t reply;
	/* Called by the launching thread, with `of`, whenever the kernel asks (dev_launch_call).
	 * NULL: it does not. */
	void (*serve)(void *of);
	void *of;
};
GM_EXPORT int gmi_sim_launch(struct gm_sim *sim, struct gmi_launch *what,
			     struct gm_launch_result *result);
/* Kernels of this device will ask for memory outside every window (dev_foreign.c): its process,
 * when it starts, stays away from where programs have theirs. */
GM_EXPORT void gmi_sim_expect_foreign(struct gm_sim *sim);
/*
 * The devices' processes and every thread of the driver end; what runs on them fails with -EIO
 * or -ENODEV, and so does what comes, until gmi_sims_return(). Pages come home by
 * gmi_devices_rest(), which is part of it.
 */
GM_EXPORT void gmi_sims_rest(void);
GM_EXPORT void gmi_sims_return(void);
/* Ends the device process; the next launch starts another one. */
GM_EXPORT void gmi_sim_kill(struct gm_sim *sim);
GM_EXPORT unsigned gmi_sim_workers(const struct gm_sim *sim);
GM_EXPORT const char *gmi_sim_name(const struct gm_sim *sim);
GM_EXPORT uint64_t gmi_sim_bytes(const struct gm_sim *sim); /* of its memory */

/* Pid of the device process, 0: not running now. For tests, tools and the report. */
GM_EXPORT int gmi_sim_pid(struct gm_sim *sim);
/* Lists the profiles with their sources, and the keys that override them. */
GM_EXPORT void gmi_sim_help(void (*out)(const char *line));

#endif
