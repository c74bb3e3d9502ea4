/*
 * Streams and fences: work runs in the order of queueing, streams beside each other, errors stop
 * what comes behind them and nothing else.
 */
#include "device.h"
#include "kernels.h"
#include <pthread.h>
#include <stdatomic.h>
#include <sys/wait.h>

static struct gm_sim *sim;
static struct gm_stream *one, *two;
static int module, hnid;

static void set_up(void)
{
	sim = open_device("pcie4-gpu,mem=256M,workers=2");
	hnid = gm_dev_hnid(gm_sim_dev(sim));
	cr_assert_eq(gm_sim_load(sim, beside_program("kernels.so"), &module), 0);
	cr_assert_eq(gm_stream_create(sim, &one), 0);
	cr_assert_eq(gm_stream_create(sim, &two), 0);
}
static void tear_down(void)
{
	cr_expect_eq(gm_sim_close(sim), -EBUSY, "it has streams");
	gm_stream_destroy(one);
	gm_stream_destroy(two);
	cr_expect_eq(gm_sim_close(sim), 0);
}
TestSuite(stream, .init = set_up, .fini = tear_down, .timeout = 60);

static int queue_set(struct gm_stream *st, void *p, int byte, size_t bytes)
{
	struct ds_mem_args a = {.dst = p, .bytes = bytes, .value = (uint64_t)byte};

	return gm_stream_launch(st, 0, "memset", 2, &a, sizeof a, NULL);
}

static int queue_spin(struct gm_stream *st, unsigned us)
{
	struct ds_mem_args a = {.value = us};

	return gm_stream_launch(st, 0, "spin", 1, &a, sizeof a, NULL);
}

/* Each step undoes the one before: any other order shows in the result. */
Test(stream, order_within_a_stream)
{
	char *a = managed(MIB), *b = managed(MIB);

	for (int i = 1; i <= 40; i++) {
		cr_assert_eq(queue_set(one, a, i, MIB), 0);
		cr_assert_eq(gm_stream_copy(one, i % 2 ? hnid : -1, b, a, MIB), 0);
		cr_assert_eq(gm_stream_prefetch(one, i % 3 ? -1 : hnid, a, MIB), 0);
		cr_assert_eq(queue_set(one, a, 200, MIB), 0);
		cr_assert_eq(gm_stream_copy(one, -1, a, b, MIB / 2), 0);
	}
	cr_assert_eq(gm_stream_sync(one), 0);
	cr_expect_eq(gm_stream_query(one), 0);
	cr_expect(all_bytes(a, 40, MIB / 2));
	cr_expect(all_bytes(a + MIB / 2, 200, MIB / 2));
	cr_expect(all_bytes(b, 40, MIB));
}

Test(stream, queueing_does_not_wait_and_fences_tell_when)
{
	struct gm_fence *f;
	struct gm_launch_result r = {0};
	struct ds_mem_args a = {.value = 100000};
	uint64_t start = gmi_now_ns();

	cr_assert_eq(gm_stream_launch(one, 0, "spin", 1, &a, sizeof a, &r), 0);
	cr_assert_eq(gm_fence_record(one, &f), 0);
	cr_expect_eq(gm_fence_wait(f, 0), -ETIMEDOUT);
	cr_expect_eq(gm_fence_wait(f, 1000000), -ETIMEDOUT);
	cr_expect_eq(gm_stream_query(one), -EBUSY);
	cr_expect_lt(gmi_now_ns() - start, 100000000u);
	cr_expect_eq(gm_fence_wait(f, -1), 0);
	cr_expect_geq(gmi_now_ns() - start, 100000000u);
	cr_expect_gt(r.wall_ns, 99000000u);
	cr_expect_eq(gm_fence_wait(f, 0), 0, "again");
	gm_fence_free(f);
}

/* Two streams hand a buffer to and fro; only the fences keep them in order. */
Test(stream, fences_order_streams)
{
	enum { TURNS = 50 };
	uint64_t *n = managed(PAGE);

	for (int i = 0; i < TURNS; i++) {
		struct gm_stream *from = i % 2 ? two : one, *to = i % 2 ? one : two;
		struct gm_fence *f;
		struct ds_mem_args sum = {.src = n, .bytes = 8, .sum = n}; /* doubles it */
		if (i == 0)
			n[0] = 1;
		if (i < 40)
			cr_assert_eq(gm_stream_launch(from, 0, "sum64", 1, &sum, sizeof sum, NULL),
				     0);
		cr_assert_eq(queue_spin(from, 200), 0);
		cr_assert_eq(gm_fence_record(from, &f), 0);
		cr_assert_eq(gm_stream_wait(to, f), 0);
		cr_assert_eq(gm_fence_free(f), 0);
	}
	cr_assert_eq(gm_stream_sync(one), 0);
	cr_assert_eq(gm_stream_sync(two), 0);
	cr_expect_eq(n[0], 1ull << 40);
}

