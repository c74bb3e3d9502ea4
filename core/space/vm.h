/*
 * vm.h - mmap, munmap, mprotect, mremap, madvise on a space: the region map, the blocks and the
 * kernel's VMAs together.
 *
 * Called by the preload's hooks and by gm_mmap(). Each blocks signals for its duration, takes
 * the region lock, then each block that exists in the range. Results and -errno are those that
 * the plain system call would have given. Never touches errno. Nothing here may be called from
 * our fault handlers (they use the blocks' prog bitmaps, not this map). `site`: the return
 * address of the program's call, or 0.
 *
 * space/: ranges of addresses, and everything that is said of them.
 *    here     spaces and attachments, the region map, hints, mapping calls, buffer objects, sparse
 *             ranges
 *    come in  the preload's hooks and public calls, with no lock
 *    touch    region maps, VMAs of the window, blocks through page/; makes blocks (range.h)
 *    locks    registry < region < block; never entered from a fault but to find or make a block
 */
#ifndef GM_CORE_VM_H
#define GM_CORE_VM_H

#include <sys/mman.h>
#include "core/sys/rangemap.h"

struct gm_as;

enum gm_region_kind {
	GM_REGION_HEAP, /* malloc extents */
	GM_REGION_ANON, /* private anonymous mmap */
	/* MAP_FIXED of a file, a shared mapping, PROT_EXEC...: in the window, never migrated */
	GM_REGION_FOREIGN,
	GM_REGION_SPARSE, /* addresses of a sparse range (sparse.h): only its own calls change it */
};

/* The process's default space of the preload, or NULL. */
GM_EXPORT struct gm_as *gmi_vm_space(void);
GM_EXPORT bool gmi_vm_contains(const void *p); /* in the default space's window: two comparisons */
/* For a debugger that writes a core: is what is only reserved part of it? Not signal-safe. */
GM_EXPORT void gmi_window_dumped(bool dumped);
GM_EXPORT void gmi_vm_window(const struct gm_as *as, uintptr_t *lo, uintptr_t *hi); /* [lo, hi) */

/* What a mapping must be to migrate: private, anonymous, not a stack, ordinary pages, not
 * executable. */
GM_EXPORT bool gmi_vm_may_migrate(int prot, int flags);

/* New private anonymous memory anywhere in the window. align 0: 2 MiB when len >= 2 MiB, else a
 * page. Address or -errno. */
/* As far as [lo, hi) is mapped from lo on, and the program may read there, or write. */
uintptr_t gmc_vm_usable_end(struct gm_as *as, uintptr_t lo, uintptr_t hi, bool write);
GM_EXPORT void *gmi_vm_map(struct gm_as *as, size_t len, size_t align, int prot, int flags,
			   enum gm_region_kind kind, unsigned site);
/* mmap with MAP_FIXED or MAP_FIXED_NOREPLACE on [addr, addr+len) inside the window, of any kind
 * of memory. */
GM_EXPORT void *gmi_vm_map_fixed(struct gm_as *as, void *addr, size_t len, int prot, int flags,
				 int fd, uint64_t off, unsigned site);
/* [addr, addr+len), inside regions, was handed out by the call that returns to pc (0: to
 * nobody). -ENOMEM: not noted. */
GM_EXPORT int gmi_vm_note_site(struct gm_as *as, const void *addr, size_t len, unsigned site);
/* A small block at addr: see gmc_site_sample. Lock-free. */
GM_EXPORT void gmi_vm_sample_site(struct gm_as *as, const void *addr, unsigned site);
GM_EXPORT int gmi_vm_unmap(struct gm_as *as, void *addr, size_t len);
GM_EXPORT int gmi_vm_protect(struct gm_as *as, void *addr, size_t len, int prot);
GM_EXPORT void *gmi_vm_remap(struct gm_as *as, void *old, size_t old_len, size_t new_len, int flags,
			     void *new_addr);
GM_EXPORT int gmi_vm_advise(struct gm_as *as, void *addr, size_t len, int advice);
/* The mapping stays what the program made of it from now on: private anonymous memory again,
 * never migrated (userfaultfd). 0 or -errno */
GM_EXPORT int gmi_vm_stay(struct gm_as *as, void *addr, size_t len);
/*
 * Contents dropped, mapping kept (extent purge): later reads see zeros; device copies are given
 * up at once.
 */
GM_EXPORT int gmi_vm_discard(struct gm_as *as, void *addr, size_t len);
/*
 * [addr, addr+len), whole writable pages, reads as zeros: by stores where the CPU has the pages,
 * else by discarding. Beyond GM_ZERO_STORE_MAX all is discarded. No locks held, no signals
 * blocked: stores fault like the program's own. 0 or -errno: part of it may be zero.
 */
#define GM_ZERO_STORE_MAX (32ul << 20) /* glibc's limit for taking memory from the heap */
GM_EXPORT int gmi_vm_zero(struct gm_as *as, void *addr, size_t len);
/* The bytes of [addr, addr+len) are of no use any more (a freed heap block): whole pages that a
 * device has come back as zeros, without a copy. All others keep their contents. */
GM_EXPORT void gmi_vm_forget(struct gm_as *as, void *addr, size_t len);
/* Is all of the range, as far as it lies in the window, mapped? (mlock, msync, mincore: else
 * -ENOMEM) */
GM_EXPORT bool gmi_vm_covered(struct gm_as *as, const void *addr, size_t len);
/* mincore: pages on a device count as present. vec is written by the kernel first: pin it. */
GM_EXPORT int gmi_vm_mincore(struct gm_as *as, void *addr, size_t len, unsigned char *vec);

/* addr, where nothing is, faulted: does a mapping that grows (MAP_GROWSDOWN) reach it now? No lock
 * held; signal-safe. (vm_grow.c) */
bool gmc_vm_grow(struct gm_as *as, uintptr_t addr);

/* For attach.c: a device that is being attached reserves what is mapped already. Region lock held.
 * 0 or its error */
struct gm_ctx;
int gmc_vm_peer_joins(struct gm_as *as, struct gm_ctx *ctx);

/* For gmc_block_get: a new block's prog and managed bits from the region map. Region lock held. */
struct gm_block;
void gmc_vm_fill_block(struct gm_block *b);

#endif
