/*
 * What no program should ask for: addresses of nobody's, ranges that leave their space, NULL for
 * everything. An error comes back, and what lies beside the space is untouched.
 */
#include "core/sys/inject.h"
#include "devsim/mem_wire.h"
#include "gmem/device.h"
#include "gmem/gmem.h"
#include "gmem/policy.h"
#include "gmem/sparse.h"
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#define PAGE ((size_t)4096)
#define MIB  ((size_t)1 << 20)
#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)

static struct gm_sim *sim;
static struct gm_as *as;
static int hnid;
static char *p;

static void open_device(void)
{
	as = gm_as_default();
	cr_assert_eq(gm_sim_open("pcie4-gpu,mem=16M", &sim), 0);
	cr_assert_eq(gm_sim_attach(sim, as), 0);
	hnid = gm_dev_hnid(gm_sim_dev(sim));
	p = gm_mmap(as, NULL, 4 * MIB, PROT_READ | PROT_WRITE, ANON, -1, 0);
	cr_assert_neq(p, MAP_FAILED);
	memset(p, 7, 4 * MIB);
}

static void *fixed(void *at, size_t len)
{
	errno = 0;
	return gm_mmap(as, at, len, PROT_READ | PROT_WRITE, ANON | MAP_FIXED, -1, 0);
}

Test(abuse, a_mapping_at_a_fixed_place_outside_the_space_is_refused, .init = open_device)
{
	uint64_t bytes;
	char *base = (char *)gm_as_window(as, &bytes, NULL), *end = base + bytes;
	static char page[2 * 4096] __attribute__((aligned(4096)));

	page[0] = 1;
	cr_assert_eq(fixed(page, PAGE), MAP_FAILED);
	cr_assert_eq(errno, EINVAL);
	cr_assert_eq(page[0], 1);
	cr_assert_eq(fixed((char *)PAGE, (size_t)base), MAP_FAILED); /* all that lies before */
	cr_assert_eq(errno, EINVAL);
	cr_assert_eq(fixed(base - PAGE, 2 * PAGE), MAP_FAILED);
	cr_assert_eq(fixed(end - PAGE, 2 * PAGE), MAP_FAILED);
	cr_assert_eq(fixed(end, PAGE), MAP_FAILED);
	cr_assert_eq(fixed(end - PAGE, PAGE), (void *)(end - PAGE));
	cr_assert_eq(gm_munmap(end - PAGE, PAGE), 0);
}

Test(abuse, a_range_that_leaves_the_space_is_refused, .init = open_device)
{
	uint64_t bytes;
	char *base = (char *)gm_as_window(as, &bytes, NULL), *end = base + bytes;
	char *after = mmap(end, PAGE, PROT_READ | PROT_WRITE, ANON | MAP_FIXED_NOREPLACE, -1, 0);

	cr_assert_eq(after, end);
	after[0] = 5;
	cr_assert_eq(gm_munmap(end - PAGE, 2 * PAGE), -EINVAL);
	cr_assert_eq(gm_mprotect(end - PAGE, 2 * PAGE, PROT_READ), -EINVAL);
	after[0]++;
	cr_assert_eq(after[0], 6);
	cr_assert_eq(gm_mremap(p, MIB, MIB, MREMAP_MAYMOVE | MREMAP_FIXED, after), MAP_FAILED);
	cr_assert_eq(errno, EINVAL);
	cr_assert_eq(after[0], 6);
	cr_assert_eq(gm_munmap(p, SIZE_MAX), -EINVAL);
	cr_assert_eq(p[0], 7);
	munmap(after, PAGE);
}

Test(abuse, memory_that_is_nobodys_is_an_error_for_copies_and_hints, .init = open_device)
{
	char *hole = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, ANON, -1, 0), mine[3 * 4096];
	char *const bad[] = {NULL,
			     (char *)8,
			     hole + 2 * PAGE,
			     (char *)0xdead0000,
			     (char *)0x7ffffffff000,
			     (char *)0x0000800000000000,
			     (char *)0xffffffff81000000,
			     (char *)-4096l};

	munmap(hole + 2 * PAGE, PAGE);
	mprotect(hole + 3 * PAGE, PAGE, PROT_READ);
	for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		cr_assert_lt(hmemcpy(-1, p, bad[i], 4096), 0, "from %p", bad[i]);
		cr_assert_lt(hmemcpy(hnid, p, bad[i], 4096), 0, "from %p", bad[i]);
		cr_assert_lt(hmemcpy(-1, bad[i], p, 4096), 0, "to %p", bad[i]);
		cr_assert_lt(hmemcpy(-1, bad[i], mine, 4096), 0, "to %p", bad[i]);
		cr_assert_lt(hmadvise(hnid, bad[i], 4096, MADV_PREFETCH), 0, "%p", bad[i]);
		cr_assert_lt(hmadvise(-1, bad[i], 4096, MADV_DONTNEED), 0, "%p", bad[i]);
	}
	cr_assert_eq(hmemcpy(-1, p, hole + 2 * PAGE, 4096), -EFAULT);
	cr_assert_eq(hmemcpy(-1, p, hole, 3 * PAGE), -EFAULT); /* the end of it */
	cr_assert_eq(hmemcpy(-1, hole + 3 * PAGE, p, 1), -EFAULT);
	cr_assert_eq(hmemcpy(-1, mine, hole + 3 * PAGE, 1), 0);
	cr_assert_eq(hmemcpy(hnid, p, mine, sizeof mine), 0);
	memset(mine, 9, sizeof mine);
	cr_assert_eq(hmemcpy(hnid, p + 5, mine, sizeof mine), 0);
	cr_assert(p[5] == 9 && !memcmp(p + 5, p + 6, sizeof mine - 1));
}

