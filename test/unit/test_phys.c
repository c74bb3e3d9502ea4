/* The frame allocator hands out each page once, always finds a frame that exists, and follows
 * the policy of phys.h. */
#include "core/sys/phys.h"
#include "random.h"
#include <criterion/criterion.h>
#include <signal.h>

#define MIB ((uint64_t)1 << 20)

/* Debug builds insist on blocked signals while a ranked lock is held. */
static void setup(void)
{
	gmi_block_signals();
}
TestSuite(phys, .init = setup);

/* ---- the model: one byte per page ---- */

#define CHUNKS 24u
#define PAGES  (CHUNKS * GM_PAGES_PER_BLOCK)

static bool taken[PAGES];
static struct {
	uint64_t frame;
	unsigned order;
} live[PAGES];
static unsigned nlive;
static uint64_t live_bytes;

static bool model_free(uint64_t page, unsigned order)
{
	for (unsigned i = 0; i < 1u << order; i++)
		if (taken[page + i])
			return false;
	return true;
}
static bool model_has(unsigned order)
{
	for (unsigned page = 0; page < PAGES; page += 1u << order)
		if (model_free(page, order))
			return true;
	return false;
}
static void model_set(uint64_t frame, unsigned order, bool to)
{
	for (unsigned i = 0; i < 1u << order; i++)
		taken[frame / GM_PAGE_BYTES + i] = to;
	live_bytes += to ? GM_PAGE_BYTES << order : -(GM_PAGE_BYTES << order);
}

static uint64_t random_wish(unsigned order)
{
	switch (rng_below(4)) {
	case 0:
		return GM_PHYS_NONE;
	case 1:
		return rng(); /* nonsense */
	case 2:
		return nlive ? live[rng_below(nlive)].frame + (GM_PAGE_BYTES << order)
			     : 0; /* beside another */
	}
	return (uint64_t)rng_below(PAGES >> order) * (GM_PAGE_BYTES << order);
}

static void alloc_one(struct gm_phys *p, unsigned order)
{
	uint64_t wish = random_wish(order), size = GM_PAGE_BYTES << order;
	bool wish_free = wish % size == 0 && wish < PAGES * GM_PAGE_BYTES &&
			 model_free(wish / GM_PAGE_BYTES, order);
	uint64_t f = gmi_phys_alloc(p, order, wish);

	if (f == GM_PHYS_NONE) {
		cr_assert(!model_has(order), "order %u: none found, but there is one", order);
		return;
	}
	cr_assert_eq(f % size, 0);
	cr_assert_lt(f, PAGES * GM_PAGE_BYTES);
	cr_assert(model_free(f / GM_PAGE_BYTES, order), "frame %lx handed out twice", f);
	if (wish_free)
		cr_assert_eq(f, wish);
	model_set(f, order, true);
	live[nlive].frame = f;
	live[nlive++].order = order;
}

static void free_one(struct gm_phys *p)
{
	unsigned i = rng_below(nlive);

	gmi_phys_free(p, live[i].frame, live[i].order);
	model_set(live[i].frame, live[i].order, false);
	live[i] = live[--nlive];
}

Test(phys, like_an_array_of_pages)
{
	struct gm_phys *p = gmi_phys_create(CHUNKS * GM_BLOCK_BYTES);

	rng_seed("phys");
	cr_assert_eq(gmi_phys_total_bytes(p), CHUNKS * GM_BLOCK_BYTES);
	for (int round = 0; round < 40; round++) {
		/* percent; largest order */
		unsigned grow = 20 + rng_below(80), top = rng_below(GM_PHYS_MAX_ORDER + 1);
		for (int i = 0; i < 2000; i++) {
			if (!nlive || rng_below(100) < grow)
				alloc_one(p, rng_below(top + 1));
			else
				free_one(p);
			cr_assert_eq(gmi_phys_used_bytes(p), live_bytes);
		}
	}
	while (nlive)
		free_one(p);
	for (unsigned i = 0; i < CHUNKS; i++) /* everything came together again */
		cr_assert_neq(gmi_phys_alloc(p, GM_PHYS_MAX_ORDER, GM_PHYS_NONE), GM_PHYS_NONE);
	gmi_phys_destroy(p);
}

