/*
 * Launching: every block runs once, results and errors come back, a kernel that fails never
 * harms the program.
 */
#include "device.h"
#include "kernels.h"
#include "devsim/driver/sim_int.h"
#include "test/threads.h"
#include <dirent.h>
#include <pthread.h>
#include <sys/time.h>
#include <unistd.h>

static struct gm_sim *sim;
static int module;

static void set_up(void)
{
	sim = open_device("pcie4-gpu,mem=64M,workers=3");
	cr_assert_eq(gm_sim_load(sim, beside_program("kernels.so"), &module), 0);
}
static void tear_down(void)
{
	cr_expect_eq(gm_sim_close(sim), 0);
}
TestSuite(launch, .init = set_up, .fini = tear_down, .timeout = 60);

Test(launch, every_block_runs_once)
{
	enum { BLOCKS = 1000 };
	_Atomic uint32_t *counts = managed(BLOCKS * sizeof *counts + sizeof *counts);
	struct count_args a = {counts, counts + BLOCKS};

	cr_assert_eq(gm_sim_launch(sim, module, "count_blocks", BLOCKS, &a, sizeof a, NULL), 0);
	for (int i = 0; i < BLOCKS; i++)
		cr_assert_eq(counts[i], 1, "block %d ran %u times", i, counts[i]);
	cr_expect_lt(counts[BLOCKS], 1u << 3);
}

Test(launch, pointers_inside_data_are_valid_on_the_device)
{
	enum { NODES = 5000 };
	struct node *nodes = managed(NODES * sizeof *nodes);
	struct list_args a = {nodes};
	long sum = 0;

	for (int i = 0; i < NODES;
	     i++) { /* 1009 is prime to 5000: a chain through all of them, all over the pages */
		nodes[(i * 1009) % NODES] = (struct node){
			i + 1 < NODES ? &nodes[((i + 1) * 1009) % NODES] : NULL, i + 1, 0};
		sum += i + 1;
	}
	cr_assert_eq(gm_sim_launch(sim, module, "walk_list", 1, &a, sizeof a, NULL), 0);
	cr_expect_eq(nodes[0].sum, sum);
	for (int i = 0; i < NODES; i++)
		cr_assert_lt(nodes[i].value, 0);
}

Test(launch, unknown_kernels_and_modules_are_errors)
{
	int m = 7;
	char path[4096];

	cr_expect_eq(gm_sim_launch(sim, 0, "no_such_kernel", 1, NULL, 0, NULL), -ENOENT);
	cr_expect_eq(gm_sim_launch(sim, module, "no_such_kernel", 1, NULL, 0, NULL), -ENOENT);
	cr_expect_eq(gm_sim_launch(sim, 31, "walk_list", 1, NULL, 0, NULL), -ENOENT);
	cr_expect_eq(gm_sim_load(sim, "/no/such/module.so", &m), -ENOENT);
	cr_expect_eq(m, -1);
	cr_expect_eq(gm_sim_load(sim, "/proc/self/cmdline", &m), -ENOEXEC);
	snprintf(path, sizeof path, "%s", beside_program("kernels.so"));
	cr_expect_eq(gm_sim_load(sim, path, &m), 0);
	cr_expect_eq(m, module, "the same module twice");
}

Test(launch, bad_arguments)
{
	char big[GM_LAUNCH_ARGS_MAX + 1] = "";
	struct gm_sim *other;
	int m;

	cr_expect_eq(gm_sim_launch(NULL, 0, "memset", 1, NULL, 0, NULL), -EINVAL);
	cr_expect_eq(gm_sim_launch(sim, 0, NULL, 1, NULL, 0, NULL), -EINVAL);
	cr_expect_eq(gm_sim_launch(sim, 0, "memset", 0, NULL, 0, NULL), -EINVAL);
	cr_expect_eq(gm_sim_launch(sim, 0, "memset", 1, NULL, 8, NULL), -EINVAL);
	cr_expect_eq(gm_sim_launch(sim, 0, "memset", 1, big, sizeof big, NULL), -EINVAL);
	cr_expect_eq(gm_sim_launch(sim, -1, "memset", 1, NULL, 0, NULL), -EINVAL);
	cr_expect_eq(gm_sim_load(sim, "", &m), -EINVAL);
	cr_expect_eq(gm_sim_open("no-such-device", &other), -EINVAL);
	cr_expect_eq(gm_sim_attach(sim, gm_as_default()), -EEXIST);
	cr_expect_null(gm_sim_dev(NULL));
	cr_expect_eq(gm_sim_close(NULL), -EINVAL);
}

