/* Policies from a shared object: what they see, what their answers do, and how each way of being
 * broken is named and survived. */
#include "one_dev.h"
#include "plugins.h"
#include "core/care/background.h"
#include "core/page/guard.h"
#include "core/page/plugin.h"
#include "core/space/attach.h"
#include <dlfcn.h>
#include <libgen.h>
#include <signal.h>
#include <unistd.h>

#define DEV_PAGE ((size_t)65536)
#define DEV_MEM	 (4 * MIB) /* 64 pages */

/* The plug-ins lie beside this program. */
static const char *plugin_path(const char *name)
{
	static char path[512];
	char exe[400];
	ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);

	cr_assert_gt(n, 0);
	exe[n] = 0;
	snprintf(path, sizeof path, "%s/%s.so", dirname(exe), name);
	return path;
}

static void load(const char *name)
{
	char err[512] = "";

	cr_assert_eq(gmi_plugin_load(plugin_path(name), err, sizeof err), 0, "%s", err);
}

/* A variable of the plug-in, which is loaded once. */
static void *variable(const char *plugin, const char *name)
{
	void *so = dlopen(plugin_path(plugin), RTLD_NOW | RTLD_NOLOAD);

	cr_assert_not_null(so);
	return dlsym(so, name);
}

static struct plugin_log *seen(void)
{
	return *(struct plugin_log **)variable("plugin_good", "plugin_log");
}

static unsigned char *open_with(const char *name, size_t bytes)
{
	load(name);
	open_one(DEV_MEM, DEV_PAGE);
	unsigned char *p = map_with(bytes, PROT_READ | PROT_WRITE);
	for (size_t i = 0; i < bytes; i += PAGE)
		p[i] = (unsigned char)(i / PAGE % 251 + 1);
	return p;
}

static void touch(unsigned char *p, size_t bytes)
{
	for (size_t i = 0; i < bytes; i += DEV_PAGE)
		cr_assert_eq(fake_write(&dev, p + i, (unsigned char)(i / PAGE % 251 + 1)), 0);
}

static void expect_intact(unsigned char *p, size_t bytes)
{
	for (size_t i = 0; i < bytes; i += PAGE)
		cr_assert_eq(p[i], (unsigned char)(i / PAGE % 251 + 1), "page %zu", i / PAGE);
}

/* ---- what it sees, and what its answers do ---- */

static const struct plugin_log *after_touching(unsigned char *p, size_t bytes)
{
	touch(p, bytes);
	return seen();
}

Test(plugin, it_is_what_the_device_follows)
{
	open_with("plugin_good", DEV_PAGE);
	cr_expect_str_eq(gm_policy_get(NULL, dev.dev, GM_POLICY_EVICT), "test");
	cr_expect_str_eq(gm_policy_get(as, dev.dev, GM_POLICY_PREFETCH), "test");
	cr_assert_eq(gm_policy_set(NULL, dev.dev, GM_POLICY_EVICT, "lru4k"), 0);
	cr_expect_str_eq(gm_policy_get(NULL, dev.dev, GM_POLICY_EVICT), "lru4k");
	cr_assert_eq(gm_policy_set(NULL, dev.dev, GM_POLICY_EVICT, NULL), 0);
	cr_expect_str_eq(gm_policy_get(NULL, dev.dev, GM_POLICY_EVICT), "test");
	close_all();
}

/* What was noted is `n` pages, one after the other from `first` on. */
static void expect_pages(const uint64_t *va, unsigned noted, unsigned n, const unsigned char *first)
{
	cr_assert_eq(noted, n);
	for (unsigned i = 0; i < n; i++)
		cr_expect_eq(va[i], (uint64_t)(first + i * DEV_PAGE), "%u", i);
}

Test(plugin, it_sees_each_fault_and_the_whole_device)
{
	unsigned char *p = open_with("plugin_good", 3 * MIB);
	const struct plugin_log *log = after_touching(p, 3 * MIB);

	expect_pages(log->fault.va, log->fault.n, 48, p);
	cr_expect_eq(log->pages, DEV_MEM / DEV_PAGE);
	cr_expect_eq(log->page_bytes, DEV_PAGE);
	cr_expect_eq(log->used_pages, 47, "as it was at the last fault");
	close_all();
}

Test(plugin, what_it_wants_along_comes)
{
	unsigned char *p = open_with("plugin_good", 4 * MIB);
	struct plugin_ask *ask = variable("plugin_good", "plugin_ask");

	ask->all = true;
	cr_assert_eq(fake_write(&dev, p, 1), 0);
	ask->all = false;
	cr_expect_eq(where(p + DEV_PAGE), GM_DEVICE);
	uintptr_t end = gm_align_up((uintptr_t)p + 1, 2 * MIB);
	cr_expect_eq(where((void *)(end - PAGE)), GM_DEVICE);
	cr_expect_eq(where((void *)end), GM_HOST, "not of the next block");
	ask->ahead[0] = end + MIB;
	ask->ahead[1] = 4096; /* of nobody */
	ask->naheads = 2;
	cr_assert_eq(fake_write(&dev, (void *)end, 1), 0);
	cr_expect_eq(where((void *)(end + MIB)), GM_DEVICE, "from anywhere");
	cr_expect_eq(where((void *)(end + MIB + DEV_PAGE)), GM_HOST);
	close_all();
}

