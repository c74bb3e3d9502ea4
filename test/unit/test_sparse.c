/*
 * Sparse binding: a table from addresses of a device to pages of buffer objects. Every binding
 * is looked at through the device's own page table, also one that forgot its entries; errors
 * change nothing; what fails half way leaves no page that the device could still reach.
 */
#include "core/space/vm.h"
#include "core/sys/inject.h"
#include "fake_dev.h"
#include <gmem/sparse.h>
#include "random.h"
#include <stdio.h>
#include <sys/wait.h>

#define PAGE GM_PAGE_BYTES
#define MIB  ((size_t)1 << 20)
#define RW   (GM_PROT_READ | GM_PROT_WRITE)

static struct gm_as *as;
static struct fake_dev f;
static size_t page; /* of the device */

static void set_up(size_t page_bytes, bool aperture)
{
	gmi_opt.prefetch = GM_PREFETCH_NONE;
	page = page_bytes;
	cr_assert_eq(gm_as_create(0, 256 * MIB, &as), 0);
	fake_open(&f, as, 16 * MIB, page, aperture);
}
static void set_up_plain(void)
{
	set_up(4096, true);
}
static void tear_down(void)
{
	fake_close(&f);
	cr_assert_eq(gm_as_destroy(as), 0);
}

/* A buffer object of n device pages; page i begins with `first + i`. */
static struct gm_bo *object(size_t n, unsigned char first)
{
	struct gm_bo *bo;

	cr_assert_eq(gm_bo_create(f.dev, n * page, &bo), 0);
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)(first + i);
		cr_assert_eq(gm_bo_write(bo, i * page, &c, 1), 0);
	}
	return bo;
}

static struct gm_sparse *range(size_t n)
{
	struct gm_sparse *s;

	cr_assert_eq(gm_sparse_create(as, f.dev, n * page, &s), 0);
	return s;
}

static unsigned char *at(struct gm_sparse *s, size_t i)
{
	return (unsigned char *)gm_sparse_addr(s) + i * page;
}

/* n pages of the object from `from` on at page `to`; bo NULL: unbinds. */
static struct gm_bind change(size_t to, size_t n, struct gm_bo *bo, size_t from)
{
	return (struct gm_bind){.offset = to * page,
				.bytes = n * page,
				.bo = bo,
				.bo_offset = from * page,
				.prot = bo ? RW : 0};
}
static int bind(struct gm_sparse *s, size_t to, size_t n, struct gm_bo *bo, size_t from)
{
	struct gm_bind b = change(to, n, bo, from);

	return gm_sparse_bind(s, &b, 1);
}

static void expect(struct gm_sparse *s, size_t i, int byte) /* -1: not bound */
{
	unsigned char c = 0;
	int err = fake_read(&f, at(s, i), &c);

	cr_assert_eq(err, byte < 0 ? -EFAULT : 0, "page %zu: %d", i, err);
	cr_assert(byte < 0 || c == byte, "page %zu: %d, not %d", i, c, byte);
}

