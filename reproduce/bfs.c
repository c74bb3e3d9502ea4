/*
 * bfs: levels of a random graph of as many nodes and edges as the paper's 256k one, made by the
 * rule of Rodinia's generator: every node draws 2 to 4 neighbours, and an edge counts in both
 * directions.
 */
#include "reproduce.h"
#include <stdlib.h>

static struct bfs_node *nodes;
static int32_t *edges, *cost;
static bool *mask, *next, *visited, *again;

/* Draws for each node, so many that they make BFS_EDGES / 2 in all. */
static void draw_degrees(struct run *r, uint8_t *draws)
{
	int64_t left = BFS_EDGES / 2;

	for (int i = 0; i < BFS_NODES; i++)
		left -= draws[i] = (uint8_t)(2 + run_random(r) % 3);
	while (left) {
		uint8_t *d = &draws[run_random(r) % BFS_NODES];
		if (left > 0 && *d < 4)
			(*d)++, left--;
		else if (left < 0 && *d > 2)
			(*d)--, left++;
	}
}

static void make_graph(struct run *r)
{
	uint8_t *draws = malloc(BFS_NODES);
	int32_t(*pair)[2] = malloc(BFS_EDGES / 2 * sizeof *pair);
	int32_t *fill = malloc(BFS_NODES * sizeof *fill), n = 0, first = 0;

	draw_degrees(r, draws);
	for (int32_t i = 0; i < BFS_NODES; i++)
		for (int k = 0; k < draws[i]; k++, n++) {
			pair[n][0] = i;
			pair[n][1] = (int32_t)(run_random(r) % BFS_NODES);
			nodes[pair[n][0]].count++;
			nodes[pair[n][1]].count++;
		}
	for (int32_t i = 0; i < BFS_NODES; i++) {
		nodes[i].first = fill[i] = first;
		first += nodes[i].count;
	}
	for (int32_t i = 0; i < n; i++) {
		edges[fill[pair[i][0]]++] = pair[i][1];
		edges[fill[pair[i][1]]++] = pair[i][0];
	}
	free(draws);
	free(pair);
	free(fill);
}

static void make(struct run *r)
{
	nodes = run_array(r, BFS_NODES * sizeof *nodes);
	mask = run_array(r, BFS_NODES * sizeof *mask);
	next = run_array(r, BFS_NODES * sizeof *next);
	visited = run_array(r, BFS_NODES * sizeof *visited);
	edges = run_array(r, BFS_EDGES * sizeof *edges);
	cost = run_array(r, BFS_NODES * sizeof *cost);
	again = run_flag(r);
	make_graph(r);
	for (int i = 0; i < BFS_NODES; i++)
		cost[i] = -1;
	mask[0] = visited[0] = true;
	cost[0] = 0;
}

static void compute(struct run *r)
{
	struct bfs_args a = {nodes, edges, mask, next, visited, cost, again};

	do {
		*again = false;
		run_launch(r, "bfs_expand", BFS_BLOCKS, &a, sizeof a);
		run_launch(r, "bfs_advance", BFS_BLOCKS, &a, sizeof a);
	} while (*again);
}

/* By a queue. */
static size_t wrong(struct run *r)
{
	int32_t *level = malloc(BFS_NODES * sizeof *level),
		*queue = malloc(BFS_NODES * sizeof *queue);
	size_t n = 0, tail = 1;

	(void)r;
	for (int i = 0; i < BFS_NODES; i++)
		level[i] = i ? -1 : 0;
	queue[0] = 0;
	for (size_t head = 0; head < tail; head++) {
		const struct bfs_node *node = &nodes[queue[head]];
		for (int32_t e = node->first; e < node->first + node->count; e++)
			if (level[edges[e]] < 0) {
				level[edges[e]] = level[queue[head]] + 1;
				queue[tail++] = edges[e];
			}
	}
	for (int i = 0; i < BFS_NODES; i++)
		n += level[i] != cost[i];
	free(level);
	free(queue);
	return n;
}

const struct workload bfs_workload = {"bfs", make, compute, wrong};
