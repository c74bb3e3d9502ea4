/*
 * fault.c - faults: the CPU's (a SIGSEGV handler asks) and a device's (a driver reports).
 */
#include "core/entry/fault.h"
#include "core/care/notice.h"
#include "core/care/thrash.h"
#include "core/count/limit.h"
#include "core/count/record.h"
#include "core/count/site.h"
#include "core/entry/fork.h"
#include "core/entry/prefetch.h"
#include "core/page/adapt.h"
#include "core/page/activate.h"
#include "core/page/cpu_bus.h"
#include "core/page/driver.h"
#include "core/page/premap.h"
#include "core/page/hint_mirror.h"
#include "core/page/jobs.h"
#include "core/page/migrate.h"
#include "core/page/peer.h"
#include "core/page/plan.h"
#include "core/page/residence.h"
#include "core/page/plugin.h"
#include "core/page/thread.h"
#include "core/page/rights.h"
#include "core/rules/prefetch.h"
#include "core/space/hint.h"
#include "core/space/range.h"
#include "core/space/sparse.h"
#include "core/space/vm.h"
#include "core/count/trace.h"
#include <errno.h>

/* The pages around page i that belong to the same device page of whoever has it. */
static gm_bm around_device_page(const struct gm_block *b, unsigned i)
{
	unsigned order = 0;
	gm_for_each_dev (b, d)
		if (gm_bm_test(&b->dev[d]->valid, i))
			order = gm_max(order, b->dev[d]->order);
	unsigned first = i & ~((1u << order) - 1);
	return gm_bm_page_of_order(first, order);
}

static bool allowed(const gm_bm *r, const gm_bm *w, unsigned i, bool write)
{
	return gm_bm_test_relaxed(write ? w : r, i);
}

/* Pages of `around` that are in the same place as page i: they come home together. */
static gm_bm same_place(const struct gm_block *b, gm_bm around, unsigned i)
{
	struct gm_places at;
	gmc_places(b, &at);
	for (int w = 0; w < GM_STATES; w++)
		if (gm_bm_test(&at.in[w], i))
			return gm_bm_and(around, at.in[w]);
	return around;
}

/* Block locked. Page i becomes accessible to the CPU. */
static int bring_home(struct gm_block *b, unsigned i, bool write)
{
	gm_bm all = gm_bm_and(gm_bm_all(), b->managed);
	gm_bm page = same_place(b, gm_bm_and(around_device_page(b, i), b->managed), i);
	gm_bm set = gmc_vmas_short(b->as) ? all : page;
	struct gm_thread *me = gmi_self();

	me->can_retry = true;
	int err = gmc_migrate_home(b, set, write);
	me->can_retry = false;
	if (err == -ENOMEM && !gm_bm_test(write ? &b->cpu_w : &b->cpu_r, i)) {
		/* Out of VMAs in spite of the budget: one uniform block needs the fewest. */
		err = gmc_migrate_home(b, all, true);
	} else if (err == -EIO && !gm_bm_empty(gm_bm_andnot(set, page))) {
		err = gmc_migrate_home(b, page, write); /* the others are not to blame for it */
	}
	if (!err)
		gmc_hint_follow(b, set);
	return err;
}

/* Block locked: so long the CPU's touch of page i waits, which its device may keep. */
static unsigned wait_us(struct gm_block *b, unsigned i, bool write, bool call)
{
	unsigned us = 0;

	if (allowed(&b->cpu_r, &b->cpu_w, i, write))
		return 0;
	if (!call && gmc_thrash_ask(b, i, GM_THRASH_CPU, &us) == GM_THRASH_WAIT)
		return us;
	if (gm_likely(!gmc_residence_used))
		return 0;
	gm_bm in_place = call ? gm_bm_zero() : gm_bm_or(b->cpu_bus, gmc_bus_stays(b));
	return gm_bm_test(&in_place, i) ? 0 : gmc_residence_left_us(b, -1, i, write, b->pinned);
}

/* Locks the block for the CPU's touch of page i, which is first left to its device for a while if
 * it has only just come there, or thrashes (a system call does not wait for that). */
static bool lock_in_turn(struct gm_block *b, unsigned i, bool write, bool call)
{
	static _Atomic uint32_t never;
	unsigned us;
	bool locked = gmc_fork_lock_block(b);

	while (locked && (us = wait_us(b, i, write, call))) {
		gmi_unlock(&b->lock);
		gmi_futex_wait(&never, 0, (int64_t)us * 1000);
		locked = gmc_fork_lock_block(b);
	}
	return locked;
}

