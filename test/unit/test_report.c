/*
 * The report says what was counted, however the process ends, and no report overwrites another
 * one's file.
 *
 * Each case forks a process that counts known numbers. Linked with libgmem.so, beside which
 * gmem-report is found.
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>
#include "core/count/stats.h"

static char dir[64], file[128];

static void setup(void)
{
	strcpy(dir, "/tmp/gmem-test-XXXXXX");
	cr_assert(mkdtemp(dir));
	snprintf(file, sizeof file, "%s/r.json", dir);
}

static void teardown(void)
{
	char cmd[128];

	snprintf(cmd, sizeof cmd, "rm -rf %s", dir);
	cr_assert_eq(system(cmd), 0);
}

TestSuite(report, .init = setup, .fini = teardown, .timeout = 60);

/* In a fresh child: as after a fork under the preload, with a report to file. */
static void begin(void)
{
	gmi_report_forked();
	gmi_opt.report = GM_REPORT_JSON;
	gmi_opt.report_given = true;
	snprintf(gmi_opt.report_file, sizeof gmi_opt.report_file, "%s", file);
}

static void count(void)
{
	GM_COUNT(h2d_bytes, 65536);
	GM_COUNT(h2d_pages, 16);
	for (int i = 0; i < 100; i++)
		gm_hist_add(&gmi_stats->cpu_fault_ns, i < 98 ? 1000 : 50000);
	GM_COUNT(cpu_faults, 100);
	gmi_gauge_add(&gmi_stats->managed_bytes, &gmi_stats->managed_peak_bytes, 1 << 20);
	gmi_gauge_add(&gmi_stats->managed_bytes, &gmi_stats->managed_peak_bytes, -(1 << 20));
}

static int run(void (*body)(void))
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		begin();
		body();
		/* as the destructor: Criterion's own exit handlers are not ours to run */
		gmi_report_finish();
		_exit(0);
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	return status;
}

/* The reporter holds the lock until it has ended; it removes the lock's file when the report is
 * written. */
static void wait_for_reporter(void)
{
	char lock[160];

	snprintf(lock, sizeof lock, "%s.lock", file);
	int fd = open(lock, O_RDWR);
	if (fd >= 0) {
		cr_assert_eq(flock(fd, LOCK_EX), 0);
		close(fd);
	}
}

static const char *load(const char *path)
{
	static char text[16384];
	FILE *f = fopen(path, "r");

	cr_assert(f, "no %s", path);
	text[fread(text, 1, sizeof text - 1, f)] = 0;
	fclose(f);
	return text;
}

static void says(const char *text, const char *key, long value)
{
	char want[100];

	snprintf(want, sizeof want, "\"%s\": %ld", key, value);
	const char *at = strstr(text, want);
	cr_assert(at && !strchr("0123456789", at[strlen(want)]), "no %s in %s", want, text);
}

static const char *ended(const char *how)
{
	char want[40];

	wait_for_reporter();
	const char *text = load(file);
	snprintf(want, sizeof want, "\"ended\": \"%s\"", how);
	/* Before Linux 6.15 nobody may know any more how a reaped process ended. */
	cr_assert(strstr(text, want) || strstr(text, "\"ended\": \"unknown\""), "not %s: %s", want,
		  text);
	says(text, "h2d_bytes", 65536);
	return text;
}

static void start_and_count(void)
{
	cr_assert_eq(gmi_report_start(), 0);
	count();
}

Test(report, a_normal_end_has_the_report_written_before_it)
{
	cr_assert_eq(run(start_and_count), 0);
	const char *text = load(file); /* no waiting */
	cr_assert(strstr(text, "\"ended\": \"exit\""));
	says(text, "h2d_bytes", 65536);
	says(text, "h2d_pages", 16);
	says(text, "d2h_bytes", 0);
	says(text, "count", 100);
	says(text, "bytes_peak", 1 << 20);
	const char *p50 = strstr(text, "\"p50_ns\": "), *p99 = strstr(text, "\"p99_ns\": ");
	cr_assert_float_eq(atof(p50 + 10), 1000, 70);
	cr_assert_float_eq(atof(p99 + 10), 50000, 3500);
}

