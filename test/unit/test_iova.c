/*
 * Tables of device addresses that are not the CPU's: buffers of bytes get addresses, several tables
 * may have the same ones, and what is unmapped is out of reach. Every access goes through the fake
 * device's own page table.
 */
#include "core/space/sparse.h"
#include "fake_dev.h"
#include "random.h"
#include <sys/wait.h>

#define PAGE GM_PAGE_BYTES
#define MIB  ((size_t)1 << 20)
#define RW   (GM_PROT_READ | GM_PROT_WRITE)
#define LOW  (4 * MIB) /* addresses that a guest would choose; the CPU has them too, or not */

static struct gm_as *as;
static struct fake_dev f;
static unsigned char *p;

/* A table as the device sees it: like a space with a page table of its own. */
struct table {
	struct fake_dev dev;
	struct gm_iova *iova;
};
static struct table *making;

static int table_create(void *data, struct gm_as *space, void **pmap)
{
	if (!making)
		return fake_pmap_create(data, space, pmap);
	making->dev = (struct fake_dev){.fail_kind = -1, .lock = PTHREAD_MUTEX_INITIALIZER};
	making->dev.mmu = f.mmu;
	return fake_pmap_create(&making->dev, space, pmap);
}

static void set_up(void)
{
	gmi_opt.prefetch = GM_PREFETCH_NONE;
	cr_assert_eq(gm_as_create(0, 64 * MIB, &as), 0);
	fake_open(&f, as, 8 * MIB, PAGE, true);
	f.mmu.pmap_create = table_create;
	p = gm_mmap(as, NULL, 4 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	memset(p, 1, 4 * MIB);
}
static void tear_down(void)
{
	fake_close(&f);
	cr_assert_eq(gm_as_destroy(as), 0);
}

static void open_table(struct table *t, uint64_t begin, uint64_t end)
{
	making = t;
	cr_assert_eq(gm_iova_create(as, f.dev, begin, end, &t->iova), 0);
	making = NULL;
}

/* The device's access at its own address: its space is the table, its host memory our store. */
static int touch(struct table *t, uint64_t at, bool write, unsigned char *c)
{
	struct fake_pte *e = &t->dev.pte[(at - t->dev.as->base) / PAGE];

	while (!(e->prot & (write ? GM_PROT_WRITE : GM_PROT_READ))) {
		int err = gm_dev_fault(t->dev.as, at, f.dev, write ? GM_HINT_WRITE : GM_HINT_READ);
		if (err)
			return err;
	}
	cr_assert_eq(e->mem, GM_MEM_HOST);
	unsigned char *byte = (unsigned char *)as->store.alias + e->pa + at % PAGE;
	*(write ? byte : c) = *(write ? c : byte);
	return 0;
}

TestSuite(iova, .init = set_up, .fini = tear_down, .timeout = 60);

Test(iova, buffers_of_bytes_get_addresses)
{
	struct table t;
	uint64_t a = 0, b = 0, fixed = LOW + 9 * PAGE + 100;
	unsigned char c = 7;

	open_table(&t, LOW, LOW + 2 * MIB);
	cr_assert_eq(gm_iova_map(t.iova, p + 100, 1500, RW, &a), 0);
	cr_assert_eq(gm_iova_map(t.iova, p + 1700, 3000, GM_PROT_READ, &b), 0, "shares a page");
	cr_expect(a >= LOW && b >= LOW && a != b && a % PAGE == 100 && b % PAGE == 1700);
	p[100] = 50;
	p[4699] = 60;
	cr_assert_eq(touch(&t, a, false, &c), 0);
	cr_expect_eq(c, 50);
	cr_assert_eq(touch(&t, b + 2999, false, &c), 0);
	cr_expect_eq(c, 60);
	c = 70;
	cr_assert_eq(touch(&t, a + 1, true, &c), 0);
	cr_expect_eq(p[101], 70);
	cr_expect_eq(touch(&t, b, true, &c), -EPERM);
	cr_assert_eq(gm_iova_map(t.iova, p + MIB + 100, 10, RW, &fixed), 0);
	cr_expect_eq(fixed, LOW + 9 * PAGE + 100);
	cr_assert_eq(touch(&t, fixed, true, &c), 0);
	cr_expect_eq(p[MIB + 100], 70);

	/* What the driver forgot it gets again; what is unmapped it does not. */
	memset(t.dev.pte, 0, t.dev.npte * sizeof *t.dev.pte);
	cr_assert_eq(touch(&t, a, false, &c), 0);
	cr_expect_eq(c, 50);
	cr_assert_eq(gm_iova_unmap(t.iova, a, 1500), 0);
	cr_expect_eq(touch(&t, a, false, &c), -EFAULT);
	cr_assert_eq(touch(&t, b, false, &c), 0, "the other has the page still");
	cr_expect_eq(gm_iova_unmap(t.iova, a, 1500), -ENOENT);
	cr_expect_eq(gm_iova_unmap(t.iova, b, 2 * PAGE), -ENOENT, "not as it was mapped");
	cr_assert_eq(gm_iova_destroy(t.iova), 0);
	cr_assert_eq(gm_munmap(p, PAGE), 0, "nobody holds it");
}

Test(iova, two_tables_have_the_same_addresses)
{
	struct table one, two;
	uint64_t at = LOW + 3 * PAGE, same = at;
	unsigned char c = 0;

	open_table(&one, LOW, LOW + 2 * MIB);
	open_table(&two, LOW, LOW + 2 * MIB);
	cr_assert_eq(gm_iova_map(one.iova, p, PAGE, RW, &at), 0);
	cr_assert_eq(gm_iova_map(two.iova, p + PAGE, PAGE, RW, &same), 0);
	cr_assert_eq(at, same);
	p[0] = 11;
	p[PAGE] = 22;
	cr_assert_eq(touch(&one, at, false, &c), 0);
	cr_expect_eq(c, 11);
	cr_assert_eq(touch(&two, at, false, &c), 0);
	cr_expect_eq(c, 22);
	cr_assert_eq(gm_iova_unmap(one.iova, at, PAGE), 0);
	cr_expect_eq(touch(&one, at, false, &c), -EFAULT);
	cr_assert_eq(touch(&two, at, true, &c), 0);
	cr_assert_eq(gm_iova_destroy(one.iova), 0);
	cr_assert_eq(gm_iova_destroy(two.iova), 0);
}

Test(iova, bad_arguments_and_what_is_used_does_not_go)
{
	struct table t;
	struct gm_iova *v;
	uint64_t a = 0, out = LOW - PAGE, taken, odd = LOW + 1;

	cr_expect_eq(gm_iova_create(as, f.dev, 0, 2 * MIB, &v), -EINVAL);
	cr_expect_eq(gm_iova_create(as, f.dev, LOW, LOW + PAGE, &v), -EINVAL);
	cr_expect_eq(gm_iova_create(as, NULL, LOW, 2 * LOW, &v), -EINVAL);
	open_table(&t, LOW, LOW + 2 * MIB);
	cr_assert_eq(gm_iova_map(t.iova, p, 2 * MIB, RW, &a), 0, "all of it");
	uint64_t none = 0;
	cr_expect_eq(gm_iova_map(t.iova, p + 3 * MIB, 1, RW, &none), -ENOSPC);
	taken = a;
	cr_expect_eq(gm_iova_map(t.iova, p + 3 * MIB, 1, RW, &taken), -EEXIST);
	cr_expect_eq(gm_iova_map(t.iova, p + 3 * MIB, 1, RW, &out), -EINVAL);
	cr_expect_eq(gm_iova_map(t.iova, p + 3 * MIB, 1, RW, &odd), -EINVAL);
	cr_expect_eq(gm_iova_map(t.iova, p + 3 * MIB, 0, RW, &none), -EINVAL);
	cr_expect_eq(gm_iova_map(t.iova, p + 3 * MIB, 1, GM_PROT_WRITE, &none), -EINVAL);
	cr_expect_eq(gm_munmap(p, PAGE), -EBUSY);
	cr_expect_eq(gm_as_detach(as, f.dev), -EBUSY);
	cr_expect_eq(gm_munmap(p + 3 * MIB, PAGE), 0, "errors hold nothing");
	pid_t child = fork();
	if (!child)
		_exit(gm_iova_unmap(t.iova, a, 2 * MIB) != -ENODEV || p[5] != 1 ||
		      gm_munmap(p, PAGE) || gm_iova_destroy(t.iova));
	int status;
	waitpid(child, &status, 0);
	cr_expect_eq(status, 0);
	cr_assert_eq(gm_iova_destroy(t.iova), 0);
}

/* At random, against a list. */
Test(iova, random_buffers)
{
	enum { N = 64 };
	struct {
		uint64_t at;
		size_t off, len;
	} map[N] = {{0}};
	struct table t;
	unsigned char c;

	open_table(&t, LOW, LOW + 2 * MIB);
	rng_seed("iova");
	for (int step = 0; step < 4000; step++) {
		unsigned i = rng_below(N);
		if (map[i].at) {
			cr_assert_eq(
				touch(&t, map[i].at + rng_below((unsigned)map[i].len), false, &c),
				0);
			size_t k = rng_below((unsigned)map[i].len);
			c = (unsigned char)step;
			cr_assert_eq(touch(&t, map[i].at + k, true, &c), 0);
			cr_assert_eq(p[map[i].off + k], c);
			cr_assert_eq(gm_iova_unmap(t.iova, map[i].at, map[i].len), 0);
			cr_assert_eq(touch(&t, map[i].at, false, &c), -EFAULT);
			map[i].at = 0;
			continue;
		}
		map[i].off = rng_below(2 * MIB);
		map[i].len = 1 + rng_below(12000);
		cr_assert_eq(gm_iova_map(t.iova, p + map[i].off, map[i].len, RW, &map[i].at), 0);
		for (unsigned k = 0; k < N; k++)
			cr_assert(k == i || !map[k].at ||
				  map[k].at / PAGE > (map[i].at + map[i].len - 1) / PAGE ||
				  map[i].at / PAGE > (map[k].at + map[k].len - 1) / PAGE);
	}
	cr_assert_eq(gm_iova_destroy(t.iova), 0);
	cr_assert_eq(gm_munmap(p, 4 * MIB), 0);
}
