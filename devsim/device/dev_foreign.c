/*
 * dev_foreign.c - memory of the program outside every window (its stacks, its variables), for
 * the time of a region.
 *
 * A touch brings in the readable pages of the 64 KiB chunk around it: they are written to a file
 * of ours, and appear at the program's own address as a private mapping of it. So the file keeps
 * the twin of what a region writes, and the page table knows which pages were written. When a
 * region ends (and when one starts beside others) all of them go: what differs from its twin is
 * sent back, byte by byte, so that bytes beside it which the CPU has changed meanwhile survive.
 * The next touch brings in what the program has then.
 *
 * One lock; it is taken in the SIGSEGV handler. Whoever holds it touches only private memory and
 * the control area, and may wait for the host's service thread, which never waits for us.
 */
#include "devsim/device/dev.h"
#include "devsim/device/dev_region.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE   ((uint64_t)4096)
#define CHUNKS (1u << 16) /* 4 GiB of foreign memory at a time; power of two */
#define USABLE (CHUNKS / 4 * 3)
#define KEPT   64 /* chunks of the file whose memory stays for the next region */

struct chunk {
	uint64_t va;   /* 0: empty slot */
	uint32_t nth;  /* its place in the file: which of those in use */
	uint32_t here; /* one bit each page */
};
static struct chunk table[CHUNKS];
static uint32_t used[CHUNKS]; /* slots in the order of their use */
static unsigned nused;
static int file = -1;
static unsigned char *twins;   /* the file */
static unsigned char *scratch; /* where a chunk is while it is compared */
static _Atomic uint32_t foreign_lock;
static _Atomic unsigned regions; /* running, that may touch foreign memory */

/* ---- chunks ---- */

static struct chunk *chunk_of(uint64_t va)
{
	uint32_t i = (uint32_t)((va / DS_FOREIGN_BYTES * 0x9e3779b97f4a7c15u) >> 48);

	while (table[i].va && table[i].va != va)
		i = (i + 1) % CHUNKS;
	if (!table[i].va) {
		if (nused >= USABLE)
			return NULL;
		table[i] = (struct chunk){.va = va, .nth = nused};
		used[nused++] = i;
	}
	return &table[i];
}

static uint64_t place_chunk(const struct chunk *c)
{
	return (uint64_t)c->nth * DS_FOREIGN_BYTES;
}

/* ---- bringing in ---- */

static bool make_file(void)
{
	uint64_t bytes = (uint64_t)USABLE * DS_FOREIGN_BYTES;

	if (scratch)
		return true;
	if (file < 0 && ((file = memfd_create("gmem-foreign", MFD_CLOEXEC)) < 0 ||
			 ftruncate(file, (off_t)bytes)))
		return false;
	if (!twins) {
		void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE,
			       file, 0);
		if (p == MAP_FAILED)
			return false;
		twins = p;
	}
	void *p = mmap(NULL, DS_FOREIGN_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	scratch = p == MAP_FAILED ? NULL : p;
	return scratch;
}

/* Pages of the file appear at their address at once, unless this process has something of its
 * own there. */
static bool publish(const struct chunk *c, unsigned first, unsigned n)
{
	void *at = (void *)(c->va + first * PAGE);
	void *p = mmap(at, n * PAGE, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_NORESERVE | MAP_FIXED_NOREPLACE, file,
		       (off_t)(place_chunk(c) + first * PAGE));

	if (p != MAP_FAILED && p != at) /* a kernel that takes the address for a hint */
		munmap(p, n * PAGE);
	return p == at;
}

static uint32_t bits(unsigned first, unsigned n)
{
	return (uint32_t)(((1ull << n) - 1) << first);
}

/* The first run of `set`, taken out of it. */
static unsigned next_run(uint32_t *set, unsigned *first)
{
	unsigned n = 1;

	*first = (unsigned)__builtin_ctz(*set);
	while (*first + n < DS_FOREIGN_PAGES && *set & 1u << (*first + n))
		n++;
	*set &= ~bits(*first, n);
	return n;
}