Test(phys, every_byte_can_be_had_in_every_order)
{
	for (unsigned order = 0; order <= GM_PHYS_MAX_ORDER; order++) {
		struct gm_phys *p = gmi_phys_create(8 * GM_BLOCK_BYTES);
		uint64_t n = 8 * GM_BLOCK_BYTES / (GM_PAGE_BYTES << order);
		for (uint64_t i = 0; i < n; i++)
			cr_assert_neq(gmi_phys_alloc(p, order, GM_PHYS_NONE), GM_PHYS_NONE);
		cr_assert_eq(gmi_phys_used_bytes(p), gmi_phys_total_bytes(p));
		for (unsigned k = 0; k <= GM_PHYS_MAX_ORDER; k++)
			cr_assert_eq(gmi_phys_alloc(p, k, 0), GM_PHYS_NONE);
		gmi_phys_free(p, 3 * (GM_PAGE_BYTES << order) % (8 * MIB), order);
		cr_assert_eq(gmi_phys_alloc(p, order, GM_PHYS_NONE),
			     3 * (GM_PAGE_BYTES << order) % (8 * MIB));
		gmi_phys_destroy(p);
	}
}

Test(phys, first_pages_of_blocks_get_chunks_of_their_own)
{
	struct gm_phys *p = gmi_phys_create(16 * GM_BLOCK_BYTES);
	uint64_t a = gmi_phys_alloc(p, 4, GM_PHYS_NONE), b = gmi_phys_alloc(p, 4, GM_PHYS_NONE);

	cr_assert_neq(a >> GM_BLOCK_SHIFT, b >> GM_BLOCK_SHIFT);
	cr_assert_eq(gmi_phys_alloc(p, 4, a + 64 * 1024), a + 64 * 1024);
	gmi_phys_destroy(p);
}

Test(phys, a_block_is_one_run_whichever_page_comes_first)
{
	struct gm_phys *p = gmi_phys_create(16 * GM_BLOCK_BYTES);
	uint64_t page = 64 * 1024, first = gmi_phys_alloc(p, 4, GM_PHYS_ANY_CHUNK + 17 * page),
		 chunk;

	cr_assert_eq(first % GM_BLOCK_BYTES, 17 * page);
	chunk = first - 17 * page;
	for (unsigned i = 32; i-- > 0;)
		if (i != 17)
			cr_assert_eq(gmi_phys_alloc(p, 4, chunk + i * page), chunk + i * page);
	gmi_phys_destroy(p);
}

Test(phys, whole_chunks_are_spared_when_few_are_left)
{
	struct gm_phys *p = gmi_phys_create(16 * GM_BLOCK_BYTES);
	uint64_t seen[16] = {0};

	for (int i = 0; i < 15; i++) /* until less than 1/8 of 16 are untouched */
		seen[gmi_phys_alloc(p, 0, GM_PHYS_NONE) >> GM_BLOCK_SHIFT]++;
	cr_assert_neq(gmi_phys_alloc(p, GM_PHYS_MAX_ORDER, GM_PHYS_NONE), GM_PHYS_NONE);
	for (int i = 0; i < 16; i++)
		cr_assert_leq(seen[i], 1);
	/* best fit: the pieces beside one used page serve orders 0 to 8 */
	for (unsigned k = 0; k < 8; k++) {
		uint64_t f = gmi_phys_alloc(p, k, GM_PHYS_NONE);
		cr_assert_neq(f, GM_PHYS_NONE);
	}
	gmi_phys_destroy(p);
}

#ifdef GM_DEBUG
Test(phys, double_free_is_found, .signal = SIGABRT)
{
	struct gm_phys *p = gmi_phys_create(GM_BLOCK_BYTES);
	uint64_t f = gmi_phys_alloc(p, 3, GM_PHYS_NONE);

	gmi_phys_free(p, f, 3);
	gmi_phys_free(p, f, 3);
}
#endif
