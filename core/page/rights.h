/*
 * rights.h - the page tables behind a block: the CPU's (mprotect) and the devices' (gm_mmu ops).
 * Block locked throughout.
 */
#ifndef GM_CORE_RIGHTS_H
#define GM_CORE_RIGHTS_H

#include "core/page/registry.h"

/*
 * Announces that the CPU will lose rights: clears the bits, fences, and returns the pages that
 * system calls hold; those keep their bits and must stay on the host. The hardware is not
 * touched yet.
 */
gm_bm gmc_claim(struct gm_block *b, gm_bm lose_all, gm_bm lose_write);
/* `set` loses write, and read too unless in keep_read: those are readable afterwards, whatever
 * the bits say (gmc_claim). */
int gmc_cpu_lower(struct gm_block *b, gm_bm set, gm_bm keep_read);
/* `set` gets exactly (r, w); nothing is done where it has at least that already. -ENOMEM: out of
 * VMAs, nothing noted. */
int gmc_cpu_raise(struct gm_block *b, gm_bm set, gm_bm r, gm_bm w);
/* The hardware has (r, w) for `set` already. */
void gmc_cpu_note(struct gm_block *b, gm_bm set, gm_bm r, gm_bm w);
/* The store comes under pages [first, end), out of reach or present and writable, and they are
 * adopted. */
int gmc_cpu_adopt(struct gm_block *b, unsigned first, unsigned end, bool present);
/* prog_r and prog_w of `set` have new values; gmc_cpu_lower and gmc_cpu_raise follow. */
int gmc_cpu_prog(struct gm_block *b, gm_bm set);
/* A fault on page i was served, or somebody else was faster: the touch may be tried again. */
void gmc_cpu_settle(struct gm_block *b, unsigned i);
/* Around fork: nobody writes adopted pages; `set` gets back (prog_r, w). */
void gmc_cpu_freeze(struct gm_block *b);
int gmc_cpu_thaw(struct gm_block *b, gm_bm set, gm_bm w);

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
/* They are made, onto the host store (host) or onto the set's frames; those in w are writable. */
int gmc_dev_map(struct gm_block *b, struct gm_ctx *ctx, gm_bm set, gm_bm w, bool host);

/*
 * Steps that wait in `o`; the bitmaps have them already. When it was sent gmc_dev_sent() must hear
 * with which result, for each block. 0, or why there is no step
 */
int gmc_dev_unmap_first(struct gm_block *b, struct gm_ctx *ctx, gm_bm set, struct gm_ops *o);
int gmc_dev_enter(struct gm_block *b, struct gm_ctx *ctx, gm_bm set, gm_bm w, bool host,
		  struct gm_ops *o);
int gmc_dev_sent(struct gm_block *b, struct gm_ctx *ctx, int err);

#endif
