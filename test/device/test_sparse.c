/*
 * Sparse binding on a device with a process: kernels read through the range, also while it is
 * bound anew, after the process was lost, and with more bindings than the kernel has VMAs.
 */
#include "core/sys/inject.h"
#include "device.h"
#include <gmem/sparse.h>
#include "kernels.h"
#include <pthread.h>
#include <sched.h>

#define RW (GM_PROT_READ | GM_PROT_WRITE)

TestSuite(sparse, .timeout = 120);

static struct gm_sim *sim;
static size_t page;
static int module;

static void set_up(size_t page_bytes, size_t mem)
{
	char spec[64];

	page = page_bytes;
	snprintf(spec, sizeof spec, "pcie4-gpu,mem=%zuM,page=%zuK,workers=2", mem / MIB,
		 page / 1024);
	sim = open_device(spec);
	cr_assert_eq(gm_sim_load(sim, beside_program("kernels.so"), &module), 0);
}
static void set_up_4K(void)
{
	set_up(4096, 64 * MIB);
}
static void tear_down(void)
{
	cr_expect_eq(gm_sim_close(sim), 0);
}

/* An object of n pages, the first word of page i is first + i. */
static void fill(struct gm_bo *bo, size_t n, uint64_t first)
{
	for (size_t i = 0; i < n; i++) {
		uint64_t word = first + i;
		cr_assert_eq(gm_bo_write(bo, i * page, &word, sizeof word), 0);
	}
}
static struct gm_bo *object(size_t n, uint64_t first)
{
	struct gm_bo *bo;

	cr_assert_eq(gm_bo_create(gm_sim_dev(sim), n * page, &bo), 0);
	fill(bo, n, first);
	return bo;
}
static struct gm_sparse *range(size_t n)
{
	struct gm_sparse *s;

	cr_assert_eq(gm_sparse_create(gm_as_default(), gm_sim_dev(sim), n * page, &s), 0);
	return s;
}
static int bind(struct gm_sparse *s, size_t to, size_t n, struct gm_bo *bo, size_t from)
{
	struct gm_bind b = {.offset = to * page,
			    .bytes = n * page,
			    .bo = bo,
			    .bo_offset = from * page,
			    .prot = bo ? RW : 0};

	return gm_sparse_bind(s, &b, 1);
}
static char *at(struct gm_sparse *s, size_t i)
{
	return (char *)gm_sparse_addr(s) + i * page;
}

/* The first word of page i as a kernel reads it. */
static uint64_t word_of(struct gm_sparse *s, size_t i)
{
	return device_sum(sim, at(s, i), 8);
}

static void binds_rebinds_unbinds(void)
{
	struct gm_bo *a = object(16, 1000), *b = object(16, 2000);
	struct gm_sparse *s = range(32);
	struct gm_launch_result r;
	uint64_t word;

	cr_expect_eq(bind(s, 0, 16, a, 0), 0);
	cr_expect_eq(bind(s, 16, 16, b, 0), 0);
	cr_expect_eq(device_sum(sim, gm_sparse_addr(s), 32 * page), 16 * 3000 + 240);
	struct gm_bind swap[32];
	for (size_t i = 0; i < 32; i++) /* page by page, backwards */
		swap[i] =
			(struct gm_bind){i * page, page, i % 2 ? a : b, (15 - i / 2) * page, RW, 0};
	cr_expect_eq(gm_sparse_bind(s, swap, 32), 0);
	for (size_t i = 0; i < 32; i++)
		cr_expect_eq(word_of(s, i), (i % 2 ? 1015 : 2015) - i / 2);
	device_set(sim, at(s, 3), 7, page);
	cr_expect_eq(gm_bo_read(a, 14 * page, &word, sizeof word), 0);
	cr_expect_eq(word, 0x0707070707070707ull);

	cr_expect_eq(bind(s, 8, 1, NULL, 0), 0);
	struct ds_mem_args args = {.src = at(s, 0), .bytes = 32 * page};
	cr_expect_eq(launch_mem(sim, "touch_read", 1, args, &r), -EFAULT);
	cr_expect_eq(r.fault_addr, (uintptr_t)at(s, 8));
	args.src = at(s, 31); /* and beyond the end */
	args.bytes = 2 * page;
	cr_expect_eq(launch_mem(sim, "touch_read", 1, args, &r), -EFAULT);
	cr_expect_eq(r.fault_addr, (uintptr_t)at(s, 32));
	swap[0].prot = GM_PROT_READ;
	cr_expect_eq(gm_sparse_bind(s, swap, 1), 0);
	args = (struct ds_mem_args){.dst = at(s, 0), .bytes = 8};
	cr_expect_eq(launch_mem(sim, "memset", 1, args, &r), -EPERM);
	cr_expect_eq(r.fault_addr, (uintptr_t)at(s, 0));
	cr_expect_eq(word_of(s, 0), 2015);

	cr_expect_eq(gm_sim_close(sim), -EBUSY);
	cr_expect_eq(gm_sparse_destroy(s), 0);
	cr_expect_eq(gm_sim_close(sim), -EBUSY, "its objects are there");
	cr_expect_eq(gm_bo_destroy(a), 0);
	cr_expect_eq(gm_bo_destroy(b), 0);
	tear_down();
}
Test(sparse, binds_rebinds_unbinds_4K)
{
	set_up(4096, 16 * MIB);
	binds_rebinds_unbinds();
}
Test(sparse, binds_rebinds_unbinds_64K)
{
	set_up(65536, 16 * MIB);
	binds_rebinds_unbinds();
}

