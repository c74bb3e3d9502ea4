/* What a replay does not have. See replay.h. */
#include "tools/replay/replay.h"
#include "core/page/activate.h"
#include "core/page/bytes.h"
#include "core/page/cpu_mmu.h"
#include "core/page/store.h"
#include "core/sys/own_thread.h"
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

/* ---- time: the recording's, and what serving takes ---- */

uint64_t world_ns;

uint64_t gmi_now_ns(void)
{
	return world_ns;
}

/* Nobody is there to wake the only thread: it waits out its time. */
int __wrap_gmi_futex_wait(_Atomic uint32_t *w, uint32_t seen, int64_t timeout_ns);
int __wrap_gmi_futex_wait(_Atomic uint32_t *w, uint32_t seen, int64_t timeout_ns)
{
	if (timeout_ns < 0) {
		fputs("gmem-replay: waits for a thread that is not there\n", stderr);
		abort();
	}
	world_ns += (uint64_t)timeout_ns;
	return -ETIMEDOUT;
}

/* ---- no other threads, no signals ---- */

static int start_no_thread(void *(*fn)(void *), void *arg)
{
	return 0;
}

gm_sigmask __wrap_gmi_block_signals(void);
gm_sigmask __wrap_gmi_block_signals(void)
{
	return (gm_sigmask){0};
}

void __wrap_gmi_restore_signals(gm_sigmask old);
void __wrap_gmi_restore_signals(gm_sigmask old)
{
}

/* ---- what pages hold: by 2 MiB of the window, sparse ---- */

static uint64_t window_base;
static gm_bm *present, *over_bus;
static uint64_t bus_lo = UINT64_MAX, bus_hi; /* blocks that have any of over_bus */

void *world_sparse(uint64_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED) {
		perror("gmem-replay");
		exit(1);
	}
	return p;
}

void world_begin(uint64_t base, uint64_t bytes)
{
	window_base = base;
	present = world_sparse(bytes / GM_BLOCK_BYTES * sizeof *present);
	over_bus = world_sparse(bytes / GM_BLOCK_BYTES * sizeof *over_bus);
	gmi_thread_start = start_no_thread;
	atomic_store(&gmi_active, GM_ACTIVE); /* there is no program to make ready */
}

static uint64_t block_number(uint64_t va)
{
	return (va - window_base) / GM_BLOCK_BYTES;
}

void world_present(uint64_t va, unsigned pages, bool is)
{
	for (; pages; pages--, va += GM_PAGE_BYTES)
		gm_bm_assign(&present[block_number(va)], gm_bm_page(gm_page_index(va)), is);
}

void world_cpu_touched(uint64_t va, unsigned pages)
{
	uint64_t n = block_number(va);

	gm_bm_add(&over_bus[n], gm_bm_range(gm_page_index(va), gm_page_index(va) + pages));
	bus_lo = gm_min(bus_lo, n);
	bus_hi = gm_max(bus_hi, n + 1);
}

void world_cpu_settled(void)
{
	for (uint64_t n = bus_lo; n < bus_hi; n++)
		over_bus[n] = gm_bm_zero();
	bus_lo = UINT64_MAX;
	bus_hi = 0;
}

gm_bm gmc_touched(struct gm_block *b, unsigned first, unsigned end)
{
	uint64_t n = block_number(b->va);

	return gm_bm_and(gm_bm_range(first, end), gm_bm_or(gm_bm_andnot(present[n], b->cpu_bus),
							   gm_bm_and(over_bus[n], b->cpu_bus)));
}

/* ---- the store: nothing of it is there ---- */

int gmc_store_open(struct gm_as *as)
{
	as->store.alias = (char *)as->base; /* never touched */
	return 0;
}
void gmc_store_close(struct gm_as *as)
{
}
int gmc_store_map_none(struct gm_as *as, uintptr_t va, size_t len)
{
	return 0;
}
int gmc_store_map_rw(struct gm_as *as, uintptr_t va, size_t len)
{
	return 0;
}
int gmc_store_populate(struct gm_as *as, uintptr_t va, size_t len)
{
	return 0;
}
int gmc_populate(void *p, size_t len)
{
	return 0;
}
int gmc_store_clone(char *of, uintptr_t va, size_t len)
{
	return 0;
}
void gmc_store_take(struct gm_as *as, uintptr_t va, size_t len)
{
}
void gmc_store_punch(struct gm_as *as, uintptr_t va, size_t len)
{
}
int gmc_store_unmap(struct gm_as *as, uintptr_t va, size_t len, int prot, bool copy)
{
	return 0;
}
int gmc_pagemap_fd(void)
{
	return -1;
}
bool gmc_pagemap_read(int fd, uint64_t va, size_t n, uint64_t *entry)
{
	return false;
}
gm_bm gmc_store_holes(const struct gm_block *b, gm_bm set)
{
	return gm_bm_zero();
}
void gmc_retain(struct gm_block *b)
{
}
void gmc_retain_trim(struct gm_as *as)
{
}

/* ---- bytes ---- */

bool gmc_copy_direct(struct gm_dev *dev, enum gm_op_kind kind, void *host, uint64_t pa, size_t len,
		     int *err)
{
	*err = 0;
	return true;
}

/* ---- the CPU's page tables: the bitmaps of the blocks are all that there is ---- */

static int no_lower(struct gm_block *b, gm_bm set, gm_bm keep_read)
{
	return 0;
}
static int no_adopt(struct gm_block *b, unsigned first, unsigned end, bool is_present)
{
	return 0;
}
static int no_freeze(struct gm_block *b, gm_bm set, gm_bm w)
{
	return 0;
}

int gmc_protect_runs(struct gm_block *b, gm_bm set, gm_bm r, gm_bm w)
{
	return 0;
}

const struct gm_cpu_mmu gmc_cpu_sigsegv = {"none", no_lower, gmc_protect_runs, no_adopt,
					   .freeze = no_freeze};
const struct gm_cpu_mmu *gmc_cpu = &gmc_cpu_sigsegv;

void gmc_cpu_start(void)
{
}
const char *gmi_cpu_backend(void)
{
	return gmc_cpu->name;
}
