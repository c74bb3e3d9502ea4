/* Regions without waiting, in an order that their dependences give, on every device; device
 * pointers. */
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>

#define N 20000

int main(void)
{
	int devices = omp_get_num_devices();
	double *a = malloc(N * sizeof *a), *b = malloc(N * sizeof *b), sum = 0;

	for (int i = 0; i < N; i++)
		a[i] = b[i] = i;
#pragma omp parallel
#pragma omp single
	for (int round = 0; round < 8; round++) {
		int d = devices ? round % devices : 0;
#pragma omp target teams distribute parallel for nowait depend(inout                               \
							       : a[0]) device(d) map(tofrom        \
										     : a[:N])
		for (int i = 0; i < N; i++)
			a[i] = 2 * a[i] + 1;
#pragma omp target nowait depend(inout                                                             \
				 : b[0]) depend(in                                                 \
						: a[0]) device(d) map(tofrom                       \
								      : b[:N]) map(to              \
										   : a[:N])
		for (int i = 0; i < N; i++)
			b[i] += a[i];
	}
	double *p = omp_target_alloc(N * sizeof *p, omp_get_default_device());
	omp_target_memcpy(p, b, N * sizeof *p, 0, 0, omp_get_default_device(),
			  omp_get_initial_device());
#pragma omp target teams distribute parallel for reduction(+ : sum) is_device_ptr(p)
	for (int i = 0; i < N; i++)
		sum += p[i];
	omp_target_free(p, omp_get_default_device());
	printf("%.1f %.1f %.1f\n", a[7], b[N - 1], sum);
	free(a);
	free(b);
	return 0;
}
