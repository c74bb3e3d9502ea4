/*
 * Memory of the program outside every window: what is shared (files, memfds, POSIX and System V
 * shared memory, shared anonymous memory), and what is private and registered (globals, a stack,
 * the break, private files and anonymous memory). Kernels work on it in place, while the program
 * and other processes do.
 */
#include "behaviour.h"
#include "core/sys/vma.h"
#include <pthread.h>
#include <semaphore.h>
#include <sys/ipc.h>
#include <sys/shm.h>

#define N     64 /* pages of each */
#define TIMES 1000000

/* ---- the kinds ---- */

enum kind {
	FILE_,
	DELETED,
	MEMFD,
	POSIX,
	SYSV,
	ANONYMOUS,
	SHARED_KINDS,
	ZERO = SHARED_KINDS,
	DATA,
	STACK,
	BREAK,
	PRIVATE_FILE,
	PRIVATE_MEMORY,
	KINDS
};
static const char *const names[] = {
	"a file",	  "a deleted file",  "a memfd",
	"POSIX memory",	  "System V memory", "shared anonymous memory",
	"globals (.bss)", "globals (.data)", "a thread's stack",
	"the break",	  "a private file",  "private anonymous memory",
};
static char file_path[64];

/* A descriptor of so many bytes; for the kinds that have one. */
static int open_kind(enum kind kind, size_t bytes)
{
	char shm[64];
	int fd = -1;

	snprintf(file_path, sizeof file_path, "/tmp/gmem-outside-%d", getpid());
	snprintf(shm, sizeof shm, "/gmem-outside-%d", getpid());
	if (kind == MEMFD)
		fd = memfd_create("outside", MFD_CLOEXEC);
	else if (kind == POSIX)
		fd = shm_open(shm, O_RDWR | O_CREAT | O_EXCL, 0600);
	else
		fd = open(file_path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	cr_assert_geq(fd, 0, "%m");
	cr_assert_eq(ftruncate(fd, (off_t)bytes), 0);
	if (kind == POSIX)
		shm_unlink(shm);
	if (kind == DELETED)
		unlink(file_path);
	return fd;
}

/* Mapped, and no descriptor is left. */
static void *map_kind(enum kind kind, size_t bytes)
{
	void *p = MAP_FAILED;

	if (kind == SYSV) {
		int id = shmget(IPC_PRIVATE, bytes, IPC_CREAT | 0600);
		cr_assert_geq(id, 0);
		p = shmat(id, NULL, 0);
		shmctl(id, IPC_RMID, NULL);
	} else if (kind == ANONYMOUS) {
		p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	} else {
		int fd = open_kind(kind, bytes);
		p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		close(fd);
	}
	cr_assert_neq(p, MAP_FAILED);
	return p;
}

/* A thread whose stack is ours to use. */
static struct {
	pthread_t thread;
	sem_t made, done;
	void *p;
} other;
static void *lend_stack(void *unused)
{
	unsigned char room[N * PAGE] __attribute__((aligned(4096)));

	memset(room, 0, sizeof room);
	other.p = room;
	sem_post(&other.made);
	sem_wait(&other.done);
	return NULL;
}
static void *borrow_stack(void)
{
	sem_init(&other.made, 0, 0);
	sem_init(&other.done, 0, 0);
	cr_assert_eq(pthread_create(&other.thread, NULL, lend_stack, NULL), 0);
	sem_wait(&other.made);
	return other.p;
}
static void return_stack(void)
{
	sem_post(&other.done);
	pthread_join(other.thread, NULL);
}

/* All zeros. */
static void *private_memory(enum kind kind)
{
	static unsigned char zero[N * PAGE] __attribute__((aligned(4096)));
	static unsigned char data[N * PAGE] __attribute__((aligned(4096))) = {1};

	switch (kind) {
	case ZERO:
		return memset(zero, 0, sizeof zero);
	case DATA:
		return memset(data, 0, sizeof data);
	case STACK:
		return borrow_stack();
	case BREAK:
		cr_assert_eq(brk((void *)(((uintptr_t)sbrk(0) + PAGE - 1) & ~(PAGE - 1))), 0);
		return sbrk(N * PAGE);
	case PRIVATE_FILE: {
		int fd = open_kind(DELETED, N * PAGE);
		void *p = mmap(NULL, N * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
		close(fd);
		return p;
	}
	default:
		return mmap(NULL, N * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			    0);
	}
}

static void *take_kind(enum kind kind)
{
	if (kind < SHARED_KINDS)
		return map_kind(kind, N * PAGE);
	void *p = private_memory(kind);
	cr_assert_eq(gm_register(NULL, p, N * PAGE), 0, "%s", names[kind]);
	return p;
}

static void give_kind(enum kind kind, void *p)
{
	if (kind >= SHARED_KINDS)
		cr_assert_eq(gm_unregister(p, N * PAGE), 0, "%s", names[kind]);
	if (kind == STACK)
		return_stack();
	else if (kind == BREAK)
		sbrk(-(intptr_t)(N * PAGE));
	else if (kind != ZERO && kind != DATA)
		munmap(p, N * PAGE);
	unlink(file_path);
}

static void end(void)
{
	behaviour_end();
	unlink(file_path);
}

TestSuite(outside, .init = behaviour_start, .fini = end, .timeout = 120);

#define for_kinds(first, end, k, p)                                                                \
	for (enum kind k = (first); k < (end); k++)                                                \
		for (unsigned char *p = take_kind(k); p; give_kind(k, p), p = NULL)
#define for_each_kind(k, p)	   for_kinds(0, KINDS, k, p)
#define for_each_shared_kind(k, p) for_kinds(0, SHARED_KINDS, k, p)

Test(outside, a_kernel_reads_and_writes_each_kind_in_place)
{
	for_each_kind(k, p)
	{
		fill(p, 2, N, 3);
		expect_device_sees(sim, p + 2 * PAGE, N - 2, 5);
		cr_expect(all_bytes(p, 0, 2 * PAGE));
		cr_assert_eq(device_write(sim, p, 7 + (int)k, N * PAGE), 0, "%s", names[k]);
		cr_expect(all_bytes(p, 7 + (int)k, N * PAGE), "%s", names[k]);
	}
}

/* ---- while a kernel runs ---- */

struct launch {
	pthread_t thread;
	const char *kernel;
	const void *args;
	size_t bytes;
	int err;
};
static void *run_launch(void *arg)
{
	struct launch *l = arg;

	l->err = gm_sim_launch(sim, module, l->kernel, 1, l->args, l->bytes, NULL);
	return NULL;
}
static void begin(struct launch *l, const char *kernel, const void *args, size_t bytes)
{
	*l = (struct launch){.kernel = kernel, .args = args, .bytes = bytes};
	cr_assert_eq(pthread_create(&l->thread, NULL, run_launch, l), 0);
}
static int finish(struct launch *l)
{
	pthread_join(l->thread, NULL);
	return l->err;
}

Test(outside, increments_of_both_sides_are_all_counted)
{
	for_each_kind(k, p)
	{
		struct count_up_args a = {(_Atomic uint64_t *)p, TIMES};
		struct launch l;
		begin(&l, "count_up", &a, sizeof a);
		for (int i = 0; i < TIMES; i++)
			atomic_fetch_add(a.word, 1);
		cr_assert_eq(finish(&l), 0);
		cr_expect_eq(*a.word, 2 * TIMES, "%s", names[k]);
	}
}

static void hold_conversation(const struct converse_args *a)
{
	for (uint64_t i = 1; i <= a->turns; i++) {
		*a->data = i * i;
		atomic_store(a->told, i);
		while (atomic_load(a->answer) != i)
			usleep(1);
		cr_assert_eq(*a->data, i * i + 1);
	}
}

Test(outside, messages_pass_both_ways)
{
	for_each_kind(k, p)
	{
		struct converse_args a = {
			.told = (_Atomic uint64_t *)p,
			.answer = (_Atomic uint64_t *)(p + 5 * PAGE),
			.data = (volatile uint64_t *)(p + 8),
			.turns = 100,
		};
		struct launch l;
		begin(&l, "converse", &a, sizeof a);
		hold_conversation(&a);
		cr_expect_eq(finish(&l), 0, "%s", names[k]);
	}
}

Test(outside, two_processes_and_a_device_count_together)
{
	for_each_shared_kind(k, p)
	{
		struct count_up_args a = {(_Atomic uint64_t *)p, TIMES};
		struct launch l;
		int status;
		pid_t child = fork();
		for (int i = 0; !child && i < TIMES; i++)
			atomic_fetch_add(a.word, 1);
		if (!child)
			_exit(0);
		begin(&l, "count_up", &a, sizeof a);
		for (int i = 0; i < TIMES; i++)
			atomic_fetch_add(a.word, 1);
		cr_assert_eq(finish(&l), 0);
		cr_assert_eq(waitpid(child, &status, 0), child);
		cr_expect_eq(*a.word, 3 * TIMES, "%s", names[k]);
	}
}

Test(outside, a_file_is_written_as_by_the_program)
{
	int fd = open_kind(FILE_, N * PAGE);
	char *p = mmap(NULL, N * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), got[8] = "";

	cr_assert_eq(device_write(sim, p + PAGE, 'k', PAGE), 0);
	cr_assert_eq(pread(fd, got, 4, PAGE), 4);
	cr_expect_str_eq(got, "kkkk");
	cr_assert_eq(pwrite(fd, "12345678", 8, 2 * PAGE), 8);
	cr_expect_eq(device_sum(sim, p + 2 * PAGE, 8), 0x3837363534333231ull);
	cr_expect_eq(msync(p, N * PAGE, MS_SYNC), 0);
	close(fd);
}

/* ---- what must not be touched ---- */

static int touch(const char *kernel, void *p, size_t bytes, struct gm_launch_result *r)
{
	struct ds_mem_args a = {.dst = p, .src = p, .bytes = bytes, .stride = PAGE, .value = 1};

	return launch_mem(sim, kernel, 1, a, r);
}

Test(outside, beyond_the_end_of_a_file_the_kernel_ends)
{
	int fd = open_kind(FILE_, 4 * PAGE);
	char *p = mmap(NULL, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	struct gm_launch_result r;

	cr_expect_eq(touch("touch_write", p, 8 * PAGE, &r), -EFAULT);
	cr_expect_eq(r.fault_addr, (uintptr_t)p + 4 * PAGE);
	cr_expect_eq(p[3 * PAGE], 1);
	cr_assert_eq(ftruncate(fd, 2 * PAGE), 0);
	cr_expect_eq(touch("touch_read", p, 8 * PAGE, &r), -EFAULT);
	cr_expect_eq(r.fault_addr, (uintptr_t)p + 2 * PAGE);
	cr_assert_eq(ftruncate(fd, 8 * PAGE), 0);
	cr_expect_eq(touch("touch_write", p, 8 * PAGE, &r), 0);
	cr_expect_eq(p[7 * PAGE], 1);
	close(fd);
}

Test(outside, the_programs_rights_hold)
{
	for_each_shared_kind(k, p)
	{
		struct gm_launch_result r;
		cr_assert_eq(mprotect(p + PAGE, PAGE, PROT_READ), 0);
		cr_assert_eq(mprotect(p + 2 * PAGE, PAGE, PROT_NONE), 0);
		cr_expect_eq(touch("touch_read", p, 2 * PAGE, &r), 0);
		cr_expect_eq(touch("touch_write", p, 2 * PAGE, &r), -EPERM, "%s", names[k]);
		cr_expect_eq(r.fault_addr, (uintptr_t)p + PAGE);
		cr_expect_eq(touch("touch_read", p + PAGE, 2 * PAGE, &r), -EFAULT, "%s", names[k]);
		cr_expect_eq(r.fault_addr, (uintptr_t)p + 2 * PAGE);
		cr_assert_eq(mprotect(p, N * PAGE, PROT_READ | PROT_WRITE), 0);
		cr_expect_eq(touch("touch_write", p, N * PAGE, &r), 0, "%s", names[k]);
		cr_expect_eq(p[PAGE], 1);
	}
}

Test(outside, a_read_only_file_stays_as_it_is)
{
	int fd = open_kind(FILE_, N * PAGE);
	struct gm_launch_result r;

	close(fd);
	fd = open(file_path, O_RDONLY | O_CLOEXEC);
	void *p = mmap(NULL, N * PAGE, PROT_READ, MAP_SHARED, fd, 0);
	cr_expect_eq(touch("touch_read", p, N * PAGE, &r), 0);
	cr_expect_eq(touch("touch_write", p, N * PAGE, &r), -EPERM);
	cr_expect_eq(r.fault_addr, (uintptr_t)p);
	close(fd);
}

Test(outside, what_is_mapped_anew_is_seen)
{
	char *p = map_kind(MEMFD, N * PAGE);
	struct gm_launch_result r;

	memset(p, 1, N * PAGE);
	cr_expect_eq(device_sum(sim, p, 8), 0x0101010101010101ull);
	cr_assert_eq(mmap(p, N * PAGE, PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0),
		     p);
	cr_expect_eq(device_sum(sim, p, 8), 0, "the old pages are not seen any more");
	cr_assert_eq(munmap(p, N * PAGE), 0);
	cr_expect_eq(touch("touch_read", p, PAGE, &r), -EFAULT);
	cr_expect_eq(r.fault_addr, (uintptr_t)p);
}

Test(outside, more_objects_than_a_device_keeps)
{
	enum { MANY = 600 };
	unsigned char *p[MANY];

	for (int round = 0; round < 2; round++)
		for (int i = 0; i < MANY; i++) {
			if (!round)
				p[i] = map_kind(ANONYMOUS, PAGE);
			cr_assert_eq(device_write(sim, p[i], i % 250 + round, PAGE), 0);
			cr_assert(all_bytes(p[i], i % 250 + round, PAGE));
		}
	for (int i = 0; i < MANY; i++)
		cr_assert(all_bytes(p[i], i % 250 + 1, PAGE));
}

Test(outside, a_lost_device_starts_again_with_the_same_memory)
{
	for_each_kind(k, p)
	{
		cr_assert_eq(device_write(sim, p, 1, N * PAGE), 0);
		gmi_sim_kill(sim);
		cr_expect_eq(device_write(sim, p + PAGE, 2, PAGE), 0, "%s", names[k]);
		cr_expect(all_bytes(p, 1, PAGE) && all_bytes(p + PAGE, 2, PAGE));
	}
}

Test(outside, file_locks_of_the_program_survive)
{
	int fd = open_kind(FILE_, PAGE), status;
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	void *p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	cr_assert_eq(fcntl(fd, F_SETLK, &lock), 0);
	cr_assert_eq(device_write(sim, p, 1, PAGE), 0);
	pid_t child = fork();
	if (!child) {
		int mine = open(file_path, O_RDWR);
		_exit(fcntl(mine, F_SETLK, &lock) == -1 && errno == EAGAIN ? 0 : 1);
	}
	cr_assert_eq(waitpid(child, &status, 0), child);
	cr_expect_eq(status, 0, "another process cannot have the lock");
	close(fd);
}

Test(outside, our_own_memory_is_nobodys)
{
	struct gm_launch_result r;
	struct gm_vma vma;
	unsigned found = 0;

	cr_assert_eq(device_write(sim, managed(PAGE), 1, PAGE), 0);
	for (uint64_t va = 0; !gmi_vma_next(va, &vma); va = vma.hi) {
		if (!vma.shared || !vma.read || strncmp(vma.name, "/memfd:gmem-", 12) != 0 ||
		    gm_as_of((void *)vma.lo))
			continue;
		found++;
		cr_expect_eq(touch("touch_read", (void *)vma.lo, PAGE, &r), -EFAULT, "%s",
			     vma.name);
	}
	cr_expect_geq(found, 3, "the control page, the device's memory, the store");
}

Test(outside, none_and_copy_leave_it_to_the_program)
{
	unsigned char *p = map_kind(MEMFD, PAGE);
	struct gm_launch_result r;

	gmi_opt.foreign = GM_FOREIGN_COPY;
	cr_expect_eq(touch("touch_read", p, PAGE, &r), -EFAULT);
	gmi_opt.foreign = GM_FOREIGN_NONE;
	cr_expect_eq(touch("touch_read", p, PAGE, &r), -EFAULT);
	gmi_opt.foreign = GM_FOREIGN_SHARED;
	cr_expect_eq(touch("touch_read", p, PAGE, &r), 0);
}

/* ---- what an address is ---- */

static enum gm_kind kind_at(const void *p)
{
	struct gm_page_info info;

	cr_assert_eq(gm_query((void *)((uintptr_t)p & ~(PAGE - 1)), PAGE, &info), 0);
	cr_expect_eq(info.where, info.kind == GM_KIND_NONE ? GM_NOMAP : GM_HOST);
	return (enum gm_kind)info.kind;
}

Test(outside, queries_say_what_a_page_is)
{
	struct gm_page_info info[N + 1];
	char *p = mmap(NULL, 3 * PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *m = managed(PAGE);

	for_each_kind(k, q)
	{
		cr_assert_eq(gm_query(q, N * PAGE, info), 0);
		for (unsigned i = 0; i < N; i++)
			cr_expect(info[i].kind == (k < SHARED_KINDS ? GM_KIND_SHARED
								    : GM_KIND_ADOPTED) &&
					  info[i].where == GM_HOST && info[i].hnid == -1 &&
					  info[i].cpu == (GM_PROT_READ | GM_PROT_WRITE) &&
					  info[i].device == 0 && info[i].pinned == 1,
				  "%s", names[k]);
	}
	cr_assert_eq(munmap(p + PAGE, PAGE), 0);
	cr_assert_eq(gm_query(p, 3 * PAGE, info), 0);
	cr_expect(info[0].kind == GM_KIND_PRIVATE && info[0].cpu == GM_PROT_READ);
	cr_expect(info[1].kind == GM_KIND_NONE && info[1].cpu == 0 && info[1].where == GM_NOMAP);
	cr_expect(info[2].kind == GM_KIND_PRIVATE);
	cr_expect_eq(kind_at(info), GM_KIND_PRIVATE, "a stack");
	cr_expect_eq(kind_at(open_kind), GM_KIND_OTHER, "code");
	cr_expect_eq(kind_at(gmi_stats), GM_KIND_OTHER, "ours");
	cr_assert_eq(gm_query(m, PAGE, info), 0);
	cr_expect_eq(info[0].kind, GM_KIND_MANAGED);
}

Test(outside, hints_on_it_hold_already)
{
	static unsigned char unreached[PAGE] __attribute__((aligned(4096)));
	static const int holding[] = {GM_MADV_PINNED, GM_MADV_UNPINNED, GM_MADV_READ_MOSTLY,
				      GM_MADV_PREFERRED_LOCATION, GM_MADV_ACCESSED_BY};
	int hnid = gm_dev_hnid(gm_sim_dev(sim));

	for_each_kind(k, p)
	{
		memset(p, 5, N * PAGE);
		cr_expect_eq(hmadvise(hnid, p, N * PAGE, MADV_PREFETCH), -EBUSY, "%s", names[k]);
		cr_expect_eq(hmadvise(-1, p, N * PAGE, MADV_PREFETCH), 0);
		for (unsigned i = 0; i < sizeof holding / sizeof holding[0]; i++)
			cr_expect_eq(hmadvise(hnid, p, PAGE, holding[i]), 0, "%s", names[k]);
		cr_expect_eq(hmadvise(-1, p, PAGE, GM_MADV_DISCARD), -EINVAL);
		cr_expect_eq(hmadvise(-1, p, PAGE, 99), -EINVAL);
		cr_expect(all_bytes(p, 5, N * PAGE));
	}
	cr_expect_eq(hmadvise(-1, unreached, PAGE, GM_MADV_PINNED), -EFAULT);
}

Test(outside, copies_from_and_to_each_kind)
{
	unsigned char *m = managed(N * PAGE);
	int hnid = gm_dev_hnid(gm_sim_dev(sim));

	for_each_kind(k, p)
	{
		fill(p, 0, N, 1);
		cr_expect_eq(hmemcpy(hnid, m, p, N * PAGE), 0, "%s", names[k]);
		expect_filled(m, 0, N, 1);
		cr_assert_eq(device_write(sim, m, 9, N * PAGE), 0);
		cr_expect_eq(hmemcpy(-1, p, m, N * PAGE), 0, "%s", names[k]);
		cr_expect(all_bytes(p, 9, N * PAGE));
		cr_expect_eq(device_sum(sim, p, 8), 0x0909090909090909ull);
		cr_expect_eq(hmemcpy(hnid, p, m, PAGE), -EFAULT);
	}
}

/* Not touched: there need not be any. */
Test(outside, huge_pages_that_were_asked_for_are_left_alone)
{
	struct gm_launch_result r;
	void *p = mmap(NULL, 2 * MIB, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED) {
		fprintf(stderr, "skipped: MAP_HUGETLB: %m\n");
		return;
	}
	cr_expect_eq(kind_at(p), GM_KIND_OTHER);
	cr_expect_eq(gm_register(NULL, p, 2 * MIB), -EOPNOTSUPP);
	cr_expect_eq(touch("touch_read", p, PAGE, &r), -EFAULT);
	cr_expect_eq(munmap(p, 2 * MIB), 0);
}

/* ---- registering ---- */

Test(outside, what_is_registered_is_private_again_afterwards)
{
	for (enum kind k = SHARED_KINDS; k < KINDS; k++)
		for (int round = 0; round < 3; round++) {
			unsigned char *p = take_kind(k);
			struct gm_launch_result r;
			cr_assert_eq(device_write(sim, p, 3 + round, N * PAGE), 0);
			cr_assert_eq(gm_unregister(p, N * PAGE), 0, "%s", names[k]);
			cr_expect(all_bytes(p, 3 + round, N * PAGE), "%s", names[k]);
			cr_expect_eq(kind_at(p), GM_KIND_PRIVATE);
			cr_expect_eq(touch("touch_write", p, PAGE, &r), -EFAULT, "%s", names[k]);
			pid_t child = fork();
			if (!child) {
				memset(p, 99, PAGE);
				_exit(0);
			}
			waitpid(child, NULL, 0);
			cr_expect(all_bytes(p, 3 + round, PAGE), "%s", names[k]);
			cr_assert_eq(gm_register(NULL, p, N * PAGE), 0);
			give_kind(k, p);
		}
}

Test(outside, rights_of_what_is_registered_hold)
{
	unsigned char *p = private_memory(PRIVATE_MEMORY);
	struct gm_launch_result r;

	memset(p, 4, N * PAGE);
	cr_assert_eq(mprotect(p + PAGE, PAGE, PROT_READ), 0);
	cr_assert_eq(gm_register(NULL, p, N * PAGE), 0);
	cr_expect_eq(touch("touch_read", p, N * PAGE, &r), 0);
	cr_expect_eq(touch("touch_write", p, 2 * PAGE, &r), -EPERM);
	cr_expect_eq(r.fault_addr, (uintptr_t)p + PAGE);
	cr_assert_eq(gm_unregister(p, N * PAGE), 0);
	cr_expect(p[0] == 1 && p[1] == 4 && p[PAGE] == 4 && p[2 * PAGE] == 4);
	cr_assert_eq(mprotect(p + PAGE, PAGE, PROT_READ | PROT_WRITE), 0);
	p[PAGE] = 5;
}

Test(outside, a_fork_child_does_not_have_it)
{
	unsigned char *p = take_kind(PRIVATE_MEMORY);
	int status;

	memset(p, 7, N * PAGE);
	pid_t child = fork();
	if (!child) {
		struct gm_page_info info;
		bool gone = !gm_query(p, PAGE, &info) && info.kind == GM_KIND_NONE;
		_exit(gone && gm_unregister(p, N * PAGE) == -ENOENT ? 0 : 1);
	}
	cr_assert_eq(waitpid(child, &status, 0), child);
	cr_expect_eq(status, 0);
	cr_expect(all_bytes(p, 7, N * PAGE));
	cr_assert_eq(gm_unregister(p, N * PAGE), 0);
	cr_expect(all_bytes(p, 7, N * PAGE));
}

Test(outside, what_cannot_be_registered_is_refused)
{
	unsigned char *p = private_memory(PRIVATE_MEMORY), *m = managed(2 * PAGE);
	void *frame = (void *)((uintptr_t)__builtin_frame_address(0) & ~(PAGE - 1));
	void *code = (void *)((uintptr_t)open_kind & ~(PAGE - 1));

	cr_expect_eq(gm_register(NULL, NULL, PAGE), -EINVAL);
	cr_expect_eq(gm_register(NULL, p + 1, PAGE), -EINVAL);
	cr_expect_eq(gm_register(NULL, p, PAGE - 1), -EINVAL);
	cr_expect_eq(gm_register(NULL, p, 0), -EINVAL);
	cr_expect_eq(gm_register(NULL, p, -PAGE), -EINVAL);
	cr_expect_eq(gm_register(NULL, frame, PAGE), -EINVAL, "this thread's stack");
	cr_expect_eq(gm_register(NULL, m, PAGE), -EEXIST);
	cr_expect_eq(gm_register(NULL, code, PAGE), -EOPNOTSUPP);
	cr_assert_eq(munmap(p + 2 * PAGE, PAGE), 0);
	cr_assert_eq(mprotect(p + 5 * PAGE, PAGE, PROT_NONE), 0);
	cr_expect_eq(gm_register(NULL, p, 4 * PAGE), -EFAULT, "a hole");
	cr_expect_eq(gm_register(NULL, p + 4 * PAGE, 2 * PAGE), -EFAULT, "PROT_NONE");
	cr_expect_eq(kind_at(p), GM_KIND_PRIVATE, "nothing of it");
	cr_expect_eq(gm_register(NULL, p, 2 * PAGE), 0);
	cr_expect_eq(gm_register(NULL, p + PAGE, PAGE), -EEXIST);
	cr_expect_eq(gm_unregister(p + 6 * PAGE, PAGE), -ENOENT);
	cr_expect_eq(gm_unregister(p + 1, PAGE), -EINVAL);
	cr_expect_eq(gm_unregister(p, 2 * PAGE), 0);
	gmi_opt.foreign = GM_FOREIGN_COPY;
	cr_expect_eq(gm_register(NULL, p, PAGE), -EOPNOTSUPP);
	gmi_opt.foreign = GM_FOREIGN_SHARED;
	int fd = open_kind(FILE_, PAGE);
	void *f = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	cr_expect_eq(gm_register(NULL, f, 2 * PAGE), -EOPNOTSUPP, "beyond the end of a file");
	cr_expect_eq(kind_at(f), GM_KIND_PRIVATE);
	close(fd);
}
