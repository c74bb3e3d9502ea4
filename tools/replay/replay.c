/* A recording, told to core and the driver event by event. See replay.h. */
#include "tools/replay/replay.h"
#include "core/care/background.h"
#include "core/count/record.h"
#include "core/count/site.h"
#include "core/entry/fault.h"
#include "core/page/cpu_bus.h"
#include "core/page/mapping.h"
#include "core/page/migrate.h"
#include "core/space/range.h"
#include "core/space/vm_int.h"
#include "devsim/driver/sim_int.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* How long serving takes while the program runs really (docs/decisions.md): only thrashing, which
 * goes by the clock, depends on it. */
#define SERVE_NS     20000
#define CPU_SERVE_NS 8000
#define USE_NS	     2000  /* a thread is busy with what it has come to */
#define LOOK_EVERY   1024  /* touches between two looks at the limit */
#define TRIES	     10000 /* of a fault that is to be tried again */

struct launch {
	uint32_t number;	/* counts them; 0: none runs in the slot */
	uint64_t pages, remote; /* of the device, that it touched; of these over the bus */
};
/* What a launch reached over the bus, by block: for the access counters. */
struct reached {
	uint64_t va;
	uint32_t leaves;
};

static struct {
	struct gm_as *as;
	struct gm_sim *sim;
	struct launch launch[DS_LAUNCHES];
	uint32_t launches, *last; /* by page of the device: the last launch that touched it */
	gm_bm *used;		  /* by block: pages that the device touched since it was asked */
	uint32_t jobs;
	bool cut; /* the recording has launches of which a part is not known */
	struct reached *reached;
	double limit_s, until_s;
	unsigned looks;
	bool over;
	size_t nreached, room;
	char kernel[GM_KERNELS][96];
} is;

static struct gm_dev *dev(void)
{
	return is.sim->dev;
}

/* ---- launches ---- */

static void launch_begins(const struct ds_record *r, const struct ds_record_more *more)
{
	unsigned slot = r->arg % DS_LAUNCHES;

	gmi_bus_settle();
	world_cpu_settled();
	unsigned row = gmi_kernel_row(dev()->index, is.kernel[r->addr % GM_KERNELS]);
	atomic_store(&is.sim->kernel_row[slot], (uint8_t)row);
	sim_time_launch(is.sim, slot);
	is.launch[slot] = (struct launch){.number = ++is.launches};
}

/* As the device's process tells it. */
static void tell_reached(void)
{
	struct ds_ctl *ctl = is.sim->ctl;

	for (size_t i = 0; i < is.nreached; i++) {
		uint32_t head = atomic_load(&ctl->touched_head);
		struct ds_touched *e = &ctl->touched[head % DS_TOUCHED];
		if (head - atomic_load(&ctl->touched_tail) >= DS_TOUCHED)
			break;
		e->va = is.reached[i].va;
		for (unsigned w = 0; w < DS_LEAVES / 4; w++)
			e->pages[w] = 0;
		for (unsigned l = 0; l < DS_LEAVES; l++)
			if (is.reached[i].leaves >> l & 1)
				e->pages[l / 4] |= (uint64_t)0xffff << l % 4 * 16;
		atomic_store(&ctl->touched_head, head + 1);
	}
	is.nreached = 0;
}

static void launch_ends(const struct ds_record *r, const struct ds_record_more *more)
{
	unsigned slot = r->arg & 0xff;
	if (slot >= DS_LAUNCHES)
		return;
	struct launch *l = &is.launch[slot];
	uint64_t each = gm_dev_page_bytes(dev()) / GM_PAGE_BYTES;
	uint64_t pages = r->addr ? r->addr : l->pages * each;
	uint64_t remote = l->pages ? pages * l->remote / l->pages : 0;
	struct ds_launch *told = &is.sim->told[slot];
	unsigned width = gm_min(r->flags >> DS_R_ACCESS_SHIFT, 8);

	*told = (struct ds_launch){.flop_type = (char)(r->arg >> 8),
				   .access_bytes = width ? (uint8_t)(1u << (width - 1)) : 0,
				   .sample = 1,
				   .local_pages = pages - remote,
				   .remote_pages = remote};
	atomic_store(&told->flops, more->a);
	atomic_store(&told->bytes, more->b);
	tell_reached();
	sim_account_launch(is.sim, slot, r->flags & DS_R_FAILED ? -EFAULT : 0, NULL);
	*l = (struct launch){0};
}

