/*
 * A kernel writes through 1.5 times the device's memory, page after page, PASSES times. Usage:
 * gmem_stream [PASSES [belady]]. Prints the MiB that crossed the link in both directions;
 * "belady": what the optimal schedule for the same trace would have moved, which always evicts
 * the page that is needed last (Belady, 1966). All pages get dirty, so each eviction is a
 * transfer home; what is left on the device at the end counts for neither.
 */
#include "gmem.h"

#define DEVICE_BYTES (64 * MIB)
#define RANGE_BYTES  (96 * MIB)
#define PAGE_BYTES   65536

static uint64_t link_bytes(void)
{
	return atomic_load(&gmi_stats->h2d_bytes) + atomic_load(&gmi_stats->d2h_bytes);
}

static uint64_t measured(unsigned passes)
{
	struct bench_device device = bench_open(DEVICE_BYTES, PAGE_BYTES);
	char *p = bench_managed(RANGE_BYTES);
	uint64_t before = link_bytes();

	for (unsigned i = 0; i < passes; i++)
		bench_walk(&device, p, RANGE_BYTES, PAGE_BYTES);
	return link_bytes() - before;
}

/* The pages that the kernel touches, in order. */
static size_t make_trace(unsigned passes, uint32_t **trace)
{
	size_t pages = RANGE_BYTES / PAGE_BYTES, n = pages * passes;
	uint32_t *t = malloc(n * sizeof *t);

	if (!t)
		bench_die("no memory for the trace");
	for (size_t i = 0; i < n; i++)
		t[i] = (uint32_t)(i % pages);
	*trace = t;
	return n;
}

/* When each touch's page is touched again; n: never. */
static uint32_t *next_uses(const uint32_t *trace, size_t n, size_t pages)
{
	uint32_t *next = malloc(n * sizeof *next), *last = malloc(pages * sizeof *last);

	if (!next || !last)
		bench_die("no memory for the trace");
	for (size_t p = 0; p < pages; p++)
		last[p] = (uint32_t)n;
	for (size_t i = n; i-- > 0;) {
		next[i] = last[trace[i]];
		last[trace[i]] = (uint32_t)i;
	}
	free(last);
	return next;
}

static uint64_t belady(unsigned passes)
{
	size_t pages = RANGE_BYTES / PAGE_BYTES, frames = DEVICE_BYTES / PAGE_BYTES, used = 0,
	       moved = 0;
	uint32_t *trace,
		*needed = calloc(pages,
				 sizeof *needed); /* when it is needed next, + 1; 0: not resident */
	size_t n = make_trace(passes, &trace);
	uint32_t *next = next_uses(trace, n, pages);

	for (size_t i = 0; i < n; i++) {
		if (!needed[trace[i]]) {
			size_t victim = 0;
			for (size_t p = 0; used == frames && p < pages; p++)
				victim = needed[p] > needed[victim] ? p : victim;
			if (used == frames) {
				needed[victim] = 0;
				used--;
				moved++;
			}
			used++;
			moved++;
		}
		needed[trace[i]] = next[i] + 1;
	}
	free(trace);
	free(next);
	free(needed);
	return moved * PAGE_BYTES;
}

int main(int argc, char **argv)
{
	unsigned passes = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 1;
	uint64_t bytes = argc > 2 ? belady(passes) : measured(passes);

	printf("%.3f\n", (double)bytes / (double)MIB);
	return 0;
}
