/*
 * nbody.c - bodies that attract each other, with a cutoff: they are kept in cells along a line,
 * and each feels those of its own and the two neighbouring cells. Positions and velocities stay
 * on the device over all steps.
 */
#include "example.h"

#define CELL 32 /* bodies in a cell */

struct body {
	double x, y, z, mass;
};

static void move(int device, const struct body *from, struct body *to, struct body *speed,
		 int cells)
{
	size_t n = (size_t)cells * CELL;

#pragma omp target teams distribute parallel for device(device) map(to                             \
								    : from[:n])                    \
	map(tofrom                                                                                 \
	    : to[:n], speed                                                                        \
	    [:n])
	for (int c = 0; c < cells; c++) {
		int begin = (c > 0 ? c - 1 : c) * CELL,
		    end = (c < cells - 1 ? c + 2 : c + 1) * CELL;
		for (int i = c * CELL; i < (c + 1) * CELL; i++) {
			double ax = 0, ay = 0, az = 0;
			for (int k = begin; k < end; k++) {
				double dx = from[k].x - from[i].x, dy = from[k].y - from[i].y;
				double dz = from[k].z - from[i].z,
				       r2 = dx * dx + dy * dy + dz * dz + 1e-3;
				double f = from[k].mass / (r2 * sqrt(r2));
				ax += f * dx;
				ay += f * dy;
				az += f * dz;
			}
			speed[i].x += 1e-4 * ax;
			speed[i].y += 1e-4 * ay;
			speed[i].z += 1e-4 * az;
			to[i].x = from[i].x + 1e-4 * speed[i].x;
			to[i].y = from[i].y + 1e-4 * speed[i].y;
			to[i].z = from[i].z + 1e-4 * speed[i].z;
			to[i].mass = from[i].mass;
		}
	}
}

static void start(struct body *a, struct body *speed, size_t n)
{
	uint64_t seed = 4;

	for (size_t i = 0; i < n; i++) {
		a[i].x = (double)(i / CELL) + example_uniform(&seed);
		a[i].y = example_uniform(&seed);
		a[i].z = example_uniform(&seed);
		a[i].mass = 1 + example_uniform(&seed);
	}
	memset(speed, 0, n * sizeof *speed);
}

int main(int argc, char **argv)
{
	struct example e = example_begin("nbody", argc, argv, 4);
	int cells = (int)(e.bytes / (3 * sizeof(struct body) * CELL));
	size_t n = (size_t)cells * CELL, bytes = n * sizeof(struct body);
	struct body *a = example_alloc(bytes), *b = example_alloc(bytes),
		    *speed = example_alloc(bytes);
	struct body *want = example_alloc(bytes);

	start(a, speed, n);
	e.host_s = -omp_get_wtime();
	for (int r = 0; r < e.reps; r++) {
		move(omp_get_initial_device(), a, b, speed, cells);
		move(omp_get_initial_device(), b, a, speed, cells);
	}
	e.host_s += omp_get_wtime();
	memcpy(want, a, bytes);

	start(a, speed, n);
	e.device_s = -omp_get_wtime();
#pragma omp target data map(tofrom : a[:n]) map(alloc : b[:n]) map(to : speed[:n])
	for (int r = 0; r < e.reps; r++) {
		double begin = omp_get_wtime();
		move(omp_get_default_device(), a, b, speed, cells);
		move(omp_get_default_device(), b, a, speed, cells);
		example_step(&e, omp_get_wtime() - begin);
	}
	e.device_s += omp_get_wtime();
	return example_end(&e, !memcmp(a, want, bytes));
}
