/* Devices that hold or map a block's pages. See holders.h. */
#include "core/page/holders.h"
#include "core/page/bytes.h"
#include "core/page/frame.h"
#include "core/page/entries.h"
#include "core/page/rights.h"
#include "core/count/site.h"
#include "core/sys/inject.h"
#include <errno.h>

gm_bm gmc_on_devices(const struct gm_block *b)
{
	gm_bm any = gm_bm_zero();

	gm_for_each_dev (b, d)
		gm_bm_add(&any, b->dev[d]->valid);
	return any;
}

/* What device d has of `fetch`, and it is quiet. */
static int fetch_from(struct gm_block *b, int d, gm_bm gone, gm_bm readonly, gm_bm fetch)
{
	struct gm_ctx *ctx = b->as->ctx[d];
	uint64_t begin = gm_trace_begin();
	int err = gmc_store_back(b, fetch);

	if (!err)
		err = gmc_dev_lower(b, ctx, gone, readonly, fetch);
	if (err || gm_bm_empty(fetch))
		return err;
	unsigned pages = gm_bm_count(fetch);
	gmc_account(ctx, 0, gm_bytes_of(pages));
	GM_COUNT(d2h_bytes, gm_bytes_of(pages));
	GM_COUNT(d2h_pages, pages);
	GM_COUNT_SITE(b->site, d2h_bytes, gm_bytes_of(pages));
	gmc_block_trace(GM_EV_HOME, b, d, fetch, begin);
	gm_bm_add(&b->backed, fetch);
	gm_bm_add(&b->host, fetch);
	return 0;
}

int gmc_fetch_home(struct gm_block *b, int self, gm_bm gone, gm_bm readonly, gm_bm fetch)
{
	gm_for_each_dev (b, d) {
		if (d == self)
			continue;
		int err = 0;
		if (!gm_bm_empty(gone) && gm_inject(GM_INJ_UNMAP))
			err = -EIO;
		if (!gm_bm_empty(readonly) && gm_inject(GM_INJ_DEV_PROTECT))
			err = -EIO;
		gm_bm its = gm_bm_and(fetch, b->dev[d]->valid);
		if (!err)
			err = fetch_from(b, d, gone, readonly, its);
		if (err)
			return err;
		gm_bm_remove(&fetch, its);
	}
	return 0;
}

int gmc_quiet_devices(struct gm_block *b, int self, gm_bm gone, gm_bm readonly)
{
	return gmc_fetch_home(b, self, gone, readonly, gm_bm_zero());
}

void gmc_drop_copies(struct gm_block *b, int self, gm_bm set)
{
	gm_for_each_dev (b, d)
		if (d != self && !gm_bm_empty(gm_bm_and(b->dev[d]->valid, set)))
			gmc_set_valid(b, b->as->ctx[d], gm_bm_andnot(b->dev[d]->valid, set));
}

void gmc_cpu_give_back(struct gm_block *b, gm_bm set)
{
	set = gm_bm_and(set, b->host);
	gmc_cpu_raise(b, set, b->prog_r, gm_bm_andnot(b->prog_w, gmc_on_devices(b)));
}
