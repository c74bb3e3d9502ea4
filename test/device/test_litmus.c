/*
 * Litmus tests between a CPU and a kernel on the same words, in two device pages of one block: what
 * two cores of one machine may not see, these may not see either, wherever the pages are kept, and
 * while they move.
 */
#include "device.h"
#include "../variant.h"
#include "kernels.h"
#include <pthread.h>

#define STEP	((size_t)64 << 10) /* a device page each */
#define ROUNDS	400
#define TEST_NS 500000000ull /* of one placement, if the rounds take longer */

static const char *const placements[] = {"migrate", "counted", "remote", "first-use"};

struct bench {
	struct gm_sim *sim;
	struct gm_stream *stream;
	struct litmus_args a;
	int module;
	char *memory;
};

static void begin(struct bench *b, const char *placement)
{
	char spec[128];

	snprintf(spec, sizeof spec, "pcie4-gpu,mem=64M,workers=2,page=%zu,placement=%s",
		 variant_page, placement);
	b->sim = open_device(spec);
	cr_assert_eq(gm_sim_load(b->sim, beside_program("kernels.so"), &b->module), 0);
	cr_assert_eq(gm_stream_create(b->sim, &b->stream), 0);
	b->memory = managed(2 * MIB);
	memset(b->memory, 0, 2 * MIB);
	b->a = (struct litmus_args){
		.mine = (void *)b->memory,
		.other = (void *)(b->memory + STEP),
		.go = (void *)(b->memory + 2 * STEP),
		.ready = (void *)(b->memory + 3 * STEP),
		.out = (void *)(b->memory + 4 * STEP),
		.rounds = ROUNDS,
	};
}

static void start(struct bench *b, const char *kernel)
{
	cr_assert_eq(gm_stream_launch(b->stream, b->module, kernel, 1, &b->a, sizeof b->a, NULL),
		     0);
}

