/*
 * dev_record.c - a recording (GMEM_RECORD): what this device touches, and in which order.
 *
 * Entries are made out of reach, and what they allow is kept here. A touch of such a page is
 * written down and lets the page in, for reading first, so that a write is a touch of its own. When
 * a handful of pages has been let in all go out of reach again, in one system call: taking rights
 * away interrupts other processors, giving them does not. So what is recorded is every use of a
 * page but those that follow within the handful (the generation), which any device has memory for.
 *
 * A launch that comes back to pages very often is let go on unseen (DS_R_CUT), but for the first
 * touch of each page: what a replay says of it is the least that it moves.
 *
 * Page table locked throughout.
 */
#include "devsim/device/dev.h"
#include "devsim/record.h"
#include <sys/mman.h>

#define PAGE		 ((uint64_t)4096)
#define GENERATION_BYTES ((uint64_t)2 << 20)
#define GENERATION_MAX	 128
#define EACH_WORKER	 8 /* pages at least: one instruction may need some at once */
/* A launch may come back so often to pages that it has touched: */
#define BACK_EACH 4 /* for each page that it touches, and */
#define BACK	  4000

static struct ds_record_head *file; /* NULL: nothing is recorded */
static struct {
	uint64_t base, bytes;
	uint8_t *allowed; /* by page of 4 KiB: PROT_ bits of its entry, 0: it has none */
	uint32_t *launch; /* by page of the device: the last launch that touched it */
} tables_of[DS_WINDOWS];
static struct {
	uint64_t page;
	bool write;
} let_in[GENERATION_MAX];
static unsigned nlet_in, generation;
static uint32_t launch = 1;
static uint64_t touched, back; /* by this launch: pages; and how often it came back to them */
static bool cut;

bool dev_recording(void)
{
	return file;
}

void dev_record_init(void)
{
	if (!ctl->record)
		return;
	void *p = mmap(NULL, DS_RECORD_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, DS_FD_RECORD, 0);
	if (p == MAP_FAILED) {
		dev_say("cannot record: no addresses");
		return;
	}
	file = p;
	uint64_t n = GENERATION_BYTES / file->page_bytes,
		 least = EACH_WORKER * (uint64_t)ctl->workers;
	n = n > least ? n : least;
	generation = n < GENERATION_MAX ? (unsigned)n : GENERATION_MAX;
	file->window = generation;
}

static uint64_t launch_bytes(uint64_t window_bytes)
{
	return window_bytes / file->page_bytes * sizeof *tables_of[0].launch;
}

void dev_record_window(unsigned i, uint64_t base, uint64_t bytes)
{
	if (!file)
		return;
	if (tables_of[i].allowed)
		munmap(tables_of[i].allowed,
		       tables_of[i].bytes / PAGE + launch_bytes(tables_of[i].bytes));
	tables_of[i].allowed = NULL;
	if (!bytes)
		return;
	void *p = mmap(NULL, bytes / PAGE + launch_bytes(bytes), PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED)
		return;
	tables_of[i].base = base;
	tables_of[i].bytes = bytes;
	tables_of[i].allowed = p;
	tables_of[i].launch = (uint32_t *)(tables_of[i].allowed + bytes / PAGE);
}

/* What the entry of va allows, and whose touch its page had last; NULL: of no window. */
static uint8_t *entry_of(uint64_t va, uint32_t **last)
{
	for (unsigned i = 0; i < DS_WINDOWS; i++) {
		if (!tables_of[i].allowed || va - tables_of[i].base >= tables_of[i].bytes)
			continue;
		if (last)
			*last = &tables_of[i].launch[(va - tables_of[i].base) / file->page_bytes];
		return tables_of[i].allowed + (va - tables_of[i].base) / PAGE;
	}
	return NULL;
}

void dev_record_map(uint64_t va, uint64_t len, int prot)
{
	uint8_t *e = file ? entry_of(va, NULL) : NULL;

	for (uint64_t i = 0; e && i < len / PAGE; i++)
		e[i] = (uint8_t)prot;
}

