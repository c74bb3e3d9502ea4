/* Kills its device's process, between regions or in one (argument "inside"), and goes on: what a
 * region did before is in the program's own memory. */
#include "test/e2e/kill_device.h"

static long sums[1000];

int main(int argc, char **argv)
{
	long *heap = calloc(1000, sizeof *heap), sum = 0;
	int kills = 0;

	if (argc > 1 && !strcmp(argv[1], "inside")) {
#pragma omp parallel
#pragma omp single
		kill_device();
	}
	for (int turn = 0; turn < 8; turn++) {
#pragma omp parallel for
		for (int i = 0; i < 1000; i++) {
			sums[i] += i;
			heap[i] += sums[i];
		}
		kills += argc > 1 && kill_device() > 0;
	}
#pragma omp parallel for reduction(+ : sum)
	for (int i = 0; i < 1000; i++)
		sum += heap[i];
	printf("sum %ld\n", sum);
	fprintf(stderr, "killed %d\n", kills);
	return 0;
}
