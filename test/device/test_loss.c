/*
 * device_loss: gmem-devsim is killed at any moment. The program goes on, the data are right or
 * the launch says that it failed, and the next launch runs on a fresh process.
 */
#include "device.h"
#include "kernels.h"
#include <fcntl.h>
#include <pthread.h>

DEVICE_SUITE(loss, 120);

static void kill_device(void)
{
	int pid = gmi_sim_pid(sim);

	cr_assert_gt(pid, 0);
	kill(pid, SIGKILL);
}

Test(loss, idle)
{
	char *p = managed(4 * MIB);

	for (int i = 1; i <= 5; i++) {
		device_set(sim, p, i, 4 * MIB);
		kill_device();
		if (i % 2) { /* noticed by the launch, or by a CPU fault before it */
			cr_assert(all_bytes(p, i, 4 * MIB));
		}
		device_set(sim, p + MIB, 100 + i, MIB);
		cr_assert(all_bytes(p, i, MIB) && all_bytes(p + MIB, 100 + i, MIB) &&
			  all_bytes(p + 2 * MIB, i, 2 * MIB));
	}
	cr_expect_eq(gmi_stats->dev[0].restarts, 5);
}

static void *kill_soon(void *arg)
{
	usleep(*(useconds_t *)arg);
	kill(gmi_sim_pid(sim), SIGKILL);
	return NULL;
}

/* Runs the kernel while somebody kills the process after a random time; returns the launch's
 * result. */
static int launch_under_fire(const char *kernel, struct ds_mem_args a, useconds_t within_us)
{
	useconds_t after = (useconds_t)rand() % within_us;
	pthread_t t;

	pthread_create(&t, NULL, kill_soon, &after);
	int err = launch_mem(sim, kernel, 4, a, NULL);
	pthread_join(t, NULL);
	return err;
}

Test(loss, during_a_kernel)
{
	struct ds_mem_args spin = {.value = 300000};
	char *p = managed(MIB);

	for (int i = 0; i < 5; i++) {
		device_set(sim, p, i, MIB);
		cr_expect_eq(launch_under_fire("spin", spin, 20000), -EIO);
		cr_assert(all_bytes(p, i, MIB));
	}
}

/* Faults, evictions, replies: 80 MiB through a device of 64 MiB. What was not reported as
 * written is either old or new. */
Test(loss, during_faults)
{
	enum { BYTES = 80 << 20 };
	unsigned char *p = managed(BYTES);

	srand(1);
	memset(p, 0, BYTES);
	device_set(sim, p, 0, MIB);
	for (int i = 1; i <= 25; i++) {
		struct ds_mem_args a = {.dst = p, .bytes = BYTES, .value = (uint64_t)i};
		int err = launch_under_fire("memset", a, 60000);
		cr_assert(err == 0 || err == -EIO, "%d", err);
		for (size_t k = 0; k < BYTES; k += 512)
			cr_assert(err ? p[k] <= i : p[k] == i, "turn %d, byte %zu is %d", i, k,
				  p[k]);
		device_set(sim, p, i, BYTES);
		for (size_t k = 0; k < BYTES; k += 4096)
			cr_assert_eq(p[k], i);
	}
}

struct touching {
	volatile unsigned char *p;
	size_t bytes;
	_Atomic bool stop;
};
static void *touch(void *arg)
{
	struct touching *t = arg;

	for (size_t i = 0; !atomic_load(&t->stop); i = (i + 12347 * PAGE) % t->bytes)
		t->p[i + 1]++;
	return NULL;
}

/* CPU faults wait for a device that dies meanwhile. */
Test(loss, while_the_cpu_takes_pages)
{
	struct touching t = {.p = managed(16 * MIB), .bytes = 16 * MIB};
	struct ds_mem_args a = {.dst = (void *)t.p, .bytes = t.bytes, .stride = PAGE};
	pthread_t thread;

	srand(2);
	memset((void *)t.p, 0, t.bytes);
	device_set(sim, (void *)t.p, 0, MIB);
	pthread_create(&thread, NULL, touch, &t);
	for (int i = 1; i <= 15; i++) {
		a.value = (uint64_t)i;
		int err = launch_under_fire("touch_write", a, 30000);
		cr_assert(err == 0 || err == -EIO, "%d", err);
		cr_assert_eq(launch_mem(sim, "touch_write", 4, a, NULL), 0);
		for (size_t k = 0; k < t.bytes; k += PAGE)
			cr_assert_eq(t.p[k], i);
	}
	atomic_store(&t.stop, true);
	pthread_join(thread, NULL);
}

Test(loss, a_kernel_that_exits)
{
	int module;
	struct count_args a = {NULL, NULL};

	cr_assert_eq(gm_sim_load(sim, beside_program("kernels.so"), &module), 0);
	cr_expect_eq(gm_sim_launch(sim, module, "leave", 1, &a, sizeof a, NULL), -EIO);
	_Atomic uint32_t *n = managed(PAGE);
	a = (struct count_args){n, n + 1};
	cr_expect_eq(gm_sim_launch(sim, module, "count_blocks", 1, &a, sizeof a, NULL), 0,
		     "modules come back");
	cr_expect_eq(n[0], 1);
}

/* ---- what the process looks like from outside ---- */

static bool gone(int pid)
{
	for (int i = 0; i < 500 && kill(pid, 0) == 0; i++)
		usleep(10000);
	return kill(pid, 0) != 0;
}

Test(loss, the_process_ends_with_the_device)
{
	struct gm_sim *other = open_device("pcie4-gpu,mem=64M");

	device_set(other, managed(PAGE), 1, PAGE);
	int pid = gmi_sim_pid(other);
	cr_assert_eq(gm_sim_close(other), 0);
	cr_expect(gone(pid));
}

static int read_file(int pid, const char *name, char *buf, int bytes)
{
	char path[64];

	snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
	int fd = open(path, O_RDONLY);
	int n = fd < 0 ? -1 : (int)read(fd, buf, (size_t)bytes);
	close(fd);
	return n;
}

Test(loss, the_process_is_invisible_and_clean)
{
	char env[65536];

	setenv("NOT_FROM_THE_START", "1", 1);
	device_set(sim, managed(PAGE), 1, PAGE);
	int pid = gmi_sim_pid(sim);
	int n = read_file(pid, "environ", env, sizeof env);
	for (int i = 0; i < n; i += (int)strlen(env + i) + 1) {
		cr_expect_neq(strncmp(env + i, "LD_PRELOAD=", 11), 0);
		cr_expect_neq(strncmp(env + i, "GMEM_", 5), 0);
	}
	cr_expect_neq(getsid(pid), getsid(0));
}
