/*
 * Buffer objects that are not needed: under pressure their memory goes before any page is copied
 * home, whether bound or not; what has lost it says so, and is given to nobody.
 */
#include "one_dev.h"
#include <gmem/sparse.h>
#include "core/page/evict.h"

#define RW (GM_PROT_READ | GM_PROT_WRITE)

static void setup(void)
{
	gmi_opt.reclaim_percent = 0;
	open_one(8 * MIB, 4096);
}
static void teardown(void)
{
	cr_expect_eq(gmi_phys_used_bytes(dev.dev->phys), 0);
	close_all();
}
TestSuite(purge, .init = setup, .fini = teardown, .timeout = 60);

static struct gm_bo *object(size_t bytes, unsigned char c)
{
	struct gm_bo *bo;

	cr_assert_eq(gm_bo_create(dev.dev, bytes, &bo), 0);
	for (size_t i = 0; i < bytes; i += MIB / 2)
		cr_assert_eq(gm_bo_write(bo, i, &c, 1), 0);
	return bo;
}

static int advise(struct gm_bo *bo, enum gm_bo_need need)
{
	int retained = -1;

	cr_assert_eq(gm_bo_advise(bo, need, &retained), 0);
	return retained;
}

static int byte_of(struct gm_bo *bo)
{
	unsigned char c;
	int err = gm_bo_read(bo, 0, &c, 1);

	return err ? err : c;
}

static unsigned char *pressure(size_t bytes)
{
	unsigned char *p = map_with(bytes, PROT_READ | PROT_WRITE);

	for (size_t i = 0; i < bytes; i += PAGE)
		cr_assert_eq(fake_write(&dev, p + i, (unsigned char)(i / PAGE)), 0);
	return p;
}

static void expect_all(unsigned char *p, size_t bytes)
{
	for (size_t i = 0; i < bytes; i += PAGE)
		cr_assert_eq(p[i], (unsigned char)(i / PAGE));
	cr_assert_eq(gm_munmap(p, bytes), 0);
}

Test(purge, what_is_not_needed_goes_and_nothing_is_copied)
{
	struct gm_bo *a = object(2 * MIB, 1), *b = object(2 * MIB, 2), *kept = object(2 * MIB, 3);

	cr_expect_eq(advise(b, GM_BO_DONTNEED), 1);
	cr_expect_eq(advise(a, GM_BO_DONTNEED), 1);
	cr_expect_eq(advise(kept, GM_BO_DONTNEED), 1);
	cr_expect_eq(byte_of(kept), -EBUSY);
	cr_expect_eq(advise(kept, GM_BO_WILLNEED), 1);
	cr_expect_eq(byte_of(kept), 3);
	unsigned char *p = pressure(3 * MIB);
	cr_expect_eq(advise(b, GM_BO_DONTNEED), 0, "it was marked first");
	cr_expect_eq(advise(a, GM_BO_WILLNEED), 1);
	cr_expect_eq(byte_of(a), 1);
	cr_assert_eq(advise(a, GM_BO_DONTNEED), 1);
	unsigned char *q = pressure(3 * MIB);
	cr_expect_eq(advise(a, GM_BO_WILLNEED), 0);
	cr_expect_eq(byte_of(a), -ENODATA);
	cr_expect_eq(gm_bo_write(a, 0, p, 1), -ENODATA, "it is lost for good");
	cr_expect_eq(gmi_stats->d2h_bytes, 0, "nothing has gone home");
	cr_expect_eq(gmi_stats->dev[dev.dev->index].evicted_bytes, 0);
	expect_all(p, 3 * MIB);
	expect_all(q, 3 * MIB);
	cr_expect_eq(byte_of(kept), 3);
	cr_expect_eq(gm_bo_destroy(a), 0);
	cr_expect_eq(gm_bo_destroy(b), 0);
	cr_expect_eq(gm_bo_destroy(kept), 0);
}

Test(purge, a_new_object_takes_an_old_ones_place)
{
	struct gm_bo *a = object(6 * MIB, 1), *b;

	cr_expect_eq(gm_bo_create(dev.dev, 4 * MIB, &b), -ENOSPC);
	cr_expect_eq(advise(a, GM_BO_DONTNEED), 1);
	b = object(4 * MIB, 2);
	cr_expect_eq(advise(a, GM_BO_WILLNEED), 0);
	cr_expect_eq(byte_of(b), 2);
	cr_expect_eq(gm_bo_destroy(a), 0);
	cr_expect_eq(byte_of(b), 2, "its frames are its own");
	cr_expect_eq(gm_bo_destroy(b), 0);
}

static int bind(struct gm_sparse *s, size_t at, size_t bytes, struct gm_bo *bo, size_t from)
{
	struct gm_bind b = {at, bytes, bo, from, bo ? RW : 0, 0};

	return gm_sparse_bind(s, &b, 1);
}

