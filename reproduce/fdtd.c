/* fdtd-2d: the launches, and the same by the CPU on copies. */
#include "reproduce.h"
#include <stdlib.h>
#include <string.h>

#define N FDTD_N
enum { FICT, EX, EY, HZ, ARRAYS };
static const size_t cells[ARRAYS] = {FDTD_STEPS, N *(N + 1), (N + 1) * N, N *N};
static float *array[ARRAYS], *copy[ARRAYS];

static void make(struct run *r)
{
	for (int i = 0; i < ARRAYS; i++) {
		array[i] = run_array(r, cells[i] * sizeof(float));
		copy[i] = malloc(cells[i] * sizeof(float));
		for (size_t k = 0; k < cells[i]; k++)
			array[i][k] = copy[i][k] = i == FICT ? (float)k : run_random_float(r);
	}
}

static void compute(struct run *r)
{
	static const char *const kernels[] = {"fdtd_ey", "fdtd_ex", "fdtd_hz_step"};

	for (uint32_t t = 0; t < FDTD_STEPS; t++)
		for (int k = 0; k < 3; k++) {
			struct fdtd_args a = {array[FICT], array[EX], array[EY], array[HZ], t};
			run_launch(r, kernels[k], FDTD_GRID_X * FDTD_GRID_Y, &a, sizeof a);
		}
}

static void step(uint32_t t)
{
	float *ex = copy[EX], *ey = copy[EY], *hz = copy[HZ];

	for (int i = 0; i < N; i++)
		for (int j = 0; j < N; j++) {
			float *e = &ey[i * N + j], *h = &hz[i * N + j];
			*e = i ? fdtd_half(*e, h[0], h[-N]) : copy[FICT][t];
		}
	for (int i = 0; i < N; i++)
		for (int j = 1; j < N; j++) {
			float *e = &ex[i * (N + 1) + j], *h = &hz[i * N + j];
			*e = fdtd_half(*e, h[0], h[-1]);
		}
	for (int i = 0; i < N; i++)
		for (int j = 0; j < N; j++) {
			float *h = &hz[i * N + j], *x = &ex[i * (N + 1) + j], *y = &ey[i * N + j];
			*h = fdtd_hz(*h, x[1], x[0], y[N], y[0]);
		}
}

static size_t wrong(struct run *r)
{
	size_t n = 0;

	(void)r;
	for (uint32_t t = 0; t < FDTD_STEPS; t++)
		step(t);
	for (int i = 0; i < ARRAYS; i++) {
		for (size_t k = 0; k < cells[i]; k++)
			n += array[i][k] != copy[i][k];
		free(copy[i]);
	}
	return n;
}

const struct workload fdtd_workload = {"fdtd", make, compute, wrong};
