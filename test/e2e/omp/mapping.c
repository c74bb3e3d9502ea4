/* Memory without unified_shared_memory: map clauses, data regions, update, device pointers, declare target variables. */
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>

#define N 5000

#pragma omp declare target
int counter = 40, table[300], big[100000];
#pragma omp end declare target

struct vec {
	int n;
	double *v;
};

static long check(const int *p, int n)
{
	long s = 0;

	for (int i = 0; i < n; i++)
		s = s * 31 + p[i];
	return s;
}

static void data_regions(int *p)
{
	for (int i = 0; i < N; i++)
		p[i] = i;
#pragma omp target data map(tofrom : p[:N])
	{
#pragma omp target
		for (int i = 0; i < N; i++)
			p[i] *= 2;
#pragma omp target update from(p[:10])
		printf("update from: %d, not yet %d\n", p[9], omp_target_is_present(p, omp_get_default_device()) ? 10 : p[10]);
		p[3] = 7;
#pragma omp target update to(p[3:1])
#pragma omp target
		p[4] = p[3];
	}
	printf("data region %ld\n", check(p, N));
#pragma omp target enter data map(to : p[:N])
#pragma omp target map(alloc : p[:N])
	p[0] = 99;
#pragma omp target exit data map(from : p[:N])
	printf("enter, exit %d %ld\n", p[0], check(p, N));
	int *from = p + 100, *to = p + 200;
#pragma omp target map(to : from[:50]) map(from : to[:50])
	for (int i = 0; i < 50; i++)
		to[i] = from[i] + 1;
	printf("sections %d %d\n", p[200], p[249]);
}

static void structures(void)
{
	struct vec x = {100, malloc(100 * sizeof(double))};
	double s = 0;

	for (int i = 0; i < x.n; i++)
		x.v[i] = i;
#pragma omp target map(tofrom : x, x.v[:x.n], s)
	for (int i = 0; i < x.n; i++) {
		s += x.v[i];
		x.v[i] = -1;
	}
	printf("structure %.1f %.1f\n", s, x.v[99]);
	free(x.v);
}

static void device_pointers(void)
{
	int dev = omp_get_default_device(), host = omp_get_initial_device(), back[64], from[64];
	int *d = omp_target_alloc(64 * sizeof(int), dev), plane[8][8] = {{0}};

	for (int i = 0; i < 64; i++)
		from[i] = i * i;
	omp_target_memcpy(d, from, sizeof from, 0, 0, dev, host);
#pragma omp target is_device_ptr(d)
	for (int i = 0; i < 64; i++)
		d[i] += 1;
	omp_target_memcpy(back, d, sizeof back, 0, 0, host, dev);
	size_t volume[2] = {2, 3}, off[2] = {1, 1}, dims[2] = {8, 8};
	omp_target_memcpy_rect(plane, d, sizeof(int), 2, volume, off, off, dims, dims, host, dev);
	printf("device pointers %d %d, rectangle %d %d %d\n", back[1], back[63], plane[1][1], plane[2][3], plane[3][3]);
	omp_target_free(d, dev);
	int *p = malloc(sizeof from);
	for (int i = 0; i < 64; i++)
		p[i] = i;
#pragma omp target data map(tofrom : p[:64]) use_device_ptr(p)
	{
#pragma omp target is_device_ptr(p)
		for (int i = 0; i < 64; i++)
			p[i] = 64 - p[i];
	}
	printf("use_device_ptr %d %d\n", p[0], p[63]);
	free(p);
}

static void variables(void)
{
#pragma omp target
	{
		counter += 2;
		for (int i = 0; i < 300; i++)
			table[i] = i;
		for (int i = 0; i < 100000; i++)
			big[i] = i;
	}
#pragma omp target update from(counter, table, big)
	printf("declare target %d %d %d\n", counter, table[299], big[99999]);
	counter = 5;
	for (int i = 0; i < 100000; i++)
		big[i] = -i;
#pragma omp target update to(counter, big)
	int seen = 0, last = 0;
#pragma omp target map(from : seen, last)
	{
		seen = counter;
		last = big[99999];
	}
	printf("update to %d %d\n", seen, last);
}

static void many_arguments(void)
{
#define V(a) a##0 = 1, a##1 = 2, a##2 = 3, a##3 = 4, a##4 = 5, a##5 = 6, a##6 = 7, a##7 = 8, a##8 = 9, a##9 = 10
#define M(a) a##0, a##1, a##2, a##3, a##4, a##5, a##6, a##7, a##8, a##9
#define S(a) a##0 += a##1 + a##2 + a##3 + a##4 + a##5 + a##6 + a##7 + a##8 + a##9
	long V(a), V(b), V(c), V(d), V(e), V(f), V(g);
#pragma omp target map(tofrom : M(a), M(b), M(c), M(d), M(e), M(f), M(g))
	{
		S(a);
		S(b);
		S(c);
		S(d);
		S(e);
		S(f);
		g9 = a0 + b0 + c0 + d0 + e0 + f0;
	}
	printf("seventy arguments %ld %ld\n", a0, g9);
}

int main(void)
{
	int *p = malloc(N * sizeof *p);

	data_regions(p);
	free(p);
	structures();
	device_pointers();
	variables();
	many_arguments();
	for (int i = 0; i < 200; i++) { /* a block of each size class, and large ones, again and again */
		size_t n = (size_t)64 << i % 17;
		char *q = calloc(n, 1);
#pragma omp target map(tofrom : q[:n])
		q[n - 1] = (char)i;
		if (q[n - 1] != (char)i)
			printf("round %d is wrong\n", i);
		free(q);
	}
	return 0;
}
