/*
 * kmeans.c - Lloyd's iterations over points with whole-number coordinates, so that sums do not
 * depend on their order. The points stay on the device, the centres go there and the sums come
 * back in each step (a reduction over arrays).
 */
#include "example.h"

#define DIM	 4
#define CLUSTERS 8

struct sums {
	int64_t of[CLUSTERS * DIM], count[CLUSTERS];
};

static void assign(int device, const int32_t *point, uint8_t *cluster, size_t n,
		   const int32_t *centre, struct sums *s)
{
	int64_t sum[CLUSTERS * DIM] = {0}, count[CLUSTERS] = {0};

#pragma omp target teams distribute parallel for device(device) \
	map(to : point[:n * DIM], centre[:CLUSTERS * DIM]) \
	map(from : cluster[:n]) map(tofrom : sum, count) reduction(+ : sum, count)
	for (size_t i = 0; i < n; i++) {
		int64_t best = INT64_MAX;
		int in = 0;
		for (int c = 0; c < CLUSTERS; c++) {
			int64_t distance = 0;
			for (int d = 0; d < DIM; d++) {
				int64_t x = point[i * DIM + (size_t)d] - centre[c * DIM + d];
				distance += x * x;
			}
			in = distance < best ? c : in;
			best = distance < best ? distance : best;
		}
		cluster[i] = (uint8_t)in;
		count[in]++;
		for (int d = 0; d < DIM; d++)
			sum[in * DIM + d] += point[i * DIM + (size_t)d];
	}
	memcpy(s->of, sum, sizeof sum);
	memcpy(s->count, count, sizeof count);
}

static void recentre(int32_t *centre, const struct sums *s)
{
	for (int c = 0; c < CLUSTERS; c++)
		for (int d = 0; d < DIM && s->count[c]; d++)
			centre[c * DIM + d] = (int32_t)(s->of[c * DIM + d] / s->count[c]);
}

int main(int argc, char **argv)
{
	struct example e = example_begin("kmeans", argc, argv, 10);
	size_t n = e.bytes / (DIM * sizeof(int32_t) + 1);
	int32_t *point = example_alloc(n * DIM * sizeof *point);
	int32_t centre[CLUSTERS * DIM], want_centre[CLUSTERS * DIM];
	uint8_t *cluster = example_alloc(n), *want = example_alloc(n);
	struct sums s;
	uint64_t seed = 7;

	for (size_t i = 0; i < n * DIM; i++)
		point[i] = (int32_t)(example_random(&seed) % 1000000) - 500000;
	memcpy(centre, point, sizeof centre);
	memcpy(want_centre, point, sizeof centre);

	e.host_s = -omp_get_wtime();
	for (int r = 0; r < e.reps; r++) {
		assign(omp_get_initial_device(), point, want, n, want_centre, &s);
		recentre(want_centre, &s);
	}
	e.host_s += omp_get_wtime();

	e.device_s = -omp_get_wtime();
#pragma omp target data map(to : point[:n * DIM]) map(from : cluster[:n])
	for (int r = 0; r < e.reps; r++) {
		double begin = omp_get_wtime();
		assign(omp_get_default_device(), point, cluster, n, centre, &s);
		example_step(&e, omp_get_wtime() - begin);
		recentre(centre, &s);
	}
	e.device_s += omp_get_wtime();
	return example_end(&e, !memcmp(cluster, want, n) &&
				       !memcmp(centre, want_centre, sizeof centre));
}
