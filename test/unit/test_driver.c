/*
 * Drivers that break their contract are told so, by the rule's name: the device is out of use, its
 * pages come home, and no thread hangs. And each bad set-up has a message of its own.
 */
#include "core/page/driver.h"
#include "fake_dev.h"
#include <signal.h>

#define PAGE GM_PAGE_BYTES
#define MIB  ((size_t)1 << 20)

static struct gm_as *as;
static struct fake_dev good, bad;
static unsigned char *p;

static void open_both(bool aperture)
{
	gmi_log_level = GM_LOG_NONE;
	gmi_opt.prefetch = GM_PREFETCH_NONE;
	cr_assert_eq(gm_as_create(0, 64 * MIB, &as), 0);
	fake_open(&good, as, 8 * MIB, PAGE, true);
	fake_open(&bad, as, 8 * MIB, PAGE, aperture);
	p = gm_mmap(as, NULL, 4 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	cr_assert_neq(p, MAP_FAILED);
	memset(p, 7, 4 * MIB);
	cr_assert_eq(fake_write(&bad, p, 8), 0, "what it has before");
	cr_assert_eq(fake_write(&bad, p + MIB, 9), 0);
}

/* The driver has broken `rule`: what holds of it afterwards. */
static void expect_out_of_use(const char *rule, const char *callback)
{
	unsigned char c;
	sigset_t now;

	cr_expect_neq(strstr(gm_last_error(), rule), NULL, "%s", gm_last_error());
	cr_expect_neq(strstr(gm_last_error(), callback), NULL, "%s", gm_last_error());
	cr_expect_neq(strstr(gm_last_error(), "\"fake\""), NULL, "%s", gm_last_error());
	unsigned maps = bad.maps;
	cr_expect_eq(fake_write(&bad, p + 2 * MIB + 100 * PAGE, 1), -EIO);
	cr_expect_eq(bad.maps, maps, "it is asked for nothing any more");
	pthread_sigmask(SIG_SETMASK, NULL, &now);
	cr_expect_eq(sigismember(&now, SIGTERM), 0, "no signal stays blocked");
	/* Its pages come home, and others have them. */
	cr_expect_eq(p[0], 8);
	cr_assert_eq(fake_read(&good, p + MIB, &c), 0);
	cr_expect_eq(c, 9);
	cr_expect_eq(p[3 * MIB], 7);
	cr_expect_eq(gm_as_detach(as, bad.dev), 0);
	cr_expect_eq(gm_dev_destroy(bad.dev), 0);
	fake_close(&good);
	cr_expect_eq(gm_as_destroy(as), 0);
}

/* ---- touching managed memory ---- */

static int touch_on_map(void *pmap, const struct gm_op *op)
{
	*(volatile unsigned char *)op->va = 1;
	return 0;
}

static int touch_on_unmap(void *pmap, const struct gm_op *op)
{
	return *(volatile unsigned char *)op->va & 0;
}

TestSuite(driver, .timeout = 60);

Test(driver, touching_managed_memory_in_map)
{
	open_both(true);
	bad.mmu.pmap_enter = touch_on_map;
	cr_expect_eq(fake_write(&bad, p + 3 * MIB, 1), -EIO);
	expect_out_of_use("no-touch", "pmap_enter");
}

Test(driver, touching_managed_memory_in_unmap_without_an_aperture)
{
	open_both(false);
	bad.mmu.pmap_release = touch_on_unmap;
	cr_expect_eq(p[0], 8, "home all the same");
	cr_expect_neq(strstr(gm_last_error(), "no-touch"), NULL, "%s", gm_last_error());
	expect_out_of_use("no-touch", "pmap_release");
}

/* ---- calling core ---- */

static int called[4];

static int call_core(void *pmap, const struct gm_op *op)
{
	struct gm_hnode_info info;

	called[0] = gm_dev_fault(as, op->va, bad.dev, GM_HINT_READ);
	called[1] = hmadvise(-1, (void *)op->va, PAGE, MADV_PREFETCH);
	called[2] = gm_query_hnode(gm_dev_hnid(bad.dev), &info);
	called[3] =
		gm_mmap(as, NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED
			? -errno
			: 0;
	return 0;
}

Test(driver, calling_core)
{
	open_both(true);
	bad.mmu.pmap_enter = call_core;
	fake_write(&bad, p + 3 * MIB, 1);
	for (int i = 0; i < 4; i++)
		cr_expect_eq(called[i], -EDEADLK);
	cr_expect_neq(strstr(gm_last_error(), "gm_dev_fault"), NULL, "%s", gm_last_error());
	expect_out_of_use("no-call", "pmap_enter");
}

/* What a callback may ask is answered. */
static int ask_window(void *data, struct gm_as *space, void **pmap)
{
	uint64_t bytes;

	*pmap = data;
	return gm_as_window(space, &bytes, NULL) && bytes ? fake_pmap_create(data, space, pmap)
							  : -EINVAL;
}

Test(driver, asking_for_the_window_is_allowed)
{
	open_both(true);
	cr_assert_eq(gm_as_detach(as, bad.dev), 0);
	bad.mmu.pmap_create = ask_window;
	cr_assert_eq(gm_as_attach(as, bad.dev, GM_MMU_MODE_COHERENT_EXCLUSIVE, 1, NULL), 0);
	cr_expect_eq(fake_write(&bad, p, 3), 0);
	fake_close(&bad);
	fake_close(&good);
	cr_expect_eq(gm_as_destroy(as), 0);
}

/* ---- waiting for what cannot come ---- */

static pthread_mutex_t own = PTHREAD_MUTEX_INITIALIZER;

static int lock_own(void *pmap, const struct gm_op *op)
{
	pthread_mutex_lock(&own);
	int err = fake_op(pmap, op);
	pthread_mutex_unlock(&own);
	return err;
}

/*
 * The way into the deadlock that every driver writer finds: its lock is held around
 * gm_dev_fault().
 */
Test(driver, a_lock_held_around_a_fault)
{
	gmc_guard_limit_ns = 300000000;
	open_both(true);
	bad.mmu.pmap_enter = lock_own;
	cr_assert_eq(fake_write(&bad, p + 2 * MIB, 1), 0, "alone it is no harm");
	pthread_mutex_lock(&own);
	cr_expect_eq(gm_dev_fault(as, (uint64_t)p + 3 * MIB, bad.dev, GM_HINT_WRITE), -EIO);
	pthread_mutex_unlock(&own);
	p[2 * MIB] = 0;
	expect_out_of_use("no-wait", "pmap_enter");
}

/* ---- results ---- */

static int seven(void *pmap, const struct gm_op *op)
{
	return 7;
}

static int seven_for_tlb(void *pmap, uint64_t va, uint64_t len)
{
	return 7;
}

static int no_errno(void *pmap, const struct gm_op *op)
{
	return -70000;
}

Test(driver, results_that_say_nothing)
{
	static const struct {
		const char *callback;
		size_t at;
		void *fn;
	} cases[] = {
		{"pmap_enter", offsetof(struct gm_mmu, pmap_enter), seven},
		{"pmap_enter", offsetof(struct gm_mmu, pmap_enter), no_errno},
		{"pmap_release", offsetof(struct gm_mmu, pmap_release), seven},
		{"peer_hmemcpy", offsetof(struct gm_mmu, peer_hmemcpy), seven},
		{"tlb_invl", offsetof(struct gm_mmu, tlb_invl), seven_for_tlb},
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		bool copies = !strcmp(cases[i].callback, "peer_hmemcpy");
		open_both(!copies);
		memcpy((char *)&bad.mmu + cases[i].at, &cases[i].fn, sizeof cases[i].fn);
		if (i < 2 || copies) {
			cr_expect_eq(fake_write(&bad, p + 3 * MIB, 1), -EIO, "case %zu", i);
		} else {
			cr_expect_eq(p[MIB], 9, "case %zu", i);
			cr_assert_eq(fake_write(&good, p + MIB, 9), 0);
		}
		if (copies) /* data that only it has can still be asked for */
			bad.mmu.peer_hmemcpy = fake_op;
		expect_out_of_use("result", cases[i].callback);
	}
}

static int positive_create(void *data, struct gm_as *space, void **pmap)
{
	return 5;
}

Test(driver, a_positive_pmap_create_refuses_the_attachment)
{
	open_both(true);
	cr_assert_eq(gm_as_detach(as, bad.dev), 0);
	bad.mmu.pmap_create = positive_create;
	cr_expect_eq(gm_as_attach(as, bad.dev, GM_MMU_MODE_COHERENT_EXCLUSIVE, 1, NULL), -EIO);
	cr_expect_neq(strstr(gm_last_error(), "pmap_create() returned 5"), NULL, "%s",
		      gm_last_error());
}

/* ---- set-up ---- */

static void *no_aperture(void *data)
{
	return NULL;
}

static void *odd_aperture(void *data)
{
	return (char *)data + 100;
}

static struct gm_mmu mmu;
static struct gm_dev *dev, **where;
static uint64_t cap;

static void page_of_3000(void)
{
	mmu.page_bytes = 3000;
}
static void page_of_8m(void)
{
	mmu.page_bytes = 8 * MIB;
}
static void no_enter(void)
{
	mmu.pmap_enter = NULL;
}
static void no_release(void)
{
	mmu.pmap_release = NULL;
}
static void no_protect(void)
{
	mmu.pmap_protect = NULL;
}
static void no_copy(void)
{
	mmu.aperture = NULL;
	mmu.peer_hmemcpy = NULL;
}
static void null_aperture(void)
{
	mmu.aperture = no_aperture;
	mmu.peer_hmemcpy = NULL;
}
static void crooked_aperture(void)
{
	mmu.aperture = odd_aperture;
}
static void unknown_cap(void)
{
	cap = 0x8001;
}
static void nowhere(void)
{
	where = NULL;
}

Test(driver, each_bad_device_has_its_message)
{
	static const struct {
		void (*spoil)(void);
		const char *says;
	} cases[] = {
		{page_of_3000, "page_bytes is 3000; valid: a power of two"},
		{page_of_8m, "page_bytes is 8388608; valid"},
		{no_enter, "neither pmap_enter nor batch"},
		{no_release, "neither pmap_release nor batch"},
		{no_protect, "neither pmap_protect nor batch"},
		{no_copy, "neither aperture or peer_hmemcpy nor batch"},
		{null_aperture, "aperture() returned NULL"},
		{crooked_aperture, "valid: a multiple of 4096"},
		{unknown_cap, "unknown capability 0x8000; valid: GM_DEV_CAP_REPLAYABLE 0x1"},
		{nowhere, "nowhere to put the device"},
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		mmu = fake_mmu("spoilt", PAGE, true);
		mmu.pmap_create = NULL;
		mmu.pmap_destroy = NULL;
		mmu.accessed = NULL;
		mmu.page_sizes = 0;
		cap = GM_DEV_CAP_PEER;
		where = &dev;
		cases[i].spoil();
		cr_expect_eq(gm_dev_create(&mmu, &good, cap, where), -EINVAL, "case %zu", i);
		cr_expect_neq(strstr(gm_last_error(), cases[i].says), NULL, "case %zu: %s", i,
			      gm_last_error());
		cr_expect_neq(strstr(gm_last_error(), "\"spoilt\""), NULL);
	}
	cr_expect_eq(gm_dev_create(NULL, NULL, 0, &dev), -EINVAL);
	cr_expect_str_eq(gm_last_error(), "mmu is NULL");
	/* A driver that can copy needs no aperture, whatever the function says. */
	mmu.aperture = no_aperture;
	cr_assert_eq(gm_dev_create(&mmu, &good, GM_DEV_CAP_PEER, &dev), 0);
	cr_expect_eq(gm_dev_register_physmem(dev, 0, MIB), -EINVAL);
	cr_expect_neq(strstr(gm_last_error(), "valid: multiples of 2 MiB"), NULL);
	cr_expect_eq(gm_dev_register_physmem(dev, 2 * MIB, 2 * MIB), -EINVAL);
	cr_expect_neq(strstr(gm_last_error(), "is empty"), NULL);
	cr_assert_eq(gm_dev_register_physmem(dev, 0, 2 * MIB), 0);
	cr_expect_eq(gm_dev_register_physmem(dev, 0, 2 * MIB), -EINVAL);
	cr_expect_neq(strstr(gm_last_error(), "already"), NULL);
	cr_assert_eq(gm_dev_destroy(dev), 0);
	cr_assert_eq(gm_dev_create(&mmu, &good, 0, &dev), 0);
	cr_expect_eq(gm_dev_register_physmem(dev, 0, 2 * MIB), -EINVAL);
	cr_expect_neq(strstr(gm_last_error(), "GM_DEV_CAP_PEER"), NULL);
	cr_assert_eq(gm_dev_destroy(dev), 0);
	struct gm_dev *many[GM_MAX_DEV];
	for (int i = 0; i < GM_MAX_DEV; i++)
		cr_assert_eq(gm_dev_create(&mmu, &good, 0, &many[i]), 0);
	cr_expect_eq(gm_dev_create(&mmu, &good, 0, &dev), -ENOSPC);
	cr_expect_neq(strstr(gm_last_error(), "8 devices already"), NULL, "%s", gm_last_error());
}

static int refuse_create(void *data, struct gm_as *space, void **pmap)
{
	return -ENODEV;
}

Test(driver, each_bad_attachment_has_its_message)
{
	open_both(true);
	static const struct {
		bool as, dev;
		int mode;
		int err;
		const char *says;
	} cases[] = {
		{false, true, 1, -EINVAL, "as is NULL"},
		{true, false, 1, -EINVAL, "dev is NULL"},
		{true, true, 3, -EINVAL, "mode is 3; valid: GM_MMU_MODE_SHARE 0"},
		{true, true, 1, -EEXIST, "is attached to this space already"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		cr_expect_eq(gm_as_attach(cases[i].as ? as : NULL, cases[i].dev ? bad.dev : NULL,
					  cases[i].mode, 1, NULL),
			     cases[i].err);
		cr_expect_neq(strstr(gm_last_error(), cases[i].says), NULL, "%s", gm_last_error());
	}
	cr_assert_eq(gm_as_detach(as, bad.dev), 0);
	bad.mmu.pmap_create = refuse_create;
	cr_expect_eq(gm_as_attach(as, bad.dev, GM_MMU_MODE_COHERENT_EXCLUSIVE, 1, NULL), -ENODEV);
	cr_expect_str_eq(gm_last_error(), "pmap_create() of driver \"fake\" returned error 19");
	bad.mmu.pmap_create = fake_pmap_create;
	bad.mmu.peer_va_alloc_fixed = fake_va_alloc;
	bad.taken_lo = (uint64_t)p;
	bad.taken_hi = (uint64_t)p + PAGE;
	bad.reserved = calloc(1, as->bytes / PAGE);
	cr_expect_eq(gm_as_attach(as, bad.dev, GM_MMU_MODE_COHERENT_EXCLUSIVE, 1, NULL), -EBUSY);
	cr_expect_neq(strstr(gm_last_error(), "peer_va_alloc_fixed() refused"), NULL, "%s",
		      gm_last_error());
}
