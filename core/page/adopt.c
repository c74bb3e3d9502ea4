/* Pages on the host that go into the store. See adopt.h. */
#include "core/page/adopt.h"
#include "core/page/activate.h"
#include "core/page/cpu_mmu.h"
#include "core/page/rights.h"
#include "core/page/store.h"
#include "core/page/bytes.h"

int gmc_adopt_on_host(struct gm_block *b, gm_bm set)
{
	gm_assert(gmc_cpu_ready());
	gm_bm_remove(&set, b->adopted);
	gm_bm_for_each_run (&set, first, end) {
		gm_bm run = gm_bm_range(first, end);
		int err = gmc_protect_runs(b, run, run, gm_bm_zero());
		gm_bm touched = err ? gm_bm_zero() : gmc_touched(b, first, end);
		if (!err)
			err = gmc_store_back(b, touched);
		if (!err) {
			gm_bm_for_each_run (&touched, f, e)
				gmc_store_take(b->as, gm_va_of(b, f), gm_bytes_of(e - f));
			err = gmc_cpu_adopt(b, first, end, true);
		}
		if (!err)
			gm_bm_add(&b->backed, run);
		/* The hardware has READ (failed) or READ|WRITE (adopted) now; give it what the
		 * program asked for. */
		gm_bm_store(&b->cpu_r, gm_bm_andnot(b->cpu_r, run));
		gm_bm_store(&b->cpu_w, gm_bm_andnot(b->cpu_w, run));
		int back = gmc_cpu_raise(b, run, b->prog_r, b->prog_w);
		if (err || back)
			return err ? err : back;
	}
	return 0;
}

int gmc_block_adopt(struct gm_block *b, gm_bm set)
{
	int err = gmc_adopt_on_host(b, set);
	gm_block_check(b);
	return err;
}
