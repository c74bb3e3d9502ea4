/*
 * bfs.c - breadth-first search over a graph of malloc'ed nodes that point at each other. Nothing
 * is mapped: unified_shared_memory, the device follows the program's own pointers.
 */
#include "example.h"

#pragma omp requires unified_shared_memory

#define EDGES 6

struct node {
	struct node *edge[EDGES];
	int level; /* -1: not reached */
	char payload[64 - EDGES * 8 % 64 - sizeof(int)];
};

/* Not inlined, so that it is what reports name. */
__attribute__((noinline)) static struct node **make_nodes(size_t n)
{
	struct node **all = example_alloc(n * sizeof *all);

	for (size_t i = 0; i < n; i++)
		all[i] = example_alloc(sizeof *all[i]);
	return all;
}

static struct node **random_graph(size_t n)
{
	struct node **all = make_nodes(n);
	uint64_t seed = 3;

	for (size_t i = 0; i < n; i++)
		for (int k = 0; k < EDGES; k++)
			all[i]->edge[k] =
				example_random(&seed) % 4 ? all[example_random(&seed) % n] : NULL;
	return all;
}

/* Every node of this level reaches its neighbours. Returns whether there were new ones. */
static int expand(int device, struct node **all, size_t n, int level)
{
	int found = 0;

#pragma omp target teams distribute parallel for device(device) reduction(|                        \
									  : found) map(tofrom      \
										       : found)
	for (size_t i = 0; i < n; i++) {
		int own;
#pragma omp atomic read
		own = all[i]->level;
		if (own != level)
			continue;
		for (int k = 0; k < EDGES; k++) {
			struct node *to = all[i]->edge[k];
			int old = 0;
			if (to) {
#pragma omp atomic read
				old = to->level;
			}
			if (old >= 0)
				continue;
#pragma omp atomic write
			to->level = level + 1;
			found |= 1;
		}
	}
	return found;
}

static void search(int device, struct node **all, size_t n)
{
#pragma omp target teams distribute parallel for device(device)
	for (size_t i = 0; i < n; i++)
		all[i]->level = i ? -1 : 0;
	for (int level = 0; expand(device, all, n, level); level++)
		;
}

int main(int argc, char **argv)
{
	struct example e = example_begin("bfs", argc, argv, 3);
	size_t n = e.bytes / (sizeof(struct node) + sizeof(struct node *) + 8), reached = 0;
	struct node **all = random_graph(n);
	int *want = example_alloc(n * sizeof *want), equal = 1;

	e.host_s = -omp_get_wtime();
	search(omp_get_initial_device(), all, n);
	e.host_s += omp_get_wtime();
	for (size_t i = 0; i < n; i++) {
		want[i] = all[i]->level;
		reached += want[i] >= 0;
	}

	for (int r = 0; r < e.reps; r++) {
		double begin = omp_get_wtime();
		search(omp_get_default_device(), all, n);
		double seconds = omp_get_wtime() - begin;
		example_step(&e, seconds);
		e.device_s += seconds;
	}
	for (size_t i = 0; i < n; i++)
		equal &= all[i]->level == want[i];
	return example_end(&e, equal && reached > n / 2);
}
