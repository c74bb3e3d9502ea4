/*
 * plugin.h - policies from a shared object (GMEM_POLICY; gmem/policy.h says what one is): loading
 * it, calling it, and going on without it when it is broken.
 *
 * Each device with memory has a run of the plug-in: its state, and the view. Both are under the
 * run's lock (rank: after the block's, before the device's), which is held while the plug-in is
 * called. The view's table of pages has 32 bytes for each device page.
 *
 * All of it does nothing for a device without a plug-in.
 */
#ifndef GM_CORE_PLUGIN_H
#define GM_CORE_PLUGIN_H

#include "core/page/registry.h"

/* Before any device is made, without locks. 0, or -errno and what is wrong with the file. */
GM_EXPORT int gmi_plugin_load(const char *path, char *err, size_t err_bytes);

/* The device has got memory, or loses it. Registry locked, or nobody knows the device yet. */
void gmc_plugin_open(struct gm_dev *dev);
void gmc_plugin_close(struct gm_dev *dev);
/* What the environment says the device follows: the plug-in, or {NULL}. */
struct gm_choice gmc_plugin_choice(const struct gm_dev *dev, enum gm_policy_kind kind);

/* Block locked: f->come and f->ahead become what it answers; as they were when it is broken now. */
void gmc_plugin_fault(struct gm_dev *dev, struct gm_policy_fault *f);
/* What on_evict_pick says; -EIO: it is broken now. Whether e->go is sound the caller looks. */
int gmc_plugin_pick(struct gm_dev *dev, struct gm_policy_evict *e);
void gmc_plugin_launch(struct gm_dev *dev, const char *kernel);
/* It answered what it may not: it is out of use. */
void gmc_plugin_bad_answer(struct gm_dev *dev, const char *function, const char *what);

/* For the view. Block locked: `set` has come; was used (a fault, or found to have been). */
void gmc_plugin_came(struct gm_dev *dev, const struct gm_block_dev *bd, gm_bm set);
void gmc_plugin_used(struct gm_dev *dev, const struct gm_block_dev *bd, gm_bm set,
		     enum gm_policy_event_kind how);
/* The device page at `frame` (as in gm_block_dev.frame) is given back. */
void gmc_plugin_gone(struct gm_dev *dev, uint32_t frame);
/*
 * Asks the device what it has used, block by block, for on_touch. Blocks that are locked are left
 * out, but for `own`, the caller's. gmc_plugin_look_due: often enough since the last time.
 */
bool gmc_plugin_look_due(struct gm_dev *dev);
void gmc_plugin_look(struct gm_dev *dev, struct gm_as *as, const struct gm_block *own);

#endif
