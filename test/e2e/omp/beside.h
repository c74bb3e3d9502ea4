/* beside.h - what a thread of the program does to a word while a region works on it. Included behind
 * `requires unified_shared_memory`. */
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

enum { TIMES = 1000000 };

static void *set(void *word)
{
	usleep(50000);
	__atomic_store_n((int *)word, 1, __ATOMIC_SEQ_CST);
	return NULL;
}

static void *count(void *word)
{
	for (int i = 0; i < TIMES; i++)
		__atomic_fetch_add((long *)word, 1, __ATOMIC_SEQ_CST);
	return NULL;
}

static void at_once(const char *name, int *flag, long *word)
{
	long before = *word;
	pthread_t t;

	pthread_create(&t, NULL, set, flag);
#pragma omp target
	while (!__atomic_load_n(flag, __ATOMIC_SEQ_CST))
		usleep(1000);
	pthread_join(t, NULL);
	pthread_create(&t, NULL, count, word);
#pragma omp target
	for (int i = 0; i < TIMES; i++)
		__atomic_fetch_add(word, 1, __ATOMIC_SEQ_CST);
	pthread_join(t, NULL);
	printf("%s: flag seen, counted %ld\n", name, *word - before);
}
