/* declare target link: the variable is mapped when a region needs it. */
#include <stdio.h>

int linked[64], beside = 3;
#pragma omp declare target link(linked, beside)

int main(void)
{
	for (int i = 0; i < 64; i++)
		linked[i] = i;
#pragma omp target map(tofrom : linked)
	linked[63] += linked[62];
	printf("link %d\n", linked[63]);
#pragma omp target data map(tofrom : linked, beside)
	{
#pragma omp target
		for (int i = 0; i < 64; i++)
			linked[i] += beside;
#pragma omp target
		beside = linked[1];
	}
	printf("both %d %d\n", linked[63], beside);
	return 0;
}
