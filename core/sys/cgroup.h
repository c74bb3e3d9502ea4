/*
 * cgroup.h - how much memory the control groups of this process leave it, before the kernel kills.
 *
 * Both hierarchies, from the process's own group up to the one that is mounted. Raw calls only:
 * usable on our threads and in signal handlers. Locks: none; a struct gm_cgroup does not change
 * once it was found.
 */
#ifndef GM_CORE_CGROUP_H
#define GM_CORE_CGROUP_H

#include "core/sys/sys.h"

#define GM_NO_LIMIT INT64_MAX

struct gm_cgroup {
	char dir[1024];	    /* of the process's own group */
	unsigned mount_len; /* so much of it is the mount point, whose parents we do not see */
	unsigned version;   /* 1, 2; 0: none was found */
};

/*
 * The group of memory that the process is in, by what the kernel writes in /proc/self/cgroup and
 * /proc/self/mountinfo, or by files that look like these. False: there is none, or it cannot be
 * seen.
 */
bool gmc_cgroup_find(struct gm_cgroup *c, const char *groups, const char *mounts);
/*
 * Bytes until the nearest limit, of those that are used without what the kernel gives up first
 * (page cache long unused); negative: beyond it. GM_NO_LIMIT: there is none.
 * *limit, if not NULL: that limit, in bytes.
 */
int64_t gmc_cgroup_room(const struct gm_cgroup *c, int64_t *limit);

#endif
