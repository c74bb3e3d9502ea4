/*
 * What the bookkeeping costs, counted: 0.1 % of managed memory at most, for every size of device
 * pages, with eight devices of which each had every page, and again when rights have alternated.
 */
#include "core/page/registry.h"
#include "core/sys/sys.h"
#include <criterion/criterion.h>
#include <gmem/policy.h>
#include <gmem/sparse.h>
#include <string.h>
#include <sys/mman.h>

#define PAGE GM_PAGE_BYTES
#define MIB  ((size_t)1 << 20)
#define SIZE (4096 * MIB)

static struct gm_as *as;
static struct gm_dev *dev[GM_MAX_DEV];
static char *p;

/* A device of which nobody ever looks at the memory. */
static int null_create(void *data, struct gm_as *space, void **pmap)
{
	*pmap = data;
	return 0;
}
static int null_destroy(void *pmap)
{
	return 0;
}
static unsigned null_ops;

static int null_batch(void *pmap, const struct gm_op *ops, unsigned n)
{
	null_ops += n;
	return 0;
}

static struct gm_mmu mmu = {.name = "null",
			    .pmap_create = null_create,
			    .pmap_destroy = null_destroy,
			    .batch = null_batch};

static void open_null(size_t page_bytes, unsigned ndev)
{
	gmi_opt.prefetch = GM_PREFETCH_NONE;
	mmu.page_bytes = page_bytes;
	cr_assert_eq(gm_as_create(0, SIZE + 2 * MIB, &as), 0);
	for (unsigned d = 0; d < ndev; d++) {
		cr_assert_eq(
			gm_dev_create(&mmu, &mmu, GM_DEV_CAP_REPLAYABLE | GM_DEV_CAP_PEER, &dev[d]),
			0);
		cr_assert_eq(gm_dev_register_physmem(dev[d], 0, SIZE / ndev), 0);
		cr_assert_eq(gm_as_attach(as, dev[d], GM_MMU_MODE_COHERENT_EXCLUSIVE, 1, NULL), 0);
	}
	p = gm_mmap(as, NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	cr_assert_neq(p, MAP_FAILED);
}

static void bring(unsigned d, size_t at, size_t bytes)
{
	cr_assert_eq(hmadvise(gm_dev_hnid(dev[d]), p + at, bytes, MADV_PREFETCH), 0);
}

/* After each device had each page, the last one not for want of room. */
static void costs(size_t page_bytes, unsigned ndev)
{
	size_t before = gmi_private_bytes(), part = SIZE / ndev;

	open_null(page_bytes, ndev);
	for (unsigned i = 0; i < ndev; i++)
		for (unsigned d = 1; d <= ndev; d++)
			bring((i + d) % ndev, i * part, part);
	struct gm_page_info info;
	cr_assert_eq(gm_query(p + SIZE - PAGE, PAGE, &info), 0);
	cr_assert_eq(info.where, GM_DEVICE);
	size_t cost = gmi_private_bytes() - before;
	cr_expect_leq(cost * 1000, SIZE, "%zu KiB, %u devices: %.4f %%", page_bytes / 1024, ndev,
		      100.0 * (double)cost / SIZE);
}

#define COSTS(name, page_bytes, ndev)                                                              \
	Test(metadata, name, .timeout = 300)                                                       \
	{                                                                                          \
		costs(page_bytes, ndev);                                                           \
	}
COSTS(of_one_device_of_4K, 4096, 1)
COSTS(of_one_device_of_8K, 8192, 1)
COSTS(of_one_device_of_64K, 65536, 1)
COSTS(of_one_device_of_2M, 2 * MIB, 1)
COSTS(of_eight_devices_of_4K, 4096, 8)
COSTS(of_eight_devices_of_64K, 65536, 8)
COSTS(of_eight_devices_of_2M, 2 * MIB, 8)

/* Frames that lie in all directions cost a table each, until the pages have gone. */
Test(metadata, scattered_frames, .timeout = 60)
{
	open_null(4096, 1);
	for (size_t i = 0; i < 8192; i++)
		bring(0, i * 4999 % 8192 * PAGE, PAGE);
	for (size_t i = 0; i < 8192; i += 2)
		cr_assert_eq(hmadvise(-1, p + i * PAGE, PAGE, MADV_PREFETCH), 0);
	for (size_t i = 0; i < 4096; i++) /* into the holes */
		bring(0, (8192 + i * 1021 % 4096) * PAGE, PAGE);
	uint64_t used = gmi_phys_used_bytes(dev[0]->phys);
	cr_expect_eq(used, 8192 * PAGE);
	/* every page has a frame of its own */
	static unsigned char seen[SIZE / PAGE / 8];
	for (size_t i = 0; i < 12288; i++) {
		struct gm_block *b = gm_block_find(as, (uintptr_t)p + i * PAGE);
		uint32_t f = gm_frame_at(b->dev[0], gm_page_index((uintptr_t)p + i * PAGE));
		bool away = i >= 8192 || i % 2;
		cr_assert_eq(f != GM_NO_FRAME, away, "page %zu", i);
		if (!away)
			continue;
		cr_assert_not(seen[f / 8] >> f % 8 & 1, "page %zu: frame %u", i, f);
		seen[f / 8] |= 1u << f % 8;
	}
	cr_assert_eq(hmadvise(-1, p, 12288 * PAGE, MADV_PREFETCH), 0);
	cr_expect_eq(gmi_phys_used_bytes(dev[0]->phys), 0);
}

/* Rights, hints that alternate: what their pieces cost is back when they are one again. */
Test(metadata, after_alternating_rights, .timeout = 120)
{
	size_t before = gmi_private_bytes(), cost[2];

	open_null(65536, 1);
	for (int round = 0; round < 2; round++) {
		for (size_t i = 0; i < 64 * MIB; i += 2 * PAGE)
			cr_assert_eq(gm_mprotect(p + i, PAGE, PROT_READ), 0);
		cr_assert_eq(gm_mprotect(p, 64 * MIB, PROT_READ | PROT_WRITE), 0);
		for (size_t i = 0; i < 64 * MIB; i += 2 * PAGE)
			cr_assert_eq(hmadvise(-1, p + i, PAGE, GM_MADV_READ_MOSTLY), 0);
		cr_assert_eq(hmadvise(-1, p, SIZE, GM_MADV_UNSET_READ_MOSTLY), 0);
		cr_expect_eq(as->regions.count, 1);
		cr_expect_eq(as->hints.count, 0);
		bring(0, 0, SIZE);
		cost[round] = gmi_private_bytes() - before;
	}
	cr_expect_eq(cost[0], cost[1], "the second time costs nothing");
}

/* The table of a sparse range is as large as what is bound, wherever that is; an empty one is
 * destroyed in one step. */
Test(metadata, of_a_sparse_range_of_256_GiB, .timeout = 60)
{
	enum { N = 4096 };
	const size_t huge = (size_t)256 << 30, page = 65536;
	struct gm_sparse *s;
	struct gm_bo *bo;

	mmu.page_bytes = page;
	cr_assert_eq(gm_as_create(0, huge + 2 * MIB, &as), 0);
	cr_assert_eq(gm_dev_create(&mmu, &mmu, GM_DEV_CAP_REPLAYABLE | GM_DEV_CAP_PEER, &dev[0]),
		     0);
	cr_assert_eq(gm_dev_register_physmem(dev[0], 0, 16 * MIB), 0);
	cr_assert_eq(gm_as_attach(as, dev[0], GM_MMU_MODE_COHERENT_EXCLUSIVE, 1, NULL), 0);
	cr_assert_eq(gm_bo_create(dev[0], 16 * page, &bo), 0);
	cr_assert_eq(gm_sparse_create(as, dev[0], page, &s), 0);
	cr_assert_eq(gm_sparse_destroy(s), 0);
	size_t none = gmi_private_bytes();
	cr_assert_eq(gm_sparse_create(as, dev[0], huge, &s), 0);
	size_t empty = gmi_private_bytes() - none;
	cr_expect_leq(empty, huge / page / 8, "%zu bytes for nothing bound", empty);
	null_ops = 0;
	cr_assert_eq(gm_sparse_destroy(s), 0);
	cr_expect_leq(null_ops, 1);
	cr_assert_eq(gmi_private_bytes(), none);

	cr_assert_eq(gm_sparse_create(as, dev[0], huge, &s), 0);
	struct gm_bind b = {.bytes = page, .bo = bo, .prot = GM_PROT_READ}, q;
	for (size_t round = 0; round < 3; round++) {
		for (size_t i = 0; i < N - 1; i++) { /* 64 MiB apart */
			b.offset = (i * 1024 + round) * page;
			b.bo_offset = i % 16 * page;
			cr_assert_eq(gm_sparse_bind(s, &b, 1), 0);
		}
		size_t used = gmi_private_bytes() - none - empty;
		cr_expect_leq(used, N * 3072 + MIB, "round %zu: %zu", round, used);
	}
	cr_assert_eq(gm_sparse_query(s, (1024 * 77 + 1) * page, &q), 0);
	cr_expect(q.bo == bo && q.bo_offset == 77 % 16 * page);
	cr_assert_eq(gm_sparse_query(s, (1024 * 77 + 3) * page, &q), 0);
	cr_expect_null(q.bo);
	cr_assert_eq(gm_bo_destroy(bo), -EBUSY);
	struct gm_bind nothing = {.bytes = huge};
	cr_assert_eq(gm_sparse_bind(s, &nothing, 1), 0);
	size_t left = gmi_private_bytes();
	for (size_t i = 0; i < N; i++) {
		b.offset = (i * 1000 + 5) * page;
		cr_assert_eq(gm_sparse_bind(s, &b, 1), 0);
	}
	cr_expect_eq(gmi_private_bytes(), left, "what was given back is taken again");
	cr_assert_eq(gm_sparse_destroy(s), 0);
	cr_assert_eq(gm_bo_destroy(bo), 0, "nothing of it is bound");
}
