/* A parallel region and a target region. */
#include <stdio.h>

int main(void)
{
	int sum = 0;

#pragma omp parallel for reduction(+ : sum)
	for (int i = 0; i < 100; i++)
		sum += i;
#pragma omp target map(tofrom : sum)
	sum++;
	printf("sum %d\n", sum);
	return 0;
}
