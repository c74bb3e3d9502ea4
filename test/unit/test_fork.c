/*
 * fork() with pages in the store and on a device: the child gets a private snapshot, the parent
 * notices nothing. And pins: what a system call is using does not move, and its thread never
 * waits for a device.
 */
#include "core/entry/fork.h"
#include "core/entry/hold.h"
#include "core/page/thread.h"
#include "core/sys/inject.h"
#include "core/space/vm.h"
#include "fake_dev.h"
#include <pthread.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE GM_PAGE_BYTES
#define MIB  ((size_t)1 << 20)

static struct gm_as *as;
static struct fake_dev dev;

static unsigned char *open_with(size_t bytes)
{
	gmi_opt.prefetch = GM_PREFETCH_NONE;
	gmi_opt.retain_bytes = 8 * MIB;
	cr_assert_eq(gm_as_create(0, 256 * MIB, &as), 0);
	fake_open(&dev, as, 32 * MIB, 65536, true);
	void *p = gm_mmap(as, NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			  0);
	cr_assert_neq(p, MAP_FAILED);
	return p;
}

static int to_device(void *p, size_t bytes)
{
	return hmadvise(gm_dev_hnid(dev.dev), p, bytes, MADV_PREFETCH);
}

static int child_status(pid_t pid)
{
	int status = -1;
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	return status;
}

Test(fork, child_sees_the_snapshot_and_parent_keeps_its_pages)
{
	size_t bytes = 4 * MIB;
	unsigned char *p = open_with(bytes);
	for (size_t i = 0; i < bytes; i += PAGE)
		p[i] = (unsigned char)(i / PAGE);
	cr_assert_eq(to_device(p, bytes / 2), 0);
	for (size_t i = 0; i < bytes / 4; i += PAGE)
		p[i] = (unsigned char)(p[i] + 1); /* a quarter came home into the store */
	pid_t pid = fork();
	if (!pid) {
		int bad = 0;
		for (size_t i = 0; i < bytes; i += PAGE)
			bad += p[i] != (unsigned char)(i / PAGE + (i < bytes / 4));
		memset(p, 0xee, bytes); /* must not reach the parent */
		_exit(bad != 0);
	}
	for (size_t i = 0; i < bytes; i += PAGE)
		p[i] = (unsigned char)(p[i] ^ 0x55); /* must not reach the child */
	cr_assert_eq(child_status(pid), 0);
	for (size_t i = 0; i < bytes; i += PAGE)
		cr_assert_eq(p[i], (unsigned char)((i / PAGE + (i < bytes / 4)) ^ 0x55));
	fake_close(&dev);
}

Test(fork, child_sees_pages_of_a_device_without_an_aperture)
{
	gmi_opt.prefetch = GM_PREFETCH_NONE;
	cr_assert_eq(gm_as_create(0, 256 * MIB, &as), 0);
	fake_open(&dev, as, 32 * MIB, 65536, false);
	unsigned char *p =
		gm_mmap(as, NULL, MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	memset(p, 7, MIB);
	cr_assert_eq(to_device(p, MIB), 0);
	pid_t pid = fork();
	if (!pid)
		_exit(p[0] != 7 || memcmp(p, p + 1, MIB - 1) != 0);
	cr_assert_eq(child_status(pid), 0);
	cr_assert(p[0] == 7 && !memcmp(p, p + 1, MIB - 1));
	fake_close(&dev);
}

/* Its threads would go on writing in the middle of the child's copying. */
Test(fork, a_device_reaches_nothing_until_the_child_has_copied)
{
	unsigned char *p = open_with(4 * MIB), c;
	size_t first = ((uintptr_t)p - as->base) / PAGE;

	memset(p, 1, 4 * MIB);
	for (size_t i = 0; i < 2 * MIB; i += PAGE)
		cr_assert_eq(fake_write(&dev, p + i, 2), 0);
	cr_assert_eq(hmadvise(-1, p + 3 * MIB, PAGE, GM_MADV_PINNED), 0);
	cr_assert_eq(fake_write(&dev, p + 3 * MIB, 3), 0); /* over the bus */
	gmi_fork_prepare();
	for (size_t i = 0; i < 4 * MIB / PAGE; i++)
		cr_expect_eq(dev.pte[first + i].prot, 0, "an entry at page %zu", i);
	gmi_fork_parent();
	cr_assert_eq(fake_write(&dev, p + PAGE, 4), 0);
	cr_assert_eq(fake_read(&dev, p + 3 * MIB, &c), 0);
	cr_assert(p[0] == 2 && p[PAGE] == 4 && c == 3);
	fake_close(&dev);
}

/* The parent goes on at once: what it writes must not reach the child. */
static void fork_and_change(unsigned char *p, size_t bytes)
{
	memset(p, 1, bytes);
	cr_assert_eq(to_device(p, bytes), 0);
	memset(p, 2, bytes / 2); /* home, into the store */
	pid_t pid = fork();
	if (!pid) {
		usleep(20000);
		int bad = p[0] != 2 || memcmp(p, p + 1, bytes / 2 - 1) != 0;
		bad += p[bytes / 2] != 1 ||
		       memcmp(p + bytes / 2, p + bytes / 2 + 1, bytes / 2 - 1) != 0;
		_exit(bad);
	}
	memset(p, 3, bytes);
	cr_assert_eq(child_status(pid), 0);
	cr_assert(p[0] == 3 && !memcmp(p, p + 1, bytes - 1));
}

Test(fork, with_no_descriptor_left)
{
	struct rlimit full = {64, 64};
	unsigned char *p = open_with(4 * MIB);

	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &full), 0);
	int fds[64], n = 0, fd;
	while ((fd = dup(0)) >= 0)
		fds[n++] = fd;
	for (int i = 0; i < 5; i++)
		fork_and_change(p, 4 * MIB);
	while (n > 0)
		close(fds[--n]);
	fake_close(&dev);
}

