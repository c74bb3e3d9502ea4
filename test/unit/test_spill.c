/*
 * A device with two memories, each a device of its driver: what does not fit into the first goes to
 * the second, and what does not fit there goes home; with all bytes, and over the link alone.
 */
#include "fake_dev.h"
#include "random.h"
#include <gmem/policy.h>

#define PAGE GM_PAGE_BYTES
#define MIB  ((size_t)1 << 20)
#define BOTH (GM_PEER_COPY | GM_PEER_MAP)

static struct gm_as *as;
static struct fake_dev fast, slow;

/* 4 and 8 MiB; the second cannot fault: nobody computes there. */
static void open_both(size_t page, size_t below, bool aperture, unsigned link)
{
	gmi_opt.prefetch = GM_PREFETCH_NONE;
	gmi_opt.reclaim_percent = 0;
	cr_assert_eq(gm_as_create(0, 64 * MIB, &as), 0);
	fake_open(&fast, as, 4 * MIB, page, aperture);
	fake_open(&slow, as, 8 * MIB, below, aperture);
	slow.dev->cap = GM_DEV_CAP_PEER;
	if (link) {
		cr_assert_eq(gm_dev_link(fast.dev, slow.dev, link), 0);
		cr_assert_eq(gm_dev_link(slow.dev, fast.dev, link), 0);
	}
	cr_assert_eq(gm_dev_spill(fast.dev, slow.dev), 0, "%s", gm_last_error());
}
static void close_both(void)
{
	fake_close(&slow);
	fake_close(&fast);
	cr_assert_eq(gm_as_destroy(as), 0);
}

static unsigned char *map(size_t bytes)
{
	void *p = gm_mmap(as, NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			  0);
	cr_assert_neq(p, MAP_FAILED);
	return p;
}

/* Where its pages of 2 MiB are (their first page): 'f', 's' or 'h' each. */
static const char *places(const unsigned char *p, size_t blocks)
{
	static char s[33];

	for (size_t i = 0; i < blocks; i++) {
		struct gm_page_info info;
		cr_assert_eq(gm_query(p + i * GM_BLOCK_BYTES, PAGE, &info), 0);
		s[i] = info.hnid == gm_dev_hnid(fast.dev)   ? 'f'
		       : info.hnid == gm_dev_hnid(slow.dev) ? 's'
							    : 'h';
	}
	s[blocks] = 0;
	return s;
}

static void write_all(unsigned char *p, size_t bytes, unsigned char first)
{
	for (size_t i = 0; i < bytes; i += PAGE)
		cr_assert_eq(fake_write(&fast, p + i, (unsigned char)(first + i / PAGE)), 0);
}

static void expect_all(unsigned char *p, size_t bytes, unsigned char first)
{
	for (size_t i = 0; i < bytes; i += PAGE)
		cr_assert_eq(p[i], (unsigned char)(first + i / PAGE), "page %zu", i / PAGE);
}

static void falls_and_rises(size_t page, size_t below, bool aperture, unsigned link)
{
	open_both(page, below, aperture, link);
	unsigned char *p = map(16 * MIB), c;
	uint64_t home = gmi_stats->d2h_bytes, away = gmi_stats->h2d_bytes;
	write_all(p, 6 * MIB, 1);
	cr_expect_str_eq(places(p, 3), "sff");
	if (link) {
		cr_expect_eq(gmi_stats->d2h_bytes, home, "nothing has seen the host");
		cr_expect_eq(gmi_stats->h2d_bytes, away);
	}
	cr_assert_eq(fake_read(&fast, p, &c), 0);
	cr_expect_eq(c, 1);
	cr_expect_eq(places(p, 1)[0], 'f', "it rises at its touch");
	write_all(p, 16 * MIB, 2);
	cr_expect_str_eq(places(p, 8), "hhssssff");
	expect_all(p, 16 * MIB, 2);
	close_both();
}

Test(spill, pages_fall_from_memory_to_memory, .timeout = 120)
{
	falls_and_rises(65536, 65536, true, BOTH);
	falls_and_rises(65536, 4096, true, GM_PEER_COPY);
	falls_and_rises(65536, 4096, false, BOTH);
	falls_and_rises(2 * MIB, 65536, false, BOTH);
	falls_and_rises(65536, 65536, true, 0);
}

Test(spill, nodes_are_named_by_hints_and_prefetch)
{
	open_both(65536, 65536, true, BOTH);
	unsigned char *p = map(4 * MIB), c;
	memset(p, 5, 4 * MIB);
	cr_assert_eq(hmadvise(gm_dev_hnid(slow.dev), p, 4 * MIB, MADV_PREFETCH), 0);
	cr_expect_str_eq(places(p, 2), "ss");
	cr_assert_eq(hmadvise(gm_dev_hnid(slow.dev), p, 2 * MIB, GM_MADV_PREFERRED_LOCATION), 0);
	cr_assert_eq(fake_read(&fast, p, &c), 0);
	cr_expect_eq(c, 5);
	cr_assert_eq(fake_write(&fast, p + 1, 6), 0);
	cr_assert_eq(fake_read(&fast, p + 2 * MIB, &c), 0);
	cr_expect_str_eq(places(p, 2), "sf", "used in place where that is preferred");
	cr_assert_eq(hmadvise(gm_dev_hnid(fast.dev), p, 2 * MIB, MADV_PREFETCH), 0);
	cr_expect_str_eq(places(p, 2), "ff");
	cr_expect_eq(p[1], 6);
	close_both();
}

