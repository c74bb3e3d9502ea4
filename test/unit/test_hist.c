/* The histogram keeps quantiles within its stated error; counters move without losing one. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include "core/count/stats.h"

Test(hist, buckets_are_ordered_and_their_middle_is_theirs)
{
	uint64_t last = 0;

	for (unsigned b = 1; b < GM_HIST_BUCKETS - 16; b++) {
		uint64_t v = gm_hist_value(b);
		cr_assert_gt(v, last, "bucket %u", b);
		cr_assert_eq(gm_hist_bucket(v), b, "bucket %u, value %lu", b, v);
		last = v;
	}
	cr_assert_lt(gm_hist_bucket(UINT64_MAX), GM_HIST_BUCKETS);
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

Test(hist, quantiles_are_within_seven_percent)
{
	enum { N = 20000 };
	static struct gm_hist h;
	static uint64_t v[N];
	static const double p[] = {0.01, 0.5, 0.9, 0.99, 1};
	uint64_t seed = 42;

	for (int i = 0; i < N; i++) {
		seed = seed * 6364136223846793005u + 1442695040888963407u;
		v[i] = 100 + (seed >> 33) % (1u << (8 + i % 16));
		gm_hist_add(&h, v[i]);
	}
	qsort(v, N, sizeof v[0], by_value);
	for (size_t i = 0; i < GM_ARRAY_LEN(p); i++) {
		double want = (double)v[(int)(p[i] * N) - 1],
		       got = (double)gm_hist_quantile(&h, p[i]);
		cr_assert_float_eq(got / want, 1, 0.07, "p%g: %g instead of %g", p[i] * 100, got,
				   want);
	}
}

Test(hist, an_empty_one_is_zero)
{
	static struct gm_hist h;

	cr_assert_eq(gm_hist_quantile(&h, 0.5), 0);
}

Test(stats, a_gauge_keeps_its_peak)
{
	_Atomic uint64_t gauge = 0, peak = 0;

	gmi_gauge_add(&gauge, &peak, 100);
	gmi_gauge_add(&gauge, &peak, -60);
	gmi_gauge_add(&gauge, &peak, 50);
	cr_assert_eq(gauge, 90);
	cr_assert_eq(peak, 100);
	gmi_gauge_add(&gauge, &peak, -100);
	cr_assert_eq(peak, 100, "below zero is no peak");
}

enum { THREADS = 4, ROUNDS = 50000 };
static _Atomic int running;

static void *count(void *arg)
{
	atomic_fetch_add(&running, 1);
	for (int i = 0; i < ROUNDS; i++) {
		GM_COUNT(h2d_pages, 1);
		gm_hist_add(&gmi_stats->cpu_fault_ns, (uint64_t)i);
		gmi_gauge_add(&gmi_stats->managed_bytes, &gmi_stats->managed_peak_bytes, 3);
	}
	return NULL;
}

/* gmi_stats is switched while others count: what went to the old one is collected in the end. */
Test(stats, moving_under_fire_loses_nothing)
{
	static struct gm_stats shared;
	pthread_t t[THREADS];
	uint64_t in_hist = 0;

	for (int i = 0; i < THREADS; i++)
		pthread_create(&t[i], NULL, count, NULL);
	while (atomic_load(&running) < THREADS)
		sched_yield();
	atomic_store((struct gm_stats * _Atomic *)&gmi_stats, &shared);
	gmc_stats_move(&shared, &gmc_stats_private);
	for (int i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	gmc_stats_move(&shared, &gmc_stats_private);
	for (int i = 0; i < GM_HIST_BUCKETS; i++)
		in_hist += shared.cpu_fault_ns.n[i];
	cr_assert_eq(shared.h2d_pages, THREADS * ROUNDS);
	cr_assert_eq(in_hist, THREADS * ROUNDS);
	cr_assert_eq(shared.managed_bytes, 3 * THREADS * ROUNDS);
	cr_assert_eq(shared.managed_peak_bytes, 3 * THREADS * ROUNDS);
	cr_assert_neq(shared.start_ns, 0);
}
