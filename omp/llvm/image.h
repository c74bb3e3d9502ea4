/* image.h - target images as clang lays them out, and what the plug-in does with them. */
#ifndef GM_OMP_IMAGE_H
#define GM_OMP_IMAGE_H

#include "omp/core/host.h"

extern bool gmo_unified; /* #pragma omp requires unified_shared_memory */

struct gmo_tgt_entry { /* __tgt_offload_entry */
	void *addr;
	char *name;
	size_t size;
	int32_t flags, reserved;
};
struct gmo_tgt_image { /* __tgt_device_image */
	void *start, *end;
	struct gmo_tgt_entry *entries_begin, *entries_end;
};
struct gmo_tgt_table { /* __tgt_target_table */
	struct gmo_tgt_entry *begin, *end;
};
/* Lets idle host threads of libomp sleep. */
void gmo_leave_cpus(void);
bool gmo_image_fits(const struct gmo_tgt_image *image);
/* The image's table on this device; NULL: it cannot be loaded (said). Device locked. */
struct gmo_tgt_table *gmo_image_load(struct gmo_device *d, const struct gmo_tgt_image *image);
/* Runs a region, named by the address that its table gives it. 0 or -errno (said). */
int gmo_region_run(struct gmo_device *d, void *region, void **args, const ptrdiff_t *offsets,
		   int n);

#endif
