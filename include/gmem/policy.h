/*
 * policy.h - choosing how memory moves, by name, for one device or one device in one space; and
 * writing a policy of one's own.
 *
 * The environment sets what all devices start with (GMEM_PREFETCH, GMEM_EVICT, GMEM_PLACEMENT,
 * GMEM_THRASH, GMEM_RESIDENCE; in a device string of GMEM_DEVICE the keys prefetch, evict,
 * placement, thrash and residence). Thread-safe; not in signal handlers. A change holds from the
 * next fault on; pages that moved already stay where they are.
 *
 * A plug-in (GMEM_POLICY=FILE.so, `--policy FILE.so`) is a shared object that defines gm_policy, a
 * struct gm_policy_plugin. It includes this header and links with nothing of ours. Its functions
 * run in the process whose memory moves, under locks and with signals blocked: they may call what
 * their arguments offer and what neither allocates nor waits nor touches the program's heap, on a
 * few KiB of stack. What of them crashes, does not return or answers nonsense is named, once, and
 * the device goes on with the policies that it would have without. The guide: docs/policies.md.
 */
#ifndef GMEM_POLICY_H
#define GMEM_POLICY_H

#include <stdbool.h>
#include "gmem.h"

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

enum gm_policy_kind {
	GM_POLICY_PREFETCH,  /* what a device fault brings along */
	GM_POLICY_EVICT,     /* what goes home when the device is full */
	GM_POLICY_PLACEMENT, /* where a page is after a device's touch */
	GM_POLICY_THRASH,    /* what is done about pages that go back and forth */
	/*
	 * How long a page stays where a device's fault, or a prefetch, has brought it. Until then
	 * the touches and system calls of the CPU wait, other devices are told -EAGAIN, and
	 * eviction and reclaim take it only when there is nothing else. Not held up is what the
	 * program asks for itself: hmadvise, hmemcpy, munmap, mremap, fork, detachment.
	 */
	GM_POLICY_RESIDENCE,
	GM_POLICY_KINDS
};

/**
 * gm_policy_set - chooses a device's policy by name
 * @as: the space that it is to hold in; NULL: every space
 * @dev: the device
 * @kind: which of its policies; eviction is the device's own: as must be NULL
 * @name: "tree", or "tree:30" with its number (percent; of "pin" and "throttle" us, of "keep" ms);
 * NULL: what the environment says again
 *
 * Return: 0; -EINVAL no such kind or name; -ENODEV the device is not attached to the space.
 * Source: ours; the policies and where they come from: gm_policy_list().
 */
int gm_policy_set(struct gm_as *as, struct gm_dev *dev, enum gm_policy_kind kind, const char *name);

/**
 * gm_policy_get - which policy does a device follow?
 * @as: the space; NULL: what holds where no space has its own
 * @dev: the device
 * @kind: which of its policies
 *
 * Return: the name, without the number, as static text; NULL: bad arguments.
 * Source: ours.
 */
const char *gm_policy_get(struct gm_as *as, struct gm_dev *dev, enum gm_policy_kind kind);

struct gm_policy_info {
	const char *name;    /* for gm_policy_set */
	const char *meaning; /* one line */
	const char *source;  /* where the rule and its constants come from */
};
/**
 * gm_policy_list - the policies that there are
 * @kind: of this kind
 * @i: the i-th, from 0
 * @info: receives it
 *
 * Return: 0; -ENOENT there are no more; -EINVAL no such kind.
 * Source: ours.
 */
int gm_policy_list(enum gm_policy_kind kind, unsigned i, struct gm_policy_info *info);

/* ---- what a policy sees and answers, a plug-in as a built-in one ---- */

#define GM_POLICY_VERSION   1
#define GM_POLICY_EVENTS    1024 /* the last so many are in view */
#define GM_POLICY_AHEAD	    4	 /* ranges that one fault may ask for */
#define GM_POLICY_STATE_MAX (64u << 20)
#define GM_POLICY_TICK_MS   10
#define GM_POLICY_NAME_MAX  31

/* Pages of 4 KiB of one block, an aligned 2 MiB: page i is bit i % 64 of word i / 64. */
struct gm_page_set {
	uint64_t w[8];
};

/* A page of the device's memory. Times: CLOCK_MONOTONIC. */
struct gm_policy_page {
	uint64_t va; /* where the program sees its bytes; 0: it is free */
	/* since when; last asked for by a fault, or found to have been used */
	uint64_t came_ns, used_ns;
	uint32_t uses; /* how often that was */
};