Test(abuse, null_is_an_error_for_every_function, .init = open_device)
{
	struct gm_dev *dev = gm_sim_dev(sim);

	cr_assert_lt(gm_as_create(0, 2 * MIB, NULL), 0);
	cr_assert_lt(gm_as_destroy(NULL), 0);
	cr_assert_eq(gm_as_window(NULL, NULL, NULL), 0);
	cr_assert_lt(gm_as_attach(NULL, dev, GM_MMU_MODE_COHERENT_EXCLUSIVE, 1, NULL), 0);
	cr_assert_lt(gm_as_attach(as, NULL, GM_MMU_MODE_COHERENT_EXCLUSIVE, 1, NULL), 0);
	cr_assert_lt(gm_as_detach(NULL, NULL), 0);
	cr_assert_lt(gm_as_map(NULL, NULL, NULL, PAGE, PROT_READ), 0);
	cr_assert_lt(gm_as_map(as, dev, NULL, PAGE, PROT_READ), 0);
	cr_assert_lt(gm_as_unmap(NULL, NULL, NULL, PAGE), 0);
	cr_assert_lt(gm_set_attr(NULL, NULL, NULL, PAGE, 0), 0);
	cr_assert_lt(gm_get_attr(NULL, NULL, NULL, NULL), 0);
	cr_assert_lt(gm_get_attr(as, dev, p, NULL), 0);
	cr_assert_lt(gm_dev_fault(NULL, 0, NULL, 0), 0);
	cr_assert_lt(gm_dev_create(NULL, NULL, 0, NULL), 0);
	cr_assert_lt(gm_dev_destroy(NULL), 0);
	cr_assert_lt(gm_dev_register_physmem(NULL, 0, PAGE), 0);
	cr_assert_lt(gm_dev_unregister_physmem(NULL, 0), 0);
	cr_assert_lt(gm_dev_hnid(NULL), 0);
	cr_assert_lt(gm_query(NULL, PAGE, NULL), 0);
	cr_assert_lt(gm_query(p, PAGE, NULL), 0);
	cr_assert_lt(gm_query_hints(NULL, NULL), 0);
	cr_assert_lt(gm_query_hints(p, NULL), 0);
	cr_assert_lt(gm_query_hnode(hnid, NULL), 0);
	cr_assert_lt(gm_query_counters(NULL, 8), 0);
	cr_assert_lt(gm_munmap(NULL, PAGE), 0);
	cr_assert_lt(gm_mprotect(NULL, PAGE, 0), 0);
	cr_assert_eq(gm_mremap(NULL, PAGE, PAGE, 0, NULL), MAP_FAILED);
	cr_assert_null(gm_as_of(NULL));
	cr_assert_lt(gm_policy_set(NULL, NULL, GM_POLICY_EVICT, NULL), 0);
	cr_assert_lt(gm_policy_list(GM_POLICY_EVICT, 0, NULL), 0);
	gm_policy_get(NULL, NULL, GM_POLICY_EVICT);
}

Test(abuse, null_is_an_error_for_every_function_of_ranges, .init = open_device)
{
	struct gm_dev *dev = gm_sim_dev(sim);
	char b[64];

	cr_assert_lt(gm_bo_create(NULL, PAGE, NULL), 0);
	cr_assert_lt(gm_bo_create(dev, 65536, NULL), 0);
	cr_assert_lt(gm_bo_destroy(NULL), 0);
	cr_assert_lt(gm_bo_write(NULL, 0, b, 1), 0);
	cr_assert_lt(gm_bo_read(NULL, 0, b, 1), 0);
	cr_assert_lt(gm_sparse_create(NULL, NULL, PAGE, NULL), 0);
	cr_assert_lt(gm_sparse_create(as, dev, 2 * MIB, NULL), 0);
	cr_assert_lt(gm_sparse_destroy(NULL), 0);
	cr_assert_null(gm_sparse_addr(NULL));
	cr_assert_lt(gm_sparse_bind(NULL, NULL, 1), 0);
	cr_assert_lt(gm_sparse_query(NULL, 0, NULL), 0);
}

