/*
 * rangemap.c - the map is a treap: a search tree by start, a heap by a hash of the node's
 * address.
 *
 * Treaps make range operations plain: cut the tree in two or three, change the pieces, join
 * them. Each node knows of its subtree the lowest start, the highest end and the largest gap
 * between two neighbours in it.
 */
#include "core/sys/rangemap.h"
#include <errno.h>

struct gm_range_node {
	struct gm_range r;
	struct gm_range_node *left, *right;
	uintptr_t lo, hi; /* of the subtree: first start, last end */
	size_t gap;	  /* of the subtree: largest distance between neighbours */
};
typedef struct gm_range_node node;

/* Nodes allocated before anything changes, so that running out of memory changes nothing. */
struct spare {
	node *n[2];
};

/* ---- the treap ---- */

static uint64_t priority(const node *n)
{
	uint64_t x = (uintptr_t)n * 0x9e3779b97f4a7c15ull;

	x ^= x >> 32;
	return x * 0xd6e8feb86659fd93ull;
}

static void update(node *n)
{
	const node *l = n->left, *r = n->right;

	n->lo = l ? l->lo : n->r.start;
	n->hi = r ? r->hi : n->r.end;
	n->gap = 0;
	if (l)
		n->gap = gm_max(l->gap, n->r.start - l->hi);
	if (r)
		n->gap = gm_max(n->gap, gm_max(r->gap, r->lo - n->r.end));
}

/* Ranges that start below `at` go to *left, the others to *right. */
static void split(node *t, uintptr_t at, node **left, node **right)
{
	if (!t) {
		*left = *right = NULL;
	} else if (t->r.start < at) {
		split(t->right, at, &t->right, right);
		update(*left = t);
	} else {
		split(t->left, at, left, &t->left);
		update(*right = t);
	}
}

static node *join(node *l, node *r)
{
	if (!l || !r)
		return l ? l : r;
	if (priority(l) > priority(r)) {
		l->right = join(l->right, r);
		update(l);
		return l;
	}
	r->left = join(l, r->left);
	update(r);
	return r;
}

static node **branch(node *n, bool last)
{
	return last ? &n->right : &n->left;
}

/* Takes the tree's first or last node out. */
static node *detach_end(node **t, bool last)
{
	node *n = *t, **towards = branch(n, last);

	if (!*towards) {
		*t = *branch(n, !last);
		return n;
	}
	node *end = detach_end(towards, last);
	update(n);
	return end;
}

/* The end of the last range is pulled back to `end`. */
static void truncate_last(node *t, uintptr_t end)
{
	if (t->right)
		truncate_last(t->right, end);
	else
		t->r.end = end;
	update(t);
}

/* ---- nodes and the map's sums ---- */

static void spare_free(struct spare *s)
{
	for (unsigned i = 0; i < GM_ARRAY_LEN(s->n); i++)
		gmi_free(s->n[i], sizeof(node));
}

static int spare_fill(struct spare *s, unsigned want)
{
	*s = (struct spare){{NULL, NULL}};
	for (unsigned i = 0; i < want; i++) {
		s->n[i] = gmi_alloc(sizeof(node));
		if (!s->n[i]) {
			spare_free(s);
			return -ENOMEM;
		}
	}
	return 0;
}

static node *spare_take(struct spare *s)
{
	node *n = s->n[0] ? s->n[0] : s->n[1];

	gm_assert(n);
	s->n[s->n[0] ? 0 : 1] = NULL;
	return n;
}

static node *new_node(struct gm_rangemap *m, struct spare *s, struct gm_range r)
{
	node *n = spare_take(s);

	*n = (node){.r = r};
	update(n);
	m->count++;
	m->bytes += r.end - r.start;
	return n;
}

static void drop_node(struct gm_rangemap *m, node *n)
{
	m->count--;
	m->bytes -= n->r.end - n->r.start;
	gmi_free(n, sizeof *n);
}

static void drop_tree(struct gm_rangemap *m, node *t)
{
	if (!t)
		return;
	drop_tree(m, t->left);
	drop_tree(m, t->right);
	drop_node(m, t);
}

static bool same_value(const struct gm_range_value *a, const struct gm_range_value *b)
{
	uint64_t diff = 0;

	for (unsigned i = 0; i < GM_ARRAY_LEN(a->v); i++)
		diff |= a->v[i] ^ b->v[i];
	return !diff;
}

static bool inside(const struct gm_rangemap *m, uintptr_t start, uintptr_t end)
{
	return start < end && start >= m->lo && end <= m->hi;
}

/* ---- changing ---- */

void gmi_rangemap_init(struct gm_rangemap *m, uintptr_t lo, uintptr_t hi)
{
	*m = (struct gm_rangemap){.lo = lo, .hi = hi};
}

void gmi_rangemap_destroy(struct gm_rangemap *m)
{
	drop_tree(m, m->root);
	m->root = NULL;
}

/* Takes the map apart: *below has what lies below start, *above what lies from end on. Uses at
 * most one spare node. */
