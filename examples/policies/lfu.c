/*
 * lfu.c - a policy of one's own: when the device is full, what it has used least often goes home.
 *
 *     cc -shared -fPIC -O2 -o lfu.so lfu.c        (with -I where gmem/policy.h is)
 *     run-with-gmem --policy ./lfu.so --device pcie4-gpu,mem=1G -- program
 *
 * Uses are faults, and each time that a page is found to have been used since the library last
 * asked (it does, as there is an on_touch). Old merit fades.
 */
#include <gmem/policy.h>

#define SLOTS 65536 /* of counts, by address; two pages may share one */

struct state {
	unsigned ticks;
	uint16_t count[SLOTS];
};

#define COUNT_OF(v, own, va) (&((struct state *)(own))->count[(va) / (v)->page_bytes % SLOTS])

static void on_touch(const struct gm_policy_view *v, void *state, uint64_t va)
{
	++*COUNT_OF(v, state, va);
}

static void on_fault(const struct gm_policy_view *v, void *state, struct gm_policy_fault *f)
{
	++*COUNT_OF(v, state, f->va); /* what comes along stays what --prefetch says */
}

static void on_tick(const struct gm_policy_view *v, void *state)
{
	struct state *s = state;

	if (++s->ticks % 16)
		return;
	for (unsigned i = 0; i < SLOTS; i++)
		s->count[i] /= 2;
}

/* The page with the least merit above `floor`: its count, then when it was last used. */
static uint64_t least(const struct gm_policy_view *v, struct state *s, uint64_t *floor)
{
	uint64_t best = UINT64_MAX, va = 0;

	for (unsigned i = 0; i < v->pages; i++) {
		const struct gm_policy_page *p = &v->page[i];
		uint64_t n = p->va ? *COUNT_OF(v, s, p->va) : 0;
		uint64_t merit = n << 48 | (p->used_ns >> 10 & 0xffffffffffffu);
		if (p->va && merit > *floor && merit < best) {
			best = merit;
			va = p->va;
		}
	}
	*floor = best;
	return va;
}

static int on_evict_pick(const struct gm_policy_view *v, void *state, struct gm_policy_evict *e)
{
	uint64_t floor = 0, va;

	for (int n = 0; n < 8 && (va = least(v, state, &floor)); n++) {
		if (!e->at(e, va)) /* somebody is using its block just now */
			continue;
		for (uint64_t i = (va - e->block_va) / 4096, k = v->page_bytes / 4096; k; k--, i++)
			e->go.w[i / 64] |= e->may.w[i / 64] & (uint64_t)1 << i % 64;
		return 0;
	}
	return -1;
}

const struct gm_policy_plugin gm_policy = {GM_POLICY_VERSION, "lfu",	sizeof(struct state),
					   on_fault,	      on_touch, on_evict_pick,
					   .on_tick = on_tick};
