/*
 * linked.c - a list, a tree and a graph made of malloc'ed nodes, walked by a device.
 *
 * Built with -lgmem and run under the preload, so that malloc's memory is managed:
 *	run-with-gmem.sh -- ./linked
 * (Without the preload a program takes managed memory from gm_mmap instead of malloc.) Every
 * result is computed on the CPU as well, before and after, and compared.
 */
#include <gmem/device.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "linked.h"

#define ITEMS	 200000
#define NODES	 100000
#define VERTICES 50000
#define EDGES	 6

static struct gm_sim *device;
static int module;

static void die(const char *what, int error)
{
	fprintf(stderr, "linked: %s: %s\n", what, strerror(error));
	exit(1);
}

static void *take(size_t bytes)
{
	void *p = malloc(bytes);

	if (!p)
		die("malloc", 12);
	return p;
}

static uint64_t rnd(void)
{
	static uint64_t state = 1;

	state = state * 6364136223846793005u + 1442695040888963407u;
	return state >> 33;
}

static void run(const char *kernel, const void *args, size_t bytes)
{
	struct gm_launch_result result;
	int err = gm_sim_launch(device, module, kernel, 1, args, bytes, &result);

	if (err)
		die(kernel, -err);
}

static void expect(const char *what, uint64_t got, uint64_t want)
{
	printf("%s: %llu\n", what, (unsigned long long)got);
	if (got == want)
		return;
	fprintf(stderr, "linked: %s should be %llu\n", what, (unsigned long long)want);
	exit(1);
}

static void list(void)
{
	uint64_t want = 0, *sum = take(sizeof *sum);
	struct item *head = NULL;

	for (int i = 0; i < ITEMS; i++) {
		struct item *item = take(sizeof *item);
		*item = (struct item){head, rnd()};
		head = item;
		want += item->value;
	}
	run("sum_list", &(struct list_args){head, sum}, sizeof(struct list_args));
	expect("sum of the list", *sum, want);
	for (struct item *i = head; i;
	     i = i->next) /* the CPU takes the pages back, one fault after the other */
		want += i->value;
	expect("and with the device's changes", want, 0);
}

static void tree(void)
{
	uint64_t depths = 0, want = 0, *nodes = take(sizeof *nodes);
	struct tree *root = NULL, **all = take(NODES * sizeof *all);

	for (int i = 0; i < NODES; i++) {
		struct tree *t = take(sizeof *t), **at = &root;
		*t = (struct tree){.key = rnd()};
		for (uint64_t depth = 0; *at; depth++, want++)
			at = t->key < (*at)->key ? &(*at)->less : &(*at)->more;
		all[i] = *at = t;
	}
	run("measure_tree", &(struct tree_args){root, nodes}, sizeof(struct tree_args));
	expect("nodes of the tree", *nodes, NODES);
	for (int i = 0; i < NODES; i++)
		depths += all[i]->depth;
	expect("sum of their depths", depths, want);
}

static uint64_t search_here(struct vertex *all, struct vertex **queue)
{
	uint64_t end = 1, total = 0;
	uint32_t *distance = take(VERTICES * sizeof *distance);

	memset(distance, 0xff, VERTICES * sizeof *distance);
	distance[0] = 0;
	queue[0] = all;
	for (uint64_t at = 0; at < end; at++)
		for (uint32_t e = 0; e < queue[at]->edges; e++) {
			struct vertex *to = queue[at]->edge[e];
			if (distance[to - all] != UINT32_MAX)
				continue;
			distance[to - all] = distance[queue[at] - all] + 1;
			total += distance[to - all];
			queue[end++] = to;
		}
	free(distance);
	return total;
}

static void graph(void)
{
	struct vertex *all = take(VERTICES * sizeof *all), **queue = take(VERTICES * sizeof *queue);
	uint64_t total = 0, *reached = take(sizeof *reached);

	for (int i = 0; i < VERTICES; i++) {
		all[i] = (struct vertex){take(EDGES * sizeof *all[i].edge), EDGES, UINT32_MAX};
		for (int e = 0; e < EDGES; e++)
			all[i].edge[e] = &all[rnd() % VERTICES];
	}
	uint64_t want = search_here(all, queue);
	run("search_graph", &(struct graph_args){queue, reached}, sizeof(struct graph_args));
	for (int i = 0; i < VERTICES; i++)
		if (all[i].distance != UINT32_MAX)
			total += all[i].distance;
	printf("vertices reached: %llu\n", (unsigned long long)*reached);
	expect("sum of their distances", total, want);
}

int main(int argc, char **argv)
{
	const char *path = argc > 1 ? argv[1] : "./linked_kernels.so",
		   *spec = argc > 2 ? argv[2] : "pcie4-gpu,mem=64M";
	int err;

	if ((err = gm_sim_open(spec, &device)) || (err = gm_sim_attach(device, gm_as_default())))
		die("no device", -err);
	if ((err = gm_sim_load(device, path, &module)))
		die(path, -err);
	list();
	tree();
	graph();
	return 0;
}
