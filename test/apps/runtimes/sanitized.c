/*
 * sanitized.c - built with a sanitizer: a clean run; with an argument, a bug that the sanitizer
 * must still find.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int shared;

static void *race(void *arg)
{
	for (int i = 0; i < 10000; i++)
		shared++;
	return arg;
}

static void *churn(void *arg)
{
	unsigned long sum = 0;

	for (unsigned i = 1; i < 2000; i++) {
		char *p = malloc(i * 10);
		memset(p, (int)i, i * 10);
		sum += (unsigned char)p[i];
		free(p);
	}
	return (void *)sum;
}

int main(int argc, char **argv)
{
	void *r;
	pthread_t t[2];
	char *p = malloc(100);

	pthread_create(&t[0], NULL, churn, NULL);
	pthread_join(t[0], &r);
	printf("churn %lu\n", (unsigned long)r);
	fflush(stdout);
	if (argc > 1 && !strcmp(argv[1], "address")) {
		memset(p, 1, 100);
		printf("%d\n", p[argc * 50 + 1]);
	} else if (argc > 1 && !strcmp(argv[1], "memory")) {
		if (p[argc])
			puts("set");
	} else if (argc > 1 && !strcmp(argv[1], "thread")) {
		for (int i = 0; i < 2; i++)
			pthread_create(&t[i], NULL, race, NULL);
		for (int i = 0; i < 2; i++)
			pthread_join(t[i], NULL);
	} else if (argc > 1 && !strcmp(argv[1], "leak")) {
		p = NULL;
	} else if (argc > 1 && !strcmp(argv[1], "undefined")) {
		printf("%d\n", 1 << (argc + 40));
	}
	free(p);
	return 3;
}
