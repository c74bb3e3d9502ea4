/*
 * Touches every page of 1 GiB on the device, so that a report of the run shows what metadata a
 * full table costs. Run it with GMEM_REPORT=FILE.json. Prints the bytes touched.
 */
#include "gmem.h"

int main(void)
{
	const size_t bytes = 1024 * MIB;
	struct bench_device device = bench_open(1024 * MIB, 65536);
	char *p = gm_mmap(NULL, NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			  -1, 0);

	if (p == MAP_FAILED)
		bench_die("gm_mmap: %s", strerror(errno));
	bench_walk(&device, p, bytes, 4096);
	bench_expect(p, bytes, GM_DEVICE);
	printf("%zu\n", bytes);
	return 0;
}
