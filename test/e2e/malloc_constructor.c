/*
 * malloc_constructor.c - a library that allocates in its constructor and destructor:
 * malloc_contract.c loads it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *small, *large;

__attribute__((constructor)) static void begin(void)
{
	small = strdup("small");
	large = calloc(3, 1 << 20);
	large = realloc(large, 5 << 20);
	memset(large + (3 << 20), 7, 2 << 20);
}

__attribute__((destructor)) static void end(void)
{
	char *again = malloc(100);

	printf("inside dlclose: %s\n", again && !strcmp(small, "small") ? "yes" : "no");
	free(again);
	free(small);
	free(large);
}

/* What the constructor left, for the program to free parts of. */
char *take_small(void);
char *take_small(void)
{
	char *s = small;

	small = strdup(s);
	return large[100] == 0 && large[4 << 20] == 7 ? s : NULL;
}
