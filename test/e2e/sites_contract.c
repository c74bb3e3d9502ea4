/* Two functions that allocate arrays, which then go to the device and come home: sites_test.sh
 * looks for them by name. */
#include "away.h"
#include <stdlib.h>
#include <sys/mman.h>

#define MIB (1ul << 20)

__attribute__((noinline)) static char *take_array(size_t bytes)
{
	char *p = malloc(bytes);
	__asm__ volatile("" : "+r"(p)); /* no tail call: the return address lies in here */
	return p;
}

__attribute__((noinline)) static char *take_by_mmap(size_t bytes)
{
	char *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	__asm__ volatile("" : "+r"(p));
	return p;
}

/* A wrapper, as many programs have one: not who we look for. */
__attribute__((noinline)) static void *xalloc(size_t bytes)
{
	void *p = malloc(bytes);
	if (!p)
		abort();
	return p;
}

#define NODES 40000

/* Small blocks, of 256 bytes with what jemalloc rounds: 10 MiB, in slabs. */
__attribute__((noinline)) static void take_nodes(char **node)
{
	for (int i = 0; i < NODES; i++) {
		node[i] = xalloc(250);
		node[i][0] = 1;
	}
}

__attribute__((noinline)) static void nodes_away(void)
{
	static char *node[NODES];
	uintptr_t last = 0;

	take_nodes(node);
	for (int i = 0; i < NODES; i++)
		if ((uintptr_t)node[i] / 4096 != last) {
			last = (uintptr_t)node[i] / 4096;
			away((void *)(last * 4096), 4096);
		}
}

static void round_trip(char *p, size_t bytes)
{
	memset(p, 1, bytes);
	away(p, bytes);
	for (size_t at = 0; at < bytes; at += 65536)
		p[at]++;
}

int main(int argc, char **argv)
{
	if (argc > 1) {
		nodes_away();
		return 0;
	}
	char *a = take_array(16 * MIB), *b = take_by_mmap(8 * MIB);

	round_trip(a, 16 * MIB);
	round_trip(b, 8 * MIB);
	free(a);
	return 0;
}
