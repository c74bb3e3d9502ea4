/* managed.c - 16 MiB of memory, got in the way that argv[1] says, and written. */
#define BYTES ((size_t)16 << 20)
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)

static char *get(const char *how)
{
	if (!strcmp(how, "hint"))
		return mmap((void *)0x560000000000, BYTES, PROT_READ | PROT_WRITE, ANON, -1, 0);
	if (!strcmp(how, "low hint"))
		return mmap((void *)0x40000000, BYTES, PROT_READ | PROT_WRITE, ANON, -1, 0);
	if (!strcmp(how, "low only")) {
		char *p = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, ANON | MAP_32BIT, -1, 0);
		return (uintptr_t)p < UINT32_MAX ? p : MAP_FAILED;
	}
	if (!strcmp(how, "fixed")) {
		void *at = (void *)0x560000000000;
		char *p =
			mmap(at, BYTES, PROT_READ | PROT_WRITE, ANON | MAP_FIXED_NOREPLACE, -1, 0);
		return p == at ? p : MAP_FAILED;
	}
	/* as heaps of runtimes do: addresses first, then pieces of them */
	char *p = mmap((void *)0x560000000000, BYTES, PROT_NONE, ANON | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED)
		return p;
	if (!strcmp(how, "reserved, then protected"))
		return mprotect(p, BYTES, PROT_READ | PROT_WRITE) ? MAP_FAILED : p;
	return mmap(p, BYTES, PROT_READ | PROT_WRITE, ANON | MAP_FIXED, -1, 0);
}

int main(int argc, char **argv)
{
	char *p = get(argv[1]);
	size_t sum = 0;

	if (p == MAP_FAILED)
		return 1;
	for (size_t i = 0; i < BYTES; i += 4096)
		p[i] = (char)(i >> 12);
	for (size_t i = 0; i < BYTES; i += 4096)
		sum += (unsigned char)p[i];
	printf("%zu\n", sum);
	return 0;
}
