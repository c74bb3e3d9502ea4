/*
 * Simulated devices with a link between them: pages go from one to the other by one copy, or are
 * used where they are; counted and charged apart from the bus.
 */
#include "device.h"
#include "kernels.h"
#include <sys/wait.h>

#define BYTES (8 * MIB)
/* the link to the host takes a ns for a byte, that between devices half of one */
#define SPEC "pcie4-gpu,mem=64M,page=64K,workers=2,latency=0us,bw=1G,peerbw=2G,peersector=32,peer="

static struct gm_sim *a, *b;
static unsigned char *p;

static void open_two(const char *link_a, const char *link_b)
{
	char spec[256];

	snprintf(spec, sizeof spec, SPEC "%s", link_a);
	a = open_device(spec);
	snprintf(spec, sizeof spec, SPEC "%s", link_b);
	b = open_device(spec);
	p = managed(BYTES);
	device_set(a, p, 3, BYTES);
}
static void tear_down(void)
{
	cr_expect_eq(gm_munmap(p, BYTES), 0);
	cr_expect(!b || !gm_sim_close(b));
	cr_expect(!a || !gm_sim_close(a));
}
TestSuite(peer, .fini = tear_down, .timeout = 60);

static int hnid(struct gm_sim *sim)
{
	return gm_dev_hnid(gm_sim_dev(sim));
}

static struct gm_dev_stats *of_b(void)
{
	return &gmi_stats->dev[1];
}

static int where_is(const void *at)
{
	struct gm_page_info info;

	cr_assert_eq(gm_query(at, PAGE, &info), 0);
	return info.where == GM_DEVICE ? info.hnid : -1;
}

static uint64_t sum_of(int byte)
{
	return BYTES / 8 * ((uint64_t)byte * 0x0101010101010101);
}

static void expect_about(uint64_t got, uint64_t want, const char *what)
{
	cr_expect(got >= want && got <= want + want / 10, "%s: %zu instead of %zu", what,
		  (size_t)got, (size_t)want);
}

/* On b, with a result on the host: pages of p are all that moves. */
static uint64_t sum_on_b(void)
{
	static uint64_t *sum;

	if (!sum) {
		sum = managed(PAGE);
		cr_assert_eq(hmadvise(-1, sum, PAGE, GM_MADV_PINNED), 0);
	}
	*sum = 0;
	struct ds_mem_args args = {.src = p, .bytes = BYTES, .sum = sum};
	cr_assert_eq(launch_mem(b, "sum64", 4, args, NULL), 0);
	return *sum;
}

Test(peer, pages_go_over_the_link_and_are_charged_there)
{
	open_two("x", "x");
	uint64_t home = gmi_stats->d2h_bytes, out = gmi_stats->h2d_bytes, link = of_b()->link_ns;
	cr_assert_eq(sum_on_b(), sum_of(3));
	cr_expect_eq(where_is(p), hnid(b));
	cr_expect_eq(gmi_stats->peer_bytes, BYTES);
	cr_expect_eq(of_b()->peer_bytes, BYTES);
	cr_expect_eq(gmi_stats->d2h_bytes, home);
	cr_expect_eq(gmi_stats->h2d_bytes, out);
	cr_expect_eq(of_b()->link_ns, link);
	expect_about(of_b()->peer_ns, BYTES / 2, "the link's time");
	cr_expect(all_bytes(p, 3, BYTES));
}

Test(peer, without_one_they_go_through_the_host)
{
	open_two("x", "y");
	cr_assert_eq(sum_on_b(), sum_of(3));
	cr_expect_eq(gmi_stats->peer_bytes, 0);
	cr_expect_eq(of_b()->peer_ns, 0);
	cr_expect_eq(gmi_stats->d2h_bytes, BYTES);
	cr_expect_eq(gmi_stats->h2d_bytes, BYTES);
}

Test(peer, a_second_memory_takes_what_does_not_fit)
{
	a = open_device("pcie4-gpu,mem=4M,page=64K,bw=1G,peerbw=2G,peersector=32,peer=x");
	b = open_device(SPEC "x");
	cr_assert_eq(gm_dev_spill(gm_sim_dev(a), gm_sim_dev(b)), 0, "%s", gm_last_error());
	p = managed(BYTES);
	uint64_t home = gmi_stats->d2h_bytes;
	device_set(a, p, 3, BYTES);
	struct gm_hnode_info below;
	cr_assert_eq(gm_query_hnode(hnid(b), &below), 0);
	cr_expect_geq(below.used_bytes, BYTES - 4 * MIB);
	cr_expect_eq(gmi_stats->d2h_bytes, home, "nothing has gone home");
	device_set(a, p, 4, BYTES);
	cr_expect(all_bytes(p, 4, BYTES));
}

Test(peer, prefetch_takes_the_link)
{
	open_two("x", "x");
	cr_assert_eq(hmadvise(hnid(b), p, BYTES, MADV_PREFETCH), 0);
	cr_expect_eq(gmi_stats->peer_bytes, BYTES);
	expect_about(of_b()->peer_ns, BYTES / 2, "the link's time");
	cr_assert_eq(sum_on_b(), sum_of(3));
}

