/* nowait and depend, several devices, printf from regions in the order of the program's own, copies between devices. */
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>

#define N 20000

static void pipeline(void)
{
	int *a = malloc(N * sizeof *a), *b = malloc(N * sizeof *b);

#pragma omp parallel
#pragma omp single
	{
#pragma omp target enter data map(alloc : a[:N], b[:N]) depend(out : a) nowait
#pragma omp target map(alloc : a[:N]) depend(inout : a) nowait
		for (int i = 0; i < N; i++)
			a[i] = i;
#pragma omp target map(alloc : a[:N], b[:N]) depend(in : a) depend(out : b) nowait
		for (int i = 0; i < N; i++)
			b[i] = 3 * a[i];
#pragma omp target exit data map(from : a[:N], b[:N]) depend(in : b) depend(inout : a) nowait
#pragma omp taskwait
	}
	printf("pipeline %d %d\n", a[N - 1], b[N - 1]);
	free(a);
	free(b);
}

static void all_devices(void)
{
	int n = omp_get_num_devices(), wrong = 0, *v = malloc(8 * N * sizeof *v);

	for (int d = 0; d < n && d < 8; d++) {
		int *part = v + d * N;
#pragma omp target device(d) map(from : part[:N]) nowait
		for (int i = 0; i < N; i++)
			part[i] = i + d;
	}
#pragma omp taskwait
	for (int d = 0; d < n && d < 8; d++)
		for (int i = 0; i < N; i++)
			wrong += v[d * N + i] != i + d;
	printf("every device: %d wrong\n", wrong);
	free(v);
}

static void between_devices(void)
{
	int last = omp_get_num_devices() - 1, host = omp_get_initial_device(), in[100], out[100];

	last = last < 0 ? 0 : last;
	int *p = omp_target_alloc(sizeof in, 0), *q = omp_target_alloc(sizeof in, last);
	for (int i = 0; i < 100; i++)
		in[i] = i ^ 5;
	omp_target_memcpy(p, in, sizeof in, 0, 0, 0, host);
	omp_target_memcpy(q, p, sizeof in, 0, 0, last, 0);
	omp_target_memcpy(out, q, sizeof in, 0, 0, host, last);
	printf("between devices %d %d\n", out[0], out[99]);
	omp_target_free(p, 0);
	omp_target_free(q, last);
}

int main(void)
{
	pipeline();
	all_devices();
	between_devices();
	printf("before, ");
#pragma omp target
	{
		printf("inside %s", "a region");
		puts(", line");
	}
	printf("after\n");
#pragma omp target
	for (int i = 0; i < 20000; i++)
		printf("%d of many lines\n", i);
	printf("end\n");
	return 0;
}
