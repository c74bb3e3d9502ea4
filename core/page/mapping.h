/*
 * mapping.h - what the program does to its mappings (unmap, protect, drop contents), for one
 * block. Block locked throughout.
 */
#ifndef GM_CORE_MAPPING_H
#define GM_CORE_MAPPING_H

#include "core/page/registry.h"

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

#endif