Test(peer, pages_that_stay_are_used_in_place_and_charged_there)
{
	open_two("x", "x");
	cr_assert_eq(hmadvise(hnid(b), p, BYTES, GM_MADV_ACCESSED_BY), 0);
	uint64_t faults = of_b()->faults, bus = of_b()->bus_bytes;
	cr_assert_eq(sum_on_b(), sum_of(3));
	cr_expect_eq(where_is(p), hnid(a));
	cr_expect_leq(of_b()->faults, faults + 1, "but for the page of the sum");
	cr_expect_eq(of_b()->peer_used_bytes, BYTES);
	cr_expect_leq(of_b()->bus_bytes - bus, PAGE);
	cr_expect_eq(gmi_stats->peer_bytes, 0);
	cr_expect_gt(of_b()->peer_ns, BYTES / 4);
	device_set(b, p, 5, BYTES); /* it writes there too */
	cr_expect_eq(where_is(p), hnid(a));
	cr_expect_eq(device_sum(a, p, BYTES), sum_of(5));
	cr_expect(all_bytes(p, 5, BYTES), "they come home, and b has no entries any more");
	p[0] = 6;
	cr_expect_eq(sum_on_b(), sum_of(5) + 1);
}

Test(peer, a_link_for_copies_alone)
{
	open_two("x,peermap=no", "x,peermap=no");
	cr_assert_eq(hmadvise(hnid(a), p, BYTES, GM_MADV_PREFERRED_LOCATION), 0);
	cr_assert_eq(sum_on_b(), sum_of(3));
	cr_expect_eq(where_is(p), hnid(b));
	cr_expect_eq(gmi_stats->peer_bytes, BYTES);
}

/* Both devices add to one word at once, and the CPU takes it home again and again. */
Test(peer, atomics_over_the_link_and_the_way_home)
{
	struct gm_stream *s[2];
	int module[2];

	open_two("x", "x");
	cr_assert_eq(hmadvise(hnid(b), p, BYTES, GM_MADV_ACCESSED_BY), 0);
	_Atomic uint64_t *word = (_Atomic uint64_t *)p;
	atomic_store(word, 0);
	struct count_up_args args = {word, 20000};
	for (int i = 0; i < 2; i++) {
		struct gm_sim *sim = i ? b : a;
		cr_assert_eq(gm_sim_load(sim, beside_program("kernels.so"), &module[i]), 0);
		cr_assert_eq(gm_stream_create(sim, &s[i]), 0);
	}
	for (int round = 0; round < 10; round++) {
		cr_assert_eq(hmadvise(hnid(a), p, PAGE, MADV_PREFETCH), 0);
		for (int i = 0; i < 2; i++)
			cr_assert_eq(gm_stream_launch(s[i], module[i], "count_up", 2, &args,
						      sizeof args, NULL),
				     0);
		for (int n = 0; n < 50; n++)
			atomic_fetch_add(word, 1);
		for (int i = 0; i < 2; i++)
			cr_assert_eq(gm_stream_sync(s[i]), 0);
	}
	cr_expect_eq(atomic_load(word), 10 * (2 * 2 * args.times + 50));
	for (int i = 0; i < 2; i++)
		cr_assert_eq(gm_stream_destroy(s[i]), 0);
}

Test(peer, processes_that_are_lost_have_the_link_again)
{
	open_two("x", "x");
	cr_assert_eq(hmadvise(hnid(a), p, BYTES, GM_MADV_PREFERRED_LOCATION), 0);
	for (int i = 0; i < 4; i++) {
		cr_assert_eq(sum_on_b(), sum_of(3));
		cr_expect_eq(where_is(p), hnid(a));
		gmi_sim_kill(i % 2 ? a : b);
	}
	cr_expect_gt(of_b()->peer_used_bytes, 0);
	cr_expect_eq(device_sum(a, p, BYTES), sum_of(3));
}

Test(peer, another_device_in_the_place_of_one_is_another_memory)
{
	open_two("x", "x");
	cr_assert_eq(hmadvise(hnid(b), p, BYTES, GM_MADV_ACCESSED_BY), 0);
	cr_assert_eq(sum_on_b(), sum_of(3));
	for (int i = 0; i < 2; i++) {
		cr_assert_eq(gm_sim_close(a), 0);
		cr_assert_eq(sum_on_b(), sum_of(3 + i), "they came home");
		a = open_device(SPEC "x");
		device_set(a, p, 4 + i, BYTES);
		uint64_t used = of_b()->peer_used_bytes;
		cr_assert_eq(sum_on_b(), sum_of(4 + i));
		cr_expect_eq(where_is(p), hnid(a));
		cr_expect_eq(of_b()->peer_used_bytes - used, BYTES);
	}
}

Test(peer, a_childs_devices_have_their_own_link)
{
	open_two("x", "x");
	cr_assert_eq(hmadvise(hnid(b), p, BYTES, GM_MADV_ACCESSED_BY), 0);
	cr_assert_eq(sum_on_b(), sum_of(3));
	pid_t pid = fork();
	if (!pid) {
		device_set(a, p, 7, BYTES);
		bool good = hmadvise(hnid(b), p, BYTES, GM_MADV_ACCESSED_BY) == 0 &&
			    device_sum(b, p, BYTES) == sum_of(7) && where_is(p) == hnid(a) &&
			    all_bytes(p, 7, BYTES);
		_exit(!good);
	}
	int status = -1;
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_expect_eq(status, 0);
	cr_expect_eq(sum_on_b(), sum_of(3));
	cr_expect_eq(where_is(p), hnid(a));
}

Test(peer, bad_links_are_told)
{
	p = managed(BYTES);
	cr_expect_eq(gm_sim_open("pcie4-gpu,peer=x", &a), -EINVAL, "how fast?");
	cr_expect_eq(gm_sim_open("pcie4-gpu,peer=x,peerbw=1G", &a), -EINVAL, "in what pieces?");
	cr_expect_eq(gm_sim_open(SPEC "a-name-of-16-chars", &a), -EINVAL);
	a = b = NULL;
}
