/*
 * activate_now.c - a second preload for tests: attaches a small in-process device before main
 * and switches dispatch on, so that each system call of a whole program comes through the SIGSYS
 * handler, with pages that can be sent away.
 *
 * ACTIVATE_LATE=1: the switch waits for the first page that is sent away, as in a real run.
 * ACTIVATE_STORM=N: a thread sends N random pages of the heap away every millisecond, for ever.
 * Linked against libgmem_preload.so, whose constructor therefore runs first. Use:
 * LD_PRELOAD=libgmem_preload.so:this.so
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "core/page/activate.h"
#include "core/sys/own_thread.h"
#include "core/count/stats.h"
#include "core/space/vm.h"
#include <gmem/gmem.h>

#define MEM_BYTES ((size_t)256 << 20)

static char *mem;

static void *aperture(void *data)
{
	return mem;
}

static int nothing(void *pmap, const struct gm_op *op)
{
	return 0;
}

static int create(void *data, struct gm_as *as, void **pmap)
{
	*pmap = data;
	return 0;
}

static int destroy(void *pmap)
{
	return 0;
}

static const struct gm_mmu mmu = {.name = "test",
				  .page_bytes = 4096,
				  .aperture = aperture,
				  .pmap_create = create,
				  .pmap_destroy = destroy,
				  .pmap_enter = nothing,
				  .pmap_release = nothing,
				  .pmap_protect = nothing,
				  .peer_hmemcpy = nothing};

GM_EXPORT int e2e_hnid = -1; /* away.h looks for it */

static void *storm(void *arg)
{
	size_t pages = (size_t)arg;
	uint64_t seed = 88172645463325252ull;
	while (!gmi_threads_rest) {
		struct timespec ts = {0, 1000000};
		gm_sys2(SYS_nanosleep, &ts, NULL);
		for (size_t i = 0; i < pages; i++) {
			seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
			/* jemalloc's first extents lie at the bottom of the window */
			uintptr_t p = 0x200000000000ul + (seed % 4096) * 4096;
			hmadvise(e2e_hnid, (void *)p, 4096, MADV_PREFETCH);
		}
	}
	return NULL;
}

__attribute__((constructor)) static void begin(void)
{
	const char *pages = getenv("ACTIVATE_STORM");
	struct gm_dev *dev;

	if (!gmi_opt.ndev || gmi_opt.disable || !gmi_vm_space())
		return;
	mem = gm_sys_mmap(NULL, MEM_BYTES, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (gm_dev_create(&mmu, NULL, GM_DEV_CAP_REPLAYABLE | GM_DEV_CAP_PEER, &dev) ||
	    gm_dev_register_physmem(dev, 0, MEM_BYTES) ||
	    gm_as_attach(gmi_vm_space(), dev, GM_MMU_MODE_COHERENT_EXCLUSIVE, 1, NULL) ||
	    (!getenv("ACTIVATE_LATE") && gmi_activate())) {
		fprintf(stderr, "activate_now: no device\n");
		_exit(99);
	}
	e2e_hnid = gm_dev_hnid(dev);
	if (pages)
		gmi_thread_start(storm, (void *)strtoul(pages, NULL, 10));
}

__attribute__((destructor)) static void end(void)
{
	if (getenv("ACTIVATE_VERBOSE"))
		fprintf(stderr, "dispatched %lu pinned %lu cpu faults %lu home %lu\n",
			(unsigned long)gmi_stats->syscalls_dispatched,
			(unsigned long)gmi_stats->syscalls_pinned,
			(unsigned long)gmi_stats->cpu_faults, (unsigned long)gmi_stats->d2h_pages);
}
