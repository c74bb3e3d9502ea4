/*
 * migrate.h - moving pages of one block. Callers hold the block's lock with signals blocked;
 * nothing here takes another block's lock except eviction, by trylock. `set` may contain pages
 * in any state; pages already right are skipped.
 */
#ifndef GM_CORE_MIGRATE_H
#define GM_CORE_MIGRATE_H

#include "core/page/plan.h"
#include "core/page/entries.h"

/*
 * For the CPU to read or write `set`: revoke devices, copy home, publish. 0 or -errno (pages
 * then stay where they were). extra pages of the same device page come along. A driver that fails
 * is asked GM_HOME_TRIES times, at once: one that has to wait for its hardware waits itself.
 */
#define GM_HOME_TRIES 8
int gmc_migrate_home(struct gm_block *b, gm_bm set, bool write);
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
/*
 * The same in two halves, so that the steps of several blocks are one batch: `o` is sent between
 * them, with all of the blocks locked, and every gmc_migrate_end() hears what that said. An error
 * of gmc_migrate_begin(): the device may have got less than asked for, which one block alone may
 * still get (gmc_migrate_asked), but `o` and the end are due all the same.
 */
struct gm_move {
	struct gm_block *b;
	struct gm_ctx *ctx;
	struct gm_plan plan;
	gm_bm tried;	   /* may have got frames */
	gm_bm moved, zero; /* what comes by a copy; as zeros */
	gm_bm peer;	   /* of moved: from other devices, by their links */
	uint64_t begin_ns;
	bool open, changed; /* begun, without an error; less than was tried */
};
int gmc_migrate_begin(struct gm_move *m, struct gm_block *b, struct gm_ctx *ctx, gm_bm set,
		      bool write, struct gm_ops *o);
int gmc_migrate_end(struct gm_move *m, int sent);
/* The same, but what the device does not hold yet stays on the host and is mapped over the bus. */
int gmc_map_remote(struct gm_block *b, struct gm_ctx *ctx, gm_bm set, bool write);
/* The destination of a copy to a node: its pages go there. dev NULL: home. -ENODEV: the device is
 * not in the space. */
int gmc_migrate_dest(struct gm_block *b, gm_bm set, struct gm_dev *dev);
/* Near the kernel's limit of VMAs: whole blocks should move, so that rights do not alternate
 * within them. */
bool gmc_vmas_short(struct gm_as *as);
#endif
