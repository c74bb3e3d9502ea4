/* Devices that hold or map a block's pages. See holders.h. */
#include "core/page/holders.h"
#include "core/page/frame.h"
#include "core/page/rights.h"
#include "core/sys/inject.h"
#include <errno.h>

gm_bm gmc_on_devices(const struct gm_block *b)
{
	gm_bm any = gm_bm_zero();

	gm_for_each_dev (b, d)
		gm_bm_add(&any, b->dev[d]->valid);
	return any;
}

int gmc_quiet_devices(struct gm_block *b, int self, gm_bm gone, gm_bm readonly)
{
	gm_for_each_dev (b, d) {
		if (d == self)
			continue;
		int err = 0;
		if (!gm_bm_empty(gone) && gm_inject(GM_INJ_UNMAP))
			err = -EIO;
		if (!gm_bm_empty(readonly) && gm_inject(GM_INJ_DEV_PROTECT))
			err = -EIO;
		if (!err)
			err = gmc_dev_unmap(b, b->as->ctx[d], gone);
		if (!err)
			err = gmc_dev_write_protect(b, b->as->ctx[d], readonly);
		if (err)
			return err;
	}
	return 0;
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
