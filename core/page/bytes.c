/* Copying between the store and devices. See bytes.h. */
#include "core/page/bytes.h"
#include "core/page/driver.h"
#include "core/page/frame.h"
#include "core/page/entries.h"
#include "core/page/store.h"
#include <errno.h>

void gmc_account(struct gm_ctx *ctx, uint64_t in, uint64_t out)
{
	gmc_driver(ctx->dev, GM_CB_ACCOUNT, (uintptr_t)ctx->pmap, in, out);
}

/* Calls fn for runs of `set` that lie side by side in the device's memory. */
#define for_each_frame_run(set, bd, first, end)                                                    \
	for (unsigned first = gm_bm_next((set), 0, true), end;                                     \
	     first < GM_PAGES_PER_BLOCK && ((end) = frame_run_end((set), (bd), first), true);      \
	     first = gm_bm_next((set), end, true))

static unsigned frame_run_end(const gm_bm *set, const struct gm_block_dev *bd, unsigned i)
{
	unsigned j = i + 1;
	while (j < GM_PAGES_PER_BLOCK && gm_bm_test(set, j) &&
	       gm_frame_of(bd, j) == gm_frame_of(bd, i) + (j - i))
		j++;
	return j;
}

int gmc_copy_bytes(struct gm_ctx *ctx, enum gm_op_kind kind, void *host, uint64_t pa, size_t len,
		   struct gm_ops *o)
{
	int err;

	if (gmc_copy_direct(ctx->dev, kind, host, pa, len, &err))
		return err;
	struct gm_op op = {.kind = (uint8_t)kind, .host = host, .pa = pa, .len = len};
	return o ? gmc_ops_add(o, op) : gmc_ops_send(ctx, &op, 1);
}

int gmc_copy_set(struct gm_block *b, struct gm_ctx *ctx, enum gm_op_kind kind, gm_bm set,
		 bool from_va, struct gm_ops *o)
{
	struct gm_block_dev *bd = b->dev[ctx->dev->index];

	for_each_frame_run (&set, bd, first, end) {
		char *host =
			from_va ? (char *)gm_va_of(b, first) : gm_alias(b->as, gm_va_of(b, first));
		int err = gmc_copy_bytes(ctx, kind, host,
					 ctx->dev->phys_begin + gm_bytes_of(gm_frame_of(bd, first)),
					 gm_bytes_of(end - first), o);
		if (err)
			return err;
	}
	return 0;
}

int gmc_store_back(struct gm_block *b, gm_bm set)
{
	int err = 0;

	gm_bm_remove(&set, b->backed);
	gm_bm_for_each_run (&set, first, end)
		err = err ? err
			  : gmc_store_populate(b->as, gm_va_of(b, first), gm_bytes_of(end - first));
	return err;
}