/* ---- while a kernel runs ---- */

struct launch {
	struct watch_args args;
	struct gm_launch_result r;
	int err;
};
static void *run_watch(void *arg)
{
	struct launch *l = arg;

	l->err = gm_sim_launch(sim, module, "watch", 1, &l->args, sizeof l->args, &l->r);
	return NULL;
}
static pthread_t start_watch(struct launch *l, struct gm_sparse *s, size_t pages)
{
	uint64_t *words = managed(PAGE);
	pthread_t t;

	*l = (struct launch){.args = {.base = gm_sparse_addr(s),
				      .pages = pages,
				      .step = page / 8,
				      .stop = words,
				      .turns = words + 1,
				      .changes = words + 2}};
	cr_assert_eq(pthread_create(&t, NULL, run_watch, l), 0);
	return t;
}

/* Until the kernel has gone round once more, or has ended. */
static void one_round(const struct launch *l)
{
	const volatile uint64_t *turns = l->args.turns;
	uint64_t seen = *turns;

	while (*turns < seen + 2 && !*(const volatile int *)&l->err)
		sched_yield();
}

/* What is no longer bound is overwritten at once: a kernel that still reached it would see that. */
Test(sparse, binding_while_a_kernel_reads, .init = set_up_4K, .fini = tear_down)
{
	enum { N = 16 };
	struct gm_bo *bo[2] = {object(N, 1000), object(N, 2000)};
	struct gm_sparse *s = range(N);
	struct launch l;
	static char poison[N * 4096];

	cr_assert_eq(bind(s, 0, N, bo[0], 0), 0);
	pthread_t t = start_watch(&l, s, N);
	for (int turn = 0; turn < 400; turn++) {
		struct gm_bo *next = bo[(turn + 1) % 2], *was = bo[turn % 2];
		struct gm_bind one[N];
		for (size_t i = 0; i < N; i++)
			one[i] = (struct gm_bind){i * page, page, next, i * page, RW, 0};
		cr_assert_eq(gm_sparse_bind(s, one, N), 0);
		cr_assert_eq(gm_bo_write(was, 0, poison, N * page), 0);
		one_round(&l);
		fill(was, N, turn % 2 ? 2000 : 1000);
	}
	*(volatile uint64_t *)(uintptr_t)l.args.stop = 1;
	pthread_join(t, NULL);
	cr_expect_eq(l.err, 0, "%d, code %d", l.err, l.r.kernel_code);
	cr_expect(*l.args.changes >= 399 * N && *l.args.changes <= 400 * N, "%lu", *l.args.changes);
	cr_expect_eq(gm_sparse_destroy(s), 0);
	cr_expect_eq(gm_bo_destroy(bo[0]), 0);
	cr_expect_eq(gm_bo_destroy(bo[1]), 0);
}

