/*
 * dev_touch.c - which pages a launch touched: of the device's memory; of the host's, over the bus;
 * of other devices'.
 *
 * Entries of the page table that nobody has used are not there yet as far as the kernel is
 * concerned: after a drop (MADV_DONTNEED; the mappings stay) /proc/self/pagemap shows what was
 * touched since. A launch that is to be sampled begins with nothing present and ends with a look.
 * Writes are seen by page; the kernel maps up to 64 KiB around a read (fault-around), so reads are
 * seen by 64 KiB where the neighbours are mapped. What is taken away meanwhile is looked at before
 * it goes. Launches that overlap share one look: whoever ends first gets what both had touched.
 *
 * A record for each 2 MiB of a window, in sparse memory; page table locked throughout.
 */
#include "devsim/device/dev.h"
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE	    ((uint64_t)4096)
#define BLOCK	    ((uint64_t)2 << 20)
#define BLOCK_PAGES 512u
#define WORDS	    (BLOCK_PAGES / 64)

struct record {
	uint64_t host[WORDS], peer[WORDS]; /* entries that lead to the host's memory, to others' */
	/* touched since the last look, but gone from the table */
	uint64_t local[WORDS], remote[WORDS], via[WORDS];
	uint64_t accessed[WORDS]; /* dropped by a look, and not told to DS_CMD_ACCESSED yet */
};
static struct table {
	uint64_t base, nblocks;
	struct record *record; /* NULL: no such window, or no room for it: nothing is known of it */
	uint64_t *mapped;      /* a bit for each block that has had entries */
	uint64_t lo, hi;       /* no bits outside these words */
} tables[DS_WINDOWS];
static unsigned sampled;    /* launches that are being sampled */
static bool present = true; /* there may be entries from before */

static uint64_t *words_of(const struct table *t)
{
	return (uint64_t *)(t->record + t->nblocks);
}

static uint64_t touch_table_bytes(uint64_t nblocks)
{
	return nblocks * sizeof(struct record) + (nblocks + 63) / 64 * 8;
}

void dev_touch_window(unsigned i, uint64_t base, uint64_t bytes)
{
	struct table *t = &tables[i];

	if (t->record)
		munmap(t->record, touch_table_bytes(t->nblocks));
	*t = (struct table){0};
	if (!bytes)
		return;
	uint64_t nblocks = (bytes + BLOCK - 1) / BLOCK;
	void *p = mmap(NULL, touch_table_bytes(nblocks), PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED)
		return;
	*t = (struct table){.base = base, .nblocks = nblocks, .record = p, .lo = UINT64_MAX};
	t->mapped = words_of(t);
}

static struct table *table_of(uint64_t va)
{
	for (unsigned i = 0; i < DS_WINDOWS; i++)
		if (tables[i].record && va - tables[i].base < tables[i].nblocks * BLOCK)
			return &tables[i];
	return NULL;
}

/* The next block from n on that has had entries, or nblocks. */
static uint64_t next_block(const struct table *t, uint64_t n)
{
	uint64_t w = n / 64;

	if (w < t->lo) {
		w = t->lo;
		n = w * 64;
	}
	for (; w < t->hi; n = ++w * 64) {
		uint64_t bits = t->mapped[w] & ~(uint64_t)0 << n % 64;
		if (bits)
			return w * 64 + (uint64_t)__builtin_ctzll(bits);
	}
	return t->nblocks;
}

/* Bits [first, end) of a block's pages that lie in word w. */
static uint64_t mask(unsigned w, unsigned first, unsigned end)
{
	uint64_t m = ~(uint64_t)0;

	if (w * 64 + 64 <= first || w * 64 >= end)
		return 0;
	if (first > w * 64)
		m &= ~(uint64_t)0 << (first - w * 64);
	if (end < w * 64 + 64)
		m &= ~(uint64_t)0 >> (w * 64 + 64 - end);
	return m;
}

/* For every block of [va, va + len): its number, and the pages [first, end) of it. */
struct part {
	uint64_t block;
	unsigned first, end;
};
static bool part_of(const struct table *t, uint64_t va, uint64_t end, struct part *p)
{
	if (va >= end)
		return false;
	uint64_t next = (va - t->base) / BLOCK * BLOCK + t->base + BLOCK;
	p->block = (va - t->base) / BLOCK;
	p->first = (unsigned)((va - t->base) % BLOCK / PAGE);
	p->end = end < next ? (unsigned)((end - t->base) % BLOCK / PAGE) : BLOCK_PAGES;
	return true;
}

bool dev_touch_look(uint64_t block, unsigned first, unsigned end, uint64_t *bits)
{
	static int pagemap = -1;
	uint64_t entry[BLOCK_PAGES], va = block + first * PAGE;
	size_t bytes = (end - first) * sizeof entry[0];

	memset(bits, 0, WORDS * sizeof *bits);
	if (pagemap < 0)
		pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	if (pread(pagemap, entry, bytes, (off_t)(va / PAGE * sizeof entry[0])) != (ssize_t)bytes)
		return false;
	for (unsigned i = first; i < end; i++)
		bits[i / 64] |= (entry[i - first] >> 63) << i % 64;
	return true;
}

static bool look_at_page_map(const struct table *t, const struct part *p, uint64_t *bits)
{
	return dev_touch_look(t->base + p->block * BLOCK, p->first, p->end, bits);
}

static void remember_touched(const struct table *t, const struct part *p)
{
	struct record *r = &t->record[p->block];
	uint64_t bits[WORDS];

	if (!look_at_page_map(t, p, bits))
		return;
	for (unsigned w = 0; w < WORDS; w++) {
		r->remote[w] |= bits[w] & r->host[w];
		r->via[w] |= bits[w] & r->peer[w];
		r->local[w] |= bits[w] & ~(r->host[w] | r->peer[w]);
	}
}

