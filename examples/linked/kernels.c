/*
 * kernels.c - a kernel module: the device follows the program's own pointers. No copy, no
 * mapping, no translation; a page that is not on the device yet comes by its fault.
 */
#include <gmem/kernel.h>

#include "linked.h"

/* Sums the list and reverses the sign of every value. */
GM_KERNEL sum_list(struct gm_kctx *ctx, const void *arguments)
{
	const struct list_args *a = arguments;
	uint64_t sum = 0;

	for (struct item *i = a->head; i; i = i->next) {
		sum += i->value;
		i->value = -i->value;
		ctx->bytes += sizeof *i;
	}
	*a->sum = sum;
	return 0;
}

static uint64_t measure(struct tree *t, uint64_t depth)
{
	if (!t)
		return 0;
	t->depth = depth;
	return 1 + measure(t->less, depth + 1) + measure(t->more, depth + 1);
}

/* Every node learns its depth. */
GM_KERNEL measure_tree(struct gm_kctx *ctx, const void *arguments)
{
	const struct tree_args *a = arguments;

	*a->nodes = measure(a->root, 0);
	ctx->bytes += *a->nodes * sizeof(struct tree);
	return 0;
}

/* Breadth-first search. */
GM_KERNEL search_graph(struct gm_kctx *ctx, const void *arguments)
{
	const struct graph_args *a = arguments;
	uint64_t end = 1;

	a->queue[0]->distance = 0;
	for (uint64_t at = 0; at < end; at++) {
		struct vertex *v = a->queue[at];
		for (uint32_t e = 0; e < v->edges; e++) {
			struct vertex *to = v->edge[e];
			if (to->distance != UINT32_MAX)
				continue;
			to->distance = v->distance + 1;
			a->queue[end++] = to;
		}
		ctx->bytes += sizeof *v + v->edges * sizeof *v->edge;
	}
	*a->reached = end;
	return 0;
}
