/* What the program does to its mappings, for one block. See mapping.h. */
#include "core/page/mapping.h"
#include "core/count/record.h"
#include "core/page/cpu_bus.h"
#include "core/page/frame.h"
#include "core/page/premap.h"
#include "core/page/holders.h"
#include "core/page/migrate.h"
#include "core/page/plan.h"
#include "core/page/entries.h"
#include "core/page/rights.h"
#include "core/page/store.h"
#include <errno.h>
#include <sys/mman.h>

/* Every trace of `set` outside the host goes. */
static void forget_devices(struct gm_block *b, gm_bm set)
{
	gm_for_each_dev (b, d)
		if (gmc_dev_unmap(b, b->as->ctx[d], set))
			gm_log(GM_LOG_ERROR, "device %d cannot unmap memory that is gone, at %lx",
			       d, b->va);
	gm_bm_remove(&b->cpu_bus, set); /* the VA has been mapped anew */
	gmc_drop_copies(b, -1, set);
}

static void record_drop(const struct gm_block *b, gm_bm set)
{
	if (gm_recording())
		gm_bm_for_each_run (&set, first, end)
			GM_RECORD(GM_RECORD_DROP, .addr = gm_va_of(b, first),
				  .a = gm_va_of(b, end));
}

void gmc_block_drop(struct gm_block *b, gm_bm set)
{
	record_drop(b, set);
	forget_devices(b, set);
	gm_bm backed = gm_bm_and(b->backed, set);
	gm_bm_for_each_run (&backed, first, end)
		gmc_store_punch(b->as, gm_va_of(b, first), gm_bytes_of(end - first));
	gm_bm_remove(&b->backed, set);
	gm_bm_remove(&b->adopted, set);
	gm_bm_remove(&b->pinned, set);
	gmc_premap_drop(b, set);
	gm_bm_store(&b->host, gm_bm_or(b->host, set));
	gmc_cpu_note(b, set, gm_bm_zero(), gm_bm_zero());
	gmc_retain(b);
}

/* Runs of uniform program rights within `set`, as PROT_ bits. */
static unsigned prog_run(const struct gm_block *b, unsigned i, unsigned end, int *prot)
{
	bool r = gm_bm_test(&b->prog_r, i), w = gm_bm_test(&b->prog_w, i);
	unsigned j = i + 1;
	while (j < end && gm_bm_test(&b->prog_r, j) == r && gm_bm_test(&b->prog_w, j) == w)
		j++;
	*prot = (r ? PROT_READ : 0) | (w ? PROT_READ | PROT_WRITE : 0);
	return j;
}

/* Private anonymous memory in place of the store's, with the program's rights. *done: as far as
 * that went. */
static int leave_store(struct gm_block *b, gm_bm set, bool copy, gm_bm *done)
{
	*done = gm_bm_zero();
	gm_bm_for_each_run (&set, first, end) {
		int prot, err;
		for (unsigned i = first, j; i < end; i = j) {
			j = prog_run(b, i, end, &prot);
			err = gmc_store_unmap(b->as, gm_va_of(b, i), gm_bytes_of(j - i), prot,
					      copy);
			if (err)
				return err;
			gm_bm run = gm_bm_range(i, j), backed = gm_bm_and(b->backed, run);
			gm_bm_for_each_run (&backed, f, e)
				gmc_store_punch(b->as, gm_va_of(b, f), gm_bytes_of(e - f));
			gm_bm_remove(&b->backed, run);
			gm_bm_remove(&b->adopted, run);
			gm_bm_add(done, run);
			gmc_cpu_note(b, run, b->prog_r, b->prog_w);
		}
	}
	return 0;
}

int gmc_block_forget(struct gm_block *b, struct gm_ctx *ctx)
{
	int err = gmc_dev_unmap(b, ctx, gm_bm_all());

	if (err)
		return err;
	gmc_set_valid(b, ctx, gm_bm_zero()); /* copies of a DUP page: the host has it too */
	gmc_premap_forget(b, ctx->dev->index);
	gmc_block_dev_free(b, ctx->dev->index);
	return 0;
}

int gmc_block_discard(struct gm_block *b, gm_bm set)
{
	gm_bm done;

	set = gm_bm_and(set, b->managed);
	/* Adopted or not: fresh memory is one mmap, and the program's rights are there again.
	 * Where that fails the old bytes stay. */
	int err = leave_store(b, set, false, &done);
	record_drop(b, done);
	forget_devices(b, done);
	gm_bm_store(&b->host, gm_bm_or(b->host, done));
	gmc_retain(b);
	gm_block_check(b);
	return err;
}

int gmc_block_privatise(struct gm_block *b, gm_bm set)
{
	set = gm_bm_and(set, b->managed);
	gm_bm store = gm_bm_and(set, b->adopted), done;
	int err = gmc_migrate_home(b, set, true);

	if (!err)
		err = gmc_quiet_devices(b, -1, set, gm_bm_zero()); /* remote entries */
	if (!err)
		err = gmc_cpu_lower(b, store,
				    gm_bm_and(store, b->prog_r)); /* nobody writes meanwhile */
	if (!err)
		err = leave_store(b, store, true, &done);
	gmc_retain(b);
	gm_block_check(b);
	return err;
}

int gmc_block_set_prog(struct gm_block *b, gm_bm set, int prot, bool managed, bool quiet)
{
	bool r = prot & (PROT_READ | PROT_WRITE), w = prot & PROT_WRITE;
	int err = gmc_quiet_devices(b, -1, r ? gm_bm_zero() : set, w ? gm_bm_zero() : set);

	if (!err && !quiet)
		err = gmc_bus_unmap(b, set);

	if (err)
		return err;
	gm_bm old_r = b->prog_r, old_w = b->prog_w, old_managed = b->managed;
	gm_bm_assign(&b->prog_r, set, r);
	gm_bm_assign(&b->prog_w, set, w);
	gm_bm_assign(&b->managed, set, managed);
	if (quiet) {
		gmc_cpu_note(b, set, b->prog_r, b->prog_w);
	} else {
		struct gm_places at;
		gmc_places(b, &at);
		gm_bm can_r = gm_bm_and(b->prog_r, b->host), can_w = gm_bm_and(b->prog_w, b->host);
		gm_bm_remove(&can_w, at.in[GM_DUP]);
		err = gmc_cpu_prog(b, set);
		gm_bm lose = gm_bm_and(set, gm_bm_or(gm_bm_andnot(b->cpu_r, can_r),
						     gm_bm_andnot(b->cpu_w, can_w)));
		if (!err)
			err = gmc_cpu_lower(b, lose, can_r);
		if (!err)
			err = gmc_cpu_raise(b, set, can_r, can_w);
		if (err) {
			b->prog_r = old_r;
			b->prog_w = old_w;
			b->managed = old_managed;
			gmc_cpu_prog(b, set);
			gmc_cpu_lower(
				b, set,
				gm_bm_and(old_r,
					  b->host)); /* the next touch gets what it may have */
			gmc_cpu_note(b, set, gm_bm_zero(), gm_bm_zero());
		}
	}
	gm_block_check(b);
	return err;
}