static void binds_and_unbinds(void)
{
	struct gm_bo *a = object(16, 10), *b = object(8, 100);
	struct gm_sparse *s = range(64);
	unsigned char zero = 1;

	cr_assert_eq((uintptr_t)gm_sparse_addr(s) % GM_BLOCK_BYTES, 0);
	cr_assert_eq(gm_bo_read(a, page - 1, &zero, 1), 0);
	cr_assert_eq(zero, 0, "new objects are zero");
	expect(s, 0, -1);
	cr_assert_eq(bind(s, 4, 16, a, 0), 0);
	for (size_t i = 0; i < 16; i++)
		expect(s, 4 + i, 10 + (int)i);
	expect(s, 3, -1);
	expect(s, 20, -1);

	/* A batch in order: over each other, one page twice, a part unbound again. */
	struct gm_bind batch[] = {change(4, 8, b, 0), change(6, 2, NULL, 0), change(40, 1, a, 15),
				  change(41, 1, a, 15), change(5, 1, a, 3)};
	cr_assert_eq(gm_sparse_bind(s, batch, GM_ARRAY_LEN(batch)), 0);
	static const int want[] = {100, 13, -1, -1, 104, 105, 106, 107, 18};
	for (size_t i = 0; i < GM_ARRAY_LEN(want); i++)
		expect(s, 4 + i, want[i]);
	expect(s, 40, 25);
	cr_assert_eq(fake_write(&f, at(s, 40), 77), 0);
	expect(s, 41, 77);
	unsigned char c;
	cr_assert_eq(gm_bo_read(a, 15 * page, &c, 1), 0);
	cr_assert_eq(c, 77, "both are the same memory");

	cr_assert_eq(gm_bo_destroy(a), -EBUSY);
	cr_assert_eq(gm_sparse_destroy(s), 0);
	cr_assert_eq(fake_read(&f, at(s, 40), &c), -EFAULT);
	cr_assert_eq(gm_bo_destroy(a), 0);
	cr_assert_eq(gm_bo_destroy(b), 0);
	cr_assert_eq(gmi_phys_used_bytes(f.dev->phys), 0);
	tear_down();
}
Test(sparse, binds_and_unbinds_4K)
{
	set_up(4096, true);
	binds_and_unbinds();
}
Test(sparse, binds_and_unbinds_64K_without_aperture)
{
	set_up(65536, false);
	binds_and_unbinds();
}

Test(sparse, forgotten_entries_are_given_again, .init = set_up_plain, .fini = tear_down)
{
	struct gm_bo *a = object(4, 1);
	struct gm_sparse *s = range(8), *other = range(8);
	struct gm_bind b = change(0, 4, a, 0);

	b.prot = GM_PROT_READ;
	b.attr = 0xabc;
	cr_assert_eq(gm_sparse_bind(s, &b, 1), 0);
	cr_assert_eq(bind(other, 0, 1, a, 2), 0);
	memset(f.pte, 0, f.npte * sizeof *f.pte);
	unsigned faults = f.faults;
	for (size_t i = 0; i < 4; i++)
		expect(s, i, (int)i + 1);
	expect(other, 0, 3);
	cr_assert_eq(f.faults, faults + 5);
	struct fake_pte *e = &f.pte[((uintptr_t)at(s, 1) - as->base) / PAGE];
	cr_assert_eq(e->attr, 0xabc);
	cr_assert_eq(fake_write(&f, at(s, 1), 9), -EPERM);
	cr_assert_eq(fake_write(&f, at(other, 0), 9), 0);
	expect(s, 2, 9);
	cr_assert_eq(atomic_load(&gmi_stats->dev[f.dev->index].faults), 0, "no far faults");
	cr_assert_eq(gm_sparse_query(s, page + 5, &b), 0);
	cr_assert(b.bo == a && b.offset == page && b.bytes == page && b.bo_offset == page &&
		  b.prot == GM_PROT_READ && b.attr == 0xabc);
	cr_assert_eq(gm_sparse_query(s, 6 * page, &b), 0);
	cr_assert_null(b.bo);
	cr_assert_eq(gm_sparse_destroy(s), 0);
	cr_assert_eq(gm_sparse_destroy(other), 0);
	cr_assert_eq(gm_bo_destroy(a), 0);
}