Test(abuse, null_is_an_error_for_every_function_of_the_device, .init = open_device)
{
	struct gm_stream *stream;

	cr_assert_lt(gm_sim_open(NULL, NULL), 0);
	cr_assert_lt(gm_sim_open("pcie4-gpu", NULL), 0);
	cr_assert_lt(gm_sim_close(NULL), 0);
	cr_assert_null(gm_sim_dev(NULL));
	cr_assert_lt(gm_sim_attach(NULL, NULL), 0);
	cr_assert_lt(gm_sim_attach(sim, NULL), 0);
	cr_assert_lt(gm_sim_load(NULL, NULL, NULL), 0);
	cr_assert_lt(gm_sim_load(sim, NULL, NULL), 0);
	cr_assert_lt(gm_sim_launch(NULL, 0, NULL, 1, NULL, 0, NULL), 0);
	cr_assert_lt(gm_sim_launch(sim, 0, NULL, 1, NULL, 0, NULL), 0);
	cr_assert_lt(gm_sim_launch(sim, 0, "memset", 1, NULL, 8, NULL), 0);
	cr_assert_lt(gm_stream_create(NULL, NULL), 0);
	cr_assert_lt(gm_stream_create(sim, NULL), 0);
	cr_assert_lt(gm_stream_destroy(NULL), 0);
	cr_assert_lt(gm_stream_launch(NULL, 0, NULL, 1, NULL, 0, NULL), 0);
	cr_assert_lt(gm_stream_prefetch(NULL, hnid, p, PAGE), 0);
	cr_assert_lt(gm_stream_copy(NULL, hnid, p, p, PAGE), 0);
	cr_assert_lt(gm_stream_call(NULL, NULL, NULL), 0);
	cr_assert_lt(gm_stream_sync(NULL), 0);
	cr_assert_lt(gm_stream_query(NULL), 0);
	cr_assert_lt(gm_stream_wait(NULL, NULL), 0);
	cr_assert_lt(gm_fence_record(NULL, NULL), 0);
	cr_assert_lt(gm_fence_wait(NULL, 0), 0);
	cr_assert_lt(gm_fence_free(NULL), 0);
	cr_assert_eq(gm_stream_create(sim, &stream), 0);
	cr_assert_lt(gm_stream_launch(stream, 0, NULL, 1, NULL, 0, NULL), 0);
	cr_assert_lt(gm_stream_launch(stream, 0, "memset", 1, NULL, 8, NULL), 0);
	cr_assert_lt(gm_stream_call(stream, NULL, NULL), 0);
	cr_assert_lt(gm_stream_wait(stream, NULL), 0);
	cr_assert_lt(gm_fence_record(stream, NULL), 0);
	cr_assert_eq(gm_stream_destroy(stream), 0);
}

/* A fault that never ends is an error in the end. */
static void launch_and_move(void)
{
	struct ds_mem_args a = {.dst = p, .bytes = 4 * MIB, .value = 3};

	for (int i = 0; i < 3; i++) {
		gm_sim_launch(sim, 0, "memset", 4, &a, sizeof a, NULL);
		hmadvise(hnid, p, 4 * MIB, MADV_PREFETCH);
		hmadvise(-1, p, 4 * MIB, MADV_PREFETCH);
	}
	for (size_t i = 0; i < 4 * MIB; i += PAGE)
		cr_assert(p[i] == 7 || p[i] == 3);
}

Test(abuse, a_ring_that_stays_full, .init = open_device, .timeout = 60)
{
	cr_assert_eq(gmi_inject("ring@2+"), 0);
	launch_and_move();
	gmi_inject("");
	cr_assert_eq(hmadvise(hnid, p, 4 * MIB, MADV_PREFETCH), 0);
}

Test(abuse, blocks_that_stay_locked, .timeout = 60)
{
	as = gm_as_default();
	cr_assert_eq(gm_sim_open("pcie4-gpu,mem=2M,page=64K", &sim), 0);
	cr_assert_eq(gm_sim_attach(sim, as), 0);
	hnid = gm_dev_hnid(gm_sim_dev(sim));
	p = gm_mmap(as, NULL, 4 * MIB, PROT_READ | PROT_WRITE, ANON, -1, 0);
	memset(p, 7, 4 * MIB);
	cr_assert_eq(gmi_inject("busy@3+"), 0);
	launch_and_move();
	gmi_inject("");
	cr_assert_geq(hmadvise(-1, p, 4 * MIB, MADV_PREFETCH), 0);
}