static void count_and_start(void)
{
	count();
	cr_assert_eq(gmi_report_start(), 0);
	cr_assert_eq(gmi_report_start(), 0, "once is enough");
}

Test(report, counts_from_before_the_start_are_in_it)
{
	cr_assert_eq(run(count_and_start), 0);
	says(load(file), "h2d_bytes", 65536);
	says(load(file), "bytes_peak", 1 << 20);
}

static void leave_at_once(void)
{
	start_and_count();
	_exit(7);
}
static void be_killed(void)
{
	start_and_count();
	raise(SIGKILL);
}
static void do_abort(void)
{
	start_and_count();
	signal(SIGABRT, SIG_DFL);
	abort();
}
static void become_true(void)
{
	start_and_count();
	execl("/bin/true", "true", (char *)NULL);
}

Test(report, survives_exit_group)
{
	cr_assert_eq(WEXITSTATUS(run(leave_at_once)), 7);
	ended("exit");
}
Test(report, survives_sigkill)
{
	cr_assert_eq(WTERMSIG(run(be_killed)), SIGKILL);
	ended("signal");
}
Test(report, survives_abort)
{
	cr_assert_eq(WTERMSIG(run(do_abort)), SIGABRT);
	ended("signal");
}
Test(report, ends_at_exec)
{
	cr_assert_eq(run(become_true), 0);
	wait_for_reporter();
	says(load(file), "h2d_bytes", 65536);
	/* "exec", unless true was faster than the reporter */
	cr_assert_null(strstr(load(file), "\"ended\": \"signal\""));
}

static void with_a_child(void)
{
	start_and_count();
	pid_t pid = fork();
	if (pid == 0) {
		begin();
		cr_assert_eq(gmi_stats->h2d_bytes, 0, "counters are fresh");
		GM_COUNT(h2d_bytes, 4096);
		cr_assert_eq(gmi_report_start(), 0);
		gmi_report_finish();
		_exit(0);
	}
	waitpid(pid, NULL, 0);
	char path[256];
	snprintf(path, sizeof path, "%s/r.%d.json", dir, pid);
	says(load(path), "h2d_bytes", 4096);
	says(load(path), "pid", pid);
	cr_assert_neq(access(file, F_OK), 0,
		      "the child's came first, but the name is the parent's");
}

Test(report, a_child_has_a_file_of_its_own)
{
	cr_assert_eq(run(with_a_child), 0);
	says(load(file), "h2d_bytes", 65536);
}

static void keep_gauge(void)
{
	gmi_gauge_add(&gmi_stats->managed_bytes, &gmi_stats->managed_peak_bytes, 12345);
	gmi_report_forked();
	cr_assert_eq(gmi_stats->managed_bytes, 12345);
	cr_assert_eq(gmi_stats->managed_peak_bytes, 12345);
	cr_assert_eq(gmi_stats->forks, 0);
}

Test(report, a_child_still_has_the_memory_it_inherited)
{
	cr_assert_eq(run(keep_gauge), 0);
}

enum { THREADS = 3, ROUNDS = 20000 };

static void *hammer(void *arg)
{
	for (int i = 0; i < ROUNDS; i++)
		GM_COUNT(d2h_pages, 1);
	return NULL;
}

