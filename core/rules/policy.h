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
#define GM_RESIDENCE_MS		5 /* the number of keep */
#define GM_RESIDENCE_MOST_MS	1000

struct gm_policy_def {
	struct gm_policy_info info;
	/* "name:1" .. "name:most" is allowed, and number is the default; 0: it takes none */
	unsigned number, most;
	/*
	 * prefetch: on_fault; evict: on_evict_pick. As a plug-in has them (gmem/policy.h), but
	 * with neither view nor state: what the built-in ones remember is in the device's records.
	 */
	struct gm_policy_plugin call;
	bool plugin;   /* it is one (page/plugin.h) */
	bool by_page;  /* victims in the order of single device pages, not of blocks */
	bool adaptive; /* its memory of faults decides (adapt.h) */
	/* placement */
	enum gm_want touch; /* of a device, where no hint says anything else */
	/* the CPU comes to pages on the device instead of taking them back */
	bool stays;
	bool home_after_launch; /* when a kernel has ended every page goes home */
	bool counted;		/* touch only until the access counter says that the page is hot */
	/* thrash */
	bool throttle, pin;
	bool keep; /* residence: what has come stays for `number` milliseconds */
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
struct gm_choice gmc_policy_of_options(enum gm_policy_kind kind);
void gmc_policy_store(struct gm_choice *c, struct gm_choice v);
/*
 * on_evict_pick of those that need a device's own lists: page/evict.c offers them before main.
 */
typedef int gm_evict_pick(const struct gm_policy_view *v, void *state, struct gm_policy_evict *e);
extern gm_evict_pick *gmc_pick_by_access, *gmc_pick_adaptive;

/* The index in the kind's table: what gmi_opt holds. */
unsigned gmc_policy_index(enum gm_policy_kind kind, const struct gm_policy_def *def);

/* Has anybody ever chosen a placement with home_after_launch? */
bool gmc_policy_copies(void);

#endif
