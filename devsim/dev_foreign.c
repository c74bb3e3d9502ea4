/*
 * dev_foreign.c - memory of the program outside every window (its stacks, its variables), for the time of a region.
 *
 * A touch brings in the readable pages of the 64 KiB chunk around it, as private memory at the program's own address.
 * They are mapped read-only; the first write to one makes a twin of it. When a region ends (and when one starts beside
 * others) all of them go: what differs from its twin is sent back, byte by byte, so that bytes beside it which the CPU has
 * changed meanwhile survive. The next touch brings in what the program has then.
 *
 * One lock; it is taken in the SIGSEGV handler. Whoever holds it touches only private memory and the control area, and
 * may wait for the host's service thread, which never waits for us.
 */
#include "dev.h"
#include "dev_region.h"
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#define PAGE   ((uint64_t)4096)
#define CHUNKS (1u << 16) /* 4 GiB of foreign memory at a time; power of two */

struct chunk {
	uint64_t va;		/* 0: empty slot */
	uint32_t here, changed; /* one bit each page */
	unsigned char *twin;	/* DS_FOREIGN_BYTES; of the changed pages */
};
static struct chunk table[CHUNKS];
static uint32_t used[CHUNKS]; /* slots in the order of their use */
static unsigned nused;
static unsigned char *scratch;	 /* where a page is while it is compared */
static unsigned char *spare[64]; /* twins to be used again */
static unsigned nspare;
static _Atomic uint32_t foreign_lock;
static _Atomic unsigned regions; /* running, that may touch foreign memory */

/* ---- chunks ---- */

static struct chunk *chunk_of(uint64_t va)
{
	uint32_t i = (uint32_t)((va / DS_FOREIGN_BYTES * 0x9e3779b97f4a7c15u) >> 48);

	while (table[i].va && table[i].va != va)
		i = (i + 1) % CHUNKS;
	if (!table[i].va) {
		if (nused >= CHUNKS / 4 * 3)
			return NULL;
		table[i] = (struct chunk){.va = va};
		used[nused++] = i;
	}
	return &table[i];
}

