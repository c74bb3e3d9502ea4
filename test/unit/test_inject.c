/*
 * Every named place where something can fail, made to fail at every one of its calls: an
 * operation then reports an error, or has done its work; and the data is right in either case.
 */
#include "fake_dev.h"
#include "core/entry/fault.h"
#include "core/page/migrate.h"
#include "core/sys/inject.h"
#include "core/space/vm.h"
#include "random.h"
#include <stdio.h>
#include <stdlib.h>

#define PAGE GM_PAGE_BYTES
#define MIB  ((size_t)1 << 20)
#define AREA (6 * MIB)

static struct gm_as *as;
static struct fake_dev dev;
static unsigned char *area;
static unsigned char model[AREA / PAGE]; /* the first byte of each page */
static unsigned char maybe[AREA / PAGE]; /* 1: or zero: a discard failed half way */
static unsigned long errors, steps;

static void arm(const char *name, const char *how, unsigned long n)
{
	char spec[64];

	snprintf(spec, sizeof spec, "%s%s%lu", name, how[0] == '%' ? "%" : "@", n);
	if (how[1])
		strcat(spec, how + 1);
	cr_assert_eq(gmi_inject(spec), 0, "%s", spec);
}

static void open_all(bool aperture, bool first_touch)
{
	int level = getenv("TEST_LOG") ? GM_LOG_DEBUG : GM_LOG_NONE;

	if (gmi_log_level != level) /* the second time the background thread reads it */
		gmi_log_level = level;
	gmi_opt.prefetch = GM_PREFETCH_TREE;
	gmi_opt.retain_bytes = MIB;
	cr_assert_eq(gm_as_create(0, 64 * MIB, &as), 0);
	fake_open(&dev, as, 4 * MIB, variant_page, aperture); /* smaller than the area: evictions */
	area = gm_mmap(as, NULL, AREA, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	cr_assert_neq(area, MAP_FAILED);
	memset(model, 0, sizeof model);
	memset(maybe, 0, sizeof maybe);
	for (size_t i = 0; !first_touch && i < AREA / PAGE; i++)
		area[i * PAGE] = model[i] = (unsigned char)(i * 7 + 1);
}

static void close_all(void)
{
	gmi_inject("");
	cr_assert_eq(gm_munmap(area, AREA), 0);
	fake_close(&dev);
	cr_assert_eq(gm_as_destroy(as), 0);
}

static void note(int err)
{
	steps++;
	errors += err != 0;
}

/* The device's touch of page i; gives up after some tries, as a driver does. */
static int device_touch(size_t i, bool write, unsigned char *c)
{
	struct fake_pte *e = &dev.pte[((uintptr_t)area - as->base) / PAGE + i];
	int err = 0;

	for (int tries = 0; tries < 4 && !(e->prot & (write ? GM_PROT_WRITE : GM_PROT_READ));
	     tries++)
		err = gm_dev_fault(as, (uintptr_t)area + i * PAGE, dev.dev,
				   write ? GM_HINT_WRITE : GM_HINT_READ);
	if (!(e->prot & (write ? GM_PROT_WRITE : GM_PROT_READ)))
		return err ? err : -EAGAIN;
	return write ? fake_write(&dev, area + i * PAGE, *c) : fake_read(&dev, area + i * PAGE, c);
}

static bool right(size_t i, unsigned char got)
{
	if (maybe[i] && got == 0)
		model[i] = 0;
	maybe[i] = 0;
	return got == model[i];
}

/* Where the CPU's touch would raise SIGBUS, an error: what a handler asks. */
static int cpu_touch(size_t i, bool write)
{
	gm_sigmask mask = gmi_block_signals();
	int err = gmi_cpu_make_resident((uintptr_t)area + i * PAGE, PAGE, write);
	gmi_restore_signals(mask);
	return err;
}

/* One of everything that moves or changes pages; each may fail. */
static void one_round(unsigned round)
{
	int hnid = gm_dev_hnid(dev.dev);
	unsigned char c;

	for (size_t i = round % 5; i < AREA / PAGE; i += 97) {
		int err = device_touch(i, false, &c);
		note(err);
		if (!err)
			cr_assert(right(i, c), "the device reads %u of page %zu, not %u", c, i,
				  model[i]);
	}
	for (size_t i = round % 7; i < AREA / PAGE; i += 113) {
		c = (unsigned char)(model[i] + 1);
		int err = device_touch(i, true, &c);
		note(err);
		if (!err)
			model[i] = c, maybe[i] = 0;
	}
	note(hmadvise(hnid, area + MIB, MIB, MADV_PREFETCH));
	note(hmadvise(-1, area + MIB, MIB / 2, GM_MADV_READ_MOSTLY));
	note(hmadvise(hnid, area + MIB, MIB / 2, MADV_PREFETCH));
	for (size_t i = round % 3; i < AREA / PAGE; i += 61) {
		int err = cpu_touch(i, round & 1);
		note(err);
		if (err)
			continue;
		cr_assert(right(i, *(volatile unsigned char *)(area + i * PAGE)),
			  "the CPU reads page %zu", i);
	}
	note(hmadvise(-1, area + MIB, MIB / 2, GM_MADV_UNSET_READ_MOSTLY));
	note(hmadvise(-1, area + 3 * MIB, 16 * PAGE, GM_MADV_PINNED));
	note(hmadvise(-1, area + 3 * MIB, 16 * PAGE, GM_MADV_UNPINNED));
	note(hmadvise(-1, area, 2 * MIB, MADV_PREFETCH));
	note(hmemcpy(hnid, area + 5 * MIB + 1, "x", 1));
	size_t lost = 4 * MIB / PAGE + round % 16;
	int err = hmadvise(-1, area + lost * PAGE, PAGE, MADV_DONTNEED);
	note(err);
	maybe[lost] = err != 0;
	model[lost] = err ? model[lost] : 0;
	note(gmi_vm_protect(as, area + 2 * MIB, 8 * PAGE, PROT_READ));
	note(gmi_vm_protect(as, area + 2 * MIB, 8 * PAGE, PROT_READ | PROT_WRITE));
}

static void all_right(const char *what)
{
	gmi_inject("");
	cr_assert_eq(gmi_vm_protect(as, area, AREA, PROT_READ | PROT_WRITE), 0);
	for (size_t i = 0; i < AREA / PAGE; i++) {
		unsigned char got = *(volatile unsigned char *)(area + i * PAGE);
		cr_assert(right(i, got), "%s: page %zu is %u, not %u", what, i, got, model[i]);
	}
}

/* Each call of the site in turn, until a round makes fewer calls than that. */
static void every_call(enum gm_inj site, const char *onwards)
{
	unsigned long n = 0, calls;

	open_all(true, false);
	do {
		/* All of the first, then ever wider steps: a site with many calls has many
		 * alike. */
		n += 1 + n / 8;
		arm(gmi_inject_name(site), onwards, n);
		one_round((unsigned)n);
		calls = gmi_inject_calls(site);
		all_right(gmi_inject_name(site));
	} while (calls >= n);
	close_all();
}

static const enum gm_inj of_core[] = {
	GM_INJ_ALLOC,  GM_INJ_HOSTMEM, GM_INJ_CPU_PROTECT, GM_INJ_REMAP, GM_INJ_PAGEMAP,
	GM_INJ_FRAME,  GM_INJ_BUSY,    GM_INJ_MAP,	   GM_INJ_UNMAP, GM_INJ_DEV_PROTECT,
	GM_INJ_COPYIN, GM_INJ_COPYOUT, GM_INJ_ZERO,
};

Test(inject, every_call_of_every_site_fails_once)
{
	for (unsigned i = 0; i < GM_ARRAY_LEN(of_core); i++) {
		errors = steps = 0;
		every_call(of_core[i], "@");
		printf("# %s: %lu of %lu operations said so\n", gmi_inject_name(of_core[i]), errors,
		       steps);
	}
}

Test(inject, every_site_fails_from_some_call_on)
{
	for (unsigned i = 0; i < GM_ARRAY_LEN(of_core); i++)
		/* then hmadvise waits for ever; the CPU has no access left */
		if (of_core[i] != GM_INJ_BUSY && of_core[i] != GM_INJ_CPU_PROTECT)
			every_call(of_core[i], "@+");
}

Test(inject, everything_fails_by_chance)
{
	char spec[1024] = "";

	for (unsigned i = 0; i < GM_ARRAY_LEN(of_core); i++)
		snprintf(spec + strlen(spec), sizeof spec - strlen(spec), "%s%%3,",
			 gmi_inject_name(of_core[i]));
	rng_seed("inject");
	snprintf(spec + strlen(spec), sizeof spec - strlen(spec), "seed=");
	size_t end = strlen(spec);
	for (int aperture = 0; aperture < 2; aperture++) {
		open_all(aperture, true);
		for (unsigned round = 0; round < 60; round++) {
			snprintf(spec + end, sizeof spec - end, "%u", 1 + rng_below(1000000));
			cr_assert_eq(gmi_inject(spec), 0);
			one_round(round);
			all_right(spec);
		}
		close_all();
	}
}

Test(inject, anonymous_runs_that_left_before_a_failure_keep_their_bytes)
{
	/* Two runs of one fault leave the CPU by a remap each; the second fails. */
	open_all(true, false);
	cr_assert_eq(cpu_touch(0, true), 0);
	/* cuts 64 KiB into two runs */
	cr_assert_eq(hmadvise(-1, area + 8 * PAGE, PAGE, GM_MADV_PINNED), 0);
	arm("remap", "@", 2);
	/* the retry of the whole block may succeed */
	hmadvise(gm_dev_hnid(dev.dev), area, 16 * PAGE, MADV_PREFETCH);
	cr_expect_geq(gmi_inject_calls(GM_INJ_REMAP), 2);
	all_right("remap");
	close_all();
}

Test(inject, a_host_without_memory_is_an_error_and_nothing_is_lost)
{
	open_all(true, false);
	gmi_opt.retain_bytes = 0;
	cr_assert_eq(hmadvise(gm_dev_hnid(dev.dev), area, 4 * MIB, MADV_PREFETCH), 0);
	arm("hostmem", "@+", 1);
	cr_expect_eq(cpu_touch(3, false), -ENOMEM);
	unsigned char c = 0;
	cr_expect_eq(device_touch(3, false, &c), 0, "the device has it");
	cr_expect_eq(c, model[3]);
	int err = device_touch(5 * MIB / PAGE, false, &c);
	cr_expect_eq(err, -ENOMEM, "no eviction without a place to go: %d", err);
	all_right("no memory");
	close_all();
}

/* Pages 0..15 (a device page) are the device's alone; page 16.. are on both sides. */
static void away_and_shared(void)
{
	int hnid = gm_dev_hnid(dev.dev);

	cr_assert_eq(hmadvise(hnid, area, 16 * PAGE, MADV_PREFETCH), 0);
	cr_assert_eq(hmadvise(-1, area + 16 * PAGE, 16 * PAGE, GM_MADV_READ_MOSTLY), 0);
	cr_assert_eq(hmadvise(hnid, area + 16 * PAGE, 16 * PAGE, MADV_PREFETCH), 0);
}

Test(inject, a_step_home_that_fails_for_once_is_asked_for_again)
{
	static const struct {
		const char *site;
		size_t page;
	} steps_home[] = {{"copyout", 0}, {"unmap", 0}, {"unmap", 16}};

	for (int aperture = 0; aperture < 2; aperture++) {
		open_all(aperture, false);
		for (unsigned i = 0; i < GM_ARRAY_LEN(steps_home); i++) {
			away_and_shared();
			arm(steps_home[i].site, "@", 1);
			cr_expect_eq(cpu_touch(steps_home[i].page, true), 0, "%s",
				     steps_home[i].site);
			cr_expect_geq(gmi_inject_calls(GM_INJ_COPYOUT) +
					      gmi_inject_calls(GM_INJ_UNMAP),
				      2, "%s failed, and was asked for again", steps_home[i].site);
			all_right(steps_home[i].site);
		}
		/* evictions as well: a device of 4 MiB reads 6 */
		cr_assert_eq(gmi_inject("copyout%20,unmap%20,seed=3"), 0);
		unsigned char c;
		for (size_t i = 0; i < AREA / PAGE; i++)
			cr_expect(device_touch(i, false, &c) == 0 && right(i, c), "page %zu", i);
		for (size_t i = 0; i < AREA / PAGE; i++)
			cr_expect_eq(cpu_touch(i, true), 0, "page %zu", i);
		all_right("a fifth of all steps fails");
		close_all();
	}
}

Test(inject, a_step_home_that_always_fails_is_an_error)
{
	open_all(true, false);
	away_and_shared();
	arm("copyout", "@+", 1);
	cr_expect_eq(cpu_touch(0, false), -EIO);
	cr_expect_eq(gmi_inject_calls(GM_INJ_COPYOUT), GM_HOME_TRIES);
	all_right("copyout");
	close_all();
}

Test(inject, bad_specifications_change_nothing)
{
	static const char *const bad[] = {"nosuch@1", "map",	"map@",	   "map@0", "map%0",
					  "map%101",  "map@1,", "map@1;x", "@1",    "seed="};

	for (unsigned i = 0; i < GM_ARRAY_LEN(bad); i++)
		cr_expect_eq(gmi_inject(bad[i]), -EINVAL, "%s", bad[i]);
	cr_assert_eq(atomic_load(&gmi_inject_armed), 0);
	cr_assert_eq(gmi_inject("map@2,copyin%50,seed=7"), 0);
	cr_assert_not(gmi_inject_hit(GM_INJ_MAP));
	cr_assert(gmi_inject_hit(GM_INJ_MAP));
	cr_assert_not(gmi_inject_hit(GM_INJ_MAP));
	cr_assert_eq(gmi_inject("map@2+"), 0);
	cr_assert_not(gm_inject(GM_INJ_MAP));
	cr_assert(gm_inject(GM_INJ_MAP));
	cr_assert(gm_inject(GM_INJ_MAP));
	cr_assert_not(gm_inject(GM_INJ_COPYIN));
	cr_assert_eq(gmi_inject(""), 0);
	cr_assert_not(gm_inject(GM_INJ_MAP));
}
