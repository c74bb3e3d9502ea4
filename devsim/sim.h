/*
 * sim.h - the driver's side of a simulated device, for the preload's offload code (beyond the public
 * device.h).
 */
#ifndef GM_DEVSIM_SIM_H
#define GM_DEVSIM_SIM_H

#include "../include/gmem/device.h"
#include "../core/opt.h"

/* The device of GMEM_DEVICE entry i, opened and attached to the default space on first use; NULL: none or it
 * cannot run. */
GM_EXPORT struct gm_sim *gmi_sim_default(int i);
/* Which BLAS the device should load, before its process starts: the file the program's own calls resolve to.
 */
GM_EXPORT void gmi_sim_set_blas(const char *path);

/* A journalled launch: like gm_sim_launch; when the device is lost after it began to write, *journal points
 * to the bytes that it had saved (journal_bytes, in the layout the kernel defined) until
 * gmi_sim_journal_done(). NULL: nothing saved. */
GM_EXPORT int gmi_sim_launch_journalled(struct gm_sim *sim, const char *kernel, uint32_t nblocks,
					const void *args, size_t args_bytes, struct gm_launch_result *result,
					int *slot, const void **journal);
GM_EXPORT void gmi_sim_journal_done(struct gm_sim *sim, int slot);

#endif