static unsigned char *private_pages(uint64_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

static unsigned char *twin_of(struct chunk *c)
{
	if (!c->twin)
		c->twin = nspare ? spare[--nspare] : private_pages(DS_FOREIGN_BYTES);
	return c->twin;
}

static void drop_twin(struct chunk *c)
{
	if (!c->twin)
		return;
	if (nspare < DEV_ARRAY_LEN(spare))
		spare[nspare++] = c->twin;
	else
		munmap(c->twin, DS_FOREIGN_BYTES);
	c->twin = NULL;
}

/* ---- bringing in ---- */

/* Filled pages appear at va at once, unless this process has something of its own there. */
static bool publish(uint64_t va, const unsigned char *from, uint64_t bytes)
{
	unsigned char *p = private_pages(bytes);

	if (!p)
		return false;
	memcpy(p, from, bytes);
	mprotect(p, bytes, PROT_READ);
	void *room =
		mmap((void *)va, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	if (room == (void *)va && mremap(p, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, room) == room)
		return true;
	if (room != MAP_FAILED)
		munmap(room, bytes);
	munmap(p, bytes);
	return false;
}

static uint32_t bits(unsigned first, unsigned n)
{
	return (uint32_t)(((1ull << n) - 1) << first);
}

/* The pages of `set`, run by run; where a run collides, page by page. */
static void publish_set(struct chunk *c, uint32_t set, const unsigned char *from)
{
	while (set) {
		unsigned first = (unsigned)__builtin_ctz(set), n = 1;
		while (first + n < DS_FOREIGN_PAGES && set & 1u << (first + n))
			n++;
		set &= ~bits(first, n);
		if (publish(c->va + first * PAGE, from + first * PAGE, n * PAGE)) {
			c->here |= bits(first, n);
			continue;
		}
		for (unsigned i = first; n > 1 && i < first + n; i++)
			if (publish(c->va + i * PAGE, from + i * PAGE, PAGE))
				c->here |= bits(i, 1);
	}
}

/* 0, or -EFAULT: the program has nothing readable there; -EBUSY: we have. */
static int fetch(struct chunk *c, unsigned page)
{
	struct ds_fault *f = dev_fault_claim();

	f->kind = DS_F_FOREIGN_READ;
	f->va = c->va + page * PAGE;
	f->bytes = 0;
	int err = dev_fault_ask(f);
	if (!err)
		publish_set(c, f->pages & ~c->here, ctl->foreign[f - ctl->fault]);
	dev_fault_release(f);
	return err ? err : c->here & bits(page, 1) ? 0 : -EBUSY;
}

static int make_writable(struct chunk *c, unsigned page)
{
	unsigned char *at = (unsigned char *)(c->va + page * PAGE), *twin = twin_of(c);

	if (!twin)
		return -ENOMEM;
	memcpy(twin + page * PAGE, at, PAGE);
	c->changed |= bits(page, 1);
	return mprotect(at, PAGE, PROT_READ | PROT_WRITE) ? -ENOMEM : 0;
}

bool dev_foreign_fault(uint64_t va, bool write, bool execute)
{
	int err = 0;

	if (!atomic_load(&regions) || execute)
		return false;
	dev_lock(&foreign_lock);
	struct chunk *c = chunk_of(va / DS_FOREIGN_BYTES * DS_FOREIGN_BYTES);
	unsigned page = (unsigned)(va % DS_FOREIGN_BYTES / PAGE);
	if (!c)
		err = -ENOMEM;
	else if (!(c->here & bits(page, 1)))
		err = fetch(c, page);
	if (!err && write && !(c->changed & bits(page, 1)))
		err = make_writable(c, page);
	dev_unlock(&foreign_lock);
	if (err && err != -EFAULT)
		dev_kernel_fail(err, va, 0);
	return !err;
}

/* ---- sending back ---- */

struct sender {
	struct ds_fault *f; /* being filled; NULL: none */
	int err;	    /* the first one, and where */
	uint64_t va;
};

static void send(struct sender *s)
{
	if (!s->f)
		return;
	int err = dev_fault_ask(s->f);
	if (err && !s->err) {
		s->err = err;
		s->va = s->f->va;
	}
	dev_fault_release(s->f);
	s->f = NULL;
}

static void add_run(struct sender *s, uint64_t va, const unsigned char *from, uint32_t bytes)
{
	struct ds_foreign_run run = {.va = va, .bytes = bytes};

	if (s->f && s->f->bytes + sizeof run + bytes > DS_FOREIGN_BYTES)
		send(s);
	if (!s->f) {
		s->f = dev_fault_claim();
		s->f->kind = DS_F_FOREIGN_WRITE;
		s->f->va = va;
		s->f->bytes = 0;
	}
	unsigned char *at = ctl->foreign[s->f - ctl->fault] + s->f->bytes;
	memcpy(at, &run, sizeof run);
	memcpy(at + sizeof run, from, bytes);
	s->f->bytes += (uint32_t)sizeof run + bytes;
}

/*
 * Exactly the bytes that differ: equal ones inside a run would overwrite what the CPU may have changed. So runs are
 * cut at every equal byte, and only sent together.
 */
static void send_page(struct sender *s, uint64_t va, const unsigned char *now, const unsigned char *twin)
{
	for (unsigned i = 0; i < PAGE;) {
		if (i % 8 == 0 && !memcmp(now + i, twin + i, 8)) {
			i += 8;
			continue;
		}
		if (now[i] == twin[i]) {
			i++;
			continue;
		}
		unsigned first = i;
		while (i < PAGE && now[i] != twin[i])
			i++;
		add_run(s, va + first, now + first, i - first);
	}
}

/* Others may still run: a page leaves its address before it is looked at, and they fault and wait for the lock. */
static void flush_chunk(struct sender *s, struct chunk *c)
{
	for (unsigned i = 0; i < DS_FOREIGN_PAGES; i++) {
		if (!(c->changed & bits(i, 1)))
			continue;
		void *at = (void *)(c->va + i * PAGE);
		if (mremap(at, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, scratch) == scratch)
			send_page(s, c->va + i * PAGE, scratch, c->twin + i * PAGE);
		c->here &= ~bits(i, 1);
	}
	for (unsigned i = 0; i < DS_FOREIGN_PAGES; i++) {
		unsigned n = 0;
		while (i + n < DS_FOREIGN_PAGES && c->here & bits(i + n, 1))
			n++;
		if (n)
			munmap((void *)(c->va + i * PAGE), n * PAGE);
		i += n;
	}
	drop_twin(c);
}

/* Lock held. Twins of all chunks are compared before the table is cleared. */
static int flush(uint64_t *va)
{
	struct sender s = {0};

	if (nused && !scratch)
		scratch = private_pages(PAGE);
	for (unsigned i = 0; i < nused; i++)
		flush_chunk(&s, &table[used[i]]);
	send(&s);
	for (unsigned i = 0; i < nused; i++)
		table[used[i]].va = 0;
	nused = 0;
	*va = s.va;
	return s.err;
}

/* ---- regions ---- */

void dev_region_begin(bool foreign)
{
	uint64_t va;

	dev_kernel_begin_library();
	if (!foreign)
		return;
	dev_lock(&foreign_lock);
	atomic_fetch_add(&regions, 1);
	int err = flush(&va);
	dev_unlock(&foreign_lock);
	if (err)
		dev_kernel_fail(err, va, 0);
}

void dev_region_end(bool foreign)
{
	uint64_t va = 0;
	int err = 0;

	if (foreign) {
		dev_lock(&foreign_lock);
		err = flush(&va);
		atomic_fetch_sub(&regions, 1);
		dev_unlock(&foreign_lock);
	}
	dev_kernel_end_library();
	if (err)
		dev_kernel_fail(err, va, 0);
}
