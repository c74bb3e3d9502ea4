/* ranges.c - where the program has memory outside the window. */
#include "omp/core/host.h"
#include <stdio.h>
#include <string.h>

/* ranges that close are one: heaps and loaders grow between them */
#define NEAR	    ((uint64_t)64 << 20)
#define STACK_GROWS ((uint64_t)8 << 20)

size_t gmo_ranges(struct gmo_range *r, size_t max)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	unsigned long begin, end;
	char line[4352];
	size_t n = 0;

	while (maps && fgets(line, sizeof line, maps)) {
		if (sscanf(line, "%lx-%lx", &begin, &end) != 2 || strstr(line, "[vsyscall]") ||
		    gm_as_of((void *)begin))
			continue;
		begin -= strstr(line, "[stack]") ? STACK_GROWS : 0;
		if (n && begin < r[n - 1].end + NEAR)
			r[n - 1].end = end;
		else if (n < max)
			r[n++] = (struct gmo_range){begin, end};
	}
	if (maps)
		fclose(maps);
	return n;
}