Test(fork, without_a_way_to_wait_for_the_child)
{
	unsigned char *p = open_with(4 * MIB);

	cr_assert_eq(gmi_inject("forkwait@2+"), 0);
	for (int i = 0; i < 3; i++)
		fork_and_change(p, 4 * MIB);
	gmi_inject("");
	cr_assert_eq(to_device(p, 4 * MIB), 0);
	fake_close(&dev);
}

static int kills;

static void kill_child(void)
{
	if (kills)
		raise(SIGKILL);
}

/* Killed before it could say a word, and never made at all: the parent does not wait for ever. */
Test(fork, of_a_child_that_is_not_there)
{
	pthread_atfork(NULL, NULL, kill_child); /* before core's part: it comes first */
	unsigned char *p = open_with(4 * MIB);

	memset(p, 1, 4 * MIB);
	cr_assert_eq(to_device(p, 4 * MIB), 0);
	kills = 1;
	pid_t pid = fork();
	cr_assert_eq(child_status(pid), SIGKILL);
	kills = 0;
	fork_and_change(p, 4 * MIB);
	cr_assert_eq(to_device(p, 4 * MIB), 0);
	gmi_fork_prepare();
	gmi_fork_parent(); /* as after a fork that failed */
	fork_and_change(p, 4 * MIB);
	fake_close(&dev);
}

/* Fork holds the locks of all of them at once. */
Test(fork, more_blocks_than_a_byte_can_count)
{
	enum { BLOCKS = 256 };
	gmi_opt.prefetch = GM_PREFETCH_NONE;
	cr_assert_eq(gm_as_create(0, 2 * BLOCKS * GM_BLOCK_BYTES, &as), 0);
	fake_open(&dev, as, 32 * MIB, 4096, true);
	char *p = gm_mmap(as, NULL, BLOCKS * GM_BLOCK_BYTES, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	cr_assert_neq(p, MAP_FAILED);
	for (size_t i = 0; i < BLOCKS; i++) {
		p[i * GM_BLOCK_BYTES] = (char)i;
		cr_assert_eq(to_device(p + i * GM_BLOCK_BYTES, PAGE), 0);
	}
	pid_t pid = fork();
	if (!pid) {
		int bad = 0;
		for (size_t i = 0; i < BLOCKS; i++)
			bad += p[i * GM_BLOCK_BYTES] != (char)i;
		_exit(bad != 0);
	}
	cr_assert_eq(child_status(pid), 0);
	fake_close(&dev);
}

Test(fork, program_rights_survive_in_the_child)
{
	unsigned char *p = open_with(4 * MIB);
	memset(p, 3, 4 * MIB);
	cr_assert_eq(to_device(p, 4 * MIB), 0);
	cr_assert_eq(gmi_vm_protect(as, p + MIB, MIB, PROT_READ), 0);
	cr_assert_eq(gmi_vm_protect(as, p + 2 * MIB, MIB, PROT_NONE), 0);
	for (int area = 0; area < 4; area++) {
		pid_t pid = fork();
		if (!pid) {
			int bad = area == 2 ? 0 : p[area * MIB] != 3;
			if (area == 1 || area == 2)
				p[area * MIB] = 1; /* dies */
			_exit(bad);
		}
		int status = child_status(pid);
		if (area == 1 || area == 2)
			cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV, "area %d: %x",
				  area, status);
		else
			cr_assert_eq(status, 0, "area %d: %x", area, status);
	}
	fake_close(&dev);
}