Test(plugin, what_it_picks_goes)
{
	unsigned char *p = open_with("plugin_good", 6 * MIB);
	const struct plugin_log *log = after_touching(p, 6 * MIB);

	expect_pages(log->evict.va, log->evict.n, 32, p + 63 * DEV_PAGE);
	for (unsigned i = 0; i < 64; i++)
		cr_expect_eq(where(p + i * DEV_PAGE), i < 63 ? GM_DEVICE : GM_HOST, "page %u", i);
	cr_expect_eq(where(p + 95 * DEV_PAGE), GM_DEVICE, "the last one");
	expect_intact(p, 6 * MIB);
	close_all();
}

Test(plugin, it_hears_of_launches_and_of_what_they_used)
{
	unsigned char *p = open_with("plugin_good", 2 * MIB);

	touch(p, 2 * MIB);
	gmc_launch_done(dev.dev); /* what was used so far */
	gmc_plugin_launch(dev.dev, "saxpy");
	struct plugin_log *log = seen();
	cr_expect_str_eq(log->kernel, "saxpy");
	log->touch.n = 0;
	cr_assert_eq(fake_write(&dev, p + 5 * DEV_PAGE, 7), 0); /* no fault: it has the page */
	gmc_launch_done(dev.dev);
	cr_assert_eq(log->touch.n, 1);
	cr_expect_eq(log->touch.va[0], (uint64_t)(p + 5 * DEV_PAGE));
	cr_expect_geq(log->ticks, 1);
	close_all();
}

/* ---- files that are none ---- */

Test(plugin, a_file_that_is_none_is_named)
{
	static const struct {
		const char *name, *says;
	} cases[] = {
		{"plugin_missing", "cannot open shared object"},
		{"plugin_absent", "defines no gm_policy"},
		{"plugin_version", "is of version 2; this library calls version 1"},
		{"plugin_empty", "neither on_fault nor on_evict_pick"},
		{"plugin_nameless", "has no name"},
		{"plugin_huge", "bytes of state"},
	};

	for (unsigned i = 0; i < GM_ARRAY_LEN(cases); i++) {
		char err[512] = "";
		const char *path = plugin_path(cases[i].name);
		cr_expect_lt(gmi_plugin_load(path, err, sizeof err), 0);
		cr_expect(strstr(err, cases[i].says), "%s: %s", cases[i].name, err);
		cr_expect(strstr(err, path), "%s: %s", cases[i].name, err);
	}
	open_one(DEV_MEM, DEV_PAGE);
	cr_expect_str_eq(gm_policy_get(NULL, dev.dev, GM_POLICY_EVICT), "lru2m");
	close_all();
}

/* ---- broken ones ---- */

static void (**call_back(const char *plugin))(void)
{
	return variable(plugin, "plugin_call_back");
}

static void ask_something(void)
{
	struct gm_page_info info;

	gm_query(NULL, PAGE, &info);
}

struct broken_case {
	const char *name, *says;
	bool goes_on; /* it is not broken */
};
static const struct broken_case broken_cases[] = {
	{"plugin_crash_fault", "on_fault crashed: a bad access to address 10", false},
	{"plugin_crash_pick", "on_evict_pick crashed: a bad access to address 20", false},
	{"plugin_touch_pick", "on_evict_pick touched the program's heap, at ", false},
	{"plugin_hang_fault", "on_fault has not returned for ", false},
	{"plugin_call_fault", "on_fault called gm_query", false},
	{"plugin_outside_pick", "on_evict_pick let go what may not, or nothing", false},
	{"plugin_part_pick", "on_evict_pick let go what may not, or nothing", false},
	{"plugin_nothing_pick", "on_evict_pick took no candidate", false},
	{"plugin_ahead_fault", "on_fault asks for more ranges ahead", false},
	{"plugin_never_pick", "", true},
	{"plugin_divide_pick", "on_evict_pick crashed: SIGFPE, as of a division by zero, at ",
	 false},
	{"plugin_trap_fault", "on_fault crashed: SIGILL, ", false},
	{"plugin_abort_pick", "on_evict_pick called abort()", false},
};

