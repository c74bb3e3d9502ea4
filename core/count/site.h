/*
 * site.h - call sites: which line of the program asked for the memory that moves.
 *
 * A site is a stack of return addresses, kept as a small index: in the value of a region, in each
 * block (the site of most of its pages), and in the table of gm_stats where its counts are. Index
 * 0 is everything else: what nobody has looked at, and what the table has no room for.
 */
#ifndef GM_CORE_SITE_H
#define GM_CORE_SITE_H

#include "core/count/stats.h"

_Static_assert(GM_SITES <= 256, "a site is a byte in gm_block and in the samples");

/*
 * The index of a stack of n return addresses, innermost first (none or 0: index 0). Lock-free;
 * takes no lock of the dynamic loader (_dl_find_object), so it may be called inside malloc. Not
 * for signal handlers of ours: touches the loader's data.
 */
GM_EXPORT unsigned gmi_site(const uintptr_t *pc, unsigned n);
/* Is it a library of ours, or a plug-in? What these ask for is somebody else's, or nobody's. */
struct link_map;
GM_EXPORT bool gmi_site_is_ours(const struct link_map *module);
/* The index of who called us from there; 0: one of ours did. */
unsigned gmc_site_of(const void *pc);
/*
 * A frame for gmi_site() that is a line of Python or the like: `key` tells it from others (not 0),
 * `fill` describes it (all zeros till then) when it is new. 0: no room. Lock-free.
 */
typedef void gm_site_line_fn(struct gm_site_line *to, const void *arg);
GM_EXPORT uintptr_t gmi_site_line(uint64_t key, gm_site_line_fn *fill, const void *arg);
GM_EXPORT bool gmi_site_line_installed(uintptr_t frame);
/*
 * Small blocks share pages: one in many is looked at, and its 2 MiB of addresses are said to be
 * of whoever is seen there most. Returns whose they are now; site 0: nobody seen. Lock-free.
 */
unsigned gmc_site_sample(uintptr_t va, unsigned site);
unsigned gmc_site_sampled(uintptr_t va);
/* What `from` describes, `to` does as well, where it has nothing. */
void gmc_site_lines_inherit(struct gm_stats *to, const struct gm_stats *from);
/* In a fork child: `to` names the same sites as `from`. */
void gmc_sites_inherit(struct gm_stats *to, const struct gm_stats *from);

#define GM_COUNT_SITE(index, field, n)                                                             \
	((void)atomic_fetch_add_explicit(&gmi_stats->site[index].field, (n), memory_order_relaxed))

#endif
