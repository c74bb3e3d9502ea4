/* How a program ends in a region: exit, abort, crash; and threads and children that have regions
 * of their own. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static int sums[4];

static int add(int n)
{
	int s = 0;

#pragma omp parallel for reduction(+ : s)
	for (int i = 0; i < n; i++)
		s += i;
	return s;
}

static void *thread(void *of)
{
	int *to = of;

	for (int i = 0; i < 5; i++)
		*to += add(1000 + i);
	return NULL;
}

static int last(const char *how)
{
	int *volatile null = NULL, n = 0;

	if (!strcmp(how, "exit") || !strcmp(how, "abort")) {
#pragma omp parallel
#pragma omp single
		{
			printf("%s\n", how);
			fflush(stdout);
			if (how[0] == 'e')
				exit(3);
			abort();
		}
	}
#pragma omp parallel reduction(+ : n)
	n += *null;
	return n;
}

int main(int argc, char **argv)
{
	pthread_t threads[4];
	int status;

	if (argc > 1)
		return last(argv[1]);
	for (int i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, thread, &sums[i]);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	printf("threads %d %d %d %d\n", sums[0], sums[1], sums[2], sums[3]);
	fflush(stdout);
	if (fork() == 0) {
		char *p = malloc(1 << 20);
#pragma omp parallel for
		for (int i = 0; i < 1 << 20; i++)
			p[i] = (char)i;
		printf("child %d %d\n", p[77], add(2000));
		fflush(stdout);
		_exit(p[5]);
	}
	wait(&status);
	printf("parent %d %d\n", WEXITSTATUS(status), add(3000));
	return 0;
}