enum gm_policy_event_kind {
	GM_POLICY_FAULT,  /* the device asked for va */
	GM_POLICY_USED,	  /* it was found to have used the page at va since it was last looked at */
	GM_POLICY_WENT,	  /* the page at va left the device */
	GM_POLICY_LAUNCH, /* a kernel begins; va: 0 */
};
struct gm_policy_event {
	uint64_t time_ns, va;
	uint32_t kind; /* enum gm_policy_event_kind */
};

/* The whole device. What a function is given stays as it is while it runs. */
struct gm_policy_view {
	uint32_t version; /* GM_POLICY_VERSION of the library that calls */
	uint32_t device;  /* 0, 1, ..: in the order of GMEM_DEVICE */
	uint64_t now_ns;
	uint64_t page_bytes; /* of its memory */
	uint32_t pages, used_pages;
	const struct gm_policy_page *page; /* [pages] */
	uint64_t faults, evictions, launches;
	uint64_t events; /* so many were; number n is event[n % GM_POLICY_EVENTS] */
	const struct gm_policy_event *event;
};

/* A fault of the device. */
struct gm_policy_fault {
	uint64_t va; /* the page of 4 KiB */
	bool write;
	uint64_t block_va, page_bytes;
	unsigned number; /* behind the policy's name, as in tree:51; a plug-in's: 0 */
	unsigned run;	 /* adaptive: 64 KiB of a stream, from the fault on; else 0 */
	/* of the block: must come; is there; may come (outside of it nothing comes) */
	struct gm_page_set must, resident, possible;
	/*
	 * The answers. What comes beside `must`: a plug-in finds there what --prefetch says, to
	 * keep or to change. And what is brought after it, from anywhere, as far as it can be had.
	 */
	struct gm_page_set come;
	unsigned naheads;
	struct {
		uint64_t va, bytes;
	} ahead[GM_POLICY_AHEAD];
};

enum gm_policy_order {
	GM_POLICY_BY_BLOCK, /* 2 MiB, in the order in which the device last asked for any of it */
	GM_POLICY_BY_PAGE,  /* of the device's memory, in the same order */
};
/*
 * The device's memory is full. A policy makes something a candidate, until it likes one; then `go`
 * says what of it goes home. Candidates are locked: others are not offered meanwhile.
 */
struct gm_policy_evict {
	/* The coldest one, or that of the page at va. False: somebody is using it just now, or it
	 * is what room is needed for; take another. */
	bool (*coldest)(struct gm_policy_evict *e, enum gm_policy_order by);
	bool (*at)(struct gm_policy_evict *e, uint64_t va);
	/* Has the device used any of the candidate's block since it was last asked? Asks it. */
	bool (*in_use)(struct gm_policy_evict *e);
	unsigned number; /* as in gm_policy_fault */
	/* The candidate. Of its block: may go (whole device pages); is on the device;
	 * is the program's. */
	uint64_t block_va, page_bytes;
	struct gm_page_set may, resident, mapped;
	/* the device's clock when it last asked for a page of the block, and for each 64 KiB */
	uint32_t now;
	const uint32_t *used;  /* [32] */
	struct gm_page_set go; /* The answer: whole device pages within `may`. */
};

/*
 * A policy. Functions that are NULL are not called: without on_fault the option --prefetch holds,
 * without on_evict_pick --evict does; one of the two must be there. `state` is the policy's own,
 * one for each device, zeroed at first. Calls for one device never overlap.
 */
struct gm_policy_plugin {
	uint32_t version; /* GM_POLICY_VERSION */
	const char *name; /* GM_POLICY_NAME_MAX letters at most */
	uint64_t state_bytes;
	void (*on_fault)(const struct gm_policy_view *v, void *state, struct gm_policy_fault *f);
	/* The device was found to have used the page at va: asked before evictions now and then,
	 * and when a launch has ended. */
	void (*on_touch)(const struct gm_policy_view *v, void *state, uint64_t va);
	/* 0: e->go goes home. Else: nothing of what is there should, or could. Then the coldest
	 * block does. */
	int (*on_evict_pick)(const struct gm_policy_view *v, void *state,
			     struct gm_policy_evict *e);
	void (*on_launch)(const struct gm_policy_view *v, void *state, const char *kernel);
	/* Before another call, if there was none for GM_POLICY_TICK_MS: an idle device has none. */
	void (*on_tick)(const struct gm_policy_view *v, void *state);
};
/* What a plug-in defines. */
extern const struct gm_policy_plugin gm_policy;

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
