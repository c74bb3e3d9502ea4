/* A device and a changing program: failures, loss, races. */
#include "behaviour.h"
#include "core/sys/inject.h"
#include <pthread.h>

/* ---- failures ---- */

Behaviour(err)
{
	static const char *const site[] = {"frame@1+", "frame@2", "copyin@1", "map@1",
					   "alloc@1",  "remap@1", "hostmem@1"};

	gmi_log_level = GM_LOG_NONE;
	for (unsigned k = 0; k < GM_ARRAY_LEN(site); k++) {
		unsigned char *p = managed(BYTES);
		fill(p, 0, PAGES, 0);
		cr_assert_eq(gmi_inject(site[k]), 0);
		int err = device_write(sim, p, 5, BYTES);
		gmi_inject("");
		for (size_t i = 0; i < BYTES; i++)
			cr_assert(p[i] == 5 || (err && p[i] == (unsigned char)(i / PAGE)),
				  "%s: byte %zu", site[k], i);
		cr_assert_eq(device_write(sim, p, 6, BYTES), 0, "%s", site[k]);
		cr_assert_eq(gmi_inject(k == 2 ? "copyout@1" : site[k]), 0);
		hmadvise(-1, p, BYTES, MADV_PREFETCH);
		gmi_inject("");
		cr_expect(all_bytes(p, 6, BYTES), "%s", site[k]);
		gm_munmap(p, BYTES);
	}
}

static void *kill_soon(void *arg)
{
	usleep(*(useconds_t *)arg);
	kill(gmi_sim_pid(sim), SIGKILL);
	return NULL;
}

Behaviour(device_loss, .timeout = 60)
{
	unsigned char *p = managed(32 * MIB);
	useconds_t after[] = {0, 300, 2000, 8000}; /* during faults, copies, the kernel itself */

	gmi_log_level = GM_LOG_NONE;
	memset(p, 1, 32 * MIB);
	cr_assert_eq(device_write(sim, p, 1, PAGE), 0);
	for (unsigned k = 0; k < GM_ARRAY_LEN(after); k++) {
		pthread_t t;
		pthread_create(&t, NULL, kill_soon, &after[k]);
		int err = device_write(sim, p, (int)k + 2, 32 * MIB);
		pthread_join(t, NULL);
		for (size_t i = 0; i < 32 * MIB; i += 64)
			cr_assert(p[i] == k + 2 || (err && p[i] == k + 1),
				  "byte %zu is %u, error %d", i, p[i], err);
		cr_assert_eq(device_write(sim, p, (int)k + 2, 32 * MIB), 0, "a fresh device");
		cr_assert(all_bytes(p, (int)k + 2, 32 * MIB));
	}
}

/* ---- races ---- */

struct race {
	unsigned char *p;
	size_t bytes;
	useconds_t after;
};

static void *unmap_upper_half(void *arg)
{
	struct race *r = arg;

	usleep(r->after);
	gm_munmap(r->p + r->bytes / 2, r->bytes / 2);
	return NULL;
}

Behaviour(teardown)
{
	for (int k = 0; k < 10; k++) {
		struct race r = {managed(BYTES), BYTES, (useconds_t)(k * 137)};
		pthread_t t;
		fill(r.p, 0, PAGES, k);
		pthread_create(&t, NULL, unmap_upper_half, &r);
		struct gm_launch_result res;
		struct ds_mem_args a = {.src = r.p, .bytes = BYTES, .stride = 64};
		int err = launch_mem(sim, "touch_read", 2, a, &res);
		pthread_join(t, NULL);
		cr_assert(err == 0 || err == -EFAULT, "error %d", err);
		if (err)
			cr_expect_geq(res.fault_addr, (uintptr_t)r.p + BYTES / 2);
		expect_filled(r.p, 0, PAGES / 2, k);
	}
}

static int churn(void *p, size_t bytes, uint64_t turns)
{
	struct churn_args a = {.data = p, .words = bytes / 8, .step = 512, .turns = turns};

	return gm_sim_launch(sim, module, "churn", 1, &a, sizeof a, NULL);
}

static void *free_all(void *arg)
{
	struct race *r = arg;

	usleep(r->after);
	gm_munmap(r->p, r->bytes);
	return NULL;
}

Behaviour(free_race, .timeout = 60)
{
	unsigned char *keep = managed(MIB);

	memset(keep, 7, MIB);
	for (int k = 0; k < 10; k++) {
		struct race r = {managed(BYTES), BYTES, (useconds_t)(k * 211)};
		pthread_t t;
		pthread_create(&t, NULL, free_all, &r);
		int err = churn(r.p, BYTES, 20);
		pthread_join(t, NULL);
		cr_assert(err == 0 || err == -EFAULT, "error %d", err);
		cr_assert_eq(device_copy(sim, keep + MIB / 2, keep, MIB / 2), 0);
		cr_assert(all_bytes(keep, 7, MIB));
	}
}

static _Atomic bool stop;

static void *prefetch_to_and_fro(void *arg)
{
	struct race *r = arg;

	while (!stop) {
		to_host(r->p, r->bytes);
		to_device(r->p + r->bytes / 4, r->bytes / 2);
	}
	return NULL;
}

Behaviour(prefetch_race, .timeout = 60)
{
	struct race r = {managed(BYTES), BYTES, 0};
	uint64_t *word = (uint64_t *)(void *)r.p;
	pthread_t t;

	stop = false;
	pthread_create(&t, NULL, prefetch_to_and_fro, &r);
	for (int k = 0; k < 10; k++)
		cr_assert_eq(churn(r.p, BYTES, 5), 0);
	stop = true;
	pthread_join(t, NULL);
	for (size_t i = 0; i < BYTES / 8; i += 512)
		cr_assert_eq(word[i], 50, "word %zu: %lu", i, (unsigned long)word[i]);
}

static void *zero_quarter(void *arg)
{
	memset(arg, 0, 4 * MIB);
	return NULL;
}

Behaviour(recycled_heap)
{
	unsigned char *p = managed(16 * MIB);
	pthread_t t[4];

	cr_assert_eq(device_write(sim, p, 9, 16 * MIB), 0);
	gmi_vm_forget(gm_as_default(), p, 16 * MIB); /* what free() tells core of a large block */
	uint64_t faults = gmi_stats->cpu_faults, home = gmi_stats->d2h_bytes;
	for (int i = 0; i < 4; i++)
		pthread_create(&t[i], NULL, zero_quarter, p + (size_t)i * 4 * MIB);
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	cr_expect_eq(gmi_stats->d2h_bytes, home, "nothing was copied home");
	cr_expect_leq(gmi_stats->cpu_faults - faults, 8, "no storm");
	cr_expect(all_bytes(p, 0, 16 * MIB));
}
