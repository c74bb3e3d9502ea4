/* The thread that starts a region is the same thread inside: its keys, its number, its locks, of
 * the program's first thread and of another. */
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

static pthread_key_t key;

static int region(int v)
{
	int sum = 0, same = 0;
	pid_t me = gettid();

	pthread_setspecific(key, &v);
	flockfile(stdout);
#pragma omp parallel num_threads(2) reduction(+ : sum, same)
	{
		int *p = pthread_getspecific(key);
		sum += p ? *p : 0;
		same += gettid() == me;
#pragma omp master
		printf("its own lock, ");
	}
	funlockfile(stdout);
	printf("key %d, same thread %d\n", sum, same);
	return sum;
}

static void *other(void *of)
{
	for (int i = 0; i < 3; i++)
		region(7);
	return of;
}

int main(void)
{
	pthread_t thread;

	pthread_key_create(&key, NULL);
	region(5);
	pthread_create(&thread, NULL, other, NULL);
	pthread_join(thread, NULL);
	return region(6) != 6;
}