Test(launch, a_failing_block_fails_the_launch)
{
	struct gm_launch_result r;

	cr_expect_eq(gm_sim_launch(sim, module, "refuse", 100, NULL, 0, &r), -ECANCELED);
	cr_expect_eq(r.kernel_code, 42);
	cr_expect_eq(gm_sim_launch(sim, module, "divide", 1, NULL, 0, &r), -ECANCELED);
	cr_expect_eq(r.kernel_code, 128 + SIGFPE);
	cr_expect_eq(gm_sim_launch(sim, module, "trap", 5, NULL, 0, &r), -ECANCELED);
	cr_expect_eq(r.kernel_code, 128 + SIGILL);
	device_set(sim, managed(PAGE), 1, PAGE);
}

Test(launch, bad_address)
{
	static char outside[64];
	char *p = managed(4 * MIB);
	struct gm_launch_result r;
	int pid = gmi_sim_pid(sim);
	struct ds_mem_args a = {.dst = outside, .bytes = 1};

	cr_expect_eq(launch_mem(sim, "memset", 1, a, &r), -EFAULT);
	cr_expect_eq(r.fault_addr, (uintptr_t)outside);
	gm_munmap(p + 2 * MIB, MIB);
	a = (struct ds_mem_args){.dst = p, .bytes = 4 * MIB, .value = 3};
	cr_expect_eq(launch_mem(sim, "memset", 1, a, &r), -EFAULT);
	cr_expect_eq(r.fault_addr & ~(PAGE - 1), (uintptr_t)p + 2 * MIB);
	cr_expect(all_bytes(p, 3, 2 * MIB));
	cr_expect_eq(gmi_sim_pid(sim), pid, "the process lives on");
}

static void *launch_many(void *arg)
{
	char *p = managed(MIB);

	for (int i = 1; i <= 50; i++) {
		device_set(sim, p, i, MIB);
		cr_assert(all_bytes(p, i, MIB));
	}
	return arg;
}

Test(launch, from_several_threads)
{
	in_four_threads(launch_many);
}

enum { MEETINGS = 400, MEMBERS = 3 };
static _Atomic uint32_t *meetings;

static void *go_to_meetings(void *arg)
{
	for (int i = 0; i < MEETINGS; i++) {
		struct meet_args a = {&meetings[i], MEMBERS};
		int err = gm_sim_launch(sim, module, "meet", 1, &a, sizeof a, NULL);
		cr_assert_eq(err, 0, "meeting %d: %d", i, err);
		if (i % 16 == 0) /* every worker falls asleep, and must be called */
			usleep(300);
	}
	return arg;
}

/* No launch waits in the queue while a worker is idle. */
Test(launch, launches_that_come_together_run_together)
{
	pthread_t t[MEMBERS];

	meetings = managed(MEETINGS * sizeof *meetings);
	for (int i = 0; i < MEMBERS; i++)
		pthread_create(&t[i], NULL, go_to_meetings, NULL);
	for (int i = 0; i < MEMBERS; i++)
		pthread_join(t[i], NULL);
}

static struct converse_args talk;
static volatile sig_atomic_t alarms;

static void answer_kernel(int sig)
{
	*talk.data = 1;
	atomic_store(talk.told, 1);
	alarms++;
}

/* The kernel goes on only when the handler of the thread that waits for it has run. */
Test(launch, signals_come_while_a_kernel_runs)
{
	_Atomic uint64_t *words = managed(PAGE);

	talk = (struct converse_args){
		.told = words, .answer = words + 1, .data = (void *)(words + 2), .turns = 1};
	signal(SIGALRM, answer_kernel);
	setitimer(ITIMER_REAL, &(struct itimerval){.it_value.tv_usec = 20000}, NULL);
	cr_assert_eq(gm_sim_launch(sim, module, "converse", 1, &talk, sizeof talk, NULL), 0);
	cr_expect_eq(words[1], 1);
	cr_expect_eq(alarms, 1);
}