static void look_at_limits(void)
{
	if (gm_unlikely(gmi_opt.limited) && gmc_limit_look())
		gmc_job_wanted(GM_JOB_HOME);
}

/* Block locked: a page that the program may touch and the CPU does not reach becomes reachable. */
static enum gm_cpu_fault_result serve_cpu(struct gm_block *b, uintptr_t addr, bool write)
{
	unsigned i = gm_page_index(addr);
	bool away = !gm_bm_test(&b->host, i);

	GM_COUNT(cpu_faults, 1); /* before the touch can go on */
	GM_COUNT_SITE(b->site, cpu_faults, 1);
	look_at_limits();
	GM_RECORD(GM_RECORD_CPU, .addr = addr, .b = write);
	if (away)
		gmc_bus_map(b, around_device_page(b, i));
	int err = gm_bm_test(&b->cpu_bus, i) ? 0 : bring_home(b, i, write);
	if (!err && away && gm_bm_test(&b->host, i))
		gmc_thrash_moved(b, gm_bm_page(i), GM_THRASH_CPU);
	if (err == -EAGAIN) /* a device is silent: the touch is tried again, after signals */
		return GM_CPU_RESOLVED;
	if (err)
		gm_log(GM_LOG_ERROR, "cannot bring page %lx home: error %d", addr, -err);
	return err ? GM_CPU_LOST : GM_CPU_RESOLVED;
}

/* (16 branches: whose it is, whether it is allowed, already done, or to be served.) */
enum gm_cpu_fault_result gmi_cpu_fault(uintptr_t addr, bool write)
{
	struct gm_as *as = gmc_as_find(addr);
	struct gm_block *b = as ? gm_block_find(as, addr) : NULL;

	if (!b)
		return as && gmc_vm_grow(as, addr) ? GM_CPU_RESOLVED : GM_CPU_NOT_OURS;
	uint64_t start = gmi_now_ns();
	unsigned i = gm_page_index(addr);
	enum gm_cpu_fault_result res = GM_CPU_RESOLVED;
	uint8_t cause = gm_trace_cause(GM_CAUSE_CPU_FAULT), flags = write ? GM_EV_WRITE : 0;
	bool locked = lock_in_turn(b, i, write, false);
	if (!allowed(&b->prog_r, &b->prog_w, i, write) || !gm_bm_test(&b->managed, i)) {
		res = GM_CPU_NOT_OURS;
	} else if (allowed(&b->cpu_r, &b->cpu_w, i, write) || gm_bm_test(&b->cpu_bus, i)) {
		GM_COUNT(cpu_faults_spurious, 1); /* somebody else was faster */
		flags |= GM_EV_SPURIOUS;
	} else {
		res = serve_cpu(b, addr, write);
	}
	if (res == GM_CPU_RESOLVED)
		gmc_cpu_settle(b, i);
	if (locked)
		gmi_unlock(&b->lock);
	if (res != GM_CPU_NOT_OURS)
		GM_TRACE(GM_EV_CPU_FAULT, .time_ns = start, .addr = addr, .site = b->site,
			 .device = GM_EV_NO_DEVICE, .flags = flags);
	gm_trace_cause(cause);
	if (res == GM_CPU_NOT_OURS)
		return gmc_vm_grow(as, addr) ? GM_CPU_RESOLVED : res;
	if (res == GM_CPU_RESOLVED)
		gm_hist_add(&gmi_stats->cpu_fault_ns, gmi_now_ns() - start);
	return res;
}

int gmi_cpu_make_resident(uintptr_t addr, size_t len, bool write)
{
	struct gm_as *as = gmc_as_find(addr);
	int err = 0;

	if (!as || !len)
		return 0;
	if (gmc_called_back("a system call with managed memory"))
		return -EDEADLK;
	uint8_t cause = gm_trace_cause(GM_CAUSE_SYSCALL);
	uintptr_t end = gm_min(addr + len, as->base + as->bytes);
	for (uintptr_t va = gm_align_down(addr, GM_PAGE_BYTES); va < end && !err;
	     va += GM_PAGE_BYTES) {
		struct gm_block *b = gm_block_find(as, va);
		unsigned i = gm_page_index(va);
		if (!b) {
			va = gm_align_down(va, GM_BLOCK_BYTES) + GM_BLOCK_BYTES - GM_PAGE_BYTES;
			continue;
		}
		if (allowed(&b->cpu_r, &b->cpu_w, i, write) ||
		    !allowed(&b->prog_r, &b->prog_w, i, write) ||
		    !gm_bm_test_relaxed(&b->managed, i))
			continue;
		bool locked = lock_in_turn(b, i, write, true);
		if (gm_bm_test(&b->managed, i) && !allowed(&b->cpu_r, &b->cpu_w, i, write)) {
			GM_RECORD(GM_RECORD_CPU, .addr = va, .b = write | GM_RECORD_CALL);
			err = bring_home(b, i, write);
		}
		if (locked)
			gmi_unlock(&b->lock);
	}
	gm_trace_cause(cause);
	return err;
}

