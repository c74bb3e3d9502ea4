/*
 * hint.h - what the program said about ranges: hints (hmadvise) and a device's PTE attributes
 * (gm_set_attr).
 *
 * The truth is two kinds of range maps of the space, under its region lock: as->hints, and
 * as->attrs by device. A block has a mirror of its part, under the block's lock, so that faults
 * need no other one; mirrors are refreshed under both.
 */
#ifndef GM_CORE_HINT_H
#define GM_CORE_HINT_H

#include "core/space/as.h"

/* The mirror; read_mostly has a place of its own in the block. */
struct gm_hints {
	gm_bm prefer_host, accessed_by_cpu;
	gm_bm prefer_dev[GM_MAX_DEV], accessed_by[GM_MAX_DEV];
	uint64_t *attr[GM_MAX_DEV]; /* by page; NULL: all 0 */
};

/*
 * Sets one of the hints that are kept for [lo, hi) (whole pages). dev: the one that is named,
 * NULL: the host. -ENOENT: `behavior` is no such hint; -EINVAL; -ENODEV dev is not attached;
 * -ENOMEM. No lock held.
 */
int gmc_hint_set(struct gm_as *as, uintptr_t lo, uintptr_t hi, int behavior, struct gm_dev *dev);

/* Region lock held: a new block gets its mirror (false: no memory); nothing was said about [lo,
 * hi) any more; what was said about [from, from + len) holds for `to` as well; nobody names
 * device d any more. */
bool gmc_hints_fill(struct gm_block *b);
void gmc_hints_clear(struct gm_as *as, uintptr_t lo, uintptr_t hi);
void gmc_hints_copy(struct gm_as *as, uintptr_t from, uintptr_t to, size_t len);
void gmc_hints_forget_device(struct gm_as *as, unsigned d);
/* In a fork child, whose thread holds every lock: nobody names any device. */
void gmc_hints_forked(struct gm_as *as);
/* The space is about to go. */
void gmc_hints_destroy(struct gm_as *as);
void gmc_hints_free_mirror(struct gm_block *b);

/* Block locked. Pages that device d's touch leaves on the host; those that its touch moves
 * whatever the policy says. */
gm_bm gmc_hint_stays(const struct gm_block *b, unsigned d);
gm_bm gmc_hint_comes(const struct gm_block *b, unsigned d);
/*
 * Pages of `set` have moved: those on the host get entries on the devices of ACCESSED_BY, those on
 * a device are mapped by the CPU where it is named. What fails, a fault makes up for.
 */
void gmc_hint_follow(struct gm_block *b, gm_bm set);
/*
 * A hint, or a pin, of `set` was taken back: entries over the bus that nothing keeps any more go,
 * so that the next touch faults and places the page as if nothing had been said. Errors of the
 * driver: those stay as they are.
 */
int gmc_hint_release(struct gm_block *b, gm_bm set);
static inline uint64_t gm_attr_of(const struct gm_block *b, unsigned d, unsigned i)
{
	return b->hints && b->hints->attr[d] ? b->hints->attr[d][i] : 0;
}

#endif
