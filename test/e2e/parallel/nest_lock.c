/* A lock that libomp keeps in memory of its own. */
#include <omp.h>
#include <stdio.h>

int main(void)
{
	omp_nest_lock_t lock;
	int n = 0;

	omp_init_nest_lock(&lock);
#pragma omp parallel num_threads(4)
	{
		omp_set_nest_lock(&lock);
		omp_set_nest_lock(&lock);
		n++;
		omp_unset_nest_lock(&lock);
		omp_unset_nest_lock(&lock);
	}
	omp_destroy_nest_lock(&lock);
	printf("%d\n", n);
	return 0;
}