/* ---- the device's ---- */

/* A device's fault on its way through the phases below. Block locked. */
struct dev_fault {
	struct gm_block *b;
	struct gm_ctx *ctx;
	struct gm_block_dev *bd;
	unsigned i; /* the page */
	bool write;
	/* no far fault of its own: the device had been given the page since it faulted (for another
	 * of its threads), or only walks a table */
	bool merged;
	bool remote;		    /* a hint leaves the page on the host */
	bool peer;		    /* it stays with another device (page/peer.h) */
	bool parked;		    /* thrashing does */
	gm_bm set;		    /* what the device gets: the page, and what comes along */
	gm_bm had;		    /* what it had before */
	struct gm_policy_fault ask; /* the prefetcher, and its answers */
};

static int dev_index(const struct dev_fault *f)
{
	return (int)f->ctx->dev->index;
}

/* 1. May it? 0, or the errors of gm_dev_fault(). */
static int check_access(struct dev_fault *f)
{
	const struct gm_block *b = f->b;
	int refused = gm_ctx_refuses(f->ctx);

	if (refused)
		return refused;
	f->bd = gmc_block_dev_get(f->b, f->ctx);
	if (!f->bd)
		return -ENOMEM;
	if (!gm_bm_test(&b->prog_r, f->i) || !gm_bm_test(&b->managed, f->i))
		return -EFAULT;
	if (f->write && !gm_bm_test(&b->prog_w, f->i))
		return -EPERM;
	/* a device that walks the CPU's page table has no faults of its own */
	f->merged = f->ctx->mode == GM_MMU_MODE_SHARE ||
		    gm_bm_test(f->write ? &f->bd->map_w : &f->bd->map_r, f->i);
	f->had = f->bd->valid;
	return 0;
}

/* It cannot wait for pages: it walks the table of what it holds (page/premap.h). */
static bool walks_table(const struct dev_fault *f)
{
	return !(f->ctx->dev->cap & GM_DEV_CAP_REPLAYABLE) &&
	       !(f->merged && gm_bm_test(&f->bd->valid, f->i));
}

/* What comes along: as the device's choice says; of a plug-in, what it makes of the options'. */
static void ask_prefetcher(struct dev_fault *f, gm_bm have, gm_bm possible)
{
	struct gm_dev *dev = f->ctx->dev;
	struct gm_choice choice = gm_policy_of(f->ctx, GM_POLICY_PREFETCH);
	bool plugin = choice.def->plugin && dev->plugin;

	if (choice.def->plugin)
		choice = gmc_policy_of_options(GM_POLICY_PREFETCH);
	f->ask = (struct gm_policy_fault){.va = gm_va_of(f->b, f->i),
					  .write = f->write,
					  .block_va = f->b->va,
					  .page_bytes = GM_PAGE_BYTES << f->bd->order,
					  .number = choice.number,
					  .must = gm_bm_page(f->i),
					  .resident = have,
					  .possible = possible};
	if (choice.def->adaptive || gm_policy_of_dev(dev, GM_POLICY_EVICT).def->adaptive)
		f->ask.run = gmc_adapt_fault(dev, f->bd, f->i);
	choice.def->call.on_fault(NULL, NULL, &f->ask);
	if (gm_unlikely(plugin))
		gmc_plugin_fault(dev, &f->ask);
}