Test(sparse, bad_arguments_change_nothing, .init = set_up_plain, .fini = tear_down)
{
	struct fake_dev g;
	fake_open(&g, as, 2 * MIB, 4096, true);
	struct gm_bo *a = object(4, 1), *foreign, *bo;
	struct gm_sparse *s = range(8), *r;
	cr_assert_eq(gm_bo_create(g.dev, page, &foreign), 0);
	cr_assert_eq(bind(s, 0, 4, a, 0), 0);

	struct gm_bind bad[] = {
		change(8, 1, a, 0),
		change(0, 9, NULL, 0),
		change(5, 4, a, 0),
		change(0, 1, a, 4),
		change(0, 3, a, 2),
		change(0, 1, foreign, 0),
		change(SIZE_MAX / page, 2, NULL, 0),
		change(0, 1, a, 0),
		change(0, 1, a, 0),
		change(0, 1, a, 0),
		change(0, 1, a, 0),
		change(0, 1, NULL, 0),
		change(0, 1, a, SIZE_MAX / page),
	};
	bad[7].offset = 1;
	bad[8].bytes = page / 2;
	bad[9].prot = 0;
	bad[10].prot = GM_PROT_WRITE;
	bad[11].prot = GM_PROT_READ;
	for (size_t i = 0; i < GM_ARRAY_LEN(bad); i++) {
		struct gm_bind two[] = {change(0, 4, NULL, 0), bad[i]};
		cr_assert_eq(gm_sparse_bind(s, two, 2), -EINVAL, "%zu", i);
		for (size_t k = 0; k < 4; k++)
			expect(s, k, (int)k + 1);
	}
	cr_assert_eq(gm_sparse_bind(NULL, bad, 1), -EINVAL);
	cr_assert_eq(gm_sparse_bind(s, NULL, 1), -EINVAL);
	cr_assert_eq(gm_sparse_bind(s, NULL, 0), 0);
	cr_assert_eq(gm_sparse_query(s, 8 * page, bad), -EINVAL);
	cr_assert_eq(gm_bo_create(f.dev, 0, &bo), -EINVAL);
	cr_assert_eq(gm_bo_create(f.dev, page + 1, &bo), -EINVAL);
	cr_assert_eq(gm_bo_create(NULL, page, &bo), -EINVAL);
	cr_assert_eq(gm_bo_create(f.dev, 17 * MIB, &bo), -ENOSPC);
	cr_assert_eq(gm_sparse_create(as, f.dev, 0, &r), -EINVAL);
	cr_assert_eq(gm_sparse_create(as, f.dev, SIZE_MAX / page * page, &r), -ENOMEM);
	cr_assert_eq(gm_sparse_create(as, NULL, page, &r), -EINVAL);
	unsigned char c[8] = {0};
	cr_assert_eq(gm_bo_write(a, 4 * page - 4, c, 8), -EINVAL);
	cr_assert_eq(gm_bo_read(a, SIZE_MAX, c, 8), -EINVAL);
	cr_assert_eq(gm_bo_read(a, 4 * page, c, 0), 0);
	cr_assert_eq(gm_bo_destroy(NULL), -EINVAL);
	cr_assert_eq(gm_sparse_destroy(NULL), -EINVAL);

	cr_assert_eq(gm_sparse_destroy(s), 0);
	cr_assert_eq(gm_bo_destroy(a), 0);
	cr_assert_eq(gm_bo_destroy(foreign), 0);
	fake_close(&g);
}

/* While they are used nothing goes from under them. */
Test(sparse, what_is_used_does_not_go, .init = set_up_plain)
{
	struct fake_dev g;
	unsigned char c;
	fake_open(&g, as, 2 * MIB, 4096, true);
	struct gm_bo *a = object(4, 1);
	struct gm_sparse *s = range(8);
	cr_assert_eq(bind(s, 0, 4, a, 0), 0);

	/* Another device of the space has nothing there, and nor has the CPU. */
	cr_assert_eq(fake_read(&g, at(s, 0), &c), -EFAULT);
	struct gm_page_info info;
	cr_assert_eq(gm_query(at(s, 0), PAGE, &info), 0);
	cr_assert_eq(info.cpu, 0);

	cr_assert_eq(gm_as_detach(as, f.dev), -EBUSY);
	cr_assert_eq(gm_dev_unregister_physmem(f.dev, gm_dev_hnid(f.dev)), -EBUSY);
	cr_assert_eq(gm_munmap(at(s, 0), PAGE), -EBUSY);
	cr_assert_eq(gm_mprotect(at(s, 0), PAGE, PROT_READ), -EBUSY);
	cr_assert_eq(gm_mremap(at(s, 0), PAGE, 2 * PAGE, MREMAP_MAYMOVE, NULL), MAP_FAILED);
	cr_assert_eq(errno, EBUSY);
	cr_assert_eq(gm_mmap(as, at(s, 1), PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
			     -1, 0),
		     MAP_FAILED);
	cr_assert_eq(errno, EBUSY);
	expect(s, 0, 1);
	cr_assert_eq(gm_sparse_destroy(s), 0);
	cr_assert_eq(gm_as_detach(as, f.dev), 0);
	cr_assert_eq(gm_dev_destroy(f.dev), -EBUSY);
	cr_assert_eq(gm_bo_destroy(a), 0);
	cr_assert_eq(gm_as_attach(as, f.dev, GM_MMU_MODE_SHARE, 1, NULL), 0);
	fake_close(&g);
	tear_down();
}

