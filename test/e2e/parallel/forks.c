/*
 * What only libomp's programs do on their way to a region: more arguments than registers hold,
 * `num_threads` in a call of its own, regions that if(0) keeps, locks that regions of both sides
 * use.
 */
#include <omp.h>
#include <stdio.h>

#define TEN(X, n) X(n##0) X(n##1) X(n##2) X(n##3) X(n##4) X(n##5) X(n##6) X(n##7) X(n##8) X(n##9)
#define HUNDRED(X, n)                                                                              \
	TEN(X, n##0)                                                                               \
	TEN(X, n##1)                                                                               \
	TEN(X, n##2)                                                                               \
	TEN(X, n##3) TEN(X, n##4) TEN(X, n##5) TEN(X, n##6) TEN(X, n##7) TEN(X, n##8) TEN(X, n##9)
#define INT(n) int v##n = 1##n;
#define ADD(n) sum += v##n;

static int on_host, on_both;

static void many(void)
{
	int sum = 0;
	TEN(INT, 1)
	TEN(INT, 2) TEN(INT, 3) TEN(INT, 4) TEN(INT, 5) TEN(INT, 6) TEN(INT, 7)

#pragma omp parallel reduction(+ : sum) num_threads(2)
	{
		TEN(ADD, 1)
		TEN(ADD, 2) TEN(ADD, 3) TEN(ADD, 4) TEN(ADD, 5) TEN(ADD, 6) TEN(ADD, 7) v10 = v79;
	}
	printf("seventy: %d, %d\n", sum, v10);
}

static void too_many(void)
{
	int sum = 0;
	HUNDRED(INT, 1)
	HUNDRED(INT, 2) HUNDRED(INT, 3)

#pragma omp parallel reduction(+ : sum) num_threads(2)
	{
		HUNDRED(ADD, 1) HUNDRED(ADD, 2) HUNDRED(ADD, 3) v100 = v399;
	}
	printf("three hundred: %d, %d\n", sum, v100);
}

static int count(int threads, int condition)
{
	int n = 0;

#pragma omp parallel num_threads(threads) if (condition) proc_bind(spread)
#pragma omp atomic
	n += 1 + 100 * omp_in_parallel();
	return n;
}

static int count_all(void)
{
	int n = 0;

#pragma omp parallel
#pragma omp atomic
	n++;
	return n;
}

static void lock_both(omp_lock_t *lock)
{
#pragma omp critical
	on_both++;
	omp_set_lock(lock);
	on_host++;
	omp_unset_lock(lock);
}

static void one_side(int n, omp_lock_t *lock)
{
#pragma omp parallel for
	for (int i = 0; i < n; i++)
		lock_both(lock);
}

static void other_side(int n, omp_lock_t *lock)
{
#pragma omp parallel for schedule(dynamic)
	for (int i = 0; i < n; i++)
		lock_both(lock);
}

int main(int argc, char **argv)
{
	omp_lock_t lock;

	many();
	if (argc > 1)
		too_many();
	/* libomp 14 keeps the number of a region that if(0) keeps for the next one */
	printf("three: %d, if(0): %d, ", count(3, 1), count(3, 0));
	printf("two: %d, all: %d\n", count(2, 1), count_all());
	omp_init_lock(&lock);
	for (int i = 0; i < 3; i++) {
		one_side(500, &lock);
		other_side(500, &lock);
	}
	omp_destroy_lock(&lock);
	printf("locked: %d %d\n", on_both, on_host);
	return 0;
}
