/*
 * gmem-devsim alone, driven by a host that speaks wire.h and nothing else: what an unmap
 * guarantees, when queued commands are applied, how windows come and go, when the process
 * refuses and when it ends.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "devsim/mem_wire.h"
#include "devsim/wire.h"

#define PAGE   4096ul
#define WINDOW 0x300000000000ul
#define BYTES  (1ul << 30)

static struct {
	struct ds_ctl *ctl;
	int ctl_fd, mem_fd, journal_fd, sock, peer;
	char *mem;
	pid_t pid;
} host;

static void wake(_Atomic uint32_t *w)
{
	atomic_fetch_add(w, 1);
	syscall(SYS_futex, w, FUTEX_WAKE, INT32_MAX, NULL, NULL, 0);
}

static void send_store(uint32_t index, int fd)
{
	union {
		char buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = {0};
	struct iovec iov = {&index, sizeof index};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control.buf,
			     .msg_controllen = sizeof control.buf};
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof fd);
	memcpy(CMSG_DATA(c), &fd, sizeof fd);
	cr_assert_eq(sendmsg(host.sock, &msg, 0), sizeof index);
}

static int new_memfd(uint64_t bytes)
{
	int fd = memfd_create("test", MFD_CLOEXEC);

	cr_assert(fd >= 0 && ftruncate(fd, (off_t)bytes) == 0);
	return fd;
}

static void prepare(void)
{
	int pair[2];

	host.ctl_fd = new_memfd(sizeof *host.ctl);
	host.mem_fd = new_memfd(BYTES);
	host.journal_fd = new_memfd(PAGE);
	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	host.sock = pair[0];
	host.peer = pair[1];
	host.ctl = mmap(NULL, sizeof *host.ctl, PROT_READ | PROT_WRITE, MAP_SHARED, host.ctl_fd, 0);
	host.mem = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, host.mem_fd, 0);
	host.ctl->magic = DS_MAGIC;
	host.ctl->version = DS_VERSION;
	host.ctl->mem_bytes = BYTES;
	host.ctl->workers = 1;
	host.ctl->host_pid = getpid();
	host.ctl->window[0].base = WINDOW;
	host.ctl->window[0].bytes = BYTES;
	int store = new_memfd(BYTES);
	send_store(0, store);
	close(store);
}

static void exec_device(void)
{
	const int from[DS_FDS] = {-1, -1, 2, host.ctl_fd, host.mem_fd, host.peer, host.journal_fd};
	int moved[DS_FDS];
	char path[4096];
	ssize_t n = readlink("/proc/self/exe", path, sizeof path - 64);

	path[n > 0 ? n : 0] = 0;
	for (int up = 0; up < 3; up++) /* BUILD/test/device/test_protocol -> BUILD */
		*strrchr(path, '/') = 0;
	strcat(path, "/gmem-devsim");
	for (int i = DS_FD_CTL; i < DS_FDS; i++)
		moved[i] = fcntl(from[i], F_DUPFD, 100);
	for (int i = DS_FD_CTL; i < DS_FDS; i++)
		dup2(moved[i], i);
	close_range(DS_FDS, ~0u, 0);
	execl(path, "gmem-devsim", (char *)NULL);
	_exit(127);
}

static uint32_t start(void)
{
	host.pid = fork();
	if (!host.pid)
		exec_device();
	close(host.peer);
	while (atomic_load(&host.ctl->ready) == DS_STARTING)
		usleep(1000);
	return atomic_load(&host.ctl->ready);
}

static void set_up(void)
{
	prepare();
	cr_assert_eq(start(), DS_READY);
}
static void tear_down(void)
{
	kill(host.pid, SIGKILL);
	waitpid(host.pid, NULL, 0);
}
TestSuite(protocol, .init = set_up, .fini = tear_down, .timeout = 60);

/* ---- the host's part ---- */

