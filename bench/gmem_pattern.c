/*
 * A kernel uses PERCENT of the device's memory in the order of a PATTERN (patterns.h). Usage:
 * gmem_pattern PATTERN PERCENT [WHAT]. Prints WHAT, with the policies of the environment: "moved"
 * (the default) MiB that crossed the link in both directions, "faults" far faults, "ms" modelled
 * milliseconds of both; "belady": what the optimal schedule for the same trace would have moved,
 * which evicts what is needed last (Belady, 1966). All pages are dirty when they first come; what
 * is left on the device at the end counts for neither.
 */
#include "gmem.h"
#include "patterns.h"

#define FRAMES	   1024u
#define PAGE_BYTES 65536

static double measured(unsigned pattern, uint64_t pages, const char *what)
{
	struct bench_device device = bench_open(FRAMES * (size_t)PAGE_BYTES, PAGE_BYTES);
	struct pattern_args a = {bench_managed(pages * PAGE_BYTES), pages, pattern};
	const struct gm_dev_stats *s = &gmi_stats->dev[0];
	uint64_t in = gmi_stats->h2d_bytes, out = gmi_stats->d2h_bytes, faults = s->faults,
		 ns = s->fault_ns + s->link_ns;

	bench_check(gm_sim_launch(device.sim, device.module, "pattern", 1, &a, sizeof a, NULL));
	if (!strcmp(what, "faults"))
		return (double)(s->faults - faults);
	if (!strcmp(what, "ms"))
		return (double)(s->fault_ns + s->link_ns - ns) / 1e6;
	return (double)(gmi_stats->h2d_bytes - in + gmi_stats->d2h_bytes - out) / (double)MIB;
}

static double belady(unsigned pattern, uint64_t pages)
{
	struct trace t = trace_of(pattern, pages);
	size_t *next = malloc(t.n * sizeof *next), *needed = calloc(pages, sizeof *needed),
	       used = 0, moved = 0;

	if (!next || !needed)
		bench_die("no memory for the trace");
	for (uint64_t p = 0; p < pages; p++)
		needed[p] = t.n;
	for (size_t i = t.n; i-- > 0;) {
		next[i] = needed[t.touch[i].page];
		needed[t.touch[i].page] = i;
	}
	memset(needed, 0,
	       pages * sizeof *needed); /* from here: needed next when, + 1; 0: not resident */
	for (size_t i = 0; i < t.n; i++) {
		uint32_t page = t.touch[i].page;
		if (!needed[page]) {
			uint64_t victim = 0;
			for (uint64_t p = 0; used == FRAMES && p < pages; p++)
				victim = needed[p] > needed[victim] ? p : victim;
			if (used == FRAMES) {
				needed[victim] = 0;
				moved++;
				used--;
			}
			moved++;
			used++;
		}
		needed[page] = next[i] + 1;
	}
	return (double)moved * PAGE_BYTES / (double)MIB;
}

int main(int argc, char **argv)
{
	unsigned pattern = 0;
	const char *what = argc > 3 ? argv[3] : "moved";

	while (argc > 2 && pattern < PATTERNS && strcmp(patterns[pattern].name, argv[1]))
		pattern++;
	if (argc < 3 || pattern == PATTERNS)
		bench_die("usage: gmem_pattern stream|cyclic|zipf|stencil|bfs PERCENT "
			  "[moved|faults|ms|belady]");
	uint64_t pages = FRAMES * strtoul(argv[2], NULL, 10) / 100;
	printf("%.3f\n",
	       strcmp(what, "belady") ? measured(pattern, pages, what) : belady(pattern, pages));
	return 0;
}
