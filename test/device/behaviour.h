/*
 * behaviour.h - what the tests of documented device behaviours share. Each test is named after
 * its row in test/behaviours.txt and runs for each CPU back end and device page size
 * (test/variant.h).
 */
#ifndef GM_TEST_BEHAVIOUR_H
#define GM_TEST_BEHAVIOUR_H

#include "device.h"
#include "kernels.h"
#include "../variant.h"
#include "core/page/cpu_mmu.h"
#include "core/space/vm.h"
#include <sys/wait.h>

#define PAGES 1024
#define BYTES (PAGES * PAGE)

static struct gm_sim *sim;
static int module;

static inline struct gm_sim *behaviour_device(const char *more)
{
	char spec[128];

	snprintf(spec, sizeof spec, "pcie4-gpu,workers=2,page=%zuK,%s", variant_page / 1024, more);
	struct gm_sim *s = open_device(spec);
	if (gmi_opt.fault == GM_FAULT_UFFD)
		cr_assert_str_eq(gmi_cpu_backend(), "uffd");
	return s;
}

static inline void behaviour_open(const char *mem)
{
	sim = behaviour_device(mem);
	cr_assert_eq(gm_sim_load(sim, beside_program("kernels.so"), &module), 0);
}

static inline void behaviour_start(void)
{
	behaviour_open("mem=64M");
}

static inline void behaviour_end(void)
{
	cr_expect_eq(gm_sim_close(sim), 0);
}

#define Behaviour(name, ...)                                                                       \
	Test(behaviour, name, .init = behaviour_start, .fini = behaviour_end, ##__VA_ARGS__)

/* Page i holds `i + add` in each byte. */
static inline void fill(unsigned char *p, size_t first, size_t end, int add)
{
	for (size_t i = first; i < end; i++)
		memset(p + i * PAGE, (int)(i + (size_t)add), PAGE);
}
static inline void expect_filled(const unsigned char *p, size_t first, size_t end, int add)
{
	for (size_t i = first; i < end; i++)
		cr_assert(all_bytes(p + i * PAGE, (int)(i + (size_t)add) & 255, PAGE),
			  "page %zu: %u", i, p[i * PAGE]);
}

/* What the device reads: a kernel copies it to where only the CPU looks. */
static inline int device_copy(struct gm_sim *s, void *to, const void *from, size_t bytes)
{
	struct ds_mem_args a = {.dst = to, .src = from, .bytes = bytes};

	return launch_mem(s, "memcpy", 2, a, NULL);
}
static inline int device_write(struct gm_sim *s, void *p, int byte, size_t bytes)
{
	struct ds_mem_args a = {.dst = p, .bytes = bytes, .value = (uint64_t)byte};

	return launch_mem(s, "memset", 2, a, NULL);
}
static inline int device_read(struct gm_sim *s, const void *p, size_t bytes)
{
	struct ds_mem_args a = {.src = p, .bytes = bytes, .stride = PAGE};

	return launch_mem(s, "touch_read", 1, a, NULL);
}
static inline void expect_device_sees(struct gm_sim *s, const unsigned char *p, size_t pages,
				      int add)
{
	unsigned char *copy = managed(pages * PAGE);

	cr_assert_eq(device_copy(s, copy, p, pages * PAGE), 0);
	expect_filled(copy, 0, pages, add);
	gm_munmap(copy, pages * PAGE);
}

static inline int hnid(void)
{
	return gm_dev_hnid(gm_sim_dev(sim));
}
static inline void to_device(void *p, size_t bytes)
{
	int err = hmadvise(hnid(), p, bytes, MADV_PREFETCH);

	/* -EBUSY: what is no whole page of the device is mapped on the host */
	cr_assert(!err || (err == -EBUSY && bytes < variant_page), "%d", err);
}
static inline void to_host(void *p, size_t bytes)
{
	cr_assert_eq(hmadvise(-1, p, bytes, MADV_PREFETCH), 0);
}
static inline void expect_all(const void *p, size_t bytes, enum gm_where where)
{
	size_t n = pages_in(p, bytes, where);

	cr_assert_eq(n, bytes / PAGE, "%zu of %zu pages are in state %d", n, bytes / PAGE,
		     (int)where);
}
static inline int protect(void *p, size_t bytes, int prot)
{
	return gmi_vm_protect(gm_as_default(), p, bytes, prot);
}

/* fn in a fork child; its result. */
static inline int in_child(int (*fn)(unsigned char *), unsigned char *p)
{
	pid_t pid = fork();
	int status;

	if (!pid)
		_exit(fn(p));
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

#endif
