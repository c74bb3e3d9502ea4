/*
 * churn.c - malloc churn over threads and forks, for programs with an allocator of their own
 * linked in: every pointer goes back to the allocator it came from, libc's functions that
 * allocate (strdup, getline, asprintf, open_memstream) included.
 */
#include <malloc.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define SLOTS 512

static unsigned next(unsigned *x)
{
	return *x = *x * 1103515245u + 12345u, *x >> 8;
}

static void *fresh(unsigned *x, size_t *bytes)
{
	void *p;

	*bytes = next(x) % (next(x) % 50 ? 3000 : 900000) + 1;
	switch (next(x) % 4) {
	case 0:
		return calloc(1, *bytes);
	case 1:
		return posix_memalign(&p, 256, *bytes) ? NULL : p;
	case 2:
		return realloc(malloc(*bytes / 2 + 1), *bytes);
	default:
		return malloc(*bytes);
	}
}

static void *churn(void *arg)
{
	unsigned x = (unsigned)(uintptr_t)arg;
	unsigned char *p[SLOTS] = {0};
	size_t bytes[SLOTS];
	uint64_t bad = 0, sum = 0;

	for (int i = 0; i < 20000; i++) {
		unsigned s = next(&x) % SLOTS;
		if (p[s]) {
			bad += p[s][0] != (unsigned char)s ||
			       p[s][bytes[s] - 1] != (unsigned char)s;
			bad += malloc_usable_size(p[s]) < bytes[s];
			sum += bytes[s];
			free(p[s]);
		}
		p[s] = fresh(&x, &bytes[s]);
		memset(p[s], (int)s, bytes[s]);
	}
	for (unsigned s = 0; s < SLOTS; s++)
		free(p[s]);
	return (void *)(uintptr_t)(sum + (bad << 48));
}

static uint64_t threads(unsigned n, unsigned seed)
{
	pthread_t t[8];
	uint64_t sum = 0;
	void *r;

	for (unsigned i = 0; i < n; i++)
		pthread_create(&t[i], NULL, churn, (void *)(uintptr_t)(seed + i));
	for (unsigned i = 0; i < n; i++) {
		pthread_join(t[i], &r);
		sum += (uintptr_t)r;
	}
	return sum;
}

static unsigned libc(void)
{
	char *line = NULL, *text, *mem;
	size_t n = 0, bytes, total = 0;
	FILE *m = open_memstream(&mem, &bytes), *p = popen("seq 1 3000", "r");

	while (getline(&line, &n, p) > 0) {
		char *copy = strdup(line);
		total += strlen(copy) + (unsigned)asprintf(&text, "%s!", copy);
		fprintf(m, "%s", text);
		free(text);
		free(copy);
	}
	pclose(p);
	fclose(m);
	total += bytes;
	free(mem);
	free(line);
	text = realpath("/usr/../usr/bin", NULL);
	total += strlen(text);
	free(text);
	return (unsigned)total;
}

int main(void)
{
	printf("threads %lu\n", threads(4, 1));
	printf("libc %u\n", libc());
	fflush(stdout);
	for (unsigned i = 0; i < 10; i++) {
		void *before = malloc(100000 + i);
		pid_t pid = fork();
		if (!pid) {
			free(before);
			printf("child %u: %lu\n", i, threads(2, i));
			fflush(stdout);
			_exit((int)i);
		}
		int status;
		waitpid(pid, &status, 0);
		free(before);
		printf("exit %d\n", WEXITSTATUS(status));
		fflush(stdout);
	}
	return 0;
}
