/* Charged particles in a grid: deposit with atomics, solve, push; particles on the heap. */
#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>

struct particle {
	double x, v;
	int cell, moved;
};
struct cloud {
	struct particle *p;
	int n;
};
#define CELLS 256
static long charge[CELLS];
static double field[CELLS];

static void deposit(struct cloud *c)
{
#pragma omp parallel for
	for (int i = 0; i < CELLS; i++)
		charge[i] = 0;
#pragma omp parallel for schedule(dynamic, 512)
	for (int i = 0; i < c->n; i++) {
		c->p[i].cell = (int)c->p[i].x;
#pragma omp atomic
		charge[c->p[i].cell]++;
	}
}

static void push(struct cloud *c, long *moved)
{
	long n = 0;

#pragma omp parallel for reduction(+ : n)
	for (int i = 0; i < c->n; i++) {
		struct particle *p = &c->p[i];
		p->v += 1e-3 * field[p->cell];
		p->x = fmod(p->x + p->v + CELLS, CELLS);
		p->moved = (int)p->x != p->cell;
		n += p->moved;
	}
	*moved += n;
}

int main(void)
{
	struct cloud c = {malloc(50000 * sizeof *c.p), 50000};
	long moved = 0, sum = 0;

	for (int i = 0; i < c.n; i++)
		c.p[i] = (struct particle){.x = (i * 7919L % 25600) / 100.0,
					   .v = (i % 17 - 8) / 16.0};
	for (int turn = 0; turn < 5; turn++) {
		deposit(&c);
#pragma omp parallel for
		for (int i = 0; i < CELLS; i++)
			field[i] =
				(double)(charge[(i + CELLS - 1) % CELLS] - charge[(i + 1) % CELLS]);
		push(&c, &moved);
	}
	for (int i = 0; i < c.n; i++)
		sum += (long)(c.p[i].x * 1e6);
	printf("moved %ld, positions %ld\n", moved, sum);
	free(c.p);
	return 0;
}
