/*
 * One device for several processes (GMEM_SHARE): its memory is what all of them have together;
 * whoever has the most gives some to another one; who is gone has nothing, and who does not answer
 * holds nobody up for long.
 */
#include "device.h"
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>

#define MEM   (32 * MIB)
#define SPEC  "pcie4-gpu,mem=32M,page=64K,workers=1"
#define TURNS 200 /* of 50 ms: what another process does in time */

/* Of all processes of a test. */
static struct shared {
	_Atomic uint32_t step, go, bad;
	_Atomic uint64_t resident[4], given[4];
} * all;
static struct gm_sim *sim;
static char path[64];

static void set_up(void)
{
	all = mmap(NULL, sizeof *all, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	cr_assert_neq(all, MAP_FAILED);
	gmi_opt.report = GM_REPORT_NONE;
	snprintf(gmi_opt.share, sizeof gmi_opt.share, "test-%d", getpid());
	snprintf(path, sizeof path, "/dev/shm/gmem-%d-%s", geteuid(), gmi_opt.share);
}
static void tear_down(void)
{
	unlink(path);
}
TestSuite(share, .init = set_up, .fini = tear_down, .timeout = 240);

static uint64_t resident(void)
{
	return atomic_load(&gmi_stats->dev[0].resident_bytes);
}

/* The device has written all of it: so much of its memory is wanted. */
static unsigned char *used_by_device(size_t bytes, int byte)
{
	unsigned char *p = managed(bytes);

	device_set(sim, p, byte, bytes);
	return p;
}

/* The same, tried until so much of it is there: others need time to answer. */
static unsigned char *gets(size_t bytes, int byte, uint64_t least)
{
	unsigned char *p = used_by_device(bytes, byte);

	for (int i = 0; i < TURNS && resident() < least; i++) {
		usleep(50000);
		gm_munmap(p, bytes);
		p = used_by_device(bytes, byte);
	}
	return p;
}

static bool comes(_Atomic uint32_t *word, uint32_t value)
{
	for (int i = 0; i < TURNS * 10; i++) {
		if (atomic_load(word) >= value)
			return true;
		usleep(5000);
	}
	return false;
}

/* A child with a device of its own that has filled its memory; it stays until go. */
static pid_t other(unsigned n, size_t bytes)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	sim = NULL;
	if (gm_sim_open(SPEC, &sim) || gm_sim_attach(sim, gm_as_default()))
		_exit(1);
	unsigned char *p = used_by_device(bytes, 10 + (int)n);
	atomic_store(&all->resident[n], resident());
	atomic_fetch_add(&all->step, 1);
	if (!comes(&all->go, 1))
		_exit(2);
	atomic_store(&all->resident[n], resident());
	atomic_store(&all->given[n], gmi_stats->dev[0].given_bytes);
	atomic_fetch_add(&all->step, 1);
	_exit(all_bytes(p, 10 + (int)n, bytes) ? 0 : 3);
}

static void ends_well(pid_t pid)
{
	int status = -1;

	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_expect_eq(status, 0, "the other process says %x", status);
}

Test(share, who_has_all_of_it_gives_to_another)
{
	pid_t pid = other(0, MEM);
	cr_assert(comes(&all->step, 1));
	cr_assert_eq(all->resident[0], MEM, "alone it has all");
	sim = open_device(SPEC);
	unsigned char *p = gets(MEM, 3, MEM / 4);
	uint64_t mine = resident();
	cr_expect_geq(mine, MEM / 4, "%zu", (size_t)mine);
	atomic_store(&all->go, 1);
	cr_assert(comes(&all->step, 2));
	cr_expect_leq(mine + all->resident[0], MEM, "together: %zu and %zu", (size_t)mine,
		      (size_t)all->resident[0]);
	cr_expect_geq(all->given[0], MEM / 4, "it gave at this one's wish");
	ends_well(pid);
	cr_expect(all_bytes(p, 3, MEM), "and nothing is lost");
	cr_expect_eq(gm_sim_close(sim), 0);
}

Test(share, what_another_one_does_not_need_is_free)
{
	pid_t pid = other(0, MEM / 4);
	cr_assert(comes(&all->step, 1));
	sim = open_device(SPEC);
	used_by_device(MEM, 3);
	cr_expect_geq(resident(), MEM / 2, "%zu", (size_t)resident());
	atomic_store(&all->go, 1);
	ends_well(pid);
	cr_expect_eq(all->given[0], 0, "who has less than the other is not asked");
	cr_expect_eq(all->resident[0], MEM / 4);
	cr_expect_eq(gm_sim_close(sim), 0);
}

