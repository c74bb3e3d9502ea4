/*
 * Touches every page of 1 GiB (or more) on devices, so that a report shows what metadata a full
 * table costs. Run it with GMEM_REPORT=FILE.json. Prints the bytes touched.
 *	gmem_touch [PAGE [DEVICES [GIB]]]: pages of so many KiB (64); each device has a part (1)
 */
#include "gmem.h"

int main(int argc, char **argv)
{
	const size_t page = argc > 1 ? (size_t)atol(argv[1]) << 10 : 65536;
	const size_t bytes = (argc > 3 ? (size_t)atol(argv[3]) : 1) << 30;
	const size_t ndev = argc > 2 ? (size_t)atol(argv[2]) : 1, part = bytes / ndev;
	char *p = gm_mmap(NULL, NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			  -1, 0);

	if (p == MAP_FAILED)
		bench_die("gm_mmap: %s", strerror(errno));
	for (size_t i = 0; i < ndev; i++) {
		struct bench_device device = bench_open(part, page);
		bench_walk(&device, p + i * part, part, 4096);
	}
	bench_expect(p, bytes, GM_DEVICE);
	printf("%zu\n", bytes);
	return 0;
}
