/*
 * kernels.h - the four programs of Ganguly et al. (ISCA'19) that are measured again here: sizes,
 * arguments, and the arithmetic of one cell. Shared by the kernels (kernels.c) and by the CPU's
 * references, which loop in another way but must get the same bits (-ffp-contract=off).
 *
 * Written from the papers' descriptions of the algorithms: hotspot, backprop and bfs of Rodinia
 * (Che et al., IISWC'09; bfs after Harish and Narayanan, HiPC'07), fdtd-2d of PolyBench/GPU
 * (Grauer-Gray et al., InPar'12). One block of a launch is one thread block of the originals.
 */
#ifndef GM_REPRODUCE_KERNELS_H
#define GM_REPRODUCE_KERNELS_H

#include <stdbool.h>
#include <stdint.h>

/* ---- hotspot: heat on a chip; three arrays of N x N floats: 12 MiB ---- */

enum {
	HOT_N = 1024,
	HOT_TILE = 16,	/* threads of a block: 16 x 16 */
	HOT_STEPS = 8,	/* steps of time */
	HOT_HEIGHT = 2, /* of them in one launch: a tile loses a border of this width */
	HOT_INNER = HOT_TILE - 2 * HOT_HEIGHT,
	HOT_BLOCKS = (HOT_N + HOT_INNER - 1) / HOT_INNER,
};
struct hotspot_args {
	const float *power, *from;
	float *to;
};
/* The cell's next temperature from its own, its neighbours' and the power spent in it. */
static inline float hot_cell(float own, float north, float south, float west, float east,
			     float power)
{
	const float step_by_capacity = 0.34f, rx = 0.12f, ry = 0.11f, rz = 0.0034f, ambient = 80.0f;

	return own + step_by_capacity * (power + (south + north - 2.0f * own) * ry +
					 (east + west - 2.0f * own) * rx + (ambient - own) * rz);
}

/* ---- fdtd-2d: electromagnetic waves; ex[N][N+1], ey[N+1][N], hz[N][N] ---- */

enum { FDTD_N = 1200, FDTD_STEPS = 5, FDTD_X = 32, FDTD_Y = 8 };
#define FDTD_GRID_X ((FDTD_N + FDTD_X - 1) / FDTD_X)
#define FDTD_GRID_Y ((FDTD_N + FDTD_Y - 1) / FDTD_Y)
struct fdtd_args {
	const float *fict;
	float *ex, *ey, *hz;
	uint32_t step;
};
static inline float fdtd_half(float e, float h1, float h0)
{
	return e - 0.5f * (h1 - h0);
}
static inline float fdtd_hz(float h, float ex1, float ex0, float ey1, float ey0)
{
	return h - 0.7f * (ex1 - ex0 + ey1 - ey0);
}

/* ---- backprop: one step of training; weights[IN + 1][HID + 1] ---- */

enum { BP_IN = 131056, BP_HID = 16, BP_ROWS = 16 /* input units of a block */ };
#define BP_BLOCKS (BP_IN / BP_ROWS)
struct forward_args {
	const float *input;
	float *weights; /* left with the partial sums in it, as in the original */
	float *partial; /* [BP_BLOCKS][BP_HID] */
};
struct adjust_args {
	const float *delta, *input;
	float *weights, *old;
};
static inline float bp_change(float delta, float input, float old)
{
	return 0.3f * delta * input + 0.3f * old;
}

/* ---- bfs: levels of a random graph ---- */

enum { BFS_NODES = 261444, BFS_EDGES = 1568420, BFS_THREADS = 512 };
#define BFS_BLOCKS ((BFS_NODES + BFS_THREADS - 1) / BFS_THREADS)
struct bfs_node {
	int32_t first, count;
};
struct bfs_args {
	const struct bfs_node *nodes;
	const int32_t *edges;
	bool *mask, *next, *visited;
	int32_t *cost;
	bool *again; /* set when there is another level */
};

#endif
