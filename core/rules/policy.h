/*
 * policy.h - the one small interface of all policies: a named entry in the table of its kind
 * (policy.c).
 *
 * An entry says what it does by functions (what comes along with a fault, what goes of a victim)
 * or by what it asks of the state table (where a page is after a touch). The pages' own hints
 * and pins come before any of them. Choices are read without a lock, once per fault; entries are
 * constant.
 *
 * Who follows what: the device in the space (gm_ctx.choice), else the device (gm_dev.choice),
 * else gmi_opt.
 */
#ifndef GM_CORE_POLICY_H
#define GM_CORE_POLICY_H

#include <gmem/policy.h>
#include "core/sys/bitmap.h"
#include "core/rules/state.h"

#define GM_THRASH_LAPSE_US	500 /* the number of throttle and pin */
#define GM_THRASH_LAPSE_MOST_US 100000

struct gm_ctx;
struct gm_dev;
struct gm_block_dev;

/* A device fault: which pages to move. Everything is of one block. */
struct gm_along {
	size_t page_bytes; /* the device's */
	gm_bm fault;	   /* the pages that must move */
	gm_bm resident;	   /* those that the device has */
	gm_bm possible;	   /* those that may move */
	unsigned percent;
};

struct gm_policy_def {
	struct gm_policy_info info;
	unsigned number,
		most; /* "name:1" .. "name:most" is allowed, and number is the default; 0: it takes none */
	/* prefetch: fault | what comes along, within possible */
	gm_bm (*along)(const struct gm_along *in);
	/* evict: pages of a victim's `may` that go home: whole device pages, at least one. Block
	 * locked. */
	gm_bm (*victims)(const struct gm_block_dev *bd, gm_bm may, unsigned percent);
	bool by_page;	/* victims in the order of single device pages, not of blocks */
	bool by_access; /* a block that the device has used since it was last looked at is spared */
	/* placement */
	enum gm_policy touch; /* of a device, where no hint says anything else */
	/* the CPU comes to pages on the device instead of taking them back */
	bool stays;
	bool home_after_launch; /* when a kernel has ended every page goes home */
	bool counted;		/* touch only until the access counter says that the page is hot */
	/* thrash */
	bool throttle, pin;
};

struct gm_choice {
	const struct gm_policy_def *def; /* NULL: see above */
	unsigned number;
};

/* "name" or "name:number". 0 or -EINVAL (unchanged). Touches no memory but *choice. */
GM_EXPORT int gmi_policy_parse(enum gm_policy_kind kind, const char *text,
			       struct gm_choice *choice);
struct gm_choice gmc_policy_of(const struct gm_ctx *ctx, enum gm_policy_kind kind);
struct gm_choice gmc_policy_of_dev(const struct gm_dev *dev, enum gm_policy_kind kind);
/* The index in the kind's table: what gmi_opt holds. */
unsigned gmc_policy_index(enum gm_policy_kind kind, const struct gm_policy_def *def);

/* Has anybody ever chosen a placement with home_after_launch? */
bool gmc_policy_copies(void);

/* What of a device page's surroundings comes along with it. */
gm_bm gmc_policy_along(const struct gm_ctx *ctx, struct gm_along *in);

#endif
