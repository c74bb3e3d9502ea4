/*
 * Virtual time: the link is one queue, each direction for itself; kernels queue for the compute
 * units; what one thread or stream does is one after the other, and streams run beside each other.
 */
#include "device.h"

#define BYTES (8 * MIB)
/* a byte a ns: BYTES take BYTES ns */
#define LINK "pcie4-gpu,mem=64M,page=64K,workers=1,latency=0us,bw=1G"

static struct gm_sim *sim;
static int device;
static struct gm_stream *a, *b;

static void open_with(const char *spec)
{
	sim = open_device(spec);
	device = gm_dev_hnid(gm_sim_dev(sim));
	cr_assert_eq(gm_stream_create(sim, &a), 0);
	cr_assert_eq(gm_stream_create(sim, &b), 0);
}
static void tear_down(void)
{
	cr_expect_eq(gm_stream_destroy(a), 0);
	cr_expect_eq(gm_stream_destroy(b), 0);
	cr_expect_eq(gm_sim_close(sim), 0);
}
TestSuite(time, .fini = tear_down, .timeout = 60);

static uint64_t now(void)
{
	return atomic_load(&gmi_stats->dev[0].modelled_ns);
}

static char *filled(void)
{
	char *p = managed(BYTES);

	memset(p, 1, BYTES);
	return p;
}

static char *on_device(void)
{
	char *p = filled();

	cr_assert_eq(hmadvise(device, p, BYTES, MADV_PREFETCH), 0);
	return p;
}

static void both_end(void)
{
	cr_assert_eq(gm_stream_sync(a), 0);
	cr_assert_eq(gm_stream_sync(b), 0);
}

/* Within 5 %: the pieces of a transfer are rounded. */
static void expect_about(uint64_t got, uint64_t want, const char *what)
{
	cr_expect(got >= want && got <= want + want / 20, "%s: %zu ns instead of %zu", what,
		  (size_t)got, (size_t)want);
}

Test(time, one_direction_of_the_link_is_one_queue)
{
	open_with(LINK);
	char *p = filled(), *q = filled();
	uint64_t t = now();

	gm_stream_prefetch(a, device, p, BYTES);
	gm_stream_prefetch(b, device, q, BYTES);
	both_end();
	expect_about(now() - t, 2 * BYTES, "two streams");
}

Test(time, both_directions_run_at_once)
{
	open_with(LINK);
	char *p = on_device(), *q = filled();
	uint64_t t = now();

	gm_stream_prefetch(a, -1, p, BYTES);
	gm_stream_prefetch(b, device, q, BYTES);
	both_end();
	expect_about(now() - t, BYTES, "there and back");
}

Test(time, unless_the_link_has_one_for_both)
{
	open_with(LINK ",duplex=no");
	char *p = on_device(), *q = filled();
	uint64_t t = now();

	gm_stream_prefetch(a, -1, p, BYTES);
	gm_stream_prefetch(b, device, q, BYTES);
	both_end();
	expect_about(now() - t, 2 * BYTES, "there and back");
}

Test(time, the_way_home_has_its_own_bandwidth)
{
	open_with(LINK ",homebw=500M");
	char *p = on_device();
	uint64_t t = now();

	cr_assert_eq(hmadvise(-1, p, BYTES, MADV_PREFETCH), 0);
	expect_about(now() - t, 2 * BYTES, "home");
}

static void write_all(struct gm_stream *st, char *p)
{
	struct ds_mem_args w = {.dst = p, .bytes = BYTES, .value = 2};

	cr_assert_eq(gm_stream_launch(st, 0, "memset", 1, &w, sizeof w, NULL), 0);
}

Test(time, copies_run_beside_kernels_of_another_stream)
{
	open_with(LINK ",membw=500M,launch=0us"); /* the kernel: 2 * BYTES */
	char *p = on_device(), *q = filled();
	uint64_t t = now();

	write_all(a, p);
	gm_stream_prefetch(b, device, q, BYTES);
	both_end();
	expect_about(now() - t, 2 * BYTES, "two streams");
	p = on_device();
	q = filled();
	t = now();
	write_all(a, p);
	gm_stream_prefetch(a, device, q, BYTES);
	both_end();
	expect_about(now() - t, 3 * BYTES, "one stream");
}

Test(time, kernels_queue_for_the_compute_units)
{
	open_with(LINK ",membw=500M,launch=0us");
	char *p = on_device(), *q = on_device();
	uint64_t t = now();

	write_all(a, p);
	write_all(b, q);
	both_end();
	expect_about(now() - t, 4 * BYTES, "two kernels");
}

Test(time, a_stream_that_waits_for_a_fence_goes_on_from_there)
{
	open_with(LINK ",membw=500M,launch=0us");
	char *p = on_device(), *q = filled();
	struct gm_fence *f;
	uint64_t t = now();

	write_all(a, p);
	cr_assert_eq(gm_fence_record(a, &f), 0);
	cr_assert_eq(gm_stream_wait(b, f), 0);
	gm_stream_prefetch(b, device, q, BYTES);
	both_end();
	expect_about(now() - t, 3 * BYTES, "b after a");
	cr_expect_eq(gm_fence_free(f), 0);
}

/* A kernel that writes BYTES of pages that are on the host takes so long. */
static void writing_takes(const char *options, uint64_t ns, const char *what)
{
	open_with(options);
	char *p = filled();
	uint64_t t = now();
	struct ds_mem_args w = {.dst = p, .bytes = BYTES, .value = 2};

	cr_assert_eq(launch_mem(sim, "memset", 1, w, NULL), 0);
	expect_about(now() - t, ns, what);
}

/* Placement copy: what goes home after a launch waits for its kernel, and the program for it. */
Test(time, what_goes_home_after_a_launch_goes_after_it)
{
	writing_takes(LINK ",fault=0us,membw=500G,launch=0us,prefetch=none,placement=copy",
		      2 * BYTES, "in and home");
}

/* A kernel waits for its faults, one after the other, each for its page. */
Test(time, faults_make_their_kernel_wait)
{
	writing_takes(LINK ",fault=100us,batch=1,membw=500G,launch=0us,prefetch=none",
		      BYTES + BYTES / 65536 * 100000, "faults and transfers");
}