static void wait_for_flag(void *arg)
{
	while (!atomic_load((_Atomic int *)arg))
		usleep(100);
}

static void set_flag(void *arg)
{
	atomic_store((_Atomic int *)arg, 1);
}

Test(stream, streams_run_beside_each_other)
{
	static _Atomic int flag;

	cr_assert_eq(gm_stream_call(one, wait_for_flag, &flag), 0);
	cr_assert_eq(queue_spin(two, 10), 0);
	/* in one queue this would never come */
	cr_assert_eq(gm_stream_call(two, set_flag, &flag), 0);
	cr_assert_eq(gm_stream_sync(one), 0);
	cr_assert_eq(gm_stream_sync(two), 0);
}

Test(stream, an_error_stops_what_comes_behind_it)
{
	static char outside[64];
	char *p = managed(MIB);
	struct gm_fence *f;

	cr_assert_eq(queue_set(one, p, 1, MIB), 0);
	cr_assert_eq(queue_set(one, outside, 1, 64), 0); /* -EFAULT */
	cr_assert_eq(queue_set(one, p, 2, MIB), 0);
	cr_assert_eq(gm_stream_prefetch(one, 12345, p, MIB), 0); /* -ENODEV */
	cr_assert_eq(gm_fence_record(one, &f), 0);
	cr_assert_eq(gm_stream_wait(two, f), 0);
	cr_assert_eq(queue_set(two, p, 3, MIB), 0);
	cr_expect_eq(gm_fence_wait(f, -1), -EFAULT, "the first one");
	cr_expect_eq(gm_stream_sync(two), -EFAULT, "it was to use the results");
	cr_expect_eq(gm_stream_sync(one), -EFAULT);
	cr_expect(all_bytes(p, 1, MIB));
	cr_assert_eq(queue_set(one, p, 4, MIB), 0);
	cr_expect_eq(gm_stream_sync(one), 0, "reported: it works again");
	cr_expect(all_bytes(p, 4, MIB));
	gm_fence_free(f);
}

Test(stream, many_entries_and_several_threads)
{
	enum { N = 3000 };
	uint64_t *n = managed(PAGE);
	struct ds_mem_args a = {.src = n + 1, .bytes = 8, .sum = n};

	n[1] = 1;
	for (int i = 0; i < N; i++) {
		cr_assert_eq(gm_stream_launch(one, 0, "sum64", 1, &a, sizeof a, NULL), 0);
		if (i % 10 == 0)
			cr_assert_eq(gm_stream_launch(two, 0, "sum64", 1, &a, sizeof a, NULL), 0);
	}
	cr_assert_eq(gm_stream_sync(one), 0);
	cr_assert_eq(gm_stream_sync(two), 0);
	cr_expect_eq(n[0], N + N / 10);
}

Test(stream, device_loss)
{
	char *p = managed(MIB);
	struct churn_args a = {.data = (void *)p, .words = MIB / 8, .step = 1, .turns = UINT64_MAX};

	cr_assert_eq(queue_set(one, p, 5, MIB), 0);
	cr_assert_eq(gm_stream_sync(one), 0);
	cr_assert_eq(gm_stream_launch(one, module, "churn", 1, &a, sizeof a, NULL), 0);
	cr_assert_eq(queue_set(one, p, 6, MIB), 0);
	usleep(20000);
	kill(gmi_sim_pid(sim), SIGKILL);
	cr_expect_eq(gm_stream_sync(one), -EIO);
	cr_assert_eq(queue_set(one, p, 7, MIB), 0);
	cr_expect_eq(gm_stream_sync(one), 0, "a fresh device");
	cr_expect(all_bytes(p, 7, MIB));
}

Test(stream, a_fork_child_gives_up_what_was_queued)
{
	char *p = managed(MIB);
	struct gm_fence *f;
	int status;

	cr_assert_eq(queue_set(one, p, 1, MIB), 0);
	cr_assert_eq(gm_stream_sync(one), 0);
	cr_assert_eq(queue_spin(one, 100000), 0);
	cr_assert_eq(gm_fence_record(one, &f), 0);
	pid_t child = fork();
	if (child == 0) {
		bool ok = gm_fence_wait(f, -1) == -ECANCELED && gm_stream_sync(one) == -ECANCELED;
		ok = ok && queue_set(one, p, 9, MIB) == 0 && gm_stream_sync(one) == 0;
		_exit(ok && all_bytes(p, 9, MIB) ? 0 : 1);
	}
	cr_assert_eq(waitpid(child, &status, 0), child);
	cr_expect_eq(status, 0);
	cr_expect_eq(gm_fence_wait(f, -1), 0);
	cr_expect_eq(gm_stream_sync(one), 0);
	cr_expect(all_bytes(p, 1, MIB));
	gm_fence_free(f);
}

