/*
 * adapt.h - the adaptive policies (`--evict adaptive --prefetch adaptive`): what a device remembers
 * of its faults, and what it makes of it.
 *
 * While memory has room, or what is evicted is not asked for again, pages go in the order in which
 * they came and the tree rule brings company: as UVM does, by 64 KiB. When faults ask back what was
 * evicted (the refault distance tells that more memory would have helped) the order of use is a
 * loop longer than memory, and its oldest pages are the next to be needed. Then most of what is
 * resident stays (the main list), what comes passes through a few frames (the recent list), and
 * only what comes back much sooner than the mean is let into the main list, for pages that the
 * device has not used lately. Company then comes only along streams of faults: the 64 KiB that
 * follow, up to eight of them.
 *
 * (Qureshi et al., ISCA'07: BIP; Johnson and Shasha, VLDB'94: 2Q; Jiang and Zhang, SIGMETRICS'02:
 * LIRS; Corbato: CLOCK.)
 */
#ifndef GM_CORE_ADAPT_H
#define GM_CORE_ADAPT_H

#include "core/page/registry.h"

/*
 * The device faults on page i of the block, which is locked. Returns how many 64 KiB from there
 * come along in a stream, 0: as many as the tree rule says.
 */
unsigned gmc_adapt_fault(struct gm_dev *dev, struct gm_block_dev *bd, unsigned i);
/* These pages were evicted. Block locked. */
void gmc_adapt_evicted(struct gm_dev *dev, struct gm_block_dev *bd, gm_bm set);
/* Device locked: does this page come into the main list? Asked once. */
bool gmc_adapt_promoted(struct gm_block_dev *bd, unsigned i);
/* Device locked: are victims those that came last? Frames that the recent list keeps. */
static inline bool gm_adapt_loops(const struct gm_dev *dev)
{
	return dev->adapt.loops;
}
unsigned gmc_adapt_recent_frames(const struct gm_dev *dev);
/* The block is locked: has the device used page i lately? Asks it, not too often. */
bool gmc_adapt_in_use(struct gm_dev *dev, struct gm_block_dev *bd, unsigned i);

#endif
