/* threads.h - the same in four threads at once. */
#ifndef GM_TEST_THREADS_H
#define GM_TEST_THREADS_H

#include <pthread.h>

static inline void in_four_threads(void *(*fn)(void *))
{
	pthread_t t[4];

	for (int i = 0; i < 4; i++)
		pthread_create(&t[i], NULL, fn, NULL);
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
}

#endif