static void expect_survived(const struct broken_case *c)
{
	gmc_guard_limit_ns = 300000000;
	unsigned char *p = open_with(c->name, 6 * MIB);
	*call_back(c->name) = ask_something;

	touch(p, 6 * MIB);
	touch(p, 6 * MIB);
	if (c->goes_on) {
		cr_expect_str_eq(gm_last_error(), "");
		cr_expect_str_eq(gm_policy_get(NULL, dev.dev, GM_POLICY_EVICT), "test");
	} else {
		cr_expect(strstr(gm_last_error(), c->says), "%s: %s", c->name, gm_last_error());
		cr_expect(strstr(gm_last_error(), "policy \"test\""), "%s", gm_last_error());
		cr_expect_str_eq(gm_policy_get(NULL, dev.dev, GM_POLICY_EVICT), "lru2m");
		cr_expect_str_eq(gm_policy_get(NULL, dev.dev, GM_POLICY_PREFETCH), "none");
	}
	expect_intact(p, 6 * MIB);
	close_all();
}

/* One process each: a plug-in is loaded once. */
#define BROKEN(i, what)                                                                            \
	Test(plugin, what, .timeout = 60)                                                          \
	{                                                                                          \
		expect_survived(&broken_cases[i]);                                                 \
	}
BROKEN(0, one_that_crashes_at_a_fault)
BROKEN(1, one_that_crashes_with_a_candidate_locked)
BROKEN(2, one_that_touches_the_heap)
BROKEN(3, one_that_does_not_return)
BROKEN(4, one_that_calls_the_library)
BROKEN(5, one_that_lets_go_what_may_not)
BROKEN(6, one_that_lets_go_a_part_of_a_page)
BROKEN(7, one_that_took_no_candidate)
BROKEN(8, one_that_asks_for_too_much)
BROKEN(9, one_that_never_knows_leaves_it_to_the_blocks)
BROKEN(10, one_that_divides_by_zero_with_a_candidate_locked)
BROKEN(11, one_that_meets_a_bad_instruction)
BROKEN(12, one_that_aborts)

/* By the processor: a sanitizer would find it first. */
static __attribute__((no_sanitize("undefined"))) int divide(int by)
{
	return 1000 / by;
}

/* What the program does to itself is not caught on the way. */
Test(plugin, the_programs_own_division_by_zero_is_its_own, .signal = SIGFPE)
{
	volatile int zero = 0;

	load("plugin_good");
	_exit(divide(zero));
}
Test(plugin, the_programs_own_abort_is_its_own, .signal = SIGABRT)
{
	load("plugin_good");
	abort();
}
Test(plugin, a_signal_that_is_sent_to_it_ends_it, .signal = SIGILL)
{
	load("plugin_good");
	kill(getpid(), SIGILL);
	sleep(20);
}

/* ---- the examples ---- */

/* Hot pages beside a stream: the order of coming lets go of them, the count of uses does not. */
static unsigned faults_of_hot_pages(void)
{
	unsigned char *hot = map_with(MIB, PROT_READ | PROT_WRITE),
		      *stream = map_with(16 * MIB, PROT_READ | PROT_WRITE), v;
	unsigned faults = 0;

	for (size_t at = 0; at < 16 * MIB; at += DEV_PAGE) {
		cr_assert_eq(fake_write(&dev, stream + at, 1), 0);
		unsigned before = dev.faults;
		for (size_t i = 0; i < MIB; i += DEV_PAGE)
			cr_assert_eq(fake_read(&dev, hot + i, &v), 0);
		faults += dev.faults - before;
	}
	return faults;
}

Test(plugin, example_lfu_keeps_what_is_used_often)
{
	load("example_lfu");
	open_one(DEV_MEM, DEV_PAGE);
	unsigned lfu = faults_of_hot_pages();
	cr_assert_eq(gm_policy_set(NULL, dev.dev, GM_POLICY_EVICT, "lru4k"), 0);
	unsigned lru = faults_of_hot_pages();
	unsigned first = MIB / DEV_PAGE;
	cr_expect_lt((lfu - first) * 4, lru - first, "%u, lru4k %u", lfu, lru);
	cr_expect_str_eq(gm_last_error(), "");
	close_all();
}

Test(plugin, example_stride_brings_what_comes_next)
{
	load("example_stride");
	open_one(64 * MIB, DEV_PAGE);
	unsigned char *p = map_with(48 * MIB, PROT_READ | PROT_WRITE);
	for (size_t at = 0; at < 48 * MIB; at += 7 * DEV_PAGE) /* across blocks */
		cr_assert_eq(fake_write(&dev, p + at, 1), 0);
	unsigned touches = 48 * 16 / 7 + 1;
	cr_expect_leq(dev.faults, touches / 5 + 5, "%u faults of %u", dev.faults, touches);
	cr_expect_neq(where(p + DEV_PAGE), GM_DEVICE, "what lies between stays");
	cr_expect_str_eq(gm_last_error(), "");
	close_all();
}
