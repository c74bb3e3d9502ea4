/*
 * A region that writes 40 pages of globals, 200 of a shared file (input.dat, here) and one of the
 * stack: the report tells them apart (omp_test.sh).
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#pragma omp requires unified_shared_memory

enum { PAGE = 4096, GLOBALS = 40, FILE_PAGES = 200 };
static char globals[GLOBALS * PAGE] __attribute__((aligned(4096)));

int main(void)
{
	char on_stack[PAGE] = "", *stack = on_stack;
	int fd = open("input.dat", O_RDWR | O_CREAT | O_TRUNC, 0600);
	if (fd < 0 || ftruncate(fd, FILE_PAGES * PAGE))
		return 1;
	char *file = mmap(NULL, FILE_PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (file == MAP_FAILED)
		return 1;
	memset(globals, 1, sizeof globals);
	memset(file, 1, FILE_PAGES * PAGE);
#pragma omp target
	{
		for (int i = 0; i < GLOBALS; i++)
			globals[i * PAGE]++;
		for (int i = 0; i < FILE_PAGES; i++)
			file[i * PAGE]++;
		stack[0]++;
	}
	printf("%d %d %d\n", globals[0], file[0], on_stack[0]);
	return 0;
}
