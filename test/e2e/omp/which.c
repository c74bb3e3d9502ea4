/* Each device says in a region which one it is, where that is, and what it computed with a variable and mapped memory. */
#include <omp.h>
#include <stdio.h>

#pragma omp declare target
int factor = 3;
#pragma omp end declare target

int main(void)
{
	int n = omp_get_num_devices(), in[4] = {2, 3, 4, 5};

	for (int d = 0; d < n || d == 0; d++) {
		int number = -1, count = -1, initial = -1, sum = 0;
#pragma omp target device(d) map(from : number, count, initial) map(tofrom : sum) map(to : in)
		{
			number = omp_get_device_num();
			count = omp_get_num_devices();
			initial = number == omp_get_initial_device();
			for (int i = 0; i < 4; i++)
				sum += factor * in[i];
		}
		printf("%s%d of %d: %s, %d\n", n ? "" : "device ", number, count, initial ? "host" : "device", sum);
	}
	return 0;
}
