/*
 * A real device, and every named place where something can fail failing at every one of its
 * calls: a launch or a hint reports an error or has done its work, the data is right in either
 * case, and afterwards everything works.
 */
#include "device.h"
#include "core/sys/inject.h"

#define BYTES (3 * MIB)

static struct gm_sim *sim;
static unsigned char *area;
static int old = 1; /* every byte of the area, unless a kernel was cut off: then old or value */
static unsigned long failed, done;

/* The area holds `value`, or after an error for each byte `old` or `value`; it is made whole
 * again. */
static void judge(const char *site, int err, int value)
{
	gmi_inject("");
	for (size_t i = 0; i < BYTES; i++)
		cr_assert(area[i] == value || (err && area[i] == old),
			  "%s: byte %zu is %d after error %d, not %d", site, i, area[i], err,
			  value);
	memset(area, value, BYTES);
	old = value;
	err ? failed++ : done++;
}

static void rounds(enum gm_inj site)
{
	const char *name = gmi_inject_name(site);
	unsigned long n = 0, calls;

	do {
		char spec[64];
		int value = (int)(old % 250 + 1), err;
		n += 1 + n / 4;
		snprintf(spec, sizeof spec, "%s@%lu", name, n);
		cr_assert_eq(gmi_inject(spec), 0);
		struct ds_mem_args a = {.dst = area, .bytes = BYTES, .value = (uint64_t)value};
		err = launch_mem(sim, "memset", 4, a, NULL);
		calls = gmi_inject_calls(site);
		judge(name, err, value);
		cr_assert_eq(gmi_inject(spec), 0);
		err = hmadvise(gm_dev_hnid(gm_sim_dev(sim)), area, BYTES, MADV_PREFETCH);
		err = err ? err : hmadvise(-1, area, BYTES / 2, MADV_PREFETCH);
		calls = gm_max(calls, gmi_inject_calls(site));
		judge(name, err, value);
		device_set(sim, area, value, BYTES); /* whatever broke, the next launch works */
	} while (calls >= n);
	printf("# %s: %lu calls\n", name, calls);
}

Test(inject, every_call_of_every_site)
{
	gmi_log_level = GM_LOG_NONE;
	gmi_opt.retain_bytes = MIB;
	sim = open_device("pcie4-gpu,mem=2M,page=64K"); /* smaller than the area */
	area = managed(BYTES);
	memset(area, old, BYTES);
	device_set(sim, area, old, BYTES);
	for (enum gm_inj site = 0; site < GM_INJ_COUNT; site++)
		rounds(site);
	printf("# %lu operations failed, %lu did not\n", failed, done);
	cr_assert_gt(failed, 0);
	cr_assert_gt(done, 0);
	cr_assert_eq(gm_sim_close(sim), 0);
}

Test(inject, a_device_that_cannot_be_opened)
{
	gmi_log_level = GM_LOG_NONE;
	gmi_opt.report = GM_REPORT_NONE;
	for (unsigned n = 1; n <= 3; n++) {
		char spec[32];
		snprintf(spec, sizeof spec, "memfd@%u", n);
		cr_assert_eq(gmi_inject(spec), 0);
		cr_expect_eq(gm_sim_open("pcie4-gpu,mem=2M", &sim), -ENOMEM);
	}
	gmi_inject("");
	cr_assert_eq(gm_sim_open("pcie4-gpu,mem=2M", &sim), 0);
	cr_assert_eq(gmi_inject("memfd@1"), 0);
	cr_expect_eq(gm_sim_attach(sim, gm_as_default()), -ENOMEM, "no host store");
	gmi_inject("");
	cr_assert_eq(gm_sim_attach(sim, gm_as_default()), 0);
	cr_assert_eq(gmi_inject("spawn@1+"), 0);
	area = managed(PAGE);
	area[0] = 3;
	struct ds_mem_args a = {.dst = area, .bytes = PAGE, .value = 4};
	cr_expect_lt(launch_mem(sim, "memset", 1, a, NULL), 0);
	cr_expect_eq(area[0], 3);
	gmi_inject("");
	cr_expect_eq(launch_mem(sim, "memset", 1, a, NULL), 0);
	cr_expect_eq(area[0], 4);
	cr_assert_eq(gm_sim_close(sim), 0);
}