/* Kernels that end before their thread would sleep: blocked signals are let in, and stay so. */
Test(launch, short_kernels_leave_signals_as_they_are)
{
	_Atomic uint64_t *words = managed(PAGE);
	struct count_up_args a = {.word = words, .times = 1};
	sigset_t usr, before = {{0}}, after = {{0}};

	talk = (struct converse_args){.told = words + 1, .data = (void *)(words + 2)};
	signal(SIGALRM, answer_kernel);
	sigemptyset(&usr);
	sigaddset(&usr, SIGUSR2);
	sigprocmask(SIG_BLOCK, &usr, NULL);
	sigprocmask(SIG_BLOCK, NULL, &before);
	setitimer(ITIMER_REAL, &(struct itimerval){{.tv_usec = 500}, {.tv_usec = 500}}, NULL);
	for (int i = 1; i <= 3000 || alarms < 3; i++) {
		cr_assert_eq(gm_sim_launch(sim, module, "count_up", 1, &a, sizeof a, NULL), 0);
		cr_assert_eq(*words, (uint64_t)i);
	}
	setitimer(ITIMER_REAL, &(struct itimerval){0}, NULL);
	sigprocmask(SIG_BLOCK, NULL, &after);
	cr_expect_eq(memcmp(&before, &after, sizeof before), 0);
}

Test(launch, work_is_counted_and_modelled)
{
	char *p = managed(MIB);
	struct gm_launch_result r;
	struct gm_dev_stats *s = &gmi_stats->dev[0];
	uint64_t kernels = s->kernels, modelled = s->modelled_ns;

	device_set(sim, p, 1, MIB);
	struct ds_mem_args a = {.dst = p, .bytes = MIB, .value = 2};
	cr_assert_eq(launch_mem(sim, "memset", 1, a, &r), 0);
	cr_expect_eq(s->kernels, kernels + 2);
	/* a launch (4 us) and 1 MiB at 1555 GB/s */
	cr_expect_eq(r.modelled_ns, 4000 + (uint64_t)(1048576 / 1555.0));
	cr_expect_gt(s->modelled_ns, modelled + 2 * r.modelled_ns);
	cr_expect_gt(r.wall_ns, 0);
}

/* How often the threads of a process gave the CPU up, the calling one not counted: each wakes as
 * often. */
static long sleeps_of(int pid)
{
	char dir[64], path[400], line[256];
	long sum = 0;

	snprintf(dir, sizeof dir, "/proc/%d/task", pid);
	DIR *tasks = opendir(dir);
	cr_assert(tasks, "%s", dir);
	for (struct dirent *e; (e = readdir(tasks));) {
		if (e->d_name[0] == '.' || atoi(e->d_name) == (int)gettid())
			continue;
		snprintf(path, sizeof path, "%s/%s/status", dir, e->d_name);
		FILE *f = fopen(path, "r");
		for (long n; f && fgets(line, sizeof line, f);)
			if (sscanf(line, "voluntary_ctxt_switches: %ld", &n) == 1)
				sum += n;
		if (f)
			fclose(f);
	}
	closedir(tasks);
	return sum;
}

static long sleeps(void)
{
	return sleeps_of(getpid()) + sleeps_of(sim->pid);
}

/* The host's threads, the device's and its workers: with pages away, fetched, thrashing and
 * evicted before. */
Test(launch, nothing_of_ours_wakes_when_nothing_runs)
{
	unsigned char *p = managed(96 * MIB);
	const struct timespec settle = {.tv_nsec = 300000000}, idle = {.tv_nsec = 500000000};

	for (int round = 0; round < 3; round++) {
		device_set(sim, p, round, 96 * MIB);
		cr_assert_eq(p[0] + p[95 * MIB], 2 * round);
		p[0] = 9;
	}
	cr_assert_gt(sim->pid, 0);
	long before, woken = 1;
	/* what was begun may take its time on a loaded machine; a poll never ends */
	for (int i = 0; i < 20 && woken; i++) {
		nanosleep(&settle, NULL);
		before = sleeps();
		nanosleep(&idle, NULL);
		woken = sleeps() - before;
	}
	cr_expect_eq(woken, 0, "%ld times in half a second", woken);
}