Test(purge, what_is_bound_is_reached_no_more)
{
	struct gm_bo *a = object(4 * MIB, 1), *b = object(MIB, 2);
	struct gm_sparse *s[2];
	unsigned char c;

	for (int i = 0; i < 2; i++) {
		cr_assert_eq(gm_sparse_create(as, dev.dev, 16 * MIB, &s[i]), 0);
		cr_assert_eq(bind(s[i], 0, 2 * MIB, a, 2 * MIB), 0);
		cr_assert_eq(bind(s[i], 12 * MIB, MIB, b, 0), 0);
	}
	cr_assert_eq(bind(s[1], MIB, PAGE, b, 0), 0);
	char *at0 = gm_sparse_addr(s[0]), *at1 = gm_sparse_addr(s[1]);
	cr_assert_eq(fake_read(&dev, at0, &c), 0);
	cr_expect_eq(c, 1);
	cr_assert_eq(fake_read(&dev, at1, &c), 0);
	cr_expect_eq(advise(a, GM_BO_DONTNEED), 1);
	cr_expect_eq(bind(s[0], 4 * MIB, MIB, a, 0), -EBUSY);
	cr_expect_eq(fake_read(&dev, at0, &c), 0, "as long as it is there");
	unsigned char *p = pressure(5 * MIB);
	cr_expect_eq(advise(a, GM_BO_DONTNEED), 0);
	for (size_t i = 0; i < 2 * MIB; i += PAGE) {
		cr_assert_eq(fake_read(&dev, at0 + i, &c), -EFAULT);
		cr_assert_eq(fake_read(&dev, at1 + i, &c), i == MIB ? 0 : -EFAULT, "at %lx", i);
	}
	cr_assert_eq(fake_read(&dev, at1 + 12 * MIB, &c), 0);
	cr_expect_eq(c, 2);
	cr_expect_eq(bind(s[0], 4 * MIB, MIB, a, 0), -ENODATA);
	cr_expect_eq(gm_bo_destroy(a), -EBUSY, "bound it is all the same");
	cr_expect_eq(bind(s[0], 0, 2 * MIB, NULL, 0), 0);
	cr_expect_eq(gm_sparse_destroy(s[1]), 0);
	cr_expect_eq(gm_bo_destroy(a), 0);
	expect_all(p, 5 * MIB);
	cr_expect_eq(gm_sparse_destroy(s[0]), 0);
	cr_expect_eq(gm_bo_destroy(b), 0);
}

static int purge_now(void)
{
	gm_sigmask mask = gmi_block_signals();
	int err = gmc_purge(dev.dev);

	gmi_restore_signals(mask);
	return err;
}

/* The driver keeps an entry: the memory stays with the object. */
Test(purge, what_the_driver_does_not_let_go_of_stays)
{
	struct gm_bo *a = object(4 * MIB, 1);
	struct gm_sparse *s;
	unsigned char c;

	cr_assert_eq(gm_sparse_create(as, dev.dev, 4 * MIB, &s), 0);
	cr_assert_eq(bind(s, 0, 4 * MIB, a, 0), 0);
	cr_expect_eq(advise(a, GM_BO_DONTNEED), 1);
	dev.fail_kind = GM_OP_UNMAP;
	dev.fail_after = 0;
	cr_expect_eq(purge_now(), -EIO);
	dev.fail_kind = -1;
	cr_expect_eq(advise(a, GM_BO_WILLNEED), 1);
	cr_expect_eq(purge_now(), -ENOSPC);
	cr_expect_eq(byte_of(a), 1);
	cr_expect_eq(fake_read(&dev, gm_sparse_addr(s), &c), 0);
	cr_expect_eq(c, 1);
	cr_expect_eq(advise(a, GM_BO_DONTNEED), 1);
	cr_expect_eq(purge_now(), 0);
	cr_expect_eq(fake_read(&dev, gm_sparse_addr(s), &c), -EFAULT);
	cr_expect_eq(gm_sparse_destroy(s), 0);
	cr_expect_eq(gm_bo_destroy(a), 0);
}

/* ---- at the same time ---- */

static _Atomic bool stop;

static void *press(void *arg)
{
	while (!stop)
		expect_all(pressure(6 * MIB), 6 * MIB);
	return arg;
}

Test(purge, objects_come_and_go_beside_pages)
{
	pthread_t t;
	unsigned lost = 0, kept = 0;

	cr_assert_eq(pthread_create(&t, NULL, press, NULL), 0);
	for (unsigned n = 1; n < 400 && (lost < 8 || kept < 8); n++) {
		struct gm_bo *bo = object(2 * MIB, (unsigned char)n);
		cr_expect_eq(advise(bo, GM_BO_DONTNEED), 1);
		if (n % 2)
			sched_yield();
		int c = byte_of(bo), retained = advise(bo, GM_BO_WILLNEED);
		cr_assert(c == -EBUSY || c == -ENODATA, "%d", c);
		cr_assert(retained || byte_of(bo) == -ENODATA);
		cr_assert(!retained || byte_of(bo) == (unsigned char)n);
		lost += !retained;
		kept += retained;
		cr_assert_eq(gm_bo_destroy(bo), 0);
	}
	stop = true;
	pthread_join(t, NULL);
	cr_expect_gt(lost + kept, 0);
}

Test(purge, bad_arguments)
{
	struct gm_bo *a = object(PAGE, 1), *host;
	int retained;

	cr_assert_eq(gm_bo_create_host(as, PAGE, &host), 0);
	cr_expect_eq(gm_bo_advise(NULL, GM_BO_DONTNEED, &retained), -EINVAL);
	cr_expect_eq(gm_bo_advise(a, (enum gm_bo_need)2, &retained), -EINVAL);
	cr_expect_eq(gm_bo_advise(host, GM_BO_DONTNEED, &retained), -EOPNOTSUPP);
	cr_expect_eq(gm_bo_advise(a, GM_BO_DONTNEED, NULL), 0);
	cr_expect_eq(gm_bo_destroy(a), 0, "whatever was said");
	cr_expect_eq(gm_bo_destroy(host), 0);
}
