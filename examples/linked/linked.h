/* linked.h - what the program and its kernels share: structures full of ordinary pointers. */
#ifndef LINKED_H
#define LINKED_H

#include <stddef.h>
#include <stdint.h>

struct item { /* a list */
	struct item *next;
	uint64_t value;
};
struct tree { /* a binary search tree */
	struct tree *less, *more;
	uint64_t key, depth; /* depth: filled in by the device */
};
struct vertex { /* a graph */
	struct vertex **edge;
	uint32_t edges, distance; /* from the first one; UINT32_MAX: not reached */
};

struct list_args {
	struct item *head;
	uint64_t *sum;
};
struct tree_args {
	struct tree *root;
	uint64_t *nodes;
};
struct graph_args {
	struct vertex **queue; /* room for all vertices, the first one in it */
	uint64_t *reached;
};

#endif
