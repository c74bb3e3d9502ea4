/*
 * kernels.c - the kernel module: what one thread block of each program does.
 *
 * ctx->bytes counts what the memory moves: whole sectors of 32 bytes (one burst of its GDDR5),
 * those of a row merged. A neighbour's row that the block before has just read comes from the
 * 2.8 MiB L2 cache and is not counted again.
 */
#include "kernels.h"
#include <gmem/kernel.h>

#define SECTOR 32

static uint64_t sectors(const void *p, uint64_t bytes)
{
	uint64_t first = (uint64_t)(uintptr_t)p / SECTOR,
		 last = ((uint64_t)(uintptr_t)p + bytes - 1) / SECTOR;

	return bytes ? (last - first + 1) * SECTOR : 0;
}

static int clamp(int v, int max)
{
	return v < 0 ? 0 : v > max ? max : v;
}

/*
 * ---- hotspot ---- The one kernel that is bound by instructions, most of them addresses and
 * bounds. The original compiles to 196 of them (PTX, as the paper's simulator logs it), 124 in
 * the loop over steps. A multiply-add would be two flops: an instruction takes the time of two.
 */

enum { HOT_CODE = 196 - 124, HOT_CODE_STEP = 124 };

struct tile {
	int x0, y0; /* of the tile's corner in the grid; negative in the first column and row */
	float now[HOT_TILE][HOT_TILE], next[HOT_TILE][HOT_TILE], power[HOT_TILE][HOT_TILE];
};

/* Is (x, y) of the tile inside the grid and at least `border` cells from the tile's edge? */
static bool inner(const struct tile *t, int x, int y, int border)
{
	return x >= border && x < HOT_TILE - border && y >= border && y < HOT_TILE - border &&
	       t->x0 + x >= 0 && t->x0 + x < HOT_N && t->y0 + y >= 0 && t->y0 + y < HOT_N;
}

/* The neighbour's place in the tile; outside the grid the cell at the grid's edge. */
static int beside(int corner, int at, int step)
{
	return clamp(corner + at + step, HOT_N - 1) - corner;
}

static void load_tile(struct gm_kctx *ctx, const struct hotspot_args *a, struct tile *t)
{
	int lo = clamp(t->x0, HOT_N - 1), hi = clamp(t->x0 + HOT_TILE - 1, HOT_N - 1);

	for (int y = 0; y < HOT_TILE; y++) {
		int row = (t->y0 + y) * HOT_N;
		if (t->y0 + y < 0 || t->y0 + y >= HOT_N)
			continue;
		for (int x = lo; x <= hi; x++) {
			t->now[y][x - t->x0] = a->from[row + x];
			t->power[y][x - t->x0] = a->power[row + x];
		}
		ctx->bytes += sectors(a->from + row + lo, (uint64_t)(hi - lo + 1) * 4);
		ctx->bytes += sectors(a->power + row + lo, (uint64_t)(hi - lo + 1) * 4);
	}
}

static void step_tile(struct tile *t, int border)
{
	for (int y = 0; y < HOT_TILE; y++)
		for (int x = 0; x < HOT_TILE; x++) {
			if (!inner(t, x, y, border))
				continue;
			t->next[y][x] = hot_cell(t->now[y][x], t->now[beside(t->y0, y, -1)][x],
						 t->now[beside(t->y0, y, 1)][x],
						 t->now[y][beside(t->x0, x, -1)],
						 t->now[y][beside(t->x0, x, 1)], t->power[y][x]);
		}
	for (int y = 0; y < HOT_TILE; y++)
		for (int x = 0; x < HOT_TILE; x++)
			t->now[y][x] = inner(t, x, y, border) ? t->next[y][x] : t->now[y][x];
}

static void store_tile(struct gm_kctx *ctx, const struct hotspot_args *a, const struct tile *t)
{
	for (int y = HOT_HEIGHT; y < HOT_TILE - HOT_HEIGHT; y++) {
		float *row = a->to + (t->y0 + y) * HOT_N + t->x0;
		int n = 0;
		for (int x = HOT_HEIGHT; x < HOT_TILE - HOT_HEIGHT; x++)
			if (inner(t, x, y, HOT_HEIGHT)) {
				row[x] = t->now[y][x];
				n++;
			}
		ctx->bytes += sectors(row + HOT_HEIGHT, (uint64_t)n * 4);
	}
}