static void note_reached(uint64_t va)
{
	uint64_t block = gm_align_down(va, GM_BLOCK_BYTES);
	uint64_t first = va - block, each = gm_max(gm_dev_page_bytes(dev()), GM_LEAF_BYTES);
	size_t i = is.nreached;

	while (i && is.reached[i - 1].va != block)
		i--;
	if (!i) {
		if (is.nreached == is.room) {
			is.room = is.room ? 2 * is.room : 64;
			is.reached = realloc(is.reached, is.room * sizeof *is.reached);
		}
		is.reached[is.nreached] = (struct reached){.va = block};
		i = ++is.nreached;
	}
	for (uint64_t at = gm_align_down(first, each); at < gm_align_down(first, each) + each;
	     at += GM_LEAF_BYTES)
		is.reached[i - 1].leaves |= 1u << at / GM_LEAF_BYTES;
}

/* ---- touches ---- */

static double real_seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* It takes longer than it may. */
static bool gave_up(void)
{
	if (is.limit_s > 0 && !is.over && ++is.looks % LOOK_EVERY == 0)
		is.over = real_seconds() > is.until_s;
	return is.over;
}

/* The access bits: what was touched since they were last asked for. */
static int replay_accessed(void *pmap, uint64_t va, uint64_t len, uint64_t *bits)
{
	gm_bm *used = &is.used[(va - is.as->base) / GM_BLOCK_BYTES];

	for (unsigned w = 0; w < len / GM_PAGE_BYTES / 64; w++)
		bits[w] |= used->w[w];
	*used = gm_bm_zero();
	return 0;
}

static void note_used(uint64_t va)
{
	unsigned n = (unsigned)(gm_dev_page_bytes(dev()) / GM_PAGE_BYTES);
	unsigned first = gm_page_index(va) & ~(n - 1);

	gm_bm_add(&is.used[(va - is.as->base) / GM_BLOCK_BYTES], gm_bm_range(first, first + n));
}

static bool device_has(const struct gm_block *b, unsigned i, bool write)
{
	const struct gm_block_dev *bd = b ? b->dev[dev()->index] : NULL;

	return bd && gm_bm_test(write ? &bd->map_w : &bd->map_r, i);
}

/* Returns how long its thread was kept. */
static uint64_t device_touches(const struct ds_record *r)
{
	bool write = r->flags & DS_R_WRITE;
	unsigned slot = r->arg & 0xff;
	uint64_t begin = world_ns;
	unsigned i = gm_page_index(r->addr);
	struct gm_block *b = gm_block_find(is.as, r->addr);
	struct sim_asked asked = {.va = r->addr, .kind = DS_F_PAGE, .write = write, .launch = slot};

	for (int n = 0; !device_has(b, i, write) && n < TRIES; n++) {
		struct ds_fault *f = &is.sim->ctl->fault[0];
		atomic_store(&f->state, DS_BUSY);
		atomic_store(&f->nmaps, 0);
		sim_time_faults_seen();
		int err = sim_serve(is.sim, is.as, f, &asked);
		world_ns += SERVE_NS;
		is.jobs = gmc_background_turn(is.jobs);
		if (err && err != -EAGAIN)
			break; /* the kernel failed there, or does so now: for want of memory */
		b = gm_block_find(is.as, r->addr);
	}
	note_used(r->addr);
	uint64_t kept = world_ns - begin;
	if (slot >= DS_LAUNCHES || !is.launch[slot].number)
		return kept;
	struct launch *l = &is.launch[slot];
	uint32_t *last = &is.last[(r->addr - is.as->base) / gm_dev_page_bytes(dev())];
	const struct gm_block_dev *bd = b ? b->dev[dev()->index] : NULL;
	if (*last == l->number)
		return kept;
	*last = l->number;
	l->pages++;
	if (bd && gm_bm_test(&bd->remote, i)) {
		l->remote++;
		note_reached(r->addr);
	}
	return kept;
}

