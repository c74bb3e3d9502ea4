/*
 * vm_int.h - shared by vm.c, vm_advise.c and vm_remap.c: what a region's value means, and
 * walking a range block by block.
 *
 * Everything here is called with the space's region lock held and signals blocked.
 */
#ifndef GM_CORE_VM_INT_H
#define GM_CORE_VM_INT_H

#include <errno.h>
#include <sys/mman.h>

#include "core/page/migrate.h"
#include "core/page/registry.h"
#include "core/space/vm.h"

/* A region's value: what the program asked for. v[0] as below, v[1] the call site's index
 * (site.h), v[2] unused (0). */
#define GM_VM_PROT	 0x7 /* PROT_READ | PROT_WRITE | PROT_EXEC */
#define GM_VM_KIND_SHIFT 8   /* enum gm_region_kind */
/* the kernel's VMA carries what the host store's would lose (MADV_DONTFORK...) */
#define GM_VM_STAY  (1 << 16)
#define GM_VM_GROWS (1 << 17) /* MAP_GROWSDOWN: vm_grow.c */

static inline struct gm_range_value gm_vm_value(int prot, enum gm_region_kind kind, uintptr_t site)
{
	return (struct gm_range_value){
		{(uint64_t)(prot & GM_VM_PROT) | (uint64_t)kind << GM_VM_KIND_SHIFT, site, 0}};
}
static inline int gm_vm_prot(const struct gm_range_value *v)
{
	return (int)(v->v[0] & GM_VM_PROT);
}
static inline enum gm_region_kind gm_vm_kind(const struct gm_range_value *v)
{
	return (enum gm_region_kind)(v->v[0] >> GM_VM_KIND_SHIFT & 0xff);
}
/* May its pages ever leave the CPU? */
static inline bool gm_vm_managed(const struct gm_range_value *v)
{
	return gm_vm_kind(v) < GM_REGION_FOREIGN && !(v->v[0] & (PROT_EXEC | GM_VM_STAY));
}
/* The rights as blocks count them: on x86 whatever is executable or writable is readable too. */
static inline int gm_vm_rights(int prot)
{
	return (prot & PROT_WRITE) | (prot & GM_VM_PROT ? PROT_READ : 0);
}

/* Before something new is put into [lo, hi): devices reserve those parts where nothing is. 0 or
 * their error (nothing is reserved then). After a failure gmc_vm_peers_forget() frees what is
 * still not mapped. */
int gmc_vm_peers_reserve(struct gm_as *as, uintptr_t lo, uintptr_t hi, int prot);
void gmc_vm_peers_forget(struct gm_as *as, uintptr_t lo, uintptr_t hi);
/* The free place at `taken` was refused with -EBUSY (*tries times before): another one, or 0. */
uintptr_t gmc_vm_another_place(struct gm_as *as, uintptr_t taken, size_t len, size_t align,
			       int *tries);
/* What is mapped in [lo, hi) is about to go from the region map. */
void gmc_vm_peers_unmapped(struct gm_as *as, uintptr_t lo, uintptr_t hi);

/* Is a sparse range there? Such memory is not the program's to change. */
bool gmc_vm_sparse(struct gm_as *as, uintptr_t lo, uintptr_t hi);

gm_sigmask gmc_vm_enter(struct gm_as *as);
void gmc_vm_leave(struct gm_as *as, gm_sigmask old);

/* The longest run from lo that lies in one block (b, set), or in none (b NULL). false at hi. */
struct gm_vm_piece {
	uintptr_t lo, hi;
	struct gm_block *b;
	gm_bm set; /* the piece's pages in b */
};
bool gmc_vm_piece(struct gm_as *as, uintptr_t lo, uintptr_t hi, struct gm_vm_piece *p);
#define gm_vm_for_each_piece(as, from, to, p)                                                      \
	for (uintptr_t vm_at_ = (from); gmc_vm_piece((as), vm_at_, (to), (p)); vm_at_ = (p)->hi)
/* Every part of [from, to) that is mapped, clipped to it. */
bool gmc_vm_range(struct gm_as *as, uintptr_t lo, uintptr_t hi, struct gm_range *r);
#define gm_vm_for_each_range(as, from, to, r)                                                      \
	for (uintptr_t vm_at_ = (from); gmc_vm_range((as), vm_at_, (to), (r)); vm_at_ = (r)->end)

/* [lo, hi) gets the value, or is unmapped (NULL), in the region map and the statistics. 0 or
 * -ENOMEM (unchanged) */
int gmc_vm_set_region(struct gm_as *as, uintptr_t lo, uintptr_t hi, const struct gm_range_value *v);

/* For a recording: [lo, hi) has the value now, NULL: it is unmapped. */
void gmc_vm_record(uintptr_t lo, uintptr_t hi, const struct gm_range_value *v);

/* What to put under a range: arguments of mmap, and the region's value (NULL: the reservation,
 * as munmap leaves it). */
struct gm_vm_memory {
	int prot, flags, fd;
	uint64_t off;
	const struct gm_range_value *value;
};
extern const struct gm_vm_memory gmc_vm_nothing;
/* Replaces whatever [lo, hi) held, in the kernel, the blocks and the region map. On failure part
 * of it may be done. */
int gmc_vm_replace(struct gm_as *as, uintptr_t lo, uintptr_t hi, const struct gm_vm_memory *m);
/* The same where the addresses may be new to the devices, which reserve them. */
int gmc_vm_put(struct gm_as *as, uintptr_t lo, uintptr_t hi, const struct gm_vm_memory *m);
/* The same where no region is, in one mmap. On failure nothing is done. */
int gmc_vm_place(struct gm_as *as, uintptr_t lo, uintptr_t hi, const struct gm_vm_memory *m);
/* Block locked: the piece's pages are new, ordinary host memory of the region's rights (NULL:
 * none). */
int gmc_vm_block_renewed(const struct gm_vm_piece *p, const struct gm_range_value *v);
/*
 * [lo, hi) has just been given other memory by the kernel: forget what blocks knew, and note the
 * new region.
 */
int gmc_vm_replaced(struct gm_as *as, uintptr_t lo, uintptr_t hi, const struct gm_range_value *v);
/* Brings [lo, hi) home and makes it the kernel's own anonymous memory. 0 or -errno */
int gmc_vm_privatise(struct gm_as *as, uintptr_t lo, uintptr_t hi);
/* fn for the piece of each block of [lo, hi) that is there, locked: all; the first error. */
int gmc_vm_each_block(struct gm_as *as, uintptr_t lo, uintptr_t hi,
		      int (*fn)(const struct gm_vm_piece *p, void *arg), void *arg);

/*
 * Runs one operation over [addr, addr+len), of which only a part may lie in the window: the
 * plain system call on the parts outside, `inside` in between. go_on: -ENOMEM (a hole) does not
 * end the walk but is the result, as in madvise.
 */
struct gm_vm_op {
	long nr;
	int (*inside)(struct gm_as *as, uintptr_t lo, uintptr_t hi, int arg);
	bool go_on;
};
int gmc_vm_spread(struct gm_as *as, const struct gm_vm_op *op, uintptr_t lo, uintptr_t hi, int arg);

#endif
