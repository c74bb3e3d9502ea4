/*
 * Launch of an empty kernel and the wait for its end. Prints microseconds; the floor is
 * floor_ring.c.
 */
#include "gmem.h"

#define LAUNCHES 2000

int main(void)
{
	struct bench_device device = bench_open(64 * MIB, 65536);
	double us[BENCH_ROUNDS];

	bench_launch(&device, "empty", NULL, 0, NULL); /* starts the device process */
	for (int i = 0; i < BENCH_ROUNDS; i++) {
		double start = bench_now();

		for (int n = 0; n < LAUNCHES; n++)
			bench_launch(&device, "empty", NULL, 0, NULL);
		us[i] = (bench_now() - start) / LAUNCHES * 1e6;
	}
	printf("%.3f\n", bench_median(us, BENCH_ROUNDS));
	return 0;
}