Test(share, who_is_killed_has_nothing_any_more)
{
	pid_t pid = other(0, MEM);
	cr_assert(comes(&all->step, 1));
	sim = open_device(SPEC);
	cr_assert_eq(kill(pid, SIGKILL), 0);
	cr_assert_eq(waitpid(pid, NULL, 0), pid);
	used_by_device(MEM, 3);
	cr_expect_eq(resident(), MEM);
	cr_expect_eq(gm_sim_close(sim), 0);
}

/* It cannot evict: this one works with what there is, over the bus, and does not hang. */
Test(share, who_is_stopped_keeps_what_it_has)
{
	pid_t pid = other(0, MEM);
	cr_assert(comes(&all->step, 1));
	cr_assert_eq(kill(pid, SIGSTOP), 0);
	cr_assert_eq(waitpid(pid, NULL, WUNTRACED), pid);
	sim = open_device(SPEC);
	unsigned char *p = used_by_device(MEM / 2, 3);
	cr_expect_eq(resident(), 0);
	cr_expect_eq(pages_in(p, MEM / 2, GM_REMOTE), MEM / 2 / PAGE);
	cr_expect(all_bytes(p, 3, MEM / 2));
	cr_assert_eq(kill(pid, SIGCONT), 0);
	/* It was asked meanwhile; it answers now, and is asked again. */
	gets(MEM / 2, 3, MEM / 4);
	cr_expect_geq(resident(), MEM / 4);
	atomic_store(&all->go, 1);
	ends_well(pid);
	cr_expect_eq(gm_sim_close(sim), 0);
}

Test(share, a_fork_child_takes_part_by_itself)
{
	sim = open_device(SPEC);
	unsigned char *p = used_by_device(MEM, 3);
	pid_t pid = fork();
	if (!pid) { /* what the parent has is not the child's to give, nor its death the parent's */
		bool good = all_bytes(p, 3, MEM);
		device_set(sim, p, 4, MEM / 2);
		unsigned char *q = gets(MEM / 2, 5, MEM / 8);
		good = good && resident() >= MEM / 8 && all_bytes(q, 5, MEM / 2);
		good = good && all_bytes(p, 4, MEM / 2) && all_bytes(p + MEM / 2, 3, MEM / 2);
		_exit(!good);
	}
	ends_well(pid);
	uint64_t given = gmi_stats->dev[0].given_bytes;
	cr_expect_geq(given, MEM / 8, "%zu", (size_t)given);
	device_set(sim, p, 5, MEM);
	cr_expect_eq(resident(), MEM, "the child's share is free again");
	cr_expect(all_bytes(p, 5, MEM));
	cr_expect_eq(gm_sim_close(sim), 0);
}

Test(share, all_of_them_work_at_once_and_nothing_is_lost)
{
	pid_t pid[3];

	for (unsigned n = 0; n < 3; n++) {
		pid[n] = fork();
		if (pid[n])
			continue;
		sim = NULL;
		if (gm_sim_open(SPEC, &sim) || gm_sim_attach(sim, gm_as_default()))
			_exit(1);
		unsigned char *p = managed(MEM / 2);
		for (int i = 0; i < 5; i++) {
			device_set(sim, p, i, MEM / 2);
			for (size_t k = 0; k < MEM / 2; k += 37 * PAGE)
				if (p[k] != i)
					_exit(2);
			if (!all_bytes(p, i, MEM / 2))
				_exit(3);
		}
		_exit(0);
	}
	for (unsigned n = 0; n < 3; n++)
		ends_well(pid[n]);
}

Test(share, another_size_is_refused)
{
	struct gm_sim *more;

	sim = open_device(SPEC);
	pid_t pid = fork();
	if (!pid) {
		int err = gm_sim_close(sim);
		err = err ? err : gm_sim_open("pcie4-gpu,mem=64M,page=64K", &more);
		_exit(err != -EINVAL);
	}
	ends_well(pid);
	cr_expect_eq(gm_sim_open("pcie4-gpu,mem=64M", &more), 0, "device 1 is another one");
	cr_expect_eq(gm_sim_close(more), 0);
	cr_expect_eq(gm_sim_close(sim), 0);
}

Test(share, a_file_that_nobody_uses_begins_anew)
{
	int fd = open(path, O_RDWR | O_CREAT, 0600);
	char junk[4096];

	memset(junk, 0x5a, sizeof junk);
	for (int i = 0; i < 64; i++)
		cr_assert_eq(write(fd, junk, sizeof junk), (ssize_t)sizeof junk);
	close(fd);
	sim = open_device(SPEC);
	used_by_device(MEM, 3);
	cr_expect_eq(resident(), MEM);
	cr_expect_eq(gm_sim_close(sim), 0);
}
