/* A region that touches bad memory: argv[1] says how. Ends with the runtime's own error, status 134 or 1, never by SIGSEGV. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#pragma omp requires unified_shared_memory

static const int constant[1024] = {1};

void host_only(void);
void host_only(void)
{
}

int main(int argc, char **argv)
{
	int *p = NULL;
	const char *how = argc > 1 ? argv[1] : "";

	if (!strcmp(how, "wild"))
		p = (int *)0x700000001000;
	else if (!strcmp(how, "constant"))
		p = (int *)constant;
	else if (!strcmp(how, "freed"))
		p = (int *)0x200000000000 + (1 << 30);
	fflush(stdout);
	if (!strcmp(how, "threads")) {
#pragma omp target teams distribute parallel for
		for (int i = 0; i < 1000; i++)
			p[i] = i;
	} else if (!strcmp(how, "function")) {
		void (*volatile where)(void) = host_only; /* no name that the compiler could follow */
		void (*fn)(void) = where;
#pragma omp target firstprivate(fn)
		fn();
	} else if (!strcmp(how, "abort")) {
#pragma omp target
		abort();
	} else {
#pragma omp target
		p[7] = 1;
	}
	puts("went on");
	return 0;
}