GM_KERNEL hotspot(struct gm_kctx *ctx, const void *args)
{
	const struct hotspot_args *a = args;
	struct tile t = {.x0 = (int)(ctx->block % HOT_BLOCKS) * HOT_INNER - HOT_HEIGHT,
			 .y0 = (int)(ctx->block / HOT_BLOCKS) * HOT_INNER - HOT_HEIGHT};

	load_tile(ctx, a, &t);
	for (int border = 1; border <= HOT_HEIGHT; border++)
		step_tile(&t, border);
	store_tile(ctx, a, &t);
	ctx->flop_type = 's';
	ctx->flops = 2ull * HOT_TILE * HOT_TILE * (HOT_CODE + HOT_HEIGHT * HOT_CODE_STEP);
	return 0;
}

/* ---- fdtd-2d: a warp is a row of 32 ---- */

struct patch {
	int x, y, nx, ny;
};
static struct patch patch_of(struct gm_kctx *ctx)
{
	struct patch p = {.x = (int)(ctx->block % FDTD_GRID_X) * FDTD_X,
			  .y = (int)(ctx->block / FDTD_GRID_X) * FDTD_Y};

	p.nx = p.x + FDTD_X > FDTD_N ? FDTD_N - p.x : FDTD_X;
	p.ny = p.y + FDTD_Y > FDTD_N ? FDTD_N - p.y : FDTD_Y;
	ctx->flop_type = 's';
	return p;
}

/* One row of n cells: a field read and written, another read. */
static void fdtd_count(struct gm_kctx *ctx, const float *field, const float *other, int n)
{
	ctx->flops += (uint64_t)n * 3;
	ctx->bytes += 2 * sectors(field, (uint64_t)n * 4) + sectors(other, (uint64_t)n * 4);
}

GM_KERNEL fdtd_ey(struct gm_kctx *ctx, const void *args)
{
	const struct fdtd_args *a = args;
	struct patch p = patch_of(ctx);

	for (int i = p.y; i < p.y + p.ny; i++) {
		float *ey = a->ey + i * FDTD_N, *hz = a->hz + i * FDTD_N;
		for (int j = p.x; j < p.x + p.nx; j++)
			ey[j] = i ? fdtd_half(ey[j], hz[j], hz[j - FDTD_N]) : a->fict[a->step];
		fdtd_count(ctx, ey + p.x, hz + p.x, p.nx);
	}
	return 0;
}

GM_KERNEL fdtd_ex(struct gm_kctx *ctx, const void *args)
{
	const struct fdtd_args *a = args;
	struct patch p = patch_of(ctx);

	for (int i = p.y; i < p.y + p.ny; i++) {
		float *ex = a->ex + i * (FDTD_N + 1), *hz = a->hz + i * FDTD_N;
		for (int j = p.x ? p.x : 1; j < p.x + p.nx; j++)
			ex[j] = fdtd_half(ex[j], hz[j], hz[j - 1]);
		fdtd_count(ctx, ex + p.x, hz + p.x, p.nx);
	}
	return 0;
}

GM_KERNEL fdtd_hz_step(struct gm_kctx *ctx, const void *args)
{
	const struct fdtd_args *a = args;
	struct patch p = patch_of(ctx);

	for (int i = p.y; i < p.y + p.ny; i++) {
		float *ex = a->ex + i * (FDTD_N + 1), *ey = a->ey + i * FDTD_N,
		      *hz = a->hz + i * FDTD_N;
		for (int j = p.x; j < p.x + p.nx; j++)
			hz[j] = fdtd_hz(hz[j], ex[j + 1], ex[j], ey[j + FDTD_N], ey[j]);
		ctx->flops += (uint64_t)p.nx * 5;
		ctx->bytes += 2 * sectors(hz + p.x, (uint64_t)p.nx * 4) +
			      sectors(ey + p.x, (uint64_t)p.nx * 4) +
			      sectors(ex + p.x, (uint64_t)p.nx * 4);
	}
	return 0;
}

/* ---- backprop: 16 input units (rows) by 16 hidden ones ---- */