Test(sparse, unbinding_stops_a_kernel, .init = set_up_4K, .fini = tear_down)
{
	struct gm_bo *a = object(8, 1000);
	struct gm_sparse *s = range(8);
	struct launch l;

	cr_assert_eq(bind(s, 0, 8, a, 0), 0);
	pthread_t t = start_watch(&l, s, 8);
	cr_assert_eq(bind(s, 5, 1, NULL, 0), 0);
	pthread_join(t, NULL);
	cr_expect_eq(l.err, -EFAULT);
	cr_expect_eq(l.r.fault_addr, (uintptr_t)at(s, 5));
	cr_expect_eq(word_of(s, 4), 1004);
	cr_expect_eq(gm_sparse_destroy(s), 0);
	cr_expect_eq(gm_bo_destroy(a), 0);
}

struct rebind {
	struct gm_sparse *s;
	struct gm_bo *bo;
	size_t from;
	int err;
};
static void rebind(void *arg)
{
	struct rebind *r = arg;

	r->err = bind(r->s, 0, 1, r->bo, r->from);
}

Test(sparse, binding_in_stream_order, .init = set_up_4K, .fini = tear_down)
{
	struct gm_bo *a = object(8, 1000);
	struct gm_sparse *s = range(1);
	uint64_t *sum = managed(PAGE);
	struct rebind r[8];
	struct gm_stream *stream;

	cr_assert_eq(gm_stream_create(sim, &stream), 0);
	for (size_t i = 0; i < 8; i++) {
		struct ds_mem_args args = {.src = gm_sparse_addr(s), .bytes = 8, .sum = sum + i};
		r[i] = (struct rebind){s, a, i, 1};
		cr_assert_eq(gm_stream_call(stream, rebind, &r[i]), 0);
		cr_assert_eq(gm_stream_launch(stream, 0, "sum64", 1, &args, sizeof args, NULL), 0);
	}
	cr_assert_eq(gm_stream_destroy(stream), 0);
	for (size_t i = 0; i < 8; i++)
		cr_expect(r[i].err == 0 && sum[i] == 1000 + i, "%zu: %d, %lu", i, r[i].err, sum[i]);
	cr_expect_eq(gm_sparse_destroy(s), 0);
	cr_expect_eq(gm_bo_destroy(a), 0);
}

/* ---- what the table survives ---- */

Test(sparse, device_loss, .init = set_up_4K, .fini = tear_down)
{
	struct gm_bo *a = object(8, 1000);
	struct gm_sparse *s = range(8);

	cr_assert_eq(bind(s, 0, 8, a, 0), 0);
	cr_expect_eq(word_of(s, 3), 1003);
	kill(gmi_sim_pid(sim), SIGKILL);
	cr_assert_eq(bind(s, 3, 1, a, 7), 0);
	for (int i = 0; i < 100 && gmi_sim_pid(sim); i++) {
		struct ds_mem_args args = {.src = at(s, 0), .bytes = page};
		if (!launch_mem(sim, "touch_read", 1, args, NULL))
			break;
	}
	for (size_t i = 0; i < 8; i++)
		cr_expect_eq(word_of(s, i), i == 3 ? 1007 : 1000 + i);
	cr_expect_eq(gm_sparse_destroy(s), 0);
	cr_expect_eq(gm_bo_destroy(a), 0);
}

/* What the table says is what a kernel reads, page by page. */
static void expect_table(struct gm_sparse *s, size_t pages, struct gm_bo *const bo[2])
{
	uint64_t *copy = managed(pages * sizeof *copy);

	for (size_t i = 0; i < pages; i++) {
		struct gm_bind b;
		cr_assert_eq(gm_sparse_query(s, i * page, &b), 0);
		struct ds_mem_args args = {.dst = copy + i, .src = at(s, i), .bytes = 8};
		int err = launch_mem(sim, "memcpy", 1, args, NULL);
		cr_assert_eq(err, b.bo ? 0 : -EFAULT, "page %zu: %d", i, err);
		if (b.bo)
			cr_assert_eq(copy[i], (b.bo == bo[0] ? 1000 : 2000) + b.bo_offset / page);
	}
	gm_munmap(copy, pages * sizeof *copy);
}