static uint32_t queue(uint32_t kind, uint64_t va, uint64_t len, uint64_t off)
{
	struct ds_ctl *ctl = host.ctl;
	uint32_t head = atomic_load(&ctl->cmd_head);

	while (head - atomic_load(&ctl->cmd_tail) == DS_CMDS)
		wake(&ctl->cmd_bell);
	ctl->cmd[head % DS_CMDS] =
		(struct ds_cmd){.kind = kind, .map = {.va = va, .len = len, .off = off, .prot = 3}};
	atomic_store(&ctl->cmd_head, head + 1);
	return head + 1;
}

static void apply(uint32_t pos)
{
	wake(&host.ctl->cmd_bell);
	while ((int32_t)(atomic_load(&host.ctl->cmd_tail) - pos) < 0)
		usleep(100);
}

static struct ds_launch *submit(const char *kernel, struct ds_mem_args a)
{
	struct ds_launch *l = &host.ctl->launch[0];

	cr_assert(atomic_load(&l->state) == DS_L_FREE || atomic_load(&l->state) == DS_L_DONE);
	memset((char *)l + sizeof l->state, 0, sizeof *l - sizeof l->state);
	l->after_cmd = atomic_load(&host.ctl->cmd_head);
	l->nblocks = 1;
	l->args_bytes = sizeof a;
	strcpy(l->kernel, kernel);
	memcpy(l->args, &a, sizeof a);
	atomic_store(&l->state, DS_L_QUEUED);
	wake(&host.ctl->launch_bell);
	return l;
}

static bool done(const struct ds_launch *l)
{
	return atomic_load(&l->state) == DS_L_DONE;
}

/* The slot of the next fault, BUSY; or NULL when the launch ends without one. */
static struct ds_fault *next_fault(const struct ds_launch *l)
{
	for (;;) {
		uint64_t bits = atomic_exchange(&host.ctl->posted, 0);
		if (bits) {
			struct ds_fault *f = &host.ctl->fault[__builtin_ctzll(bits)];
			cr_assert_eq(atomic_load(&f->state), DS_POSTED);
			atomic_store(&f->nmaps, 0);
			atomic_store(&f->state, DS_BUSY);
			return f;
		}
		if (done(l))
			return NULL;
		usleep(100);
	}
}

static void fill(struct ds_fault *f, uint64_t va, uint64_t len, uint64_t off)
{
	f->map[0] = (struct ds_map){.va = va, .len = len, .off = off, .prot = 3};
	atomic_store(&f->nmaps, 1);
	atomic_store(&f->state, DS_FILLED);
}

/* What the real host does: only a slot that is still FILLED. */
static bool reply(struct ds_fault *f)
{
	uint32_t filled = DS_FILLED;
	bool ok = atomic_compare_exchange_strong(&f->state, &filled, DS_REPLIED);

	syscall(SYS_futex, &f->state, FUTEX_WAKE, 1, NULL, NULL, 0);
	return ok;
}

static unsigned serve_all(struct ds_launch *l)
{
	unsigned n = 0;

	for (struct ds_fault *f; (f = next_fault(l)); n++) {
		uint64_t va = f->va & ~(PAGE - 1);
		fill(f, va, PAGE, va - WINDOW);
		cr_assert(reply(f));
	}
	return n;
}

static struct ds_mem_args touch(uint64_t va, uint64_t bytes)
{
	return (struct ds_mem_args){
		.src = (void *)va, .dst = (void *)va, .bytes = bytes, .stride = PAGE, .value = 1};
}

/* ---- tests ---- */

