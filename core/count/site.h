/*
 * site.h - call sites: which line of the program asked for the memory that moves.
 *
 * A site is a code address, kept as a small index: in the value of a region, in each block (the
 * site of most of its pages), and in the table of gm_stats where its counts are. Index 0 is
 * everything else: small heap blocks, and what the table has no room for.
 */
#ifndef GM_CORE_SITE_H
#define GM_CORE_SITE_H

#include "core/count/stats.h"

/*
 * The index of the call that returns to pc (0: unknown, index 0). Lock-free; takes no lock of
 * the dynamic loader (_dl_find_object), so it may be called inside malloc. Not for signal
 * handlers of ours: touches the loader's data.
 */
unsigned gmc_site(uintptr_t pc);
/* In a fork child: `to` names the same sites as `from`. */
void gmc_sites_inherit(struct gm_stats *to, const struct gm_stats *from);

#define GM_COUNT_SITE(index, field, n)                                                             \
	((void)atomic_fetch_add_explicit(&gmi_stats->site[index].field, (n), memory_order_relaxed))

#endif