/* Present pages of the block go. */
static void forget_touched(const struct table *t, uint64_t b)
{
	struct part whole = {b, 0, BLOCK_PAGES};
	struct record *r = &t->record[b];
	uint64_t bits[WORDS];

	look_at_page_map(t, &whole, bits);
	for (unsigned w = 0; w < WORDS; w++) {
		r->accessed[w] |= bits[w];
		r->local[w] = r->remote[w] = r->via[w] = 0;
	}
}

void dev_touch_accessed(uint64_t va, uint64_t len, uint64_t *bits)
{
	struct table *t = table_of(va);
	struct part p;

	if (!t || !part_of(t, va, va + len, &p) || p.block >= t->nblocks)
		return;
	if (sampled)
		remember_touched(t, &p);
	for (unsigned i = p.first; i < p.end; i++) {
		uint64_t *from = &t->record[p.block].accessed[i / 64], bit = (uint64_t)1 << i % 64;
		bits[(i - p.first) / 64] |= (uint64_t)((*from & bit) != 0) << (i - p.first) % 64;
		*from &= ~bit;
	}
}

bool dev_touch_sampled(void)
{
	return sampled;
}

static void assign_bits(uint64_t *to, uint64_t m, bool in)
{
	*to = in ? *to | m : *to & ~m;
}

void dev_touch_map(uint64_t va, uint64_t len, enum ds_mem mem)
{
	struct table *t = table_of(va);
	struct part p;

	present |= !sampled;
	for (uint64_t at = va; t && part_of(t, at, va + len, &p);
	     at = t->base + (p.block + 1) * BLOCK) {
		if (p.block >= t->nblocks)
			return;
		uint64_t w = p.block / 64;
		t->mapped[w] |= (uint64_t)1 << p.block % 64;
		t->lo = w < t->lo ? w : t->lo;
		t->hi = w >= t->hi ? w + 1 : t->hi;
		for (unsigned i = 0; i < WORDS; i++) {
			uint64_t m = mask(i, p.first, p.end);
			assign_bits(&t->record[p.block].host[i], m, mem == DS_HOST_STORE);
			assign_bits(&t->record[p.block].peer[i], m, mem == DS_PEER_STORE);
		}
	}
}

/* Only what has had entries: a range may be the whole window. */
void dev_touch_unmap(uint64_t va, uint64_t len)
{
	struct table *t = table_of(va);
	struct part p;

	if (!t)
		return;
	uint64_t end = va + len;
	for (uint64_t b = next_block(t, (va - t->base) / BLOCK);
	     b < t->nblocks && t->base + b * BLOCK < end; b = next_block(t, b + 1)) {
		uint64_t from = t->base + b * BLOCK < va ? va : t->base + b * BLOCK;
		if (!part_of(t, from, end, &p))
			return;
		if (sampled)
			remember_touched(t, &p);
		else if (p.first == 0 && p.end == BLOCK_PAGES)
			t->mapped[b / 64] &= ~((uint64_t)1 << b % 64);
	}
}

/* Drops what is present of `n` blocks in a row. */
static void drop(const struct table *t, uint64_t first, uint64_t n)
{
	if (n)
		madvise((void *)(t->base + first * BLOCK), n * BLOCK, MADV_DONTNEED);
}

static void drop_touched(void)
{
	for (struct table *t = tables; t < tables + DS_WINDOWS; t++) {
		uint64_t first = 0, n = 0;
		for (uint64_t b = t->record ? next_block(t, 0) : t->nblocks; b < t->nblocks;
		     b = next_block(t, b + 1)) {
			forget_touched(t, b);
			if (n && first + n == b) {
				n++;
				continue;
			}
			drop(t, first, n);
			first = b;
			n = 1;
		}
		drop(t, first, n);
	}
	dev_touch_outside_drop();
	present = false;
}

void dev_touch_begin(bool sample)
{
	if (!sample) {
		present = true;
		return;
	}
	if (present && !sampled)
		drop_touched();
	sampled++;
}

/* For the access counters, and for the report. */
void dev_touch_tell(uint64_t va, const uint64_t *remote)
{
	uint32_t head = atomic_load(&ctl->touched_head);
	struct ds_touched *e = &ctl->touched[head % DS_TOUCHED];

	if (head - atomic_load(&ctl->touched_tail) >= DS_TOUCHED)
		return; /* the host is behind: sampled anyway */
	e->va = va;
	memcpy(e->pages, remote, sizeof e->pages);
	atomic_store(&ctl->touched_head, head + 1);
}

void dev_touch_end(struct ds_launch *l)
{
	uint64_t start = dev_now_ns();

	for (struct table *t = tables; t < tables + DS_WINDOWS; t++) {
		for (uint64_t b = t->record ? next_block(t, 0) : t->nblocks; b < t->nblocks;
		     b = next_block(t, b + 1)) {
			struct part whole = {b, 0, BLOCK_PAGES};
			struct record *r = &t->record[b];
			unsigned nremote = 0;
			remember_touched(t, &whole);
			for (unsigned w = 0; w < WORDS; w++) {
				nremote += (unsigned)__builtin_popcountll(r->remote[w]);
				l->local_pages += (unsigned)__builtin_popcountll(r->local[w]);
				l->peer_pages += (unsigned)__builtin_popcountll(r->via[w]);
			}
			l->remote_pages += nremote;
			if (nremote)
				dev_touch_tell(t->base + b * BLOCK, r->remote);
		}
	}
	l->remote_pages += dev_touch_outside_end();
	drop_touched();
	sampled--;
	l->sample_ns = dev_now_ns() - start;
}