Test(spill, without_a_memory_below_pages_go_home)
{
	open_both(65536, 65536, true, BOTH);
	unsigned char *p = map(6 * MIB);
	cr_assert_eq(gm_dev_spill(fast.dev, NULL), 0);
	write_all(p, 6 * MIB, 1);
	cr_expect_str_eq(places(p, 3), "hff");
	cr_assert_eq(gm_dev_spill(fast.dev, slow.dev), 0);
	cr_assert_eq(gm_as_detach(as, slow.dev), 0);
	write_all(p, 6 * MIB, 2);
	cr_expect_eq(strchr(places(p, 3), 's'), NULL, "it is not attached");
	expect_all(p, 6 * MIB, 2);
	cr_assert_eq(gm_as_attach(as, slow.dev, GM_MMU_MODE_COHERENT_EXCLUSIVE, 1, NULL), 0);
	close_both();
}

/* A copy on its way down fails: the page goes home instead. */
Test(spill, what_cannot_fall_goes_home)
{
	open_both(65536, 65536, false, BOTH);
	unsigned char *p = map(6 * MIB);
	write_all(p, 4 * MIB, 1);
	slow.fail_kind = GM_OP_COPY_PEER;
	slow.fail_after = 0;
	write_all(p + 4 * MIB, 2 * MIB, 1);
	slow.fail_kind = -1;
	cr_expect_str_eq(places(p, 3), "hff");
	expect_all(p, 4 * MIB, 1);
	expect_all(p + 4 * MIB, 2 * MIB, 1);
	close_both();
}

Test(spill, random_touches_see_every_byte, .timeout = 120)
{
	static const char *const evict[] = {"lru2m", "lru4k", "tree", "access", "adaptive"};
	enum { PAGES = 16 * 256, STEPS = 2000 };
	static unsigned char model[PAGES];

	open_both(65536, 4096, true, BOTH);
	unsigned char *p = map(PAGES * PAGE), c;
	rng_seed("spill");
	cr_assert_eq(hmadvise(-1, p + 4 * MIB, MIB, GM_MADV_READ_MOSTLY), 0);
	for (unsigned step = 0; step < STEPS; step++) {
		unsigned i = rng_below(PAGES), how = rng_below(8);
		if (step % 400 == 0) {
			const char *name = evict[step / 400 % 5];
			cr_assert_eq(gm_policy_set(NULL, fast.dev, GM_POLICY_EVICT, name), 0);
			cr_assert_eq(gm_policy_set(NULL, slow.dev, GM_POLICY_EVICT, name), 0);
			cr_assert_eq(gm_mprotect(p + step / 400 * MIB, MIB, PROT_READ), 0);
		}
		bool readonly = i / 256 <= step / 400;
		if (how < 4 && !readonly) {
			cr_assert_eq(
				fake_write(&fast, p + i * PAGE, model[i] = (unsigned char)step), 0);
		} else if (how < 6) {
			cr_assert_eq(fake_read(&fast, p + i * PAGE, &c), 0);
			cr_assert_eq(c, model[i], "step %u, page %u", step, i);
		} else if (how == 6) {
			cr_assert_eq(p[i * PAGE], model[i], "step %u, page %u", step, i);
		} else if (!readonly) {
			p[i * PAGE] = model[i] = (unsigned char)step;
		}
	}
	for (unsigned i = 0; i < PAGES; i++)
		cr_assert_eq(p[i * PAGE], model[i], "page %u", i);
	cr_expect_gt(gmi_stats->dev[fast.dev->index].evicted_bytes, 0);
	close_both();
}

static void refused(struct gm_dev *dev, struct gm_dev *to, const char *why)
{
	cr_expect_eq(gm_dev_spill(dev, to), -EINVAL, "%s", why);
	cr_expect(strstr(gm_last_error(), why), "%s does not say %s", gm_last_error(), why);
}

Test(spill, bad_memories_are_told)
{
	open_both(65536, 4096, true, 0);
	struct fake_dev none;
	fake_open_without(&none, as, GM_DEV_CAP_REPLAYABLE);
	refused(NULL, slow.dev, "dev is NULL");
	refused(fast.dev, fast.dev, "below");
	refused(slow.dev, fast.dev, "65536 bytes, is larger than its own, 4096");
	refused(fast.dev, none.dev, "no memory");
	struct fake_dev third;
	fake_open(&third, as, 8 * MIB, 4096, true);
	cr_expect_eq(gm_dev_spill(slow.dev, third.dev), 0);
	refused(third.dev, slow.dev, "lies below");
	fake_close(&third);
	cr_expect_eq(slow.dev->spill, 0, "it is no more");
	fake_close(&none);
	close_both();
}
