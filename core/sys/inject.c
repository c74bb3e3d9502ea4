/* Failing on demand. See inject.h. */
#include "core/sys/inject.h"
#include "core/sys/text.h"
#include <errno.h>

_Atomic uint32_t gmi_inject_armed;

static const char *const names[] = {
#define X(id, name, what) name,
	GM_INJ_SITES(X)
#undef X
};

static struct rule {
	uint64_t nth; /* 0: by chance */
	bool onwards;
	unsigned percent;
	_Atomic uint64_t calls;
} rules[GM_INJ_COUNT];
static _Atomic uint64_t chance;

static unsigned draw(void) /* 0..99; splitmix64 */
{
	uint64_t z = atomic_fetch_add_explicit(&chance, 0x9e3779b97f4a7c15u, memory_order_relaxed);

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return (unsigned)((z ^ z >> 31) % 100);
}

bool gmi_inject_hit(enum gm_inj site)
{
	struct rule *r = &rules[site];
	uint64_t n = atomic_fetch_add_explicit(&r->calls, 1, memory_order_relaxed) + 1;

	if (!r->nth)
		return draw() < r->percent;
	return n == r->nth || (r->onwards && n > r->nth);
}

uint64_t gmi_inject_calls(enum gm_inj site)
{
	return atomic_load_explicit(&rules[site].calls, memory_order_relaxed);
}

const char *gmi_inject_name(enum gm_inj site)
{
	return names[site];
}

/* ---- the language ---- */

static const char *inject_number(const char *s, uint64_t *n)
{
	const char *start = s;

	for (*n = 0; *s >= '0' && *s <= '9' && *n < UINT64_MAX / 10 - 9; s++)
		*n = *n * 10 + (uint64_t)(*s - '0');
	return s == start ? NULL : s;
}

struct plan {
	struct {
		uint64_t nth;
		bool onwards;
		unsigned percent;
	} rule[GM_INJ_COUNT];
	uint32_t armed;
	uint64_t seed;
};

/* One entry; returns what follows it, or NULL. */
static const char *parse_entry(const char *s, struct plan *p)
{
	const char *rest = gm_text_after(s, "seed=");
	uint64_t n;

	if (rest)
		return inject_number(rest, &p->seed);
	for (unsigned i = 0; i < GM_INJ_COUNT; i++) {
		rest = gm_text_after(s, names[i]);
		if (!rest || (*rest != '@' && *rest != '%'))
			continue;
		bool by_chance = *rest == '%';
		rest = inject_number(rest + 1, &n);
		if (!rest || !n || (by_chance && n > 100))
			return NULL;
		p->rule[i].nth = by_chance ? 0 : n;
		p->rule[i].percent = by_chance ? (unsigned)n : 0;
		p->rule[i].onwards = !by_chance && *rest == '+';
		p->armed |= 1u << i;
		return rest + p->rule[i].onwards;
	}
	return NULL;
}

int gmi_inject(const char *spec)
{
	struct plan p = {.seed = 1};

	for (const char *s = spec; *s; s++) {
		s = parse_entry(s, &p);
		if (!s || (*s && (*s != ',' || !s[1])))
			return -EINVAL;
		if (!*s)
			break;
	}
	atomic_store(&gmi_inject_armed, 0);
	for (unsigned i = 0; i < GM_INJ_COUNT; i++) {
		rules[i].nth = p.rule[i].nth;
		rules[i].onwards = p.rule[i].onwards;
		rules[i].percent = p.rule[i].percent;
		atomic_store(&rules[i].calls, 0);
	}
	atomic_store(&chance, p.seed);
	atomic_store(&gmi_inject_armed, p.armed);
	return 0;
}