Test(protocol, a_fault_is_told_with_its_address_and_kind)
{
	struct ds_launch *l = submit("touch_write", touch(WINDOW + 5 * PAGE + 17, 1));
	struct ds_fault *f = next_fault(l);

	cr_assert_eq(f->va, WINDOW + 5 * PAGE + 17);
	cr_expect_eq(f->write, 1);
	fill(f, WINDOW + 5 * PAGE, PAGE, 8 * PAGE);
	cr_assert(reply(f));
	cr_assert_null(next_fault(l));
	cr_expect_eq(host.mem[8 * PAGE + 17], 1);
	l = submit("touch_read", touch(WINDOW + 6 * PAGE, 1));
	f = next_fault(l);
	cr_assert_eq(f->va, WINDOW + 6 * PAGE);
	cr_expect_eq(f->write, 0);
	f->error = -EPERM;
	atomic_store(&f->state, DS_FAILED);
	syscall(SYS_futex, &f->state, FUTEX_WAKE, 1, NULL, NULL, 0);
	cr_assert_null(next_fault(l));
	cr_expect_eq(atomic_load(&l->error), -EPERM);
	cr_expect_eq(l->fault_addr, WINDOW + 6 * PAGE);
}

static void cancels_the_reply(uint32_t command)
{
	struct ds_launch *l = submit("touch_write", touch(WINDOW, 1));
	struct ds_fault *f = next_fault(l);

	fill(f, WINDOW, 16 * PAGE, 0);
	apply(queue(command, WINDOW + 15 * PAGE, PAGE, 20 * PAGE));
	cr_expect_not(reply(f), "the slot must not be FILLED any more");
	f = next_fault(l);
	cr_assert(f, "the worker faults again");
	cr_expect_eq(f->va, WINDOW);
	fill(f, WINDOW, PAGE, 0);
	cr_assert(reply(f));
	cr_expect_null(next_fault(l));
}

Test(protocol, an_unmap_cancels_the_reply_that_is_being_written)
{
	cancels_the_reply(DS_CMD_UNMAP);
}

Test(protocol, a_remap_cancels_the_reply_that_is_being_written)
{
	cancels_the_reply(DS_CMD_REMAP);
	host.mem[20 * PAGE] = 5; /* and is there itself */
	cr_assert_eq(serve_all(submit("touch_write", touch(WINDOW + 15 * PAGE, 1))), 0);
	cr_expect_eq(host.mem[20 * PAGE], 1);
}

Test(protocol, an_unmap_elsewhere_leaves_the_reply_alone)
{
	struct ds_launch *l = submit("touch_write", touch(WINDOW, 1));
	struct ds_fault *f = next_fault(l);

	fill(f, WINDOW, 16 * PAGE, 0);
	apply(queue(DS_CMD_UNMAP, WINDOW + 16 * PAGE, 16 * PAGE, 0));
	cr_expect(reply(f));
	cr_expect_null(next_fault(l));
}

Test(protocol, after_an_unmap_the_page_faults)
{
	struct ds_launch *l = submit("touch_write", touch(WINDOW, 4 * PAGE));

	cr_expect_eq(serve_all(l), 4);
	cr_expect_eq(serve_all(submit("touch_write", touch(WINDOW, 4 * PAGE))), 0);
	/* neighbours, in falling order: one unmap */
	queue(DS_CMD_UNMAP, WINDOW + 2 * PAGE, PAGE, 0);
	queue(DS_CMD_UNMAP, WINDOW + PAGE, PAGE, 0);
	cr_expect_eq(serve_all(submit("touch_write", touch(WINDOW, 4 * PAGE))), 2);
}

Test(protocol, queued_commands_are_applied_before_the_kernel_and_in_order)
{
	while (!atomic_load(&host.ctl->mmu_sleeping)) /* it looks once as it starts */
		usleep(100);
	queue(DS_CMD_MAP, WINDOW, 8 * PAGE, 0);
	queue(DS_CMD_UNMAP, WINDOW + PAGE, PAGE, 0);
	queue(DS_CMD_UNMAP, WINDOW + 3 * PAGE, PAGE, 0);
	queue(DS_CMD_MAP, WINDOW + 3 * PAGE, PAGE, 100 * PAGE);
	usleep(20000);
	cr_expect_eq(atomic_load(&host.ctl->cmd_tail), 0, "nobody rang: nothing happens");
	cr_expect_eq(serve_all(submit("touch_write", touch(WINDOW, 8 * PAGE))), 1);
	cr_expect_eq(host.mem[100 * PAGE], 1);
	cr_expect_eq(host.mem[3 * PAGE], 0);
}