/* The pages of `set`, run by run; where a run collides, page by page. */
static void publish_set(struct chunk *c, uint32_t set, const unsigned char *from)
{
	while (set) {
		unsigned first, n = next_run(&set, &first);
		memcpy(twins + place_chunk(c) + first * PAGE, from + first * PAGE, n * PAGE);
		if (publish(c, first, n)) {
			c->here |= bits(first, n);
			continue;
		}
		for (unsigned i = first; n > 1 && i < first + n; i++)
			if (publish(c, i, 1))
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

bool dev_foreign_fault(uint64_t va, bool execute)
{
	int err = 0;

	if (!atomic_load(&regions) || execute)
		return false;
	dev_lock(&foreign_lock);
	struct chunk *c = chunk_of(va / DS_FOREIGN_BYTES * DS_FOREIGN_BYTES);
	unsigned page = (unsigned)(va % DS_FOREIGN_BYTES / PAGE);
	if (!c || !make_file())
		err = -ENOMEM;
	else if (!(c->here & bits(page, 1)))
		err = fetch(c, page);
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

static void send_chunk(struct sender *s)
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
		send_chunk(s);
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
 * Exactly the bytes that differ: equal ones inside a run would overwrite what the CPU may have
 * changed. So runs are cut at every equal byte, and only sent together.
 */
static void send_page(struct sender *s, uint64_t va, const unsigned char *now,
		      const unsigned char *twin)
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

/* Which of the n pages at va are no longer the file's: written. Without /proc: all may be. */
static uint32_t written(const unsigned char *va, unsigned n)
{
	static int pagemap = -1;
	uint64_t entry[DS_FOREIGN_PAGES], present = 3ull << 62, of_file = 1ull << 61;
	uint32_t set = 0;

	if (pagemap < 0)
		pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	if (pread(pagemap, entry, n * sizeof entry[0],
		  (off_t)((uintptr_t)va / PAGE * sizeof entry[0])) !=
	    (ssize_t)(n * sizeof entry[0]))
		return bits(0, n);
	for (unsigned i = 0; i < n; i++)
		if (entry[i] & present && !(entry[i] & of_file))
			set |= bits(i, 1);
	return set;
}

/* Others may still run: pages leave their address before they are looked at, and they fault and
 * wait for the lock. */
static bool flush_run(struct sender *s, const struct chunk *c, unsigned first, unsigned n)
{
	uint64_t va = c->va + first * PAGE;

	if (mremap((void *)va, n * PAGE, n * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, scratch) !=
	    scratch)
		return false;
	for (uint32_t set = written(scratch, n); set; set &= set - 1) {
		unsigned i = (unsigned)__builtin_ctz(set);
		send_page(s, va + i * PAGE, scratch + i * PAGE,
			  twins + place_chunk(c) + (first + i) * PAGE);
	}
	return true;
}

static void flush_chunk(struct sender *s, const struct chunk *c)
{
	uint32_t set = c->here;

	while (set) {
		unsigned first, n = next_run(&set, &first);
		if (flush_run(s, c, first, n))
			continue;
		/* it came in parts: several mappings */
		for (unsigned i = first; i < first + n; i++)
			flush_run(s, c, i, 1);
	}
}

/*
 * The end of what is to be sent, with the launch: its thread writes it, and no other need wake
 * up for it. Not beside other regions: what they wrote is in it as well, and they may ask for it
 * at once.
 */
static bool leave_with(struct ds_launch *l, struct sender *s)
{
	if (!s->f || !l || l->nblocks > 1 || atomic_load(&regions) > 1 ||
	    s->f->bytes > sizeof l->written)
		return false;
	memcpy(l->written, ctl->foreign[s->f - ctl->fault], s->f->bytes);
	l->written_bytes = s->f->bytes;
	dev_fault_release(s->f);
	return true;
}

/* Lock held. Twins of all chunks are compared before the table is cleared. ending: the launch
 * whose region ends, or NULL. */
static int flush_twins(struct ds_launch *ending, uint64_t *va)
{
	struct sender s = {0};

	for (unsigned i = 0; i < nused; i++)
		flush_chunk(&s, &table[used[i]]);
	if (!leave_with(ending, &s))
		send_chunk(&s);
	for (unsigned i = 0; i < nused; i++)
		table[used[i]].va = 0;
	if (nused > KEPT)
		fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			  (off_t)KEPT * DS_FOREIGN_BYTES, (off_t)(nused - KEPT) * DS_FOREIGN_BYTES);
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
	int err = flush_twins(NULL, &va);
	dev_unlock(&foreign_lock);
	if (err)
		dev_kernel_fail(err, va, 0);
}

void dev_region_sync(void)
{
	uint64_t va = 0;

	dev_lock(&foreign_lock);
	int err = flush_twins(NULL, &va);
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
		err = flush_twins(dev_this_launch(), &va);
		atomic_fetch_sub(&regions, 1);
		dev_unlock(&foreign_lock);
	}
	dev_kernel_end_library();
	if (err)
		dev_kernel_fail(err, va, 0);
}
