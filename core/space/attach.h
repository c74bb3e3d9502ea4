/*
 * attach.h - what others ask of a device's place in a space.
 */
#ifndef GM_CORE_ATTACH_H
#define GM_CORE_ATTACH_H

#include "core/page/registry.h"

/*
 * Everything the device holds or maps in the space goes home. Its faults are refused meanwhile:
 * whoever saw that they are not has the lock of its block, and the block is in the list.
 * Registry lock held.
 */
int gmc_ctx_bring_home(struct gm_ctx *ctx);
/*
 * For drivers: a kernel has ended on the device. Where placement is `copy` everything that it
 * touched goes home. No locks held, any thread.
 */
void gmc_launch_done(struct gm_dev *dev);

#endif