Test(stream, bad_arguments)
{
	char big[GM_LAUNCH_ARGS_MAX + 1] = "";
	struct gm_fence *f;

	cr_expect_eq(gm_stream_create(NULL, &one), -EINVAL);
	cr_expect_eq(gm_stream_create(sim, NULL), -EINVAL);
	cr_expect_eq(gm_stream_destroy(NULL), -EINVAL);
	cr_expect_eq(gm_stream_sync(NULL), -EINVAL);
	cr_expect_eq(gm_stream_query(NULL), -EINVAL);
	cr_expect_eq(gm_stream_launch(one, 0, NULL, 1, NULL, 0, NULL), -EINVAL);
	cr_expect_eq(gm_stream_launch(one, 0, "spin", 0, NULL, 0, NULL), -EINVAL);
	cr_expect_eq(gm_stream_launch(one, 0, "spin", 1, big, sizeof big, NULL), -EINVAL);
	cr_expect_eq(gm_stream_launch(one, -1, "spin", 1, NULL, 0, NULL), -EINVAL);
	cr_expect_eq(gm_stream_prefetch(one, -2, big, 1), -EINVAL);
	cr_expect_eq(gm_stream_prefetch(one, hnid, NULL, 1), -EINVAL);
	cr_expect_eq(gm_stream_copy(one, hnid, big, NULL, 1), -EINVAL);
	cr_expect_eq(gm_stream_call(one, NULL, NULL), -EINVAL);
	cr_expect_eq(gm_stream_wait(one, NULL), -EINVAL);
	cr_expect_eq(gm_fence_record(NULL, &f), -EINVAL);
	cr_expect_eq(gm_fence_wait(NULL, 0), -EINVAL);
	cr_expect_eq(gm_fence_free(NULL), -EINVAL);
	cr_expect_eq(gm_stream_sync(one), 0);
}

/* Many ranges in one call, each to a node of its own; discarded memory is not copied. */
Test(stream, batches)
{
	enum { N = 16 };
	unsigned char *p = managed(N * MIB);
	struct gm_batch_range r[N];
	struct gm_page_info info[N];
	struct gm_counters before, after;

	for (int i = 0; i < N; i++)
		r[i] = (struct gm_batch_range){p + i * MIB, MIB, i % 2 ? hnid : -1};
	cr_assert_eq(queue_set(one, p, 1, N * MIB), 0);
	cr_assert_eq(gm_stream_batch(one, MADV_PREFETCH, r, N), 0);
	cr_assert_eq(gm_stream_sync(one), 0);
	for (int i = 0; i < N; i++) {
		cr_assert_eq(gm_query(p + i * MIB, PAGE, &info[i]), 0);
		cr_expect_eq(info[i].where, i % 2 ? GM_DEVICE : GM_HOST, "range %d", i);
	}
	cr_expect(all_bytes(p, 1, N * MIB));

	cr_assert_eq(gm_query_counters(&before, sizeof before), 0);
	cr_assert_eq(gm_stream_batch(one, GM_MADV_DISCARD_PREFETCH, r, N), 0);
	cr_assert_eq(gm_stream_sync(one), 0);
	cr_assert_eq(gm_query_counters(&after, sizeof after), 0);
	cr_expect_eq(after.to_device_bytes, before.to_device_bytes, "nothing is copied");
	cr_expect_eq(after.to_host_bytes, before.to_host_bytes);
	cr_expect_eq(after.zeroed_pages - before.zeroed_pages, N / 2 * MIB / PAGE);
	cr_assert_eq(gm_query(p + MIB, PAGE, info), 0);
	cr_expect_eq(info[0].where, GM_DEVICE);
	cr_expect(all_bytes(p, 0, N * MIB));

	cr_assert_eq(queue_set(one, p, 5, N * MIB), 0);
	cr_assert_eq(gm_stream_batch(one, GM_MADV_DISCARD, r, 1), 0);
	cr_assert_eq(queue_set(one, p, 6, PAGE), 0);
	cr_assert_eq(gm_stream_sync(one), 0);
	cr_expect(all_bytes(p, 6, PAGE) && all_bytes(p + PAGE, 0, MIB - PAGE), "in order");
	cr_expect(all_bytes(p + MIB, 5, (N - 1) * MIB));

	cr_expect_eq(gm_stream_batch(one, GM_MADV_PINNED, r, N), -EINVAL);
	cr_expect_eq(gm_stream_batch(NULL, MADV_PREFETCH, r, N), -EINVAL);
	r[N - 1].start = NULL;
	cr_expect_eq(gm_stream_batch(one, GM_MADV_DISCARD, r, N), -EINVAL, "none is queued");
	cr_assert_eq(gm_stream_sync(one), 0);
	cr_expect(all_bytes(p + MIB, 5, MIB));
	cr_expect_eq(gm_stream_batch(one, MADV_PREFETCH, NULL, 0), 0);
}