Test(sparse, every_site_fails, .init = set_up_4K, .fini = tear_down)
{
	enum { N = 24, CHANGES = 300 };
	static const char *const specs[] = {"ring%30",	"map@1",    "map@2",	   "unmap@1",
					    "device@1", "device@2", "ring@1,map@2"};
	struct gm_bo *bo[2] = {object(N, 1000), object(N, 2000)};
	struct gm_sparse *s = range(N);
	struct gm_bind b[CHANGES];
	unsigned failed = 0;

	gmi_log_level = GM_LOG_NONE;
	srand(1);
	for (size_t k = 0; k < 4 * GM_ARRAY_LEN(specs); k++) {
		for (size_t i = 0; i < CHANGES; i++) {
			struct gm_bo *o = rand() % 4 ? bo[rand() % 2] : NULL;
			b[i] = (struct gm_bind){(uint64_t)(rand() % N) * page, page,	   o,
						(uint64_t)(rand() % N) * page, o ? RW : 0, 0};
		}
		cr_assert_eq(gmi_inject(specs[k % GM_ARRAY_LEN(specs)]), 0);
		failed += gm_sparse_bind(s, b, CHANGES) != 0;
		gmi_inject("");
		if (gmi_sim_pid(sim)) /* it may have been killed: the launch that notices fails */
			launch_mem(sim, "spin", 1, (struct ds_mem_args){0}, NULL);
		expect_table(s, N, bo);
	}
	cr_expect_gt(failed, 0);
	cr_expect_eq(gm_sparse_destroy(s), 0);
	cr_expect_eq(gm_bo_destroy(bo[0]), 0);
	cr_expect_eq(gm_bo_destroy(bo[1]), 0);
}

Test(sparse, more_bindings_than_vmas, .init = set_up_4K, .fini = tear_down)
{
	enum { OBJECT = 256, RANGE = 80000 };
	struct gm_bo *a = object(OBJECT, 1000);
	struct gm_sparse *s = range(RANGE);
	struct gm_bind *b = calloc(RANGE, sizeof *b);
	uint64_t want = 0;

	for (size_t i = 0; i < RANGE; i++) { /* no two neighbours are neighbours in the object */
		b[i] = (struct gm_bind){i * page, page, a, i * 37 % OBJECT * page, RW, 0};
		want += 1000 + i * 37 % OBJECT;
	}
	cr_assert_eq(device_sum(sim, managed(PAGE), PAGE), 0); /* it runs, and is told all of it */
	cr_assert_eq(gm_sparse_bind(s, b, RANGE), 0);
	cr_expect_eq(device_sum(sim, gm_sparse_addr(s), RANGE * page), want);
	free(b);
	cr_expect_eq(gm_sparse_destroy(s), 0);
	cr_expect_eq(gm_bo_destroy(a), 0);
}

Test(sparse, objects_beside_managed_memory, .init = set_up_4K, .fini = tear_down)
{
	struct gm_bo *bo[10];
	unsigned char *p = managed(48 * MIB);

	device_set(sim, p, 3, 48 * MIB);
	for (size_t i = 0; i < 10; i++) /* 40 of 64 MiB: managed pages go home */
		bo[i] = object(4 * MIB / page, 1000 * i);
	struct gm_sparse *s = range(10);
	for (size_t i = 0; i < 10; i++)
		cr_assert_eq(bind(s, i, 1, bo[i], i), 0);
	device_set(sim, p + 24 * MIB, 4, 24 * MIB);
	for (size_t i = 0; i < 10; i++)
		cr_expect_eq(word_of(s, i), 1001 * i);
	cr_expect(all_bytes(p, 3, 24 * MIB) && all_bytes(p + 24 * MIB, 4, 24 * MIB));
	cr_expect_eq(gm_sparse_destroy(s), 0);
	for (size_t i = 0; i < 10; i++)
		cr_expect_eq(gm_bo_destroy(bo[i]), 0);
}