/* ---- threads of the device: each in its own order, all of them side by side ---- */

/*
 * In which order the threads of one launch came, on the machine where it was recorded, was up to
 * its scheduler. Here they take turns as they do when faults are served: who waits for one lets
 * the others go on.
 */
static struct thread {
	const struct ds_record **touch;
	size_t n, next, room;
	uint64_t ns; /* of its own */
} threads[256];
static unsigned nthreads;

static void queue_touch(const struct ds_record *r)
{
	struct thread *t = &threads[r->arg >> 8];

	nthreads = gm_max(nthreads, (r->arg >> 8) + 1u);
	if (t->n == t->room) {
		t->room = t->room ? 2 * t->room : 256;
		t->touch = realloc(t->touch, t->room * sizeof(void *));
	}
	t->touch[t->n++] = r;
}

static struct thread *whose_turn(void)
{
	struct thread *turn = NULL;

	for (struct thread *t = threads; t < threads + nthreads; t++)
		if (t->next < t->n && (!turn || t->ns < turn->ns))
			turn = t;
	return turn;
}

/* Before anything else happens. */
static void let_threads_run(void)
{
	struct thread *t;

	while ((t = whose_turn())) {
		t->ns += USE_NS + device_touches(t->touch[t->next++]);
		if (gave_up())
			return;
	}
	for (t = threads; t < threads + nthreads; t++)
		t->n = t->next = t->ns = 0;
}

static void cpu_touches(const struct ds_record *r, const struct ds_record_more *more)
{
	struct gm_block *b = gm_block_find(is.as, r->addr);
	bool write = r->flags & DS_R_WRITE;
	unsigned i = gm_page_index(r->addr);

	if (!b)
		return;
	bool call = r->flags & DS_R_CALL;
	if (!gm_bm_test(write ? &b->cpu_w : &b->cpu_r, i) &&
	    (call || !gm_bm_test(&b->cpu_bus, i))) {
		if (call)
			gmi_cpu_make_resident(r->addr, 1, write);
		else
			gmi_cpu_fault(r->addr, write);
		world_ns += CPU_SERVE_NS;
	}
	if (gm_bm_test(&b->cpu_bus, i))
		world_cpu_touched(gm_align_down(r->addr, gm_dev_page_bytes(dev())),
				  (unsigned)(gm_dev_page_bytes(dev()) / GM_PAGE_BYTES));
}

/* ---- what the program does to its memory ---- */

static void region_changes(const struct ds_record *r, const struct ds_record_more *more)
{
	struct gm_range_value v = {{more->b & ~GM_RECORD_MAPPED, r->arg, 0}};
	bool mapped = more->b & GM_RECORD_MAPPED;
	struct gm_vm_piece p;

	gm_sigmask mask = gmc_vm_enter(is.as);
	gmc_vm_set_region(is.as, r->addr, more->a, mapped ? &v : NULL);
	gm_vm_for_each_piece (is.as, r->addr, more->a, &p)
		if (p.b)
			gmc_block_set_prog(p.b, p.set, mapped ? gm_vm_rights(gm_vm_prot(&v)) : 0,
					   mapped && gm_vm_managed(&v), false);
	gmc_vm_leave(is.as, mask);
}