static void end(struct bench *b)
{
	cr_expect_eq(gm_stream_destroy(b->stream), 0);
	gm_munmap(b->memory, 2 * MIB);
	cr_expect_eq(gm_sim_close(b->sim), 0);
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Rounds of which CPU and kernel do a half each; what both saw is judged by `forbidden`. */
static void rounds(enum litmus_kind kind, bool (*forbidden)(uint64_t r, uint64_t cpu, uint64_t dev))
{
	static uint64_t seen[ROUNDS + 1];

	for (size_t i = 0; i < sizeof placements / sizeof placements[0]; i++) {
		struct bench b;
		uint64_t r = 1, bad = 0;
		begin(&b, placements[i]);
		b.a.kind = kind;
		start(&b, "litmus");
		uint64_t until = now_ns() + TEST_NS;
		for (; r <= ROUNDS && (r < 3 || now_ns() < until); r++) {
			atomic_store(b.a.go, r);
			while (atomic_load(b.a.ready) < r && gm_stream_query(b.stream) == -EBUSY)
				;
			seen[r] = litmus_step(kind, b.a.other, b.a.mine, r);
			while (atomic_load(b.a.ready) < r + LITMUS_DONE &&
			       gm_stream_query(b.stream) == -EBUSY)
				;
			atomic_store(b.a.ready, r); /* the next one waits for more */
		}
		atomic_store(b.a.go, LITMUS_END);
		cr_assert_eq(gm_stream_sync(b.stream), 0);
		for (uint64_t k = 1; k < r; k++)
			bad += forbidden(k, seen[k], b.a.out[k]);
		cr_expect_eq(bad, 0, "%s: %lu of %lu rounds", placements[i], bad, r - 1);
		end(&b);
	}
}

/* Each has stored before it loaded, and neither saw the other's. */
static bool both_old(uint64_t r, uint64_t cpu, uint64_t dev)
{
	return cpu < r && dev < r;
}

/* Each has loaded before it stored, and both saw what came later. */
static bool both_new(uint64_t r, uint64_t cpu, uint64_t dev)
{
	return cpu >= r && dev >= r;
}

TestSuite(litmus, .timeout = 120);

Test(litmus, store_buffering)
{
	rounds(STORE_BUFFERING, both_old);
}

Test(litmus, load_buffering)
{
	rounds(LOAD_BUFFERING, both_new);
}

Test(litmus, messages_of_a_kernel_come_in_order)
{
	for (size_t i = 0; i < sizeof placements / sizeof placements[0]; i++) {
		struct bench b;
		uint64_t bad = 0, last = 0;
		begin(&b, placements[i]);
		start(&b, "stream_writer");
		for (uint64_t until = now_ns() + TEST_NS; last < 2 || now_ns() < until;)
			bad += stream_read(&b.a, &last);
		atomic_store(b.a.go, 1);
		cr_assert_eq(gm_stream_sync(b.stream), 0);
		cr_expect_eq(bad, 0, "%s: %lu", placements[i], bad);
		end(&b);
	}
}

Test(litmus, messages_of_the_cpu_come_in_order)
{
	for (size_t i = 0; i < sizeof placements / sizeof placements[0]; i++) {
		struct bench b;
		begin(&b, placements[i]);
		start(&b, "stream_reader");
		uint64_t until = now_ns() + TEST_NS;
		for (uint64_t n = 1; now_ns() < until; n++)
			stream_write(&b.a, n);
		atomic_store(b.a.go, 1);
		cr_assert_eq(gm_stream_sync(b.stream), 0);
		cr_expect_eq(b.a.out[0], 0, "%s: %lu of %lu", placements[i], b.a.out[0],
			     b.a.out[1]);
		end(&b);
	}
}

Test(litmus, no_increment_is_lost)
{
	for (size_t i = 0; i < sizeof placements / sizeof placements[0]; i++) {
		struct bench b;
		begin(&b, placements[i]);
		struct count_up_args c = {.word = b.a.mine, .times = 3000};
		cr_assert_eq(
			gm_stream_launch(b.stream, b.module, "count_up", 2, &c, sizeof c, NULL), 0);
		for (int n = 0; n < 3000; n++)
			atomic_fetch_add(c.word, 1);
		cr_assert_eq(gm_stream_sync(b.stream), 0);
		cr_expect_eq(atomic_load(c.word), 9000, "%s", placements[i]);
		end(&b);
	}
}

/* A thread that adds one without end, until it is told to stop. */
struct adder {
	_Atomic uint64_t *word;
	_Atomic bool stop;
	uint64_t added;
};

static void *add(void *arg)
{
	struct adder *a = arg;

	for (; !atomic_load(&a->stop); a->added++)
		*(volatile uint64_t *)a->word += 1; /* only this thread writes */
	return NULL;
}

static unsigned move_about(struct bench *b, uint64_t ns)
{
	int device = gm_dev_hnid(gm_sim_dev(b->sim));
	unsigned moves = 0;

	for (uint64_t until = now_ns() + ns; moves < 20 || now_ns() < until; moves++) {
		cr_assert_eq(hmadvise(-1, b->memory, STEP, MADV_PREFETCH), 0);
		cr_assert_eq(hmadvise(device, b->memory, STEP, MADV_PREFETCH), 0);
	}
	return moves;
}

/* Threads reach the page over the bus while another one sends it home and back. */
Test(litmus, no_store_over_the_bus_is_lost_as_its_page_moves)
{
	struct bench b;
	struct adder a[4] = {0};
	pthread_t thread[4];

	begin(&b, "first-use");
	cr_assert_eq(hmadvise(gm_dev_hnid(gm_sim_dev(b.sim)), b.memory, STEP, MADV_PREFETCH), 0);
	for (int i = 0; i < 4; i++) {
		a[i].word = b.a.mine + 8 * i;
		cr_assert_eq(pthread_create(&thread[i], NULL, add, &a[i]), 0);
	}
	unsigned moves = move_about(&b, 4 * TEST_NS);
	for (int i = 0; i < 4; i++) {
		atomic_store(&a[i].stop, true);
		pthread_join(thread[i], NULL);
		cr_expect_eq(atomic_load(a[i].word), a[i].added, "%lu of %lu, %u moves",
			     atomic_load(a[i].word), a[i].added, moves);
	}
	end(&b);
}

/* The same of a kernel's workers, which reach a page of the host so. */
Test(litmus, no_store_of_a_worker_is_lost_as_its_page_moves)
{
	struct bench b;

	begin(&b, "remote");
	struct count_up_args c = {.word = b.a.mine, .times = 20000000};
	cr_assert_eq(gm_stream_launch(b.stream, b.module, "count_up", 2, &c, sizeof c, NULL), 0);
	unsigned moves = 0;
	while (gm_stream_query(b.stream) == -EBUSY)
		moves += move_about(&b, 0);
	cr_assert_eq(gm_stream_sync(b.stream), 0);
	cr_expect_eq(atomic_load(c.word), 2 * c.times, "%lu, %u moves", atomic_load(c.word), moves);
	end(&b);
}