void dev_record_unmap(uint64_t va, uint64_t len)
{
	uint8_t *e = file ? entry_of(va, NULL) : NULL;

	if (e && len > ((uint64_t)64 << 20)) { /* whole pages of the table: sparse, as before */
		uint64_t n = len / PAGE, skip = -(uintptr_t)e % PAGE;
		madvise(e + skip, (n - skip) & ~(PAGE - 1), MADV_DONTNEED);
	}
	for (uint64_t i = 0; e && i < len / PAGE; i++)
		if (e[i])
			e[i] = 0;
}

/* The device's page at `page`: as far as it has entries they allow what is in `mask`. */
static void let_reach(uint64_t page, int mask)
{
	const uint8_t *e = entry_of(page, NULL);
	unsigned n = (unsigned)(file->page_bytes / PAGE);

	for (unsigned i = 0, j; e && i < n; i = j) {
		for (j = i + 1; j < n && e[j] == e[i]; j++)
			;
		if (e[i])
			mprotect((void *)(page + i * PAGE), (j - i) * PAGE, e[i] & mask);
	}
}

/* All between is out of reach already, or nothing. */
static void end_generation(void)
{
	uint64_t lo = UINT64_MAX, hi = 0;

	for (unsigned i = 0; i < nlet_in; i++) {
		lo = let_in[i].page < lo ? let_in[i].page : lo;
		hi = let_in[i].page > hi ? let_in[i].page : hi;
	}
	if (nlet_in)
		mprotect((void *)lo, hi + file->page_bytes - lo, PROT_NONE);
	nlet_in = 0;
}

static void let_page_in(uint64_t page, bool write)
{
	unsigned i = 0;

	while (i < nlet_in && let_in[i].page != page)
		i++;
	if (i == generation && !cut)
		end_generation(), i = 0;
	if (i == nlet_in && i < generation) {
		nlet_in++;
		let_in[i].page = page;
		let_in[i].write = false;
	}
	if (i < generation)
		let_in[i].write |= write;
	let_reach(page, write || (i < generation && let_in[i].write) ? PROT_READ | PROT_WRITE
								     : PROT_READ);
}

/* Of the calling thread, from 0 on. */
static unsigned own_number(void)
{
	static _Atomic unsigned threads;
	static __thread unsigned number; /* plus one */

	if (!number)
		number = atomic_fetch_add(&threads, 1) % 256 + 1;
	return number - 1;
}

static void put_device(uint64_t addr, uint8_t kind, uint8_t flags)
{
	struct ds_record *r = ds_record_take(file, 1);

	if (!r)
		return;
	r->addr = addr;
	r->time_us = (uint32_t)((dev_now_ns() - file->start_ns) / 1000);
	r->arg = (uint16_t)(dev_launch_slot() | own_number() << 8);
	r->flags = flags;
	r->kind = kind;
}

bool dev_record_touch(uint64_t va, bool write)
{
	uint32_t *last;
	const uint8_t *e = file ? entry_of(va, &last) : NULL;
	uint64_t page = file ? va & ~(uint64_t)(file->page_bytes - 1) : 0;

	if (!e || !(*e & (write ? PROT_WRITE : PROT_READ)))
		return false;
	put_device(va & ~(PAGE - 1), DS_R_DEVICE, write ? DS_R_WRITE : 0);
	if (*last == launch)
		back++;
	else
		touched++;
	*last = launch;
	if (!cut && back > BACK + BACK_EACH * touched) {
		cut = true;
		put_device(page, DS_R_CUT, 0);
	}
	let_page_in(page, write);
	return true;
}

void dev_record_begin(void)
{
	if (!file)
		return;
	if (cut) /* more than the generation has been let in */
		for (unsigned i = 0; i < DS_WINDOWS; i++)
			if (tables_of[i].allowed)
				mprotect((void *)tables_of[i].base, tables_of[i].bytes, PROT_NONE);
	cut = false;
	end_generation();
	touched = back = 0;
	launch++;
}