static void start_under_fire(void)
{
	pthread_t t[THREADS];

	for (int i = 0; i < THREADS; i++)
		pthread_create(&t[i], NULL, hammer, NULL);
	cr_assert_eq(gmi_report_start(), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
}

Test(report, no_count_is_lost_while_the_counters_move)
{
	for (int i = 0; i < 20; i++) {
		cr_assert_eq(run(start_under_fire), 0);
		says(load(file), "d2h_pages", THREADS * ROUNDS);
	}
}

static void to_nowhere(void)
{
	int fd = open(file, O_WRONLY | O_CREAT, 0600);

	dup2(fd, 2);
	snprintf(gmi_opt.report_file, sizeof gmi_opt.report_file, "%s/nodir/r.json", dir);
	if (gmi_report_start())
		_exit(1);
	count();
}

Test(report, an_impossible_file_makes_it_a_text)
{
	cr_assert_eq(run(to_nowhere), 0);
	cr_assert(strstr(load(file), "nodir/r.json.lock cannot be used"));
	cr_assert(strstr(load(file), "managed memory"), "%s", load(file));
}

static void none(void)
{
	gmi_opt.report = GM_REPORT_NONE;
	start_and_count();
}

Test(report, none_writes_nothing)
{
	cr_assert_eq(run(none), 0);
	cr_assert_neq(access(file, F_OK), 0);
}

static void text_to_file(void)
{
	int fd = open(file, O_WRONLY | O_CREAT, 0600);

	dup2(fd, 2);
	gmi_opt.report = GM_REPORT_TEXT;
	snprintf(gmi_stats->dev[0].name, 64, "toy");
	gmi_stats->dev[0].mem_bytes = 1 << 30;
	gmi_stats->dev[0].page_bytes = 65536;
	gmi_stats->ndev = 1;
	start_and_count();
	atomic_fetch_add(&gmi_stats->dev[0].modelled_ns, 1500000);
	/* what the program does to its stderr later does not matter */
	dup2(open("/dev/null", O_WRONLY), 2);
}

Test(report, text_goes_to_the_stderr_of_the_start)
{
	cr_assert_eq(run(text_to_file), 0);
	const char *text = load(file);
	cr_assert(strstr(text, "device toy, 1 GiB memory, 64 KiB pages"), "%s", text);
	cr_assert(strstr(text, "64 KiB   16 pages"), "%s", text);
	cr_assert(strstr(text, "1.50 ms   what the modelled hardware"), "%s", text);
}

static void partly_modelled(void)
{
	text_to_file();
	gmi_stats->dev[0].unmodelled = 2;
	gmi_stats->dev[0].kernels = 3;
	gmi_stats->dev[0].fault_ns = 900000;
	gmi_stats->dev[0].link_ns = 600000;
}

Test(report, a_sum_that_lacks_a_part_is_not_printed_as_the_whole)
{
	cr_assert_eq(run(partly_modelled), 0);
	const char *text = load(file);
	cr_assert(strstr(text, "not known   2 of 3 launches"), "%s", text);
	cr_assert(strstr(text, "far faults 900 us, transfers 600 us\n"), "%s", text);
	cr_assert(!strstr(text, "1.50 ms   "), "%s", text);
	cr_assert(strstr(text, "moving data alone 1.50 ms as it ran"), "%s", text);
}

static void means_of_launches(void)
{
	text_to_file();
	struct gm_kernel_stats *k = &gmi_stats->kernel[gmi_kernel_row(0, "k")];
	k->launches = 100;
	k->estimated = 96;
	k->samples = 4; /* of 10, 10, 12, 12 pages: two standard errors are 1.15 of 11 */
	k->remote_pages = 44;
	k->remote_pages2 = 488;
	gmi_stats->dev[0].estimated = 96;
	gmi_stats->dev[0].bus_bytes = 1100 * 4096;
	gmi_stats->dev[0].bus_ns = 1500000; /* all of the time */
	k->bus_bytes = 1100 * 4096;
	k->bus_ns = 1500000;
	k->modelled_ns = 1500000;
}

Test(report, means_say_how_far_they_may_be_off)
{
	cr_assert_eq(run(means_of_launches), 0);
	cr_assert(strstr(load(file), "not measured; sampled +-11 %"), "%s", load(file));
	cr_assert(strstr(load(file), "k (sampled +-11 %)"), "%s", load(file));
}

static void means_that_matter_little(void)
{
	means_of_launches();
	/* most of what the only kernel is charged was counted */
	gmi_stats->kernel[gmi_kernel_row(0, "k")].bus_ns /= 15;
}

/* The row of the only kernel and the total are shares of the same time. */
Test(report, a_kernel_and_the_total_say_the_same_of_the_same_launches)
{
	cr_assert_eq(run(means_that_matter_little), 0);
	cr_assert(strstr(load(file), "not measured; sampled +-1 %"), "%s", load(file));
	cr_assert(strstr(load(file), "k (sampled +-1 %)"), "%s", load(file));
}

static void *launch_on(void *arg)
{
	struct gm_kernel_stats *k = &gmi_stats->kernel[gmi_kernel_row(0, "k")];

	for (;;) {
		atomic_fetch_add(&gmi_stats->dev[0].kernels, 1);
		atomic_fetch_add(&k->launches, 1);
		usleep(200);
	}
	return arg;
}

/* Names are looked up between the device's numbers and the kernels'. */
static void end_while_others_launch(void)
{
	pthread_t t;

	gmi_report_start();
	gmi_stats->ndev = 1;
	snprintf(gmi_stats->module[1], sizeof gmi_stats->module[1], "/proc/self/exe");
	for (unsigned i = 1; i < 6; i++) {
		struct gm_site_stats *s = &gmi_stats->site[i];
		s->frame[0] = 1ull << 48 | 0x1000 * i;
		s->h2d_bytes = 4096;
	}
	cr_assert_eq(pthread_create(&t, NULL, launch_on, NULL), 0);
	while (!atomic_load(&gmi_stats->kernel[gmi_kernel_row(0, "k")].launches))
		usleep(100);
}

Test(report, all_numbers_are_of_one_time)
{
	const char *at;
	long device, kernel;

	cr_assert_eq(run(end_while_others_launch), 0);
	const char *json = load(file);
	cr_assert((at = strstr(json, "\"kernels\":")) && sscanf(at + 10, "%ld", &device) == 1);
	cr_assert((at = strstr(json, "\"launches\":")) && sscanf(at + 11, "%ld", &kernel) == 1);
	cr_expect_leq(labs(device - kernel), 1, "%ld and %ld launches", device, kernel);
}

static void three_ways(void)
{
	text_to_file();
	struct gm_dev_stats *d = &gmi_stats->dev[0];
	struct gm_kernel_stats *k = &gmi_stats->kernel[gmi_kernel_row(0, "sweep")];
	d->kernels = k->launches = 2;
	d->link_ns = 1200000;
	d->kernel_ns = 300000;
	d->copies_ns = 4000000;
	k->wall_ns = 9000000;
	d->served_ns = 2000000;
	d->evicted_bytes = 3 << 20;
	k->h2d_bytes = d->h2d_bytes = 4 << 20;
	k->refetched_bytes = d->refetched_bytes = 3 << 20;
}

Test(report, the_bottom_line_compares_three_ways_and_says_why)
{
	cr_assert_eq(run(three_ways), 0);
	const char *text = load(file);
	cr_assert(strstr(text, "1.50 ms   as it ran, 4 ms with explicit copies"), "%s", text);
	cr_assert(strstr(text, "this machine's CPUs took 7 ms (measured)"), "%s", text);
	cr_assert(strstr(text, "thrashes: each byte moved in 4.0 times, most for sweep"), "%s",
		  text);
	cr_assert(strstr(text, "bound by the link (80 %)"), "%s", text);
}

Test(report, a_saved_report_reads_the_same)
{
	char cmd[400], out[160];

	cr_assert_eq(run(start_and_count), 0);
	snprintf(out, sizeof out, "%s/out", dir);
	snprintf(cmd, sizeof cmd, "$(dirname $(readlink /proc/%d/exe))/../../gmem-report %s > %s",
		 getpid(), file, out);
	cr_assert_eq(system(cmd), 0);
	cr_assert(strstr(load(out), "managed memory         1 MiB   at the peak"), "%s", load(out));
}