/* 2. Which pages? Hints, pins, and what the prefetcher adds. */
static void choose_set(struct dev_fault *f)
{
	const struct gm_block *b = f->b;
	unsigned order = f->bd->order;
	gm_bm page = gm_bm_page(f->i);
	gm_bm have = gm_bm_or(f->bd->valid, gm_bm_or(f->bd->remote, f->bd->peer));
	gm_bm hinted = gm_bm_grow(gmc_hint_stays(b, f->ctx->dev->index), order);
	gm_bm peers = gmc_peer_stays(b, f->ctx);
	gm_bm stays = gm_bm_andnot(hinted, gm_bm_or(f->bd->valid, peers));

	f->peer = gm_bm_test(&peers, f->i);
	f->remote = gm_bm_test(&stays, f->i);
	/* its entry was forgotten, or it wants to write a copy: the whole device page again */
	if (gm_bm_test(&have, f->i)) {
		f->set = gm_bm_and(have, gm_bm_grow(page, order));
		return;
	}
	/* Company is of whole device pages, some of which the program may write when that is
	 * asked. */
	gm_bm possible = gm_bm_whole(gm_bm_and(b->managed, b->prog_r), order);
	gm_bm kept =
		gm_unlikely(b->thrash) ? gm_bm_or(b->pinned, gmc_thrash_kept(f->b)) : b->pinned;
	if (gm_unlikely(gmc_residence_used))
		gm_bm_add(&kept, gmc_residence_elsewhere(b, dev_index(f)));
	if (f->write)
		possible = gm_bm_and(possible, gm_bm_grow(b->prog_w, order));
	possible = gm_bm_andnot(possible, gm_bm_grow(kept, order));
	/* Its own device page cannot be given: all that there is of it, over the bus. */
	gm_bm rest = gm_bm_zero();
	if (!gm_bm_test(&possible, f->i))
		rest = gm_bm_and(gm_bm_grow(page, order), gm_bm_and(b->managed, b->prog_r));
	possible = gm_bm_or(possible, page);
	possible = f->peer     ? gm_bm_and(possible, peers)
		   : f->remote ? gm_bm_and(possible, stays)
			       : gm_bm_andnot(possible, gm_bm_or(stays, peers));
	ask_prefetcher(f, have, possible);
	f->set = gm_bm_or(f->ask.come, gm_bm_andnot(rest, have));
}

/* -EAGAIN: another has the page, and may keep it for a while. *parked: it stays on the host now. */
static int take_turn(struct dev_fault *f, bool *parked)
{
	unsigned us;

	if (gm_unlikely(gmc_residence_used) &&
	    gmc_residence_left_us(f->b, dev_index(f), f->i, f->write,
				  f->remote ? gm_bm_not(f->bd->valid) : f->b->pinned))
		return -EAGAIN;
	if (gm_likely(!f->b->thrash) || gm_bm_test(&f->bd->valid, f->i))
		return 0;
	enum gm_thrash_answer turn = gmc_thrash_ask(f->b, f->i, dev_index(f), &us);
	*parked = turn == GM_THRASH_STAY;
	return turn == GM_THRASH_WAIT ? -EAGAIN : 0;
}

/* 3. They come to the device, or are mapped there over the bus: in its turn, as far as there is
 * room. */
static int place_set(struct dev_fault *f)
{
	gm_bm page = gm_bm_page(f->i), local = gmc_hint_local(f->b, f->ctx->dev->index);
	bool remote = f->remote, must = gm_bm_test(&local, f->i);

	if (gm_unlikely(f->peer)) {
		gm_bm got = gmc_peer_map(f->b, f->ctx, f->set);
		if (gm_bm_test(&got, f->i))
			return 0;
		f->set = page; /* it has to come */
	}
	bool parked = false;
	int err = take_turn(f, &parked);
	f->parked = parked && !must;
	if (err || f->parked)
		return err ? err : gmc_map_remote(f->b, f->ctx, f->set, f->write);
	err = remote ? gmc_map_remote(f->b, f->ctx, f->set, f->write)
		     : gmc_migrate_to_dev(f->b, f->ctx, f->set, f->write);
	if (err == -ENOSPC) /* no room for company */
		err = gmc_migrate_to_dev(f->b, f->ctx, page, f->write);
	/* no room at all, or no memory for what must go: over the bus */
	if ((err == -ENOSPC || err == -ENOMEM) && !must)
		err = gmc_map_remote(f->b, f->ctx, page, f->write);
	return err;
}

/* 4. What moved, for thrashing and the report. */
static void account_moved(const struct dev_fault *f, int err)
{
	unsigned before = gm_bm_count(f->had), now = gm_bm_count(f->bd->valid);
	unsigned asked = 1u << f->bd->order;

	if (gm_unlikely(f->b->thrash))
		gmc_thrash_moved(f->b, gm_bm_andnot(f->bd->valid, f->had), dev_index(f));
	if (err || now <= before + asked)
		return;
	GM_COUNT(prefetched_pages, now - before - asked);
	GM_TRACE(GM_EV_PREFETCH, .addr = f->b->va + f->i * GM_PAGE_BYTES,
		 .pages = now - before - asked, .site = f->b->site,
		 .device = (uint8_t)dev_index(f));
}

