/*
 * bytes.h - the bytes of pages between the host store and devices, by the aperture or the driver.
 * Block locked throughout: nobody can write what is copied.
 */
#ifndef GM_CORE_BYTES_H
#define GM_CORE_BYTES_H

#include "core/page/registry.h"
#include "core/page/entries.h"

/*
 * One copy to or from the device's memory at pa, or zeros there, by its aperture: no lock is
 * needed, and `host` may be any memory. True: done, or *err says why not. False: the device has
 * none, the driver must do it.
 */
bool gmc_copy_direct(struct gm_dev *dev, enum gm_op_kind kind, void *host, uint64_t pa, size_t len,
		     int *err);
/*
 * One copy to or from physical address pa of the device, or zeros there. 0, -EIO, the driver's.
 * Where the driver copies it becomes a step of `o`, which the caller flushes; o NULL: at once.
 */
int gmc_copy_bytes(struct gm_ctx *ctx, enum gm_op_kind kind, void *host, uint64_t pa, size_t len,
		   struct gm_ops *o);
/* The same for pages that have frames. from_va: the host's side is the VA, else the store. */
int gmc_copy_set(struct gm_block *b, struct gm_ctx *ctx, enum gm_op_kind kind, gm_bm set,
		 bool from_va, struct gm_ops *o);
/* The store has memory for `set`. 0 or -ENOMEM */
int gmc_store_back(struct gm_block *b, gm_bm set);
/* The driver hears of bytes that moved by faults. */
void gmc_account(struct gm_ctx *ctx, uint64_t in, uint64_t out);

#endif