/* vm.max_map_count: entries are a cache, so dropping all of them is allowed, and the kernel
 * still sees its pages. */
Test(protocol, more_entries_than_the_kernel_has_vmas)
{
	enum { PAGES = 80000 };
	uint64_t i;

	for (i = 0; i < PAGES; i++) /* offsets in falling order: no two VMAs merge */
		queue(DS_CMD_MAP, WINDOW + i * PAGE, PAGE, (PAGES - i) * PAGE);
	struct ds_launch *l = submit("touch_write", touch(WINDOW, PAGES * PAGE));
	unsigned faults = 0;
	for (struct ds_fault *f; (f = next_fault(l)); faults++) {
		i = (f->va - WINDOW) / PAGE;
		fill(f, WINDOW + i * PAGE, PAGE, (PAGES - i) * PAGE);
		cr_assert(reply(f));
	}
	cr_expect_eq(atomic_load(&l->error), 0);
	cr_expect_gt(faults, 0);
	for (i = 0; i < PAGES; i++)
		cr_assert_eq(host.mem[(PAGES - i) * PAGE], 1);
}

Test(protocol, windows_come_and_go)
{
	int store = new_memfd(BYTES);
	char *bytes = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, store, 0);
	uint64_t base = WINDOW + 4 * BYTES;

	host.ctl->window[3].base = base;
	host.ctl->window[3].bytes = BYTES;
	send_store(3, store);
	apply(queue(DS_CMD_WINDOW, 3, 0, 0));
	cr_expect_eq(atomic_load(&host.ctl->window[3].state), DS_W_PRESENT);
	struct ds_launch *l = submit("touch_write", touch(base + PAGE, 1));
	struct ds_fault *f = next_fault(l);
	fill(f, base + PAGE, PAGE, PAGE);
	f->map[0].mem = DS_HOST_STORE; /* remote: the window's own store */
	cr_assert(reply(f));
	cr_assert_null(next_fault(l));
	cr_expect_eq(bytes[PAGE], 1);
	apply(queue(DS_CMD_UNWINDOW, 3, 0, 0));
	l = submit("touch_write", touch(base + PAGE, 1));
	f = next_fault(l);
	cr_assert_not_null(f, "no window: the host is asked, as for any address");
	f->error = -EFAULT;
	atomic_store(&f->state, DS_FAILED);
	syscall(SYS_futex, &f->state, FUTEX_WAKE, 1, NULL, NULL, 0);
	cr_expect_null(next_fault(l));
	cr_expect_eq(atomic_load(&l->error), -EFAULT);

	host.ctl->window[4].base = WINDOW + BYTES / 2; /* overlaps window 0 */
	host.ctl->window[4].bytes = BYTES;
	send_store(4, store);
	apply(queue(DS_CMD_WINDOW, 4, 0, 0));
	cr_expect_eq(atomic_load(&host.ctl->window[4].state), DS_W_TAKEN);
}

Test(protocol, it_ends_when_the_host_hangs_up)
{
	close(host.sock);
	cr_expect_eq(waitpid(host.pid, NULL, 0), host.pid);
}

Test(refusal, another_version, .init = prepare, .timeout = 30)
{
	host.ctl->version = DS_VERSION + 1;
	cr_expect_eq(start(), DS_REFUSED);
	tear_down();
}

Test(refusal, a_window_that_is_taken, .init = prepare, .timeout = 30)
{
	host.ctl->window[1].base = WINDOW;
	host.ctl->window[1].bytes = BYTES;
	send_store(1, host.mem_fd);
	cr_expect_eq(start(), DS_REFUSED);
	tear_down();
}