static int serve_device(struct dev_fault *f)
{
	int err = check_access(f);

	if (err)
		return err;
	if (walks_table(f)) {
		f->merged = true;
		return gmc_premap_walk(f->b, f->ctx, f->i, f->write);
	}
	choose_set(f);
	err = place_set(f);
	account_moved(f, err);
	if (!err)
		gmc_plugin_used(f->ctx->dev, f->bd, gm_bm_page(f->i), GM_POLICY_FAULT);
	/* it cannot enter pages so small */
	if (!err && !f->parked && f->ctx->dev->min_order &&
	    !gm_bm_test(f->write ? &f->bd->map_w : &f->bd->map_r, f->i))
		err = -EOPNOTSUPP;
	return err;
}

/* Signals blocked. What the device is told, and the counters. */
static int fault_in_block(struct gm_block *b, struct gm_ctx *ctx, unsigned i, enum gm_hint hint,
			  struct gm_policy_fault *asked)
{
	uint64_t start = gm_trace_begin();
	gmi_lock(&b->lock);
	struct gm_dev *dev = ctx->dev;
	struct dev_fault f = {.b = b, .ctx = ctx, .i = i};
	f.write = hint == GM_HINT_WRITE || (hint == GM_HINT_NONE && gm_bm_test(&b->prog_w, i));
	int err = serve_device(&f);
	if (!err && gm_unlikely(b->hints))
		gmc_hint_follow(b, gm_bm_all());
	/* while the lock keeps the device attached */
	if (!err && !f.merged)
		gmc_driver(dev, GM_CB_ACCOUNT, (uintptr_t)ctx->pmap, 0, 0, 1);
	struct gm_dev_stats *s = &gmi_stats->dev[dev->index];
	gmi_unlock(&b->lock);
	if (gm_unlikely(f.ask.naheads))
		*asked = f.ask;
	if (err)
		return err;
	atomic_fetch_add_explicit(f.merged ? &s->faults_merged : &s->faults, 1,
				  memory_order_relaxed);
	GM_COUNT_SITE(b->site, device_faults, !f.merged);
	look_at_limits();
	gmc_notice_fault(dev);
	GM_TRACE(GM_EV_DEVICE_FAULT, .time_ns = start, .addr = b->va + i * GM_PAGE_BYTES,
		 .site = b->site, .device = (uint8_t)dev->index,
		 .flags =
			 (f.merged ? GM_EV_MERGED : 0) | (hint == GM_HINT_WRITE ? GM_EV_WRITE : 0));
	return 0;
}

/* What a plug-in wants beside the fault, as far as it can be had: nobody waits for it. */
static void bring_ahead(struct gm_as *as, struct gm_dev *dev, const struct gm_policy_fault *asked)
{
	for (unsigned i = 0; i < asked->naheads; i++) {
		uint64_t lo = asked->ahead[i].va, bytes = asked->ahead[i].bytes;
		if (lo >= as->base && lo - as->base < as->bytes)
			gmc_prefetch(as, lo, gm_min(lo + bytes, as->base + as->bytes), dev);
	}
}

/* Where the program places memory itself (gmem/sparse.h). -ENOENT: it does not. */
static int fault_in_tables(struct gm_as *as, uint64_t addr, struct gm_dev *dev, bool write)
{
	if (gm_unlikely(as->iova))
		return gmc_iova_fault(as->iova, addr, dev, write);
	return gm_unlikely(gm_has_sparse(as)) ? gmc_sparse_fault(as, addr, dev, write) : -ENOENT;
}

int gm_dev_fault(struct gm_as *as, uint64_t addr, struct gm_dev *dev, enum gm_hint hint)
{
	if (gmc_called_back(__func__))
		return -EDEADLK;
	int err = as && dev ? fault_in_tables(as, addr, dev, hint == GM_HINT_WRITE) : -EINVAL;
	if (err != -ENOENT)
		return err;
	struct gm_ctx *ctx = as->ctx[dev->index];
	if (!ctx)
		return -EINVAL;
	if (addr < as->base || addr - as->base >= as->bytes)
		return -EFAULT;
	err = gmi_activate();
	if (err)
		return err;
	gm_sigmask mask = gmi_block_signals();
	uint8_t cause = gm_trace_cause(GM_CAUSE_DEVICE_FAULT);
	struct gm_block *b = gmc_block_get(as, addr);
	struct gm_policy_fault asked;
	asked.naheads = 0;
	err = b ? fault_in_block(b, ctx, gm_page_index(addr), hint, &asked) : -ENOMEM;
	if (gm_unlikely(asked.naheads) && !err)
		bring_ahead(as, dev, &asked);
	gm_trace_cause(cause);
	gmi_restore_signals(mask);
	return err;
}
