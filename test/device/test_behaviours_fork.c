/* A device and a program that forks: whose pages are whose. */
#include "behaviour.h"

static int child_writes(unsigned char *p)
{
	for (size_t i = 0; i < PAGES; i++)
		if (!all_bytes(p + i * PAGE, (int)i & 255, PAGE))
			return 1;
	if (device_write(sim, p, 77, BYTES))
		return 2;
	return all_bytes(p, 77, BYTES) ? 0 : 3;
}

static void write_child(bool migrated, bool huge)
{
	unsigned char *p = managed(BYTES + 2 * MIB);

	p = huge ? p : p + 3 * PAGE; /* whole blocks, or not */
	fill(p, 0, PAGES, 0);
	if (migrated)
		to_device(p, BYTES);
	cr_expect_eq(in_child(child_writes, p), 0);
	expect_filled(p, 0, PAGES, 0);
	expect_device_sees(sim, p, PAGES, 0);
}

Behaviour(anon_write_child)
{
	for (int k = 0; k < 4; k++)
		write_child(k & 1, k & 2);
}

static int count_in_child(unsigned char *p)
{
	for (size_t i = 0; i < BYTES; i++)
		p[i]++;
	for (size_t i = 0; i < PAGES; i++)
		if (!all_bytes(p + i * PAGE, (int)(i + 1) & 255, PAGE))
			return 1;
	return 0;
}

Behaviour(exclusive_cow)
{
	unsigned char *p = managed(BYTES);

	fill(p, 0, PAGES, 0);
	to_device(p, BYTES);
	cr_expect_eq(in_child(count_in_child, p), 0);
	expect_filled(p, 0, PAGES, 0);
	for (size_t i = 0; i < BYTES; i++)
		p[i] += 2;
	expect_filled(p, 0, PAGES, 2);
}

static int sees_the_snapshot(unsigned char *p)
{
	usleep(20000); /* the parent writes meanwhile */
	for (size_t i = 0; i < PAGES; i++)
		if (!all_bytes(p + i * PAGE, (int)i & 255, PAGE))
			return 1;
	return device_write(sim, p, 3, BYTES) || !all_bytes(p, 3, BYTES);
}

Behaviour(cow_in_device)
{
	unsigned char *p = managed(BYTES);
	int status;

	fill(p, 0, PAGES, 0);
	to_device(p, BYTES);
	pid_t pid = fork();
	if (!pid)
		_exit(sees_the_snapshot(p));
	cr_assert_eq(device_write(sim, p, 9, BYTES / 2), 0);
	memset(p + BYTES / 2, 9, BYTES / 2);
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_expect_eq(status, 0);
	cr_expect(all_bytes(p, 9, BYTES));
}
