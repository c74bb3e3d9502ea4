/* A program with a threadprivate variable. */
#include <omp.h>
#include <stdio.h>

static int mine;
#pragma omp threadprivate(mine)

int main(void)
{
	int sum = 0;

	for (int turn = 0; turn < 3; turn++) {
#pragma omp parallel
		mine += omp_get_thread_num();
	}
#pragma omp parallel reduction(+ : sum)
	sum += mine;
	printf("sum %d\n", sum);
	return 0;
}
