/* A run that thrashes is noticed, with the size from which it fits; a limit keeps pages home. */
#include "one_dev.h"
#include "core/care/background.h"
#include "core/care/notice.h"
#include "core/count/limit.h"
#include <signal.h>
#include <string.h>
#include <unistd.h>

#define DEV_PAGE ((size_t)65536)
#define DEV_MEM	 (4 * MIB)

static uint32_t told;
static char line[512];

static const char *where_is_it(unsigned site)
{
	static char name[32];

	snprintf(name, sizeof name, "site-%u", site);
	return name;
}

/* The background thread of the attached device may have taken what is to be done. */
static bool becomes(bool (*done)(void))
{
	uint32_t todo = 0;

	for (int i = 0; i < 5000 && !done(); i++) {
		todo = gmc_background_turn(todo);
		usleep(1000);
	}
	return done();
}

static bool is_noticed(void)
{
	return !__atomic_load_n(&dev.dev->noticed, __ATOMIC_RELAXED) ||
	       atomic_load(&gmi_stats->dev[0].needs_bytes);
}

static size_t next_line(void)
{
	cr_assert(becomes(is_noticed));
	return gm_notice_next(gmi_stats, &told, where_is_it, line, sizeof line);
}

static void pass(unsigned char *p, size_t bytes)
{
	for (size_t i = 0; i < bytes; i += DEV_PAGE)
		cr_assert_eq(fake_write(&dev, p + i, 1), 0);
}

Test(notice, one_pass_over_more_than_fits_is_no_thrashing)
{
	open_one(DEV_MEM, DEV_PAGE);
	pass(map_with(12 * MIB, PROT_READ | PROT_WRITE), 12 * MIB);
	cr_expect_eq(next_line(), 0, "%s", line);
	close_all();
}

Test(notice, what_comes_again_and_again_is_noticed_with_what_would_fit)
{
	open_one(DEV_MEM, DEV_PAGE);
	unsigned char *p = map_with(6 * MIB, PROT_READ | PROT_WRITE);
	pass(p, 6 * MIB);
	cr_expect_eq(next_line(), 0, "%s", line);
	pass(p, 6 * MIB);
	pass(p, 6 * MIB);
	cr_assert_neq(next_line(), 0);
	cr_expect(strstr(line, "thrashes"), "%s", line);
	uint64_t needs = atomic_load(&gmi_stats->dev[0].needs_bytes);
	cr_expect(needs >= 6 * MIB && needs <= 8 * MIB, "%lu", (unsigned long)needs);
	char fits[64];
	snprintf(fits, sizeof fits, "fits from mem=%luM on", (unsigned long)(needs / MIB));
	cr_expect(strstr(line, fits), "%s", line);
	pass(p, 6 * MIB);
	cr_expect_eq(next_line(), 0, "once: %s", line);
	close_all();
}

Test(notice, it_fits_from_there_on)
{
	open_one(6 * MIB, DEV_PAGE);
	unsigned char *p = map_with(6 * MIB, PROT_READ | PROT_WRITE);
	for (int i = 0; i < 4; i++)
		pass(p, 6 * MIB);
	cr_expect_eq(next_line(), 0, "%s", line);
	cr_expect_eq(atomic_load(&gmi_stats->dev[0].evicted_bytes), 0);
	close_all();
}

Test(notice, pages_that_go_back_and_forth_are_noticed)
{
	gmi_opt.thrash = GM_THRASH_NONE;
	gmi_opt.policy_number[GM_POLICY_THRASH] = GM_THRASH_LAPSE_MOST_US;
	open_one(8 * MIB, DEV_PAGE);
	unsigned char *p = map_with(4 * MIB, PROT_READ | PROT_WRITE);
	for (size_t at = 0; at < 4 * MIB; at += DEV_PAGE)
		for (int i = 0; i < 4; i++) {
			cr_assert_eq(fake_write(&dev, p + at, (unsigned char)i), 0);
			cr_assert_eq(p[at], i);
		}
	cr_assert_neq(next_line(), 0);
	cr_expect(strstr(line, "go back and forth"), "%s", line);
	cr_expect_eq(next_line(), 0);
	close_all();
}

