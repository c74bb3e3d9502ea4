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
 *
 * rules/: decisions. Which state follows, what comes along, who must go: looked up or computed.
 *    here     the options, the state table, the tables of policies, prefetching, choosing victims
 *    come in  page/ and above, under whatever locks they hold
 *    touch    their arguments and gmi_opt; no block, no page, no kernel
 *    locks    none; choices are atomic
 */
#ifndef GM_CORE_POLICY_H
#define GM_CORE_POLICY_H

#include <gmem/policy.h>
#include "core/sys/bitmap.h"
#include "core/rules/state.h"

#define GM_THRASH_LAPSE_US	500 /* the number of throttle and pin */
#define GM_THRASH_LAPSE_MOST_US 100000

/* A device fault: which pages to move. Everything is of one block. */
struct gm_along {
	size_t page_bytes; /* the device's */
	gm_bm fault;	   /* the pages that must move */
	gm_bm resident;	   /* those that the device has */
	gm_bm possible;	   /* those that may move */
	unsigned percent;
	unsigned run; /* adaptive: 64 KiB of a stream, from the fault on; 0: none, the tree rule */
};

/* A victim block: which of its pages go home. */
struct gm_victims {
	gm_bm may;   /* resident pages that may go, whole device pages; not empty */
	gm_bm valid; /* all that are resident */
	gm_bm part;  /* that take part at all: resident, or mapped by the program */
	unsigned order, percent;
	uint32_t now; /* the device's clock, and when it last used each 64 KiB */
	const uint32_t *used;
};

struct gm_policy_def {
	struct gm_policy_info info;
	/* "name:1" .. "name:most" is allowed, and number is the default; 0: it takes none */
	unsigned number, most;
	/* prefetch: fault | what comes along, within possible */
	gm_bm (*along)(const struct gm_along *in);
	/* evict: pages of a victim's `may` that go home: whole device pages, at least one. Block
	 * locked. */
	gm_bm (*victims)(const struct gm_victims *in);
	bool by_page;	/* victims in the order of single device pages, not of blocks */
	bool adaptive;	/* its memory of faults decides (adapt.h) */
	bool by_access; /* a block that the device has used since it was last looked at is spared */
	/* placement */
	enum gm_want touch; /* of a device, where no hint says anything else */
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
/*
 * What is followed: the first table of choices (by kind; may be NULL), else the second, else the
 * options.
 */
struct gm_choice gmc_policy_choose(const struct gm_choice *first, const struct gm_choice *then,
				   enum gm_policy_kind kind);
void gmc_policy_store(struct gm_choice *c, struct gm_choice v);
/* The index in the kind's table: what gmi_opt holds. */
unsigned gmc_policy_index(enum gm_policy_kind kind, const struct gm_policy_def *def);

/* Has anybody ever chosen a placement with home_after_launch? */
bool gmc_policy_copies(void);

#endif
