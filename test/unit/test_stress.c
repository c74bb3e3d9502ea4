/*
 * Threads hammer pages on the CPU while device threads read and write other pages of the same
 * blocks, with a device smaller than what is in use, hints and discards in between. Each thread
 * owns every n-th page and knows what must be in it.
 */
#include "core/space/vm.h"
#include "fake_dev.h"
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define PAGE	GM_PAGE_BYTES
#define MIB	((size_t)1 << 20)
#define PAGES	2048u
#define THREADS 4u /* two on the CPU, two on the device */
#define STEPS	30000

static struct gm_as *as;
static struct fake_dev dev;
static unsigned char *area;

struct worker {
	pthread_t thread;
	unsigned id, seed;
	uint32_t count[PAGES / THREADS];
	int steps;
	bool bad;
};

static void increment(unsigned char *byte, void *arg)
{
	(void)arg;
	++*(uint32_t *)byte;
}

static void *work(void *arg)
{
	struct worker *w = arg;

	for (int s = 0; s < w->steps && !w->bad; s++) {
		unsigned k = (unsigned)rand_r(&w->seed) % (PAGES / THREADS);
		uint32_t *word = (uint32_t *)(area + (k * THREADS + w->id) * PAGE) + w->id;
		if (w->id % 2) {
			w->bad = fake_touch(&dev, word, true, increment, NULL) != 0;
		} else {
			w->bad = *(volatile uint32_t *)word != w->count[k];
			++*(volatile uint32_t *)word;
		}
		w->count[k]++;
	}
	return NULL;
}

static void stress(size_t device_page, enum gm_evict_kind evict)
{
	struct worker w[THREADS] = {0};
	unsigned seed = getenv("SEED") ? (unsigned)atoi(getenv("SEED")) : (unsigned)time(NULL);

	printf("# seed %u\n", seed);
	gmi_opt.prefetch = GM_PREFETCH_TREE;
	gmi_opt.policy_number[GM_POLICY_PREFETCH] = 51;
	gmi_opt.evict = evict;
	gmi_opt.retain_bytes = MIB;
	cr_assert_eq(gm_as_create(0, 64 * MIB, &as), 0);
	fake_open(&dev, as, 6 * MIB, device_page, true);
	area = gm_mmap(as, NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		       -1, 0);
	for (unsigned i = 0; i < THREADS; i++) {
		w[i].id = i;
		w[i].steps = device_page > MIB ? STEPS / 20 : STEPS; /* each moves a device page */
		w[i].seed = seed + i;
		pthread_create(&w[i].thread, NULL, work, &w[i]);
	}
	for (int s = 0; s < 300; s++) {
		unsigned i = (unsigned)rand_r(&seed) % PAGES, n = (unsigned)rand_r(&seed) % 200;
		n = i + n > PAGES ? PAGES - i : n;
		int hnid = rand_r(&seed) % 2 ? gm_dev_hnid(dev.dev) : -1;
		static const int advice[] = {MADV_PREFETCH,	  MADV_PREFETCH,
					     GM_MADV_READ_MOSTLY, GM_MADV_UNSET_READ_MOSTLY,
					     GM_MADV_PINNED,	  GM_MADV_UNPINNED,
					     GM_MADV_UNPINNED};
		hmadvise(hnid, area + i * PAGE, n * PAGE, advice[rand_r(&seed) % 7]);
	}
	for (unsigned i = 0; i < THREADS; i++) {
		pthread_join(w[i].thread, NULL);
		cr_assert_not(w[i].bad, "thread %u met a wrong value or an error", i);
	}
	for (unsigned i = 0; i < PAGES; i++) {
		uint32_t got = ((uint32_t *)(area + i * PAGE))[i % THREADS],
			 want = w[i % THREADS].count[i / THREADS];
		cr_assert_eq(got, want, "page %u: %u, not %u", i, got, want);
	}
	fake_close(&dev);
	cr_assert_eq(gm_as_destroy(as), 0);
}

Test(stress, pages_of_64k)
{
	stress(65536, GM_EVICT_LRU2M);
}

Test(stress, pages_of_4k)
{
	stress(4096, GM_EVICT_LRU4K);
}

Test(stress, pages_of_2m)
{
	stress(2 * MIB, GM_EVICT_LRU2M);
}

Test(stress, adaptive_with_pages_of_64k)
{
	stress(65536, GM_EVICT_ADAPTIVE);
}

Test(stress, adaptive_with_pages_of_4k)
{
	stress(4096, GM_EVICT_ADAPTIVE);
}
