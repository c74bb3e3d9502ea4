/*
 * vma.h - what this process has mapped at an address, as the kernel says: by PROCMAP_QUERY
 * (Linux 6.11), else from the text of /proc/thread-self/maps (that of the process is empty once
 * its first thread has ended). Signal-safe; allocates nothing.
 */
#ifndef GM_CORE_VMA_H
#define GM_CORE_VMA_H

#include "core/sys/sys.h"

struct gm_vma {
	uint64_t lo, hi;   /* [lo, hi) */
	uint64_t off;	   /* of lo in what is mapped */
	uint64_t dev, ino; /* of what is mapped; ino 0: private memory without a file */
	bool read, write, exec, shared;
	bool huge;	/* of huge pages that were asked for */
	char name[256]; /* a path, "[stack]", or ""; cut off if it is longer */
};
/* What is mapped at va, or next behind it. 0; -ENOENT: nothing; -errno: /proc cannot be read. */
GM_EXPORT int gmi_vma_next(uint64_t va, struct gm_vma *vma);
/* each() for all that lies in [lo, hi), rising, until it returns other than 0: that is the answer;
 * else 0 or -errno. What is mapped meanwhile may come or not. */
GM_EXPORT long gmi_vma_each(uint64_t lo, uint64_t hi,
			    long (*each)(const struct gm_vma *vma, void *arg), void *arg);
/* The same, and by the text, whatever the kernel can. */
enum gm_vma_way { GM_VMA_BEST, GM_VMA_TEXT };
long gmc_vma_each_way(uint64_t lo, uint64_t hi, long (*each)(const struct gm_vma *, void *),
		      void *arg, enum gm_vma_way way);
/* What is mapped at va; -ENOENT: nothing is. */
static inline int gmi_vma_find(uint64_t va, struct gm_vma *vma)
{
	int err = gmi_vma_next(va, vma);

	return err || vma->lo <= va ? err : -2 /* ENOENT */;
}

#endif
