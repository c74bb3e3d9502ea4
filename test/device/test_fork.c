/*
 * After fork the child has the parent's data and no device, but may use one: its handle brings
 * up a device of its own.
 */
#include "device.h"
#include <sys/wait.h>

DEVICE_SUITE(device_fork, 60);

/* Criterion's assertions belong to the test's own process: the child's verdict is its exit
 * status. */
static int verdict(pid_t pid)
{
	int status = -1;

	cr_assert_eq(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 256 + status;
}

static int set(char *p, int byte, size_t bytes)
{
	struct ds_mem_args a = {.dst = p, .bytes = bytes, .value = (uint64_t)byte};

	return launch_mem(sim, "memset", 4, a, NULL);
}

Test(device_fork, anon_write_child)
{
	char *p = managed(8 * MIB);

	device_set(sim, p, 1, 8 * MIB);
	for (size_t i = 0; i < 2 * MIB; i += PAGE)
		p[i] = 2; /* some on the host, most on the device */
	pid_t pid = fork();
	if (!pid) {
		if (p[0] != 2 || p[1] != 1 || !all_bytes(p + 4 * MIB, 1, 4 * MIB))
			_exit(1);
		if (set(p, 3, 4 * MIB) || !all_bytes(p, 3, 4 * MIB))
			_exit(2);
		_exit(all_bytes(p + 4 * MIB, 1, 4 * MIB) ? 0 : 3);
	}
	cr_expect_eq(verdict(pid), 0);
	cr_expect(p[0] == 2 && p[1] == 1 && all_bytes(p + 2 * MIB, 1, 6 * MIB));
	device_set(sim, p, 4, 8 * MIB);
	cr_expect(all_bytes(p, 4, 8 * MIB));
}

Test(device_fork, both_sides_go_on_with_devices_of_their_own)
{
	char *p = managed(MIB);

	device_set(sim, p, 1, MIB);
	int parents = gmi_sim_pid(sim);
	pid_t pid = fork();
	if (!pid) {
		for (int i = 2; i < 20; i++)
			if (set(p, i, MIB) || !all_bytes(p, i, MIB))
				_exit(1);
		_exit(gmi_sim_pid(sim) == parents ? 2 : 0);
	}
	for (int i = 20; i < 40; i++) {
		device_set(sim, p, i, MIB);
		cr_assert(all_bytes(p, i, MIB));
	}
	cr_expect_eq(verdict(pid), 0);
	cr_expect_eq(gmi_sim_pid(sim), parents);
}

Test(device_fork, a_grandchild)
{
	char *p = managed(MIB);

	device_set(sim, p, 1, MIB);
	pid_t pid = fork();
	if (!pid) {
		if (set(p, 2, MIB))
			_exit(1);
		pid_t inner = fork();
		if (!inner)
			_exit(!all_bytes(p, 2, MIB) || set(p, 3, MIB) || !all_bytes(p, 3, MIB));
		int status;
		waitpid(inner, &status, 0);
		_exit(status || !all_bytes(p, 2, MIB) ? 2 : 0);
	}
	cr_expect_eq(verdict(pid), 0);
	cr_expect(all_bytes(p, 1, MIB));
}

Test(device_fork, the_device_is_no_child_of_the_program)
{
	device_set(sim, managed(PAGE), 1, PAGE);
	int pid = gmi_sim_pid(sim);
	cr_expect_eq(waitpid(-1, NULL, WNOHANG), -1);
	cr_expect_eq(errno, ECHILD);
	cr_expect_eq(kill(pid, 0), 0);
}
