/* one_dev.h - what the tests of pages share: one space, one in-process device of it. */
#ifndef GM_TEST_ONE_DEV_H
#define GM_TEST_ONE_DEV_H

#include "fake_dev.h"

#define PAGE GM_PAGE_BYTES
#define MIB  ((size_t)1 << 20)

static struct gm_as *as;
static struct fake_dev dev;

static inline void open_one(size_t dev_bytes, size_t page_bytes)
{
	gmi_opt.prefetch = GM_PREFETCH_NONE;
	cr_assert_eq(gm_as_create(0, 256 * MIB, &as), 0);
	fake_open(&dev, as, dev_bytes, page_bytes, true);
}

static inline void close_all(void)
{
	fake_close(&dev);
	cr_assert_eq(gm_as_destroy(as), 0);
}

static inline unsigned char *map_with(size_t bytes, int prot)
{
	void *p = gm_mmap(as, NULL, bytes, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	cr_assert_neq(p, MAP_FAILED);
	return p;
}

static inline int where(const void *p)
{
	struct gm_page_info info;
	cr_assert_eq(gm_query((void *)gm_align_down((uintptr_t)p, PAGE), PAGE, &info), 0);
	return info.where;
}

#endif