/* Objects of the host, one of them the program's own memory, beside the device's. */
Test(sparse, objects_of_the_host, .init = set_up_4K, .fini = tear_down)
{
	uint64_t *p = managed(4 * page), word;
	struct gm_bo *host, *user, *own = object(4, 100);
	struct gm_sparse *s = range(12);

	cr_assert_eq(gm_bo_create_host(gm_as_default(), 4 * page, &host), 0);
	fill(host, 4, 200);
	device_set(sim, p, 1, 4 * page);
	cr_assert_eq(gm_bo_create_user(gm_as_default(), gm_sim_dev(sim), p, 4 * page, RW, &user),
		     0);
	for (size_t i = 0; i < 4; i++)
		p[i * page / 8] = 300 + i;
	cr_assert_eq(bind(s, 0, 4, own, 0), 0);
	cr_assert_eq(bind(s, 4, 4, host, 0), 0);
	cr_assert_eq(bind(s, 8, 4, user, 0), 0);
	for (size_t i = 0; i < 12; i++)
		cr_expect_eq(word_of(s, i), 100 * (1 + i / 4) + i % 4, "page %zu", i);
	device_set(sim, at(s, 5), 7, page);
	device_set(sim, at(s, 9), 8, page);
	cr_expect_eq(gm_bo_read(host, page, &word, sizeof word), 0);
	cr_expect_eq(word, 0x0707070707070707ull);
	cr_expect_eq(p[page / 8], 0x0808080808080808ull);
	p[page / 8 + 1] = 9;
	cr_expect_eq(device_sum(sim, at(s, 9) + 8, 8), 9);
	cr_expect_eq(gm_sparse_destroy(s), 0);
	cr_expect_eq(gm_bo_destroy(own), 0);
	cr_expect_eq(gm_bo_destroy(host), 0);
	cr_expect_eq(gm_bo_destroy(user), 0);
}

/* Device addresses that are not the CPU's: kernels use them, also after the process was lost. */
Test(sparse, device_addresses, .init = set_up_4K, .fini = tear_down)
{
	const uint64_t begin = 0x1700000000, bytes = 64 * MIB;
	uint64_t *p = managed(8 * page), at = 0, fixed = begin + 32 * MIB;
	struct gm_iova *v, *w;
	struct gm_launch_result r;

	device_set(sim, p, 1, 8 * page);
	int err = gm_iova_create(gm_as_default(), gm_sim_dev(sim), begin, begin + bytes, &v);
	cr_assert_eq(err, 0, "%d", err);
	cr_assert_eq(gm_iova_map(v, p, 4 * page, RW, &at), 0);
	cr_assert_eq(gm_iova_map(v, p + 3 * page / 8, page, GM_PROT_READ, &fixed), 0);
	p[0] = 41;
	p[3 * page / 8] = 42;
	cr_expect_eq(device_sum(sim, (void *)at, 8), 41);
	cr_expect_eq(device_sum(sim, (void *)fixed, 8), 42);
	device_set(sim, (void *)(at + page), 9, page);
	cr_expect_eq(p[page / 8], 0x0909090909090909ull);
	kill(gmi_sim_pid(sim), SIGKILL);
	launch_mem(sim, "spin", 1, (struct ds_mem_args){0}, NULL);
	cr_expect_eq(device_sum(sim, (void *)fixed, 8), 42, "a fresh process is told");
	struct ds_mem_args args = {.dst = (void *)fixed, .bytes = 8};
	cr_expect_eq(launch_mem(sim, "memset", 1, args, &r), -EPERM);
	cr_assert_eq(gm_iova_unmap(v, fixed, page), 0);
	args = (struct ds_mem_args){.src = (void *)fixed, .bytes = 8};
	cr_expect_eq(launch_mem(sim, "touch_read", 1, args, &r), -EFAULT);
	cr_expect_eq(r.fault_addr, fixed);
	cr_expect_eq(gm_iova_create(gm_as_default(), gm_sim_dev(sim), begin, begin + bytes, &w),
		     -EBUSY, "its kernels run at the process's addresses");
	cr_expect_eq(gm_iova_destroy(v), 0);
}
