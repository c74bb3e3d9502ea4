/*
 * policy.h - choosing how memory moves, by name, for one device or one device in one space.
 *
 * The environment sets what all devices start with (GMEM_PREFETCH, GMEM_EVICT, GMEM_PLACEMENT,
 * GMEM_THRASH; in a device string of GMEM_DEVICE the keys prefetch, evict, placement and
 * thrash). Thread-safe; not in signal handlers. A change holds from the next fault on; pages
 * that moved already stay where they are.
 */
#ifndef GMEM_POLICY_H
#define GMEM_POLICY_H

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
	GM_POLICY_KINDS
};

/**
 * gm_policy_set - chooses a device's policy by name
 * @as: the space that it is to hold in; NULL: every space
 * @dev: the device
 * @kind: which of its policies; eviction is the device's own: as must be NULL
 * @name: "tree", or "tree:30" with its number (percent; of "pin" and "throttle" us); NULL: what
 * the environment says again
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

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
