/* unified_shared_memory: a region and the program work on shared mappings at the same time; what the program then maps,
 * unmaps and protects is what the next region finds. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <unistd.h>

#pragma omp requires unified_shared_memory
#include "beside.h"

enum { PAGE = 4096, N = 16 * PAGE };
static const char *const names[] = {"file", "memfd", "sysv", "anonymous"};

static void *map_kind(int kind)
{
	char path[] = "/tmp/gmem-shared-XXXXXX";
	int fd = kind == 0 ? mkstemp(path) : kind == 1 ? memfd_create("shared", 0) : -1;
	void *p;

	if (kind == 2) {
		int id = shmget(IPC_PRIVATE, N, IPC_CREAT | 0600);
		p = shmat(id, NULL, 0);
		shmctl(id, IPC_RMID, NULL);
		return p;
	}
	if (fd >= 0 && ftruncate(fd, N))
		exit(1);
	p = mmap(NULL, N, PROT_READ | PROT_WRITE, MAP_SHARED | (fd < 0 ? MAP_ANONYMOUS : 0), fd, 0);
	if (kind == 0)
		unlink(path);
	if (fd >= 0)
		close(fd);
	return p;
}

static long sum(const char *p)
{
	long s = 0;

#pragma omp target map(tofrom : s)
	for (int i = 0; i < N; i++)
		s += p[i];
	return s;
}

/* Each time something else lies there. */
static void remapped(void)
{
	char *p = map_kind(1), *q;

	memset(p, 1, N);
	printf("first %ld\n", sum(p));
	p = mmap(p, N, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	memset(p, 2, PAGE);
	printf("mapped over %ld\n", sum(p));
	q = mremap(p, N, N, MREMAP_MAYMOVE | MREMAP_FIXED, map_kind(3));
	p = mmap(p, N, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	printf("moved %ld, and left %ld\n", sum(q), sum(p));
	memset(p, 3, N);
	printf("private there %ld\n", sum(p));
	munmap(q, N);
	mprotect(p, N, PROT_READ);
	printf("read-only %ld\n", sum(p));
	p = map_kind(2);
	memset(p, 4, N);
	printf("segment %ld\n", sum(p));
	shmdt(p);
	q = mmap(p, N, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE,
		 -1, 0);
	printf("in its place %d %ld\n", p == q, sum(q));
}

int main(void)
{
	for (int kind = 0; kind < 4; kind++) {
		char *p = map_kind(kind);
		at_once(names[kind], (int *)p, (long *)(p + 64));
	}
	remapped();
	return 0;
}