/* What programs do with managed memory, done to a range: nothing happens to it. */
Test(sparse, other_calls_leave_a_range_alone, .init = set_up_plain, .fini = tear_down)
{
	static const int behaviors[] = {MADV_PREFETCH,	     MADV_DONTNEED,
					GM_MADV_PINNED,	     GM_MADV_UNPINNED,
					GM_MADV_READ_MOSTLY, GM_MADV_PREFERRED_LOCATION,
					GM_MADV_ACCESSED_BY, GM_MADV_DISCARD};
	static const int advice[] = {MADV_DONTNEED, MADV_FREE, MADV_DONTFORK, MADV_HUGEPAGE,
				     MADV_REMOVE};
	struct gm_bo *a = object(4, 1);
	struct gm_sparse *s = range(4);
	unsigned char *p =
		gm_mmap(as, NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int hnid = gm_dev_hnid(f.dev);

	p[0] = 7;
	cr_assert_eq(bind(s, 0, 4, a, 0), 0);
	for (size_t i = 0; i < GM_ARRAY_LEN(behaviors); i++)
		hmadvise(hnid, at(s, 0), 4 * page, behaviors[i]);
	for (size_t i = 0; i < GM_ARRAY_LEN(advice); i++)
		gmi_vm_advise(as, at(s, 0), 4 * page, advice[i]);
	gmi_vm_forget(as, at(s, 0), 4 * page);
	cr_assert_eq(hmemcpy(-1, p, at(s, 0), 8), -EFAULT);
	cr_assert_lt(hmemcpy(hnid, at(s, 0), p, 8), 0);
	cr_assert_lt(gm_as_map(as, f.dev, at(s, 0), page, GM_PROT_READ), 0);
	cr_assert_eq(p[0], 7);
	memset(f.pte, 0, f.npte * sizeof *f.pte);
	for (size_t i = 0; i < 4; i++)
		expect(s, i, (int)i + 1);
	cr_assert_eq(gm_sparse_destroy(s), 0);
	cr_assert_eq(gm_bo_destroy(a), 0);
	cr_assert_eq(gm_munmap(p, PAGE), 0);
}

Test(sparse, managed_pages_make_room, .init = set_up_plain, .fini = tear_down)
{
	unsigned char *p = gm_mmap(as, NULL, 16 * MIB, PROT_READ | PROT_WRITE,
				   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct gm_bo *a, *b;

	for (size_t i = 0; i < 16 * MIB; i += PAGE)
		p[i] = (unsigned char)(i / PAGE);
	cr_assert_eq(hmadvise(gm_dev_hnid(f.dev), p, 16 * MIB, MADV_PREFETCH), 0);
	cr_assert_eq(gm_bo_create(f.dev, 12 * MIB, &a), 0);
	cr_assert_eq(gm_bo_create(f.dev, 6 * MIB, &b), -ENOSPC);
	cr_assert_leq(gmi_phys_used_bytes(f.dev->phys), 16 * MIB);
	struct gm_sparse *s = range(12 * MIB / page);
	cr_assert_eq(bind(s, 0, 12 * MIB / page, a, 0), 0);
	for (size_t i = 0; i < 16 * MIB; i += PAGE)
		cr_assert_eq(fake_write(&f, p + i, (unsigned char)(i / PAGE + 1)), 0);
	for (size_t i = 0; i < 12 * MIB / page; i++)
		expect(s, i, 0);
	for (size_t i = 0; i < 16 * MIB; i += PAGE)
		cr_assert_eq(p[i], (unsigned char)(i / PAGE + 1));
	cr_assert_eq(gm_sparse_destroy(s), 0);
	cr_assert_eq(gm_bo_destroy(a), 0);
	cr_assert_eq(gm_munmap(p, 16 * MIB), 0);
}

/* ---- objects on the host ---- */

/* As an object of a device, but in the host store; several devices of the space may have it. */
static void objects_of_the_host(size_t page_bytes, bool aperture)
{
	struct fake_dev g;
	struct gm_bo *h, *d;
	struct gm_sparse *other;
	unsigned char c, text[] = "host";

	set_up(page_bytes, aperture);
	fake_open(&g, as, 2 * MIB, page, true);
	cr_assert_eq(gm_bo_create_host(as, 8 * page, &h), 0);
	d = object(8, 50);
	cr_assert_eq(gm_bo_read(h, 8 * page - 1, &c, 1), 0);
	cr_assert_eq(c, 0, "new objects are zero");
	for (size_t i = 0; i < 8; i++) {
		c = (unsigned char)(20 + i);
		cr_assert_eq(gm_bo_write(h, i * page, &c, 1), 0);
	}
	struct gm_sparse *s = range(16);
	cr_assert_eq(gm_sparse_create(as, g.dev, 8 * page, &other), 0);
	cr_assert_eq(bind(s, 0, 8, h, 0), 0);
	cr_assert_eq(bind(s, 4, 2, d, 0), 0, "both kinds side by side");
	cr_assert_eq(bind(other, 1, 1, h, 7), 0, "and on the other device");
	static const int want[] = {20, 21, 22, 23, 50, 51, 26, 27, -1};
	for (size_t i = 0; i < GM_ARRAY_LEN(want); i++)
		expect(s, i, want[i]);
	cr_assert_eq(fake_write(&f, at(s, 7) + 5, 99), 0);
	cr_assert_eq(fake_read(&g, at(other, 1) + 5, &c), 0);
	cr_assert_eq(c, 99, "one memory");
	cr_assert_eq(gm_bo_write(h, 7 * page, text, sizeof text), 0);
	cr_assert_eq(fake_read(&g, at(other, 1) + 1, &c), 0);
	cr_assert_eq(c, 'o');
	memset(f.pte, 0, f.npte * sizeof *f.pte);
	expect(s, 0, 20);
	cr_assert_eq(gm_bo_destroy(h), -EBUSY);
	cr_assert_eq(gm_sparse_destroy(s), 0);
	cr_assert_eq(gm_sparse_destroy(other), 0);
	cr_assert_eq(gm_as_detach(as, g.dev), 0);
	uint64_t bytes = as->regions.bytes;
	cr_assert_eq(gm_bo_destroy(h), 0);
	cr_assert_eq(as->regions.bytes, bytes - 8 * page, "its addresses are free");
	cr_assert_eq(gm_bo_destroy(d), 0);
	cr_assert_eq(gm_bo_create_host(as, page + 1, &h), -EINVAL);
	cr_assert_eq(gm_bo_create_host(as, 512 * MIB, &h), -ENOMEM);
	cr_assert_eq(gm_as_attach(as, g.dev, GM_MMU_MODE_COHERENT_EXCLUSIVE, 1, NULL), 0);
	fake_close(&g);
	tear_down();
}
Test(sparse, objects_of_the_host_4K)
{
	objects_of_the_host(4096, true);
}
Test(sparse, objects_of_the_host_64K_without_aperture)
{
	objects_of_the_host(65536, false);
}

/* Heap pages at other addresses of the device, too; the program sees what it writes, and cannot
 * take them away meanwhile. */
Test(sparse, memory_of_the_program, .init = set_up_plain, .fini = tear_down)
{
	unsigned char *p = gm_mmap(as, NULL, MIB, PROT_READ | PROT_WRITE,
				   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
		      c;
	struct gm_bo *u, *ro;

	memset(p, 3, MIB);
	cr_assert_eq(fake_write(&f, p + 2 * page, 4), 0, "it was away before");
	cr_assert_eq(gm_bo_create_user(as, f.dev, p, 16 * page, RW, &u), 0);
	cr_assert_eq(gm_bo_create_user(as, f.dev, p + 32 * page, page, GM_PROT_READ, &ro), 0);
	struct gm_sparse *s = range(64);
	cr_assert_eq(bind(s, 10, 16, u, 0), 0);
	cr_assert_eq(bind(s, 30, 1, u, 2), 0);
	cr_assert_eq(bind(s, 40, 1, ro, 0), -EINVAL, "writing was not allowed");
	expect(s, 12, 4);
	p[2 * page] = 5;
	expect(s, 30, 5);
	cr_assert_eq(fake_write(&f, at(s, 10), 6), 0);
	cr_assert_eq(p[0], 6);
	cr_assert_eq(fake_read(&f, p, &c), 0);
	cr_assert_eq(c, 6, "and where the program has it");
	cr_assert_eq(hmadvise(gm_dev_hnid(f.dev), p, 16 * page, MADV_PREFETCH), -EBUSY);
	cr_assert_eq(gm_munmap(p + page, page), -EBUSY);
	cr_assert_eq(gm_mprotect(p, page, PROT_READ), -EBUSY);
	cr_assert_eq(gm_as_detach(as, f.dev), -EBUSY);
	cr_assert_eq(gm_munmap(p + 40 * page, page), 0, "beside it");
	cr_assert_eq(hmadvise(-1, p, page, MADV_DONTNEED), 0);
	expect(s, 10, 0);
	p[0] = 8;
	expect(s, 10, 8);
	pid_t child = fork();
	if (!child)
		_exit(p[0] != 8 || gm_munmap(p, page) || gm_bo_destroy(u) != 0);
	int status;
	waitpid(child, &status, 0);
	cr_assert_eq(status, 0);
	p[0] = 9;
	expect(s, 10, 9);
	cr_assert_eq(gm_bo_destroy(u), -EBUSY);
	cr_assert_eq(gm_sparse_destroy(s), 0);
	cr_assert_eq(gm_bo_destroy(u), 0);
	cr_assert_eq(gm_bo_destroy(ro), 0);
	cr_assert_eq(gm_munmap(p, MIB), 0);
	cr_assert_eq(gm_bo_create_user(as, f.dev, p, page, RW, &u), -EFAULT);
}

/* ---- at random, against a table ---- */

enum { OBJECTS = 3, OBJECT_PAGES = 48, RANGE_PAGES = 96 };

struct model {
	struct gm_bo *bo[OBJECTS];
	struct gm_sparse *s;
	int byte[RANGE_PAGES]; /* what the first byte of each page is; -1: not bound */
};

static void model_open(struct model *m)
{
	for (int i = 0; i < OBJECTS; i++)
		m->bo[i] = object(OBJECT_PAGES, (unsigned char)(i * 64));
	m->s = range(RANGE_PAGES);
	for (int i = 0; i < RANGE_PAGES; i++)
		m->byte[i] = -1;
}

static void model_close(struct model *m)
{
	cr_assert_eq(gm_sparse_destroy(m->s), 0);
	for (int i = 0; i < OBJECTS; i++)
		cr_assert_eq(gm_bo_destroy(m->bo[i]), 0);
}

/* One random batch; `old` and `m->byte` are what each page was and is to be. */
static int random_batch(struct model *m, int *old)
{
	struct gm_bind b[70];
	unsigned n = rng_below(GM_ARRAY_LEN(b)) + 1;

	memcpy(old, m->byte, sizeof m->byte);
	for (unsigned i = 0; i < n; i++) {
		unsigned k = rng_below(8) + 1, to = rng_below(RANGE_PAGES - k),
			 o = rng_below(OBJECTS + 1);
		unsigned from = rng_below(OBJECT_PAGES - k);
		b[i] = change(to, k, o < OBJECTS ? m->bo[o] : NULL, from);
		for (unsigned j = 0; j < k; j++)
			m->byte[to + j] = o < OBJECTS ? (int)(o * 64 + from + j) : -1;
	}
	return gm_sparse_bind(m->s, b, n);
}

Test(sparse, random_batches_against_a_table, .init = set_up_plain, .fini = tear_down)
{
	struct model m;
	int old[RANGE_PAGES];

	rng_seed("sparse");
	model_open(&m);
	for (int turn = 0; turn < 3000; turn++) {
		cr_assert_eq(random_batch(&m, old), 0);
		if (turn % 64 == 0)
			memset(f.pte, 0, f.npte * sizeof *f.pte);
		for (size_t i = 0; i < RANGE_PAGES; i++)
			expect(m.s, i, m.byte[i]);
	}
	model_close(&m);
}

/* ---- failing ---- */

/* After an error each page is as before, as it was to be, as a change of the batch made it
 * meanwhile, or unbound. */
static void one_failure(const char *spec, unsigned long *failed)
{
	struct model m;
	int old[RANGE_PAGES];

	model_open(&m);
	for (int turn = 0; turn < 20; turn++) {
		cr_assert_eq(random_batch(&m, old), 0);
		cr_assert_eq(gmi_inject(spec), 0);
		int err = random_batch(&m, old);
		gmi_inject("");
		*failed += err != 0;
		for (size_t i = 0; i < RANGE_PAGES && err; i++) {
			struct gm_bind b;
			cr_assert_eq(gm_sparse_query(m.s, i * page, &b), 0);
			for (int o = 0; o < OBJECTS && b.bo; o++)
				if (b.bo == m.bo[o])
					m.byte[i] = (int)((size_t)o * 64 + b.bo_offset / page);
			m.byte[i] = b.bo ? m.byte[i] : -1;
		}
		for (size_t i = 0; i < RANGE_PAGES; i++)
			/* the device has what the table says, and nothing else */
			expect(m.s, i, m.byte[i]);
	}
	model_close(&m);
}

Test(sparse, a_driver_that_fails, .init = set_up_plain, .fini = tear_down)
{
	unsigned long failed = 0;
	char spec[32];

	gmi_log_level = GM_LOG_NONE;
	rng_seed("sparse failing");
	for (unsigned n = 1; n <= 3; n++) {
		snprintf(spec, sizeof spec, "map@%u", n);
		one_failure(spec, &failed);
		snprintf(spec, sizeof spec, "unmap@%u", n);
		one_failure(spec, &failed);
	}
	cr_assert_gt(failed, 0);
}

/* It fails in the middle, by itself; and then it cannot unbind either. */
Test(sparse, a_driver_that_is_lost, .init = set_up_plain)
{
	struct gm_bo *a = object(4, 1), *b = object(4, 50);
	struct gm_sparse *s = range(4);
	struct gm_bind batch[] = {change(0, 1, b, 3), change(1, 1, b, 1), change(2, 1, b, 0)};

	gmi_log_level = GM_LOG_NONE;
	cr_assert_eq(bind(s, 0, 4, a, 0), 0);
	f.fail_kind = GM_OP_MAP;
	f.fail_after = 1;
	cr_assert_eq(gm_sparse_bind(s, batch, 3), -EIO);
	f.fail_kind = -1;
	for (size_t i = 0; i < 3; i++)
		expect(s, i, -1);
	expect(s, 3, 4);
	cr_assert_eq(gm_bo_destroy(b), 0, "none of it is bound");
	b = object(4, 50);
	cr_assert_eq(bind(s, 0, 4, a, 0), 0);
	f.fail_kind = GM_OP_MAP;
	f.fail_after = 1;
	cr_assert_eq(gmi_inject("unmap@1"), 0);
	cr_assert_eq(gm_sparse_bind(s, batch, 3), -EIO);
	gmi_inject("");
	f.fail_kind = -1;
	expect(s, 3, 4);
	cr_assert_eq(gm_bo_destroy(b), -EBUSY, "the device may reach it");
	cr_assert_eq(gm_bo_destroy(a), -EBUSY);
	cr_assert_eq(gm_sparse_destroy(s), 0);
	cr_assert_eq(gm_bo_destroy(a), 0);
	cr_assert_eq(gm_bo_destroy(b), -EBUSY, "for ever");
}

Test(sparse, objects_that_cannot_be_made, .init = set_up_plain, .fini = tear_down)
{
	static const char *const sites[] = {"alloc@1", "frame@3+", "hostmem@2", "zero@1"};
	struct gm_bo *bo;
	struct gm_sparse *s;
	unsigned char c = 1;

	gmi_log_level = GM_LOG_NONE;
	for (size_t i = 0; i < GM_ARRAY_LEN(sites); i++) {
		cr_assert_eq(gmi_inject(sites[i]), 0);
		cr_assert_lt(gm_bo_create(f.dev, 8 * page, &bo), 0, "%s", sites[i]);
		cr_assert_eq(gmi_phys_used_bytes(f.dev->phys), 0);
	}
	cr_assert_eq(gmi_inject("alloc@1"), 0);
	cr_assert_eq(gm_sparse_create(as, f.dev, 8 * page, &s), -ENOMEM);
	bo = object(2, 5);
	cr_assert_eq(gmi_inject("copyin@1,copyout@1"), 0);
	cr_assert_eq(gm_bo_write(bo, 0, &c, 1), -EIO);
	cr_assert_eq(gm_bo_read(bo, 0, &c, 1), -EIO);
	cr_assert_eq(gm_bo_read(bo, 0, &c, 1), 0);
	cr_assert_eq(c, 5);
	cr_assert_eq(gm_bo_destroy(bo), 0);
}

/* ---- from several threads, and in a child ---- */

struct binder {
	struct gm_sparse *s;
	struct gm_bo *bo[2];
	_Atomic bool stop;
};
static void *bind_on(void *arg)
{
	struct binder *b = arg;

	for (unsigned i = 0; !atomic_load(&b->stop); i++)
		cr_assert_eq(bind(b->s, 0, 8, b->bo[i % 2], 0), 0);
	return NULL;
}

Test(sparse, readers_see_the_old_page_or_the_new, .init = set_up_plain, .fini = tear_down)
{
	struct binder b = {.s = range(8), .bo = {object(8, 10), object(8, 20)}};
	pthread_t t;

	cr_assert_eq(bind(b.s, 0, 8, b.bo[0], 0), 0);
	cr_assert_eq(pthread_create(&t, NULL, bind_on, &b), 0);
	for (size_t i = 0; i < 200000; i++) {
		unsigned char c = 0;
		cr_assert_eq(fake_read(&f, at(b.s, i % 8), &c), 0, "never unbound");
		cr_assert(c == 10 + i % 8 || c == 20 + i % 8, "page %zu: %d", i % 8, c);
	}
	atomic_store(&b.stop, true);
	pthread_join(t, NULL);
	cr_assert_eq(gm_sparse_destroy(b.s), 0);
	cr_assert_eq(gm_bo_destroy(b.bo[0]), 0);
	cr_assert_eq(gm_bo_destroy(b.bo[1]), 0);
}

Test(sparse, a_fork_child_has_handles_only, .init = set_up_plain, .fini = tear_down)
{
	struct gm_bo *a = object(4, 1);
	struct gm_sparse *s = range(4);
	unsigned char *p =
		gm_mmap(as, NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int status;

	p[0] = 1;
	cr_assert_eq(fake_write(&f, p, 3), 0);
	cr_assert_eq(bind(s, 0, 4, a, 0), 0);
	pid_t child = fork();
	if (child == 0) {
		unsigned char c;
		bool ok = bind(s, 0, 1, NULL, 0) == -ENODEV && gm_bo_read(a, 0, &c, 1) == -ENODEV &&
			  gm_as_destroy(as) == -EBUSY && !gm_sparse_destroy(s) &&
			  !gm_bo_destroy(a) && p[0] == 3 && !gm_as_destroy(as);
		_exit(ok ? 0 : 1);
	}
	cr_assert_eq(waitpid(child, &status, 0), child);
	cr_assert_eq(status, 0);
	expect(s, 2, 3);
	cr_assert_eq(gm_sparse_destroy(s), 0);
	cr_assert_eq(gm_bo_destroy(a), 0);
}
