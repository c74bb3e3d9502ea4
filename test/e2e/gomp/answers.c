/* What a region is told about where it runs, on each device; then the host. */
#include <omp.h>
#include <stdio.h>

int main(void)
{
	for (int d = 0; d < omp_get_num_devices(); d++) {
		int number = -1, initial = -1, devices = -1, host = -1;
#pragma omp target device(d) map(from : number, initial, devices, host)
		{
			number = omp_get_device_num();
			initial = omp_is_initial_device();
			devices = omp_get_num_devices();
			host = omp_get_initial_device();
		}
		printf("device %d: number %d initial %d devices %d host %d\n", d, number, initial,
		       devices, host);
	}
	printf("host: initial %d\n", omp_is_initial_device());
	return 0;
}
