/*
 * The floor of sparse binding: one process that maps single pages of a memfd over single pages
 * of a range, at random, with nobody to be told and no table, and touches the range at the end.
 * Prints remaps per second, in thousands.
 */
#include "bench.h"

enum { PAGE = 4096, RANGE = 16384, OBJECT = 4096, REMAPS = 65536 };

static uint64_t seed = 1;

static unsigned rnd(unsigned below)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(seed >> 33) % below;
}

static void map_page(char *va, int fd, off_t from)
{
	if (mmap(va, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, from) != va)
		bench_die("mmap: %s", strerror(errno));
}

static double round_rate(char *range, int fd)
{
	double start = bench_now();

	for (int i = 0; i < REMAPS; i++)
		map_page(range + (size_t)rnd(RANGE) * PAGE, fd, (off_t)rnd(OBJECT) * PAGE);
	for (size_t i = 0; i < RANGE; i++)
		((volatile char *)range)[i * PAGE] = 4;
	return REMAPS / (bench_now() - start) * 1e-3;
}

int main(void)
{
	int fd = bench_memfd("object", (size_t)OBJECT * PAGE);
	char *range = mmap(NULL, (size_t)RANGE * PAGE, PROT_NONE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	double rate[BENCH_ROUNDS];

	if (range == MAP_FAILED)
		bench_die("mmap: %s", strerror(errno));
	for (size_t i = 0; i < RANGE; i++)
		map_page(range + i * PAGE, fd, (off_t)(i % OBJECT) * PAGE);
	bench_alias((size_t)OBJECT * PAGE, fd, 1);
	round_rate(range, fd);
	for (int i = 0; i < BENCH_ROUNDS; i++)
		rate[i] = round_rate(range, fd);
	printf("%.1f\n", bench_median(rate, BENCH_ROUNDS));
	return 0;
}
