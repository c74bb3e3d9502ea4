/*
 * entries.h - the devices' page tables behind a block, and the steps that one decision sends to a
 * driver (gm_mmu). rights.h has the CPU's. Block locked throughout.
 */
#ifndef GM_CORE_ENTRIES_H
#define GM_CORE_ENTRIES_H

#include "core/page/registry.h"

/* Operations to one device's driver, as one batch where it takes them so. 0 or its error */
int gmc_ops_send(struct gm_ctx *ctx, const struct gm_op *ops, unsigned n);
/*
 * A batch that is being put together, perhaps for several blocks, all locked until it is sent. It
 * is sent in one call, unless the driver takes single steps or the host has no memory for more than
 * GM_OPS_MAX. Whoever adds to it must flush it.
 */
#define GM_OPS_MAX 32u
struct gm_ops {
	struct gm_ctx *ctx;
	struct gm_op *more; /* they are here when there are too many for op */
	unsigned n, room;   /* of more */
	int err;
	struct gm_op op[GM_OPS_MAX];
};
int gmc_ops_add(struct gm_ops *o, struct gm_op op);
int gmc_ops_flush(struct gm_ops *o);

/*
 * Device entries of `gone` go, those of `readonly` lose the right to write; then the bytes of
 * `fetch` come into the store. In one call, where the driver copies. 0 or the driver's error
 */
int gmc_dev_lower(struct gm_block *b, struct gm_ctx *ctx, gm_bm gone, gm_bm readonly, gm_bm fetch);
int gmc_dev_unmap(struct gm_block *b, struct gm_ctx *ctx, gm_bm set);
int gmc_dev_write_protect(struct gm_block *b, struct gm_ctx *ctx, gm_bm set);
/* They are made, onto the set's own frames, the host store, or the frames of the one other device
 * that has them (mem); those in w are writable. */
int gmc_dev_map(struct gm_block *b, struct gm_ctx *ctx, gm_bm set, gm_bm w, enum gm_mem mem);

/*
 * Steps that wait in `o`; the bitmaps have them already. When it was sent gmc_dev_sent() must hear
 * with which result, for each block. 0, or why there is no step
 */
int gmc_dev_unmap_first(struct gm_block *b, struct gm_ctx *ctx, gm_bm set, struct gm_ops *o);
int gmc_dev_enter(struct gm_block *b, struct gm_ctx *ctx, gm_bm set, gm_bm w, enum gm_mem mem,
		  struct gm_ops *o);
int gmc_dev_sent(struct gm_block *b, struct gm_ctx *ctx, int err);

#endif