static void cut_out(struct gm_rangemap *m, uintptr_t start, uintptr_t end, struct spare *s,
		    node **below, node **above)
{
	node *rest;

	split(m->root, end, &rest, above);
	if (rest && rest->hi > end) { /* the last range reaches beyond: its tail stays */
		struct gm_range tail;
		gmi_rangemap_find(&(struct gm_rangemap){.root = rest}, end, &tail);
		tail.start = end;
		m->bytes -= tail.end - end;
		truncate_last(rest, end);
		*above = join(new_node(m, s, tail), *above);
	}
	node *gone;
	split(rest, start, below, &gone);
	if (*below && (*below)->hi > start) {
		m->bytes -= (*below)->hi - start;
		truncate_last(*below, start);
	}
	drop_tree(m, gone);
	m->root = NULL;
}

int gmi_rangemap_clear(struct gm_rangemap *m, uintptr_t start, uintptr_t end)
{
	struct spare s;
	node *below, *above;

	if (!inside(m, start, end))
		return -EINVAL;
	if (gmi_rangemap_is_free(m, start, end))
		return 0;
	if (spare_fill(&s, 1))
		return -ENOMEM;
	cut_out(m, start, end, &s, &below, &above);
	m->root = join(below, above);
	spare_free(&s);
	return 0;
}

/* Takes the range beside r, the last of what is below it or the first of what is above, into r
 * when they touch and have the same value. */
static void merge_end(struct gm_rangemap *m, node **side, bool below, struct gm_range *r)
{
	if (!*side || (below ? (*side)->hi != r->start : (*side)->lo != r->end))
		return;
	node *n = detach_end(side, below);
	if (same_value(&n->r.val, &r->val)) {
		r->start = gm_min(r->start, n->r.start);
		r->end = gm_max(r->end, n->r.end);
		drop_node(m, n);
	} else {
		n->left = n->right = NULL;
		update(n);
		*side = below ? join(*side, n) : join(n, *side);
	}
}

int gmi_rangemap_assign(struct gm_rangemap *m, uintptr_t start, uintptr_t end,
			const struct gm_range_value *v)
{
	struct gm_range r = {start, end, *v};
	struct spare s;
	node *below, *above;

	if (!inside(m, start, end))
		return -EINVAL;
	if (spare_fill(&s, 2))
		return -ENOMEM;
	cut_out(m, start, end, &s, &below, &above);
	merge_end(m, &below, true, &r);
	merge_end(m, &above, false, &r);
	m->root = join(join(below, new_node(m, &s, r)), above);
	spare_free(&s);
	return 0;
}

/* ---- asking ---- */

bool gmi_rangemap_next(const struct gm_rangemap *m, uintptr_t addr, struct gm_range *out)
{
	const node *best = NULL;

	for (const node *n = m->root; n;) {
		if (n->r.end > addr) {
			best = n;
			n = n->left;
		} else {
			n = n->right;
		}
	}
	if (best)
		*out = best->r;
	return best != NULL;
}

bool gmi_rangemap_find(const struct gm_rangemap *m, uintptr_t addr, struct gm_range *out)
{
	const node *n = m->root;

	while (n && (addr < n->r.start || addr >= n->r.end))
		n = addr < n->r.start ? n->left : n->right;
	if (n)
		*out = n->r;
	return n != NULL;
}

bool gmi_rangemap_is_free(const struct gm_rangemap *m, uintptr_t start, uintptr_t end)
{
	struct gm_range r;

	return start >= end || !gmi_rangemap_next(m, start, &r) || r.start >= end;
}

/*
 * Subtrees without a gap answer for all of their ranges: only the two edges of [start, end) are
 * walked down.
 */
static bool covered(const node *t, uintptr_t start, uintptr_t end)
{
	if (start >= end)
		return true;
	if (!t || start < t->lo || end > t->hi)
		return false;
	if (t->gap == 0)
		return true;
	return covered(t->left, start, gm_min(end, t->r.start)) &&
	       covered(t->right, gm_max(start, t->r.end), end);
}

bool gmi_rangemap_covers(const struct gm_rangemap *m, uintptr_t start, uintptr_t end)
{
	return covered(m->root, start, end);
}

struct gap_search {
	uintptr_t at; /* everything below is taken or not wanted */
	size_t size, align;
};

/* The aligned place in [at, limit), or 0. */
static uintptr_t fits(const struct gap_search *g, uintptr_t limit)
{
	uintptr_t a = gm_align_up(g->at, g->align);

	return a >= g->at && a < limit && limit - a >= g->size ? a : 0;
}

/*
 * In order, leaving out subtrees that have no large enough gap. at moves up to the end of what
 * was searched.
 */
static uintptr_t search_gap(const node *t, struct gap_search *g)
{
	uintptr_t a;

	if (!t || t->hi <= g->at)
		return 0;
	if ((a = fits(g, t->lo)))
		return a;
	if (t->gap < g->size) {
		g->at = t->hi;
		return 0;
	}
	if ((a = search_gap(t->left, g)) || (a = fits(g, t->r.start)))
		return a;
	g->at = gm_max(g->at, t->r.end);
	return search_gap(t->right, g);
}

uintptr_t gmi_rangemap_find_gap(const struct gm_rangemap *m, uintptr_t from, size_t size,
				size_t align)
{
	struct gap_search g = {.at = gm_max(from, m->lo), .size = size, .align = align};

	if (!size || (align & (align - 1)) || !align)
		return 0;
	uintptr_t a = search_gap(m->root, &g);
	return a ? a : fits(&g, m->hi);
}
