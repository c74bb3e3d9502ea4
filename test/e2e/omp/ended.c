/* The first thread has ended, which the kernel goes on listing: the others' regions wait for what threads store, as before. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#pragma omp requires unified_shared_memory

static int flag, seen;
static pthread_t first;

static void *set(void *unused)
{
	usleep(50000);
	__atomic_store_n(&flag, 1, __ATOMIC_SEQ_CST);
	return NULL;
}

static void *go_on(void *unused)
{
	int *f = &flag, *s = &seen;
	pthread_t t;

	pthread_join(first, NULL);
	pthread_create(&t, NULL, set, NULL);
#pragma omp target
	{
		while (!__atomic_load_n(f, __ATOMIC_SEQ_CST))
			usleep(1000);
		++*s;
	}
	pthread_join(t, NULL);
	printf("seen %d\n", seen);
	exit(0);
}

int main(void)
{
	pthread_t t;

	first = pthread_self();
	pthread_create(&t, NULL, go_on, NULL);
	pthread_exit(NULL);
}
