/*
 * cpu_bus.h - placement `first-use`, and ACCESSED_BY of the CPU: it reaches pages in a device's
 * memory where they are, over the bus.
 *
 * The VA gets a mapping of the device's memory itself (its aperture, cloned as the store's mold
 * is), with the program's rights. The page stays DEVICE, exclusive; bus coherence is real shared
 * memory. cpu_r and cpu_w stay clear, so that a system call's hold still brings the page home,
 * where the kernel may go on using it. Whoever moves, drops or re-protects pages ends the
 * mapping first. Block locked throughout.
 */
#ifndef GM_CORE_CPU_BUS_H
#define GM_CORE_CPU_BUS_H

#include "core/page/registry.h"

/*
 * Pages that one device has to itself and keeps when the CPU touches them: by its placement, or by
 * hint.
 */
gm_bm gmc_bus_stays(const struct gm_block *b);
/*
 * The CPU's mappings of those of `set`. What has none afterwards (its memory cannot be mapped,
 * say) comes home at a touch.
 */
void gmc_bus_map(struct gm_block *b, gm_bm set);
/*
 * The CPU's mappings of `set` over the bus end: out of reach, as any page on a device. 0 or
 * -ENOMEM.
 */
int gmc_bus_unmap(struct gm_block *b, gm_bm set);
/*
 * Tells the drivers what the CPU has reached over their buses since the last time: pages of which
 * the kernel has entries (by reads up to 64 KiB at a time, its fault-around), which are dropped;
 * the mappings stay. At every launch, and at the end. No locks held.
 */
GM_EXPORT void gmi_bus_settle(void);

#endif
