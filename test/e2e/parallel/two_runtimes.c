/* libomp's regions here, libgomp's in a library. */
#include <stdio.h>

int other_main(void);

int main(void)
{
	int n = 0;

#pragma omp parallel reduction(+ : n)
	n++;
	printf("%d\n", n);
	return other_main();
}