static void contents_go(const struct ds_record *r, const struct ds_record_more *more)
{
	struct gm_vm_piece p;

	gm_sigmask mask = gmc_vm_enter(is.as);
	gm_vm_for_each_piece (is.as, r->addr, more->a, &p)
		if (p.b) {
			gmc_block_drop(p.b, p.set);
			gmc_block_set_prog(p.b, p.set, 0, false, true);
		}
	gmc_vm_leave(is.as, mask);
	/* what is still mapped there has its rights again */
	struct gm_range g;
	gm_vm_for_each_range (is.as, r->addr, more->a, &g)
		region_changes(&(struct ds_record){.addr = g.start, .arg = (uint16_t)g.val.v[1]},
			       &(struct ds_record_more){g.end, g.val.v[0] | GM_RECORD_MAPPED});
	world_present(r->addr, (unsigned)((more->a - r->addr) / GM_PAGE_BYTES), false);
}

static void site_is(const struct ds_record *r, const struct ds_record_more *more)
{
	struct gm_block *b = gm_block_find(is.as, r->addr);

	while (r->arg && gmc_site_sample(r->addr, r->arg) != r->arg)
		;
	if (b)
		atomic_store(&b->site, (uint8_t)r->arg);
}

static int copied_block(struct gm_block *b, gm_bm set, void *to)
{
	return gmc_migrate_dest(b, set, to);
}

static void copied(const struct ds_record *r, const struct ds_record_more *more)
{
	gmc_each_block(is.as, r->addr, r->addr + more->a, true, copied_block,
		       r->arg ? dev() : NULL);
}

static void advised(const struct ds_record *r, const struct ds_record_more *more)
{
	hmadvise(r->arg ? dev()->hnid : -1, (void *)r->addr, more->a, (int)more->b);
}

/* ---- all of it ---- */

static bool in_recorded(uint64_t addr)
{
	return addr - is.as->base < is.as->bytes;
}

/* Does all that it speaks of lie in the window? The file may be anybody's. */
static bool is_sane(const struct ds_record *r, const struct ds_record_more *more)
{
	switch (r->kind) {
	case DS_R_REGION:
	case DS_R_DROP:
		return r->arg < GM_SITES && in_recorded(r->addr) && more->a > r->addr &&
		       in_recorded(more->a - 1) && !((r->addr | more->a) % GM_PAGE_BYTES);
	case DS_R_COPY:
	case DS_R_ADVICE:
		return in_recorded(r->addr) && more->a && in_recorded(r->addr + more->a - 1) &&
		       r->addr + more->a > r->addr;
	case DS_R_PRESENT:
		return in_recorded(r->addr) && in_recorded(r->addr + r->arg * GM_PAGE_BYTES - 1);
	case DS_R_DEVICE:
	case DS_R_CPU:
		return in_recorded(r->addr);
	case DS_R_SITE:
		return in_recorded(r->addr) && r->arg < GM_SITES;
	default:
		return true;
	}
}

static void queued(const struct ds_record *r, const struct ds_record_more *more)
{
	queue_touch(r);
}

static void named(const struct ds_record *r, const struct ds_record_more *more)
{
	snprintf(is.kernel[r->arg % GM_KERNELS], sizeof is.kernel[0], "%.*s",
		 (int)gm_min(16 * r->addr, sizeof is.kernel[0] - 1), (const char *)more);
}

static void present(const struct ds_record *r, const struct ds_record_more *more)
{
	world_present(r->addr, r->arg, true);
}

static void part_only(const struct ds_record *r, const struct ds_record_more *more)
{
	is.cut = true;
}

/* more: so many records behind it belong to it. early: what it says is true from before the touch
 * that made it known; all others find the device's threads where they were. */
static const struct record_kind {
	void (*told)(const struct ds_record *r, const struct ds_record_more *more);
	unsigned more;
	bool early;
} record_kinds[DS_R_KINDS] = {
	[DS_R_DEVICE] = {queued, 0, true},	   [DS_R_CPU] = {cpu_touches, 0, false},
	[DS_R_LAUNCH] = {launch_begins, 0, false}, [DS_R_NAME] = {named, 0 /* addr says */, true},
	[DS_R_END] = {launch_ends, 1, false},	   [DS_R_REGION] = {region_changes, 1, false},
	[DS_R_DROP] = {contents_go, 1, false},	   [DS_R_PRESENT] = {present, 0, true},
	[DS_R_SITE] = {site_is, 0, true},	   [DS_R_COPY] = {copied, 1, false},
	[DS_R_ADVICE] = {advised, 1, false},	   [DS_R_CUT] = {part_only, 0, true},
};

