/*
 * The device is not trusted: whatever a kernel writes into the control page, the program lives,
 * its memory outside the window is untouched, its data are what a right kernel could have made of
 * them, and the next launch works. And a device that does not answer is noticed.
 */
#include "bad_kernels.h"
#include "device.h"
#include <pthread.h>
#include <signal.h>

static const char *const deed_name[] = {
#define DEED(name) #name,
	BAD_DEEDS(DEED)
#undef DEED
};
static char secret[8] = "secret";
static const char file[] = "/tmp/gmem-test-trust-file";

static struct gm_sim *sim;
static int module;

static void open_with_bad_kernels(void)
{
	char path[4096];

	sim = open_device("pcie4-gpu,mem=8M,workers=2,page=4K");
	snprintf(path, sizeof path, "%s/test/device/bad_kernels.so", getenv("BUILD") ?: "build");
	cr_assert_eq(gm_sim_load(sim, path, &module), 0);
}

static int misbehave(enum bad_deed deed, unsigned char *p, size_t bytes)
{
	struct bad_args a = {deed, p, bytes, secret, file};
	struct gm_launch_result result = {0};
	int err = gm_sim_launch(sim, module, "misbehave", 1, &a, sizeof a, &result);

	return err == -ECANCELED ? result.kernel_code : err;
}

/* In a process of its own: a deed that succeeds ends it, and a hang ends by the alarm. */
static void do_deed(enum bad_deed deed)
{
	enum { BYTES = 4 << 20 };
	unsigned char *p;

	alarm(60);
	open_with_bad_kernels();
	p = managed(BYTES);
	memset(p, 7, BYTES);
	cr_assert_eq(hmadvise(gm_dev_hnid(gm_sim_dev(sim)), p, BYTES / 2, MADV_PREFETCH), 0);
	int err = misbehave(deed, p, BYTES);
	bool refused = deed >= BAD_TRUNCATE_MEMORY ||
		       (deed >= BAD_LONG_RUN_IN_FAULT && deed <= BAD_UNKNOWN_FAULT);
	cr_expect(!refused || err, "%s: done", deed_name[deed]);
	cr_expect_str_eq(secret, "secret", "%s", deed_name[deed]);
	for (size_t i = 1; i < BYTES; i += PAGE)
		cr_assert_eq(p[i], 7, "%s: byte %zu", deed_name[deed], i);
	/* The process may be found dead only by the next launch. */
	int next = 1;
	for (int i = 0; i < 3 && next; i++)
		next = misbehave(BAD_NOTHING, p, BYTES);
	cr_expect_eq(next, 0, "%s: the next launch: %d", deed_name[deed], next);
	device_set(sim, p, 9, BYTES);
	for (size_t i = 0; i < BYTES; i += PAGE)
		cr_assert_eq(p[i], 9);
	cr_expect_eq(gm_sim_close(sim), 0);
	cr_expect_neq(access(file, F_OK), 0);
}

#define DEED_TEST(name)                                                                            \
	Test(trust, name, .timeout = 90)                                                           \
	{                                                                                          \
		do_deed(BAD_##name);                                                               \
	}
BAD_DEEDS(DEED_TEST)

/* ---- a device that is stopped ---- */

struct spinning {
	unsigned char *p;
	uint64_t us;
	pthread_t thread;
	int err;
};

static void *spin(void *arg)
{
	struct spinning *s = arg;

	s->err = misbehave(BAD_SPIN, s->p, s->us);
	return NULL;
}

/* A kernel runs and has an entry for the first page: whoever takes that page waits for the
 * device. */
static void start_spinning(struct spinning *s)
{
	open_with_bad_kernels();
	s->p = managed(MIB);
	memset(s->p, 7, MIB);
	pthread_create(&s->thread, NULL, spin, s);
	while (((volatile unsigned char *)s->p)[PAGE] != 1)
		usleep(100);
}

static void go_on(int sig)
{
	kill(gmi_sim_pid(sim), SIGCONT);
}

/* The device goes on only because the program's handler runs while a CPU fault waits for it. */
Test(trust, signals_come_while_the_device_is_stopped, .timeout = 120)
{
	struct spinning s = {.us = 1000000};

	start_spinning(&s);
	signal(SIGALRM, go_on);
	kill(gmi_sim_pid(sim), SIGSTOP);
	alarm(1);
	cr_expect_eq(s.p[0], 8);
	pthread_join(s.thread, NULL);
	cr_expect_eq(s.err, 0);
	cr_expect_eq(gm_sim_close(sim), 0);
}

/* With a watchdog it is taken for lost: the call ends, the data are there. */
Test(trust, the_watchdog_ends_a_silent_device, .timeout = 120)
{
	struct spinning s = {.us = 600000000};

	gmi_opt.watchdog_s = 6;
	start_spinning(&s);
	kill(gmi_sim_pid(sim), SIGSTOP);
	pthread_join(s.thread, NULL);
	cr_expect_eq(s.err, -EIO);
	cr_expect_eq(s.p[0], 8);
	cr_expect_eq(misbehave(BAD_NOTHING, s.p, MIB), 0);
	cr_expect_eq(gm_sim_close(sim), 0);
}
