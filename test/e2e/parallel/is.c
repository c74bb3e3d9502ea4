/* Integer sort by ranks, as NPB's IS: each thread counts into memory of its own, then they add. */
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>

#define KEYS (1 << 18)
#define MAX  (1 << 11)
static int keys[KEYS], sorted[KEYS], rank[MAX];
static int **counts;

int main(void)
{
	long check = 0;
	int wrong = 0;

	counts = calloc((size_t)omp_get_max_threads(), sizeof *counts);
#pragma omp parallel for
	for (int i = 0; i < KEYS; i++)
		keys[i] = (int)((i * 2654435761u) >> 21);
	for (int turn = 0; turn < 3; turn++) {
		keys[turn] = turn;
#pragma omp parallel
		{
			int *mine = calloc(MAX, sizeof *mine);
			counts[omp_get_thread_num()] = mine;
#pragma omp for schedule(static)
			for (int i = 0; i < KEYS; i++)
				mine[keys[i]]++;
#pragma omp for
			for (int k = 0; k < MAX; k++) {
				rank[k] = 0;
				for (int t = 0; t < omp_get_num_threads(); t++)
					rank[k] += counts[t][k];
			}
#pragma omp single
			for (int k = 1; k < MAX; k++)
				rank[k] += rank[k - 1];
			free(mine);
		}
	}
	for (int i = KEYS - 1; i >= 0; i--)
		sorted[--rank[keys[i]]] = keys[i];
#pragma omp parallel for reduction(+ : wrong, check)
	for (int i = 1; i < KEYS; i++) {
		wrong += sorted[i] < sorted[i - 1];
		check += (long)sorted[i] * (i % 1000);
	}
	printf("wrong %d, check %ld\n", wrong, check);
	return wrong;
}
