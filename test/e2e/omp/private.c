/* unified_shared_memory: regions and the program's threads work on private memory at the same time: variables of the
 * program, stacks, the break, private files, thread-local variables. Then the memory is what it was: forked, protected,
 * moved, given back, its threads ended. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#pragma omp requires unified_shared_memory
#include "beside.h"

enum { PAGE = 4096, N = 16 * PAGE };
struct words {
	int flag;
	long count;
};
static struct words zero[2];
static struct words data[2] = {{0, 5}, {0, 6}};
static __thread struct words local[2];

static void words_at_once(const char *name, struct words *w)
{
	at_once(name, &w->flag, &w->count);
}

static void *on_its_stack(void *name)
{
	struct words w[2] = {{0}};

	words_at_once(name, w);
	words_at_once("thread-local", local);
	return NULL;
}

static char *private_file(void)
{
	char path[] = "/tmp/gmem-private-XXXXXX";
	int fd = mkstemp(path);

	for (int i = 0; i < N / PAGE; i++)
		if (pwrite(fd, "file", 4, i * PAGE) != 4)
			exit(1);
	char *p = mmap(NULL, N, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	unlink(path);
	close(fd);
	return p;
}

static void touch(char *p, int n)
{
#pragma omp target
	for (int i = 0; i < n; i++)
		p[i * PAGE]++;
}

static void as_it_was(const char *name, char *p)
{
	memset(p + PAGE, 'a', PAGE);
	touch(p, N / PAGE);
	pid_t child = fork();
	if (!child) {
		memset(p, 'c', N);
		_exit(0);
	}
	touch(p, 2);
	waitpid(child, NULL, 0);
	printf("%s after a fork: %d %d %d\n", name, p[0], p[PAGE], p[2 * PAGE]);
	touch(p, 3);
	mprotect(p, N, PROT_READ);
	printf("protected: %d %d %d\n", p[0], p[PAGE], p[2 * PAGE]);
	mprotect(p, N, PROT_READ | PROT_WRITE);
	touch(p, 3);
	madvise(p, PAGE, MADV_DONTNEED);
	printf("given back: %d %d\n", p[0], p[PAGE]);
	touch(p, 3);
	char *q = mremap(p, N, 2 * N, MREMAP_MAYMOVE);
	touch(q, 3);
	printf("moved: %d %d %d\n", q[0], q[PAGE], q[2 * PAGE]);
	munmap(q, 2 * N);
}

static void deep(int n)
{
	volatile char frame[PAGE];

	frame[0] = (char)n;
	if (n)
		deep(n - 1);
}

int main(void)
{
	struct words w[2] = {{0}};
	pthread_attr_t attr;
	pthread_t t;
	void *lo;
	size_t size, now;

	pthread_getattr_np(pthread_self(), &attr);
	pthread_attr_getstack(&attr, &lo, &size);
	words_at_once("zero", zero);
	words_at_once("data", data);
	words_at_once("main stack", w);
	pthread_create(&t, NULL, on_its_stack, "thread stack");
	pthread_join(t, NULL);
	char *b = sbrk(N);
	b += -(unsigned long)b % PAGE;
	words_at_once("break", (struct words *)b);
	char *f = private_file();
	words_at_once("private file", (struct words *)(f + 8));
	as_it_was("private file", f);
	as_it_was("anonymous", mmap((void *)0x10000000, N, PROT_READ | PROT_WRITE,
				    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0));
	touch(b, 2);
	sbrk(-N / 2);
	sbrk(N / 2);
	deep(500);
	words_at_once("main stack again", (memset(w, 0, sizeof w), w));
	pthread_getattr_np(pthread_self(), &attr);
	pthread_attr_getstack(&attr, &lo, &now);
	printf("the stack may grow as before: %d\n", now == size);
	return 0;
}
