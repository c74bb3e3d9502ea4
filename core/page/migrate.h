/*
 * migrate.h - moving pages of one block. Callers hold the block's lock with signals blocked;
 * nothing here takes another block's lock except eviction, by trylock. `set` may contain pages
 * in any state; pages already right are skipped.
 */
#ifndef GM_CORE_MIGRATE_H
#define GM_CORE_MIGRATE_H

#include "core/space/as.h"

/*
 * For the CPU to read or write `set`: revoke devices, copy home, publish. 0 or -errno (pages
 * then stay where they were). extra pages of the same device page come along.
 */
int gmc_migrate_to_cpu(struct gm_block *b, gm_bm set, bool write);
/*
 * For a device to read or write `set`: as state.c's table says, by migration, duplication or
 * remote mapping. -EAGAIN: no frame, and every victim's lock was busy: drop the block and try
 * again. -ENOSPC: the device's memory is full of what must stay. -ENOMEM: the host has no memory
 * or no VMAs left.
 */
int gmc_migrate_to_dev(struct gm_block *b, struct gm_ctx *ctx, gm_bm set, bool write);
/*
 * The same, whatever the device's placement policy says: pages that were found hot, or that the
 * program asked for.
 */
int gmc_migrate_asked(struct gm_block *b, struct gm_ctx *ctx, gm_bm set, bool write);
/* The same, but what the device does not hold yet stays on the host and is mapped over the bus. */
int gmc_map_remote(struct gm_block *b, struct gm_ctx *ctx, gm_bm set, bool write);
/* Near the kernel's limit of VMAs: whole blocks should move, so that rights do not alternate
 * within them. */
bool gmc_vmas_short(struct gm_as *as);
/*
 * Forget contents: device entries unmapped, frames freed, store punched, adopted and pinned
 * clear. The VA is not touched: the caller maps something new over it (or returns it to the
 * reservation) and then says so by gmc_block_set_prog(quiet).
 */
void gmc_block_drop(struct gm_block *b, gm_bm set);
/* The device is about to leave the space: its last entries go, its part of the block is freed.
 * Nothing is resident there. */
int gmc_block_forget(struct gm_block *b, struct gm_ctx *ctx);
/* The same, and the pages are fresh private anonymous memory (zeros) with the program's rights:
 * MADV_DONTNEED, purge. */
int gmc_block_discard(struct gm_block *b, gm_bm set);
/*
 * Unadopted pages of `set` move into the store and stay on the host, readable all the time. The
 * invariant that pins rely on: a page that the kernel may be writing (write pin, MADV_PINNED) is
 * adopted before the call, so that a device can map it remotely without moving it under the
 * kernel's hands.
 */
int gmc_block_adopt(struct gm_block *b, gm_bm set);
/*
 * The program's rights of `set` become prot (PROT_READ|PROT_WRITE bits, 0: none); managed:
 * migratable or foreign/unmapped. Lowers the devices' rights at once; gives the CPU what prot
 * and coherence allow (mprotect), unless quiet: the caller has just changed the VMAs itself and
 * the CPU's rights are exactly prot.
 */
int gmc_block_set_prog(struct gm_block *b, gm_bm set, int prot, bool managed, bool quiet);
/*
 * Bring `set` home and make it private anonymous memory again (adopted clear), with the
 * program's rights: before mremap, MADV_FREE and whatever else needs the kernel's own anonymous
 * memory. 0 or -ENOMEM.
 */
int gmc_block_privatise(struct gm_block *b, gm_bm set);

/*
 * A frame of the device's page size, at `prefer` if that can be, with memory of the host behind
 * it; evicts if it must (see gmc_evict), but not `keep` of `own`. 0, -EAGAIN, -ENOSPC, -ENOMEM
 */
int gmc_frame_take(struct gm_dev *dev, struct gm_block *own, gm_bm keep, uint64_t prefer,
		   uint64_t *frame);

#endif
