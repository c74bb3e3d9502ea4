/* unified_shared_memory: what the program does to private memory that a region has worked on is as plain: other memory put in its place, a
 * library closed, its threads ended and their stacks used again, locked, run over by exec in a child, forked by libraries. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#pragma omp requires unified_shared_memory

enum { PAGE = 4096, N = 16 * PAGE };
static char globals[N] __attribute__((aligned(4096)));
extern char **environ;

static void touch(char *p, int n)
{
#pragma omp target
	for (int i = 0; i < n; i++)
		p[i * PAGE]++;
}

static char *at_place(void)
{
	char *p = mmap((void *)0x20000000, N, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

	touch(p, N / PAGE);
	return p;
}

static void replaced(void)
{
	char *p = at_place();

	mmap(p, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	printf("replaced: %d %d %d\n", p[0], p[PAGE], p[2 * PAGE]);
	touch(p, N / PAGE);
	mmap(p + PAGE, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	touch(p, N / PAGE);
	printf("by shared memory: %d %d %d\n", p[0], p[PAGE], p[2 * PAGE]);
	munmap(p, N);
	p = at_place();
	printf("mapped again: %d\n", p[0]);
	munmap(p, N);
}

static void locked(void)
{
	char *p = at_place();
	unsigned char in[N / PAGE];

	printf("lock %d, in core %d, ", mlock(p, N), mincore(p, N, in));
	touch(p, 3);
	printf("unlock %d: %d\n", munlock(p, N), p[0]);
	munmap(p, N);
}

static void library(void)
{
	for (int i = 0; i < 3; i++) {
		void *l = dlopen("./changed_library.so", RTLD_NOW);
		if (!l)
			exit(1);
		char *data = dlsym(l, "library_data");
		touch(data, 2);
		printf("library: %d %d\n", data[0], data[PAGE]);
		dlclose(l);
	}
}

static void *on_its_stack(void *unused)
{
	char room[4 * PAGE] = {0};

	touch(room, 4);
	return (void *)(long)(room[0] + room[3 * PAGE]);
}

static void threads(void)
{
	long sum = 0;

	for (int i = 0; i < 20; i++) {
		pthread_t t;
		void *r;
		pthread_create(&t, NULL, on_its_stack, NULL);
		pthread_join(t, &r);
		sum += (long)r;
	}
	printf("threads: %ld\n", sum);
}

static void children(void)
{
	char *argv[] = {"true", NULL};
	int status = -1;
	pid_t pid;

	touch(globals, 2);
	printf("spawn %d", posix_spawnp(&pid, "true", NULL, NULL, argv, environ));
	waitpid(pid, &status, 0);
	printf(" %d, system %d, ", status, system("exit 3") >> 8);
	touch(globals, 2);
	fflush(stdout);
	if (!(pid = vfork())) {
		execvp("true", argv);
		_exit(1);
	}
	waitpid(pid, &status, 0);
	printf("vfork %d, globals %d\n", status, globals[0]);
	fflush(stdout);
	if (!(pid = fork())) {
		globals[0] = 99;
		execvp("true", argv);
		_exit(1);
	}
	waitpid(pid, &status, 0);
	printf("exec %d, globals %d\n", status, globals[0]);
}

int main(void)
{
	replaced();
	locked();
	library();
	threads();
	children();
	return 0;
}
