/* hotspot: the launches, and every step on the whole grid by the CPU. */
#include "reproduce.h"
#include <stdlib.h>
#include <string.h>

#define CELLS (HOT_N * HOT_N)

static float *power, *temperature[2], *expected;

static void make(struct run *r)
{
	power = run_array(r, CELLS * sizeof *power);
	for (int i = 0; i < 2; i++)
		temperature[i] = run_array(r, CELLS * sizeof *power);
	expected = malloc(CELLS * sizeof *expected);
	for (int i = 0; i < CELLS; i++) {
		power[i] = run_random_float(r) * 0.01f;
		temperature[0][i] = expected[i] = 320.0f + 20.0f * run_random_float(r);
	}
}

static void compute(struct run *r)
{
	for (int launch = 0; launch < HOT_STEPS / HOT_HEIGHT; launch++) {
		struct hotspot_args a = {power, temperature[launch % 2],
					 temperature[(launch + 1) % 2]};
		run_launch(r, "hotspot", HOT_BLOCKS * HOT_BLOCKS, &a, sizeof a);
	}
}

static void step(float *to, const float *from)
{
	for (int y = 0; y < HOT_N; y++)
		for (int x = 0; x < HOT_N; x++) {
			const float *c = &from[y * HOT_N + x];
			to[y * HOT_N + x] = hot_cell(
				*c, c[y ? -HOT_N : 0], c[y < HOT_N - 1 ? HOT_N : 0], c[x ? -1 : 0],
				c[x < HOT_N - 1 ? 1 : 0], power[y * HOT_N + x]);
		}
}

static size_t wrong(struct run *r)
{
	float *other = malloc(CELLS * sizeof *other);
	const float *result = temperature[HOT_STEPS / HOT_HEIGHT % 2];
	size_t n = 0;

	(void)r;
	for (int i = 0; i < HOT_STEPS; i++) {
		step(other, expected);
		memcpy(expected, other, CELLS * sizeof *other);
	}
	for (int i = 0; i < CELLS; i++)
		n += expected[i] != result[i];
	free(other);
	free(expected);
	return n;
}

const struct workload hotspot_workload = {"hotspot", make, compute, wrong};
