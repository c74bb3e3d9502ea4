/* Two functions that allocate arrays, which then go to the device and come home: sites_test.sh
 * looks for them by name. */
#include "away.h"
#include <sys/mman.h>

#define MIB (1ul << 20)

__attribute__((noinline)) static char *take_by_malloc(size_t bytes)
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

static void round_trip(char *p, size_t bytes)
{
	memset(p, 1, bytes);
	away(p, bytes);
	for (size_t at = 0; at < bytes; at += 65536)
		p[at]++;
}

int main(void)
{
	char *a = take_by_malloc(16 * MIB), *b = take_by_mmap(8 * MIB);

	round_trip(a, 16 * MIB);
	round_trip(b, 8 * MIB);
	free(a);
	return 0;
}
