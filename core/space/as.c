/* Address spaces (the RFC's gm_as_*): making them, and giving them up. */
#include "core/care/thrash.h"
#include "core/page/hint_mirror.h"
#include "core/page/store.h"
#include "core/space/hint.h"
#include "core/space/sparse.h"
#include "core/space/window.h"
#include "core/page/driver.h"
#include <errno.h>
#include <sys/mman.h>

static struct gm_as *default_as;

/* The window [base, base + bytes) is reserved already; makes the space around it. Registry lock
 * held. */
static int as_make(uintptr_t base, size_t bytes, struct gm_as **out)
{
	size_t table_bytes = (bytes >> GM_BLOCK_SHIFT) * sizeof(struct gm_block *);
	int slot = gmc_registry_slot();

	if (slot < 0)
		return -ENOSPC;
	struct gm_as *as = gmi_alloc(sizeof *as);
	if (!as)
		return -ENOMEM;
	as->table = gm_sys_mmap(NULL, table_bytes, PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (gm_is_err(as->table)) {
		int err = gm_err(as->table);
		gmi_free(as, sizeof *as);
		return err;
	}
	as->base = base;
	as->bytes = bytes;
	as->slot = (unsigned)slot;
	gm_lock_rank(&as->region_lock, GM_RANK_REGION);
	gm_lock_rank(&as->sparse_lock, GM_RANK_BLOCK);
	as->store.fd = -1;
	gmi_rangemap_init(&as->regions, base, base + bytes);
	gmi_rangemap_init(&as->hints, base, base + bytes);
	for (int d = 0; d < GM_MAX_DEV; d++)
		gmi_rangemap_init(&as->attrs[d], base, base + bytes);
	gmc_registry_add(as, (unsigned)slot);
	*out = as;
	return 0;
}

int gm_as_create(uint64_t begin, uint64_t end, struct gm_as **out)
{
	if (gmc_called_back(__func__))
		return -EDEADLK;
	if (!out || end <= begin || (begin | end) % GM_BLOCK_BYTES)
		return -EINVAL;
	size_t bytes = end - begin, span = begin ? bytes : bytes + GM_BLOCK_BYTES;
	int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | (begin ? MAP_FIXED_NOREPLACE : 0);
	gm_sigmask mask = gmc_registry_enter();

	char *p = gm_sys_mmap((void *)begin, span, PROT_NONE, flags, -1, 0);
	int err = gm_is_err(p) ? gm_err(p) : 0;
	if (!err) {
		uintptr_t base = gm_align_up((uintptr_t)p, GM_BLOCK_BYTES);
		if (base > (uintptr_t)p)
			gm_sys_munmap(p, base - (uintptr_t)p);
		if ((uintptr_t)p + span > base + bytes)
			gm_sys_munmap((void *)(base + bytes), (uintptr_t)p + span - base - bytes);
		err = as_make(base, bytes, out);
		if (err)
			gm_sys_munmap((void *)base, bytes);
	}
	gmc_registry_leave(mask);
	return err;
}

struct gm_as *gm_as_default(void)
{
	if (default_as)
		return default_as;
	gm_sigmask mask = gmc_registry_enter();

	uintptr_t base;
	size_t bytes;
	struct gm_as *as;
	if (!default_as && !gmc_window_reserve(&base, &bytes)) {
		if (as_make(base, bytes, &as))
			gm_sys_munmap((void *)base, bytes);
		else
			__atomic_store_n(&default_as, as, __ATOMIC_RELEASE);
	}
	gmc_registry_leave(mask);
	return default_as;
}

static void free_blocks(struct gm_as *as)
{
	for (struct gm_block *b = as->blocks, *next; b; b = next) {
		next = b->next;
		for (int d = 0; d < GM_MAX_DEV; d++)
			gm_assert(!b->dev[d]);
		gmc_thrash_free(b);
		gmc_mirror_free(b);
		gmi_free(b, sizeof *b);
	}
}

int gm_as_destroy(struct gm_as *as)
{
	if (gmc_called_back(__func__))
		return -EDEADLK;
	if (!as || as == default_as)
		return -EINVAL;
	gm_sigmask mask = gmc_registry_enter();

	int err =
		gm_has_objects(as) ? -EBUSY : 0; /* in a fork child, where no device is attached */
	for (int d = 0; d < GM_MAX_DEV; d++)
		if (as->ctx[d])
			err = -EBUSY;
	if (!err) {
		atomic_store_explicit(&gmc_spaces[as->slot], NULL, memory_order_release);
		gmi_gauge_add(&gmi_stats->managed_bytes, &gmi_stats->managed_peak_bytes,
			      -(int64_t)as->regions.bytes);
		free_blocks(as);
		gm_sys_munmap((void *)as->base, as->bytes);
		gmc_store_close(as);
		gm_sys_munmap((void *)as->table,
			      (as->bytes >> GM_BLOCK_SHIFT) * sizeof as->table[0]);
		gmi_rangemap_destroy(&as->regions);
		gmc_hints_destroy(as);
		for (int d = 0; d < GM_MAX_DEV; d++)
			gmi_free(as->ctx_room[d], sizeof *as->ctx_room[d]);
		gmi_free(as, sizeof *as);
	}
	gmc_registry_leave(mask);
	return err;
}

uint64_t gm_as_window(const struct gm_as *as, uint64_t *bytes, int *store_fd)
{
	if (bytes)
		*bytes = as ? as->bytes : 0;
	if (store_fd)
		*store_fd = as ? as->store.fd : -1;
	return as ? as->base : 0;
}