GM_KERNEL layer_forward(struct gm_kctx *ctx, const void *args)
{
	const struct forward_args *a = args;
	const float *input = a->input + BP_ROWS * ctx->block + 1;
	float product[BP_ROWS][BP_HID];
	float *row0 = a->weights + (BP_ROWS * ctx->block + 1) * (BP_HID + 1) + 1;

	for (int y = 0; y < BP_ROWS; y++)
		for (int x = 0; x < BP_HID; x++)
			product[y][x] = row0[y * (BP_HID + 1) + x] * input[y];
	for (int half = 1; half < BP_ROWS; half *= 2) /* the sum over rows, as a tree */
		for (int y = 0; y < BP_ROWS; y += 2 * half)
			for (int x = 0; x < BP_HID; x++)
				product[y][x] += product[y + half][x];
	for (int y = 0; y < BP_ROWS; y++) {
		for (int x = 0; x < BP_HID; x++)
			row0[y * (BP_HID + 1) + x] = product[y][x];
		ctx->bytes += 2 * sectors(row0 + y * (BP_HID + 1), BP_HID * 4);
	}
	for (int x = 0; x < BP_HID; x++)
		a->partial[ctx->block * BP_HID + (uint32_t)x] = product[0][x];
	ctx->bytes +=
		sectors(input, BP_ROWS * 4) + sectors(a->partial + ctx->block * BP_HID, BP_HID * 4);
	ctx->flop_type = 's';
	ctx->flops = 2 * BP_ROWS * BP_HID;
	return 0;
}

static void adjust(float *w, float *old, float delta, float input)
{
	float change = bp_change(delta, input, *old);

	*w += change;
	*old = change;
}

GM_KERNEL adjust_weights(struct gm_kctx *ctx, const void *args)
{
	const struct adjust_args *a = args;

	for (uint32_t y = 0; y < BP_ROWS; y++) {
		uint32_t unit = BP_ROWS * ctx->block + y + 1, at = unit * (BP_HID + 1) + 1;
		for (uint32_t x = 0; x < BP_HID; x++)
			adjust(&a->weights[at + x], &a->old[at + x], a->delta[x + 1],
			       a->input[unit]);
		ctx->bytes += 2 * sectors(a->weights + at, BP_HID * 4) +
			      2 * sectors(a->old + at, BP_HID * 4);
	}
	if (!ctx->block)
		for (uint32_t x = 1; x <= BP_HID; x++) /* the bias */
			adjust(&a->weights[x], &a->old[x], a->delta[x], 1.0f);
	ctx->bytes += sectors(a->input + BP_ROWS * ctx->block + 1, BP_ROWS * 4) +
		      sectors(a->delta + 1, BP_HID * 4);
	ctx->flop_type = 's';
	ctx->flops = 5 * BP_ROWS * BP_HID;
	return 0;
}

/* ---- bfs ---- */

static uint32_t end_of(struct gm_kctx *ctx)
{
	uint32_t end = (ctx->block + 1) * BFS_THREADS;

	return end < BFS_NODES ? end : BFS_NODES;
}

/* Every node of the frontier gives its unvisited neighbours their level. */
GM_KERNEL bfs_expand(struct gm_kctx *ctx, const void *args)
{
	const struct bfs_args *a = args;
	uint32_t first = ctx->block * BFS_THREADS, end = end_of(ctx);

	ctx->bytes += sectors(a->mask + first, end - first);
	for (uint32_t i = first; i < end; i++) {
		if (!a->mask[i])
			continue;
		a->mask[i] = false;
		struct bfs_node n = a->nodes[i];
		ctx->bytes += SECTOR + sectors(a->edges + n.first, (uint64_t)n.count * 4);
		for (int32_t e = n.first; e < n.first + n.count; e++) {
			int32_t id = a->edges[e];
			ctx->bytes += SECTOR; /* visited: anywhere */
			if (a->visited[id])
				continue;
			a->cost[id] = a->cost[i] + 1;
			a->next[id] = true;
			ctx->bytes += 2 * SECTOR;
		}
	}
	return 0;
}

/* What was reached becomes the frontier. */
GM_KERNEL bfs_advance(struct gm_kctx *ctx, const void *args)
{
	const struct bfs_args *a = args;
	uint32_t first = ctx->block * BFS_THREADS, end = end_of(ctx);
	bool any = false;

	for (uint32_t i = first; i < end; i++) {
		if (!a->next[i])
			continue;
		a->mask[i] = a->visited[i] = any = true;
		a->next[i] = false;
	}
	ctx->bytes += sectors(a->next + first, end - first) * (any ? 4 : 1);
	if (any)
		*a->again = true;
	return 0;
}
