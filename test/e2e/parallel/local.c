/* threadprivate variables, of the program and of a library of its: kept from region to region,
 * copied in, shared with the code around the regions. Argument "kill": the device's process is
 * killed between two regions. */
#include "test/e2e/kill_device.h"
#include <omp.h>
#include <pthread.h>

extern __thread int library_mine; /* local_library.c */
int library_add(int n);

static int mine = 7, big[3000];
static double zero;
#pragma omp threadprivate(mine, big, zero)

static int sum_all(void)
{
	int sum = 0;

#pragma omp parallel reduction(+ : sum)
	sum += mine + big[2999] + (int)zero + library_mine + library_add(0);
	return sum;
}

static void *other(void *of)
{
	mine = 1000;
#pragma omp parallel copyin(mine)
	mine += omp_get_thread_num();
	*(int *)of = sum_all() + mine;
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t thread;
	int from_other;

	for (int turn = 0; turn < 3; turn++) {
#pragma omp parallel
		{
			mine += omp_get_thread_num();
			big[2999] = mine;
			zero += 0.5;
			library_add(omp_get_thread_num());
		}
		if (argc > 1)
			kill_device();
		mine++; /* of the thread that starts the regions */
	}
	printf("main %d %d %g %d, all %d\n", mine, big[2999], zero, library_mine, sum_all());
	pthread_create(&thread, NULL, other, &from_other);
	pthread_join(thread, NULL);
	mine = 100;
#pragma omp parallel copyin(mine)
	mine *= 1 + omp_get_thread_num();
	printf("other %d, copied in %d, main %d\n", from_other, sum_all(), mine);
	return 0;
}