Test(notice, a_size_that_is_there_already_is_not_named)
{
	static struct gm_stats s;

	s.dev[0].mem_bytes = s.dev[0].needs_bytes = 6 * MIB; /* the rest was given back */
	cr_assert_neq(gm_notice_next(&s, &told, where_is_it, line, sizeof line), 0);
	cr_expect(strstr(line, "it has 6 MiB") && !strstr(line, "fits"), "%s", line);
	told = 0;
	s.dev[0].needs_bytes = 8 * MIB;
	cr_assert_neq(gm_notice_next(&s, &told, where_is_it, line, sizeof line), 0);
	cr_expect(strstr(line, "fits from mem=8M on"), "%s", line);
}

/* ---- limits ---- */

static void limit_faults(uint64_t n, bool end)
{
	gmi_opt.limited = true;
	gmi_opt.limit_faults = n;
	gmi_opt.limit_end = end;
}

static unsigned char *first;
static bool eight_are_home(void)
{
	for (unsigned i = 0; i < 8; i++)
		if (where(first + i * DEV_PAGE) == GM_DEVICE) /* not: over the bus meanwhile */
			return false;
	return true;
}

Test(limit, pages_go_home_and_stay_there)
{
	open_one(DEV_MEM, DEV_PAGE);
	unsigned char *p = map_with(2 * MIB, PROT_READ | PROT_WRITE);
	limit_faults(8, false);
	pass(p, 7 * DEV_PAGE);
	gmc_background_turn(0);
	cr_assert_eq(where(p), GM_DEVICE, "not yet");
	cr_assert_eq(fake_write(&dev, p + 7 * DEV_PAGE, 7), 0);
	first = p;
	cr_expect(becomes(eight_are_home));
	uint64_t moved = atomic_load(&gmi_stats->h2d_bytes);
	cr_assert_eq(fake_write(&dev, p + 9 * DEV_PAGE, 9), 0);
	cr_assert_eq(fake_write(&dev, p, 3), 0);
	cr_expect_neq(where(p), GM_DEVICE);
	cr_expect_eq(p[0], 3);
	cr_expect_eq(p[9 * DEV_PAGE], 9);
	cr_expect_eq(atomic_load(&gmi_stats->h2d_bytes), moved);
	cr_expect_eq(atomic_load(&gmi_stats->limit), GM_LIMIT_FAULTS);
	close_all();
}

Test(limit, prefetching_moves_nothing_either)
{
	open_one(DEV_MEM, DEV_PAGE);
	unsigned char *p = map_with(2 * MIB, PROT_READ | PROT_WRITE);
	memset(p, 1, 2 * MIB);
	limit_faults(1, false);
	cr_assert_eq(fake_write(&dev, p, 1), 0);
	gmc_background_turn(0);
	uint64_t moved = atomic_load(&gmi_stats->h2d_bytes);
	hmadvise(gm_dev_hnid(dev.dev), p, 2 * MIB, MADV_PREFETCH);
	cr_expect_eq(atomic_load(&gmi_stats->h2d_bytes), moved);
	close_all();
}

Test(limit, the_program_is_ended_where_that_is_asked_for, .signal = SIGTERM)
{
	open_one(DEV_MEM, DEV_PAGE);
	unsigned char *p = map_with(2 * MIB, PROT_READ | PROT_WRITE);
	limit_faults(2, true);
	pass(p, 2 * DEV_PAGE);
	first = p;
	becomes(eight_are_home);
	sleep(20); /* the signal is another thread's */
}

Test(limit, time_is_looked_at_without_faults)
{
	atomic_store(&gmi_stats->start_ns, gmi_now_ns());
	gmi_opt.limited = true;
	gmi_opt.limit_ns = 20000000;
	cr_expect_not(gmc_limit_look());
	int64_t left = gmc_limit_in_ns();
	cr_assert(left > 0 && left <= 20000000);
	while (gmi_now_ns() - atomic_load(&gmi_stats->start_ns) < 20000000)
		;
	cr_expect(gmc_limit_look());
	cr_expect_not(gmc_limit_look(), "once");
	cr_expect_eq(gmc_limit_in_ns(), -1);
}
