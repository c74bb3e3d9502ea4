/*
 * hint_mirror.h - a block's part of what the program said about ranges (space/hint.h has the
 * truth), so that faults need no other lock than the block's. Block locked throughout.
 */
#ifndef GM_CORE_HINT_MIRROR_H
#define GM_CORE_HINT_MIRROR_H

#include "core/page/registry.h"

/* A range's hints are the words of its value; all zero: none, and not in the map. */
enum {
	GM_SAID_FLAGS,	     /* GM_SAID_READ_MOSTLY, GM_SAID_ATOMIC(enum gm_atomic) */
	GM_SAID_PREFERRED,   /* 0 none, GM_SAID_HOST, GM_SAID_DEVICE(d), that | GM_SAID_SYSTEM */
	GM_SAID_ACCESSED_BY, /* GM_SAID_BY() of devices and the CPU */
};
#define GM_SAID_READ_MOSTLY 1
#define GM_SAID_ATOMIC(a)   ((uint64_t)(a) << 8)
#define GM_SAID_HOST	    1
#define GM_SAID_DEVICE(d)   (2 + (uint64_t)(d))
#define GM_SAID_SYSTEM	    (1ull << 32) /* only pages of the host go there */
#define GM_SAID_BY(d)	    (1ull << ((d) < 0 ? GM_MAX_DEV : (d)))

/* The mirror; read_mostly has a place of its own in the block. */
struct gm_hints {
	gm_bm prefer_host, accessed_by_cpu;
	gm_bm system_only; /* of those that prefer a device */
	gm_bm atomic[GM_ATOMIC_CPU + 1];
	gm_bm prefer_dev[GM_MAX_DEV], accessed_by[GM_MAX_DEV];
	uint64_t *attr[GM_MAX_DEV]; /* by page; NULL: all 0 */
};

/* Nothing is said about `set`; this is; its entries on device d carry this. 0 or -ENOMEM */
void gmc_mirror_blank(struct gm_block *b, gm_bm set);
int gmc_mirror_note(struct gm_block *b, gm_bm set, const struct gm_range_value *v);
int gmc_mirror_note_attr(struct gm_block *b, unsigned d, gm_bm set, uint64_t attr);
void gmc_mirror_free(struct gm_block *b);

static inline enum gm_atomic gm_said_atomic(const struct gm_range_value *v)
{
	return (enum gm_atomic)(v->v[GM_SAID_FLAGS] >> 8 & 3);
}

/* Pages that device d's touch leaves on the host; those that its touch moves
 * whatever the policy says. */
gm_bm gmc_hint_stays(const struct gm_block *b, unsigned d);
gm_bm gmc_hint_comes(const struct gm_block *b, unsigned d);
/*
 * For atomic operations: pages that d reaches in its own memory or not at all; that the CPU does
 * not reach in that of d.
 */
gm_bm gmc_hint_local(const struct gm_block *b, unsigned d);
gm_bm gmc_hint_alone(const struct gm_block *b, unsigned d);
/*
 * Pages of `set` have moved: those on the host get entries on the devices of ACCESSED_BY, those on
 * a device are mapped by the CPU where it is named, and by devices with a link to that one.
 * What fails, a fault makes up for.
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