static const struct record_kind *record_kind_of(const struct ds_record *r)
{
	return r->kind < DS_R_KINDS ? &record_kinds[r->kind] : &record_kinds[0];
}

static uint64_t records_behind(const struct ds_record *r)
{
	return r->kind == DS_R_NAME ? r->addr : record_kind_of(r)->more;
}

/* Returns how many records it is: of `left`, at least one. A place that was taken and not written
 * is nothing. */
static uint64_t tell_one(const struct ds_record *r, uint64_t left)
{
	const struct ds_record_more *more = (const struct ds_record_more *)(r + 1);
	const struct record_kind *k = record_kind_of(r);
	uint64_t n = records_behind(r);

	if (n >= left)
		return left;
	if (!k->told || !is_sane(r, more))
		return 1 + n;
	if (!k->early)
		let_threads_run();
	k->told(r, more);
	return 1 + n;
}

bool replay_has_threads(const struct recording *rec)
{
	const struct ds_record *r = (const struct ds_record *)(rec->head + 1);
	int thread = -1;

	for (uint64_t i = 0; i < rec->n;) {
		if (r[i].kind == DS_R_LAUNCH)
			thread = -1;
		if (r[i].kind == DS_R_DEVICE && thread >= 0 && thread != r[i].arg >> 8)
			return true;
		if (r[i].kind == DS_R_DEVICE)
			thread = r[i].arg >> 8;
		uint64_t n = records_behind(&r[i]);
		if (n >= rec->n - i)
			break;
		i += 1 + n;
	}
	return false;
}

static bool begin_replay(const struct ds_record_head *h)
{
	world_begin(h->base, h->bytes);
	int err = gm_as_create(h->base, h->base + h->bytes, &is.as);
	if (!err)
		err = gm_sim_open(gmi_opt.device[0], &is.sim);
	if (!err)
		err = gm_sim_attach(is.sim, is.as);
	if (err) {
		fprintf(stderr, "gmem-replay: cannot begin: %s\n", strerror(-err));
		return false;
	}
	if (gm_dev_page_bytes(dev()) != h->page_bytes) {
		fprintf(stderr, "gmem-replay: recorded by pages of %u bytes, the device has %zu\n",
			h->page_bytes, gm_dev_page_bytes(dev()));
		return false;
	}
	is.sim->mmu.accessed = replay_accessed;
	is.last = world_sparse(h->bytes / h->page_bytes * sizeof *is.last);
	is.used = world_sparse(h->bytes / GM_BLOCK_BYTES * sizeof *is.used);
	return true;
}

enum replay_end replay_run(const struct recording *rec, double limit_s)
{
	const struct ds_record *all = (const struct ds_record *)(rec->head + 1);
	uint32_t time_us = 0;

	if (!begin_replay(rec->head))
		return REPLAY_FAILED;
	is.limit_s = limit_s;
	is.until_s = real_seconds() + limit_s;
	gmi_stats->start_ns = world_ns = 1000000000;
	for (uint64_t i = 0; i < rec->n && !gave_up();) {
		const struct ds_record *r = &all[i];
		if (r->kind && r->time_us > time_us) {
			world_ns += (uint64_t)(r->time_us - time_us) * 1000;
			time_us = r->time_us;
		}
		i += tell_one(r, rec->n - i);
	}
	let_threads_run();
	gmi_bus_settle();
	if (is.over)
		return REPLAY_CUT;
	bool part = is.cut || rec->lost;
	return part && atomic_load(&gmi_stats->dev[dev()->index].evicted_bytes) ? REPLAY_LEAST
										: REPLAY_DONE;
}