static _Atomic bool stop;

static void *hammer(void *arg)
{
	unsigned char *p = arg;
	unsigned n = 0;
	while (!stop) { /* both bytes of a page always change together, the first first */
		size_t i = (n++ % 256) * PAGE;
		((volatile unsigned char *)p)[i]++;
		((volatile unsigned char *)p)[i + 1]++;
	}
	return NULL;
}

Test(fork, threads_that_write_meanwhile)
{
	unsigned char *p = open_with(4 * MIB);
	pthread_t t;
	memset(p, 0, 4 * MIB);
	cr_assert_eq(to_device(p, MIB), 0);
	pthread_create(&t, NULL, hammer, p);
	for (int round = 0; round < 40; round++) {
		cr_assert_eq(to_device(p, MIB), 0);
		pid_t pid = fork();
		if (!pid) {
			int torn = 0; /* one page may be in the middle of its two steps */
			for (size_t i = 0; i < MIB; i += PAGE)
				torn += p[i] != p[i + 1];
			_exit(torn > 1);
		}
		cr_assert_eq(child_status(pid), 0, "round %d", round);
	}
	stop = true;
	pthread_join(t, NULL);
	fake_close(&dev);
}

Test(pin, what_the_kernel_may_write_stays_on_the_host)
{
	unsigned char *p = open_with(4 * MIB), c;
	memset(p, 1, 4 * MIB);
	cr_assert_eq(to_device(p, 2 * MIB), 0);
	unsigned token = gmi_hold(p + 5 * PAGE, PAGE, true);
	cr_assert_neq(token, 0);
	struct gm_page_info info[32];
	cr_assert_eq(to_device(p, 2 * MIB), -EBUSY);
	for (int i = 0; i < 32; i++)
		cr_assert_eq(fake_read(&dev, p + i * PAGE, &c), 0);
	cr_assert_eq(gm_query(p, sizeof info / sizeof info[0] * PAGE, info), 0);
	cr_assert_eq(info[5].where, GM_REMOTE);
	cr_assert_eq(info[5].cpu, GM_PROT_READ | GM_PROT_WRITE);
	cr_assert_eq(info[31].where, GM_DEVICE);
	p[5 * PAGE] = 77; /* as the kernel would, while the device looks */
	cr_assert_eq(fake_read(&dev, p + 5 * PAGE, &c), 0);
	cr_assert_eq(c, 77);
	gmi_unhold(token);
	fake_close(&dev);
}

Test(pin, pins_nest_and_the_ninth_widens_the_eighth)
{
	unsigned char *p = open_with(4 * MIB);
	unsigned token[12];
	memset(p, 1, 4 * MIB);
	cr_assert_eq(to_device(p, PAGE), 0);
	for (unsigned i = 0; i < 12; i++)
		token[i] = gmi_hold(p + i * 16 * PAGE, 1, false);
	gm_bm pins = gmc_held_by_calls((uintptr_t)p & ~(GM_BLOCK_BYTES - 1));
	for (unsigned i = 0; i < 12; i++)
		cr_assert(gm_bm_test(&pins, i * 16));
	for (unsigned i = 12; i-- > 0;)
		gmi_unhold(token[i]);
	cr_assert(gm_bm_empty(gmc_held_by_calls((uintptr_t)p & ~(GM_BLOCK_BYTES - 1))));
	fake_close(&dev);
}

Test(pin, outside_every_window_costs_no_pin)
{
	int local;
	open_with(MIB);
	cr_assert_eq(gmi_hold(&local, sizeof local, true), 0);
	fake_close(&dev);
}
