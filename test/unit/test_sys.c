/* The port to the system: calls, private memory, locks, signals, time, text, descriptors. */
#include "core/sys/copy.h"
#include "core/sys/inject.h"
#include "core/sys/sys.h"
#include "test/threads.h"
#include <criterion/criterion.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* ---- copies ---- */

static void copy_four_times(void *dst, const void *src, size_t bytes)
{
	for (int i = 0; i < 4; i++)
		gm_copy_cached(dst, src, bytes);
}
static void copy_once(void *dst, const void *src, size_t bytes)
{
	gm_copy_cached(dst, src, bytes);
}

/* Four copies of which three find all in the cache: seldom as fast as one, and not three times. */
Test(copy, the_fastest_is_chosen_wherever_it_stands)
{
	const struct gm_copier first[] = {{"once", copy_once}, {"four", copy_four_times}};
	const struct gm_copier last[] = {{"four", copy_four_times}, {"once", copy_once}};
	char *room = gmi_alloc(2 * GM_COPY_TRIAL);
	int right = 0;

	memset(room, 3, 2 * GM_COPY_TRIAL);
	for (int i = 0; i < 9; i++) {
		right += gmc_copy_fastest(first, 2, 65536, room, room + GM_COPY_TRIAL) == 0;
		right += gmc_copy_fastest(last, 2, 65536, room, room + GM_COPY_TRIAL) == 1;
	}
	cr_expect_geq(right, 12, "%d of 18", right);
}

static void check_copies(char *to, const char *from, size_t room)
{
	static const size_t sizes[] = {1,     4095,  4096,  16383,  16384,
				       20480, 65536, 69633, 262144, 300001};

	for (size_t i = 0; i < GM_ARRAY_LEN(sizes); i++)
		for (size_t odd = 0; odd < 2; odd++) {
			memset(to, 0, room);
			gm_copy(to + odd, from, sizes[i]);
			cr_assert(!memcmp(to + odd, from, sizes[i]) && !to[odd + sizes[i]] &&
				  (!odd || !to[0]));
		}
}

Test(copy, every_size_is_right_before_and_after_the_choice)
{
	const size_t room = 512 << 10;
	char *to = gmi_alloc(room), *from = gmi_alloc(room);

	for (size_t i = 0; i < room; i++)
		from[i] = (char)(i * 7919 >> 5 | 1);
	check_copies(to, from, room);
	gmc_copy_choose();
	check_copies(to, from, room);
}

/* ---- system calls ---- */

Test(sys, syscall_returns_the_error_and_leaves_errno)
{
	errno = 1234;
	cr_assert_eq(gm_sys1(SYS_close, -1), -EBADF);
	cr_assert_eq(errno, 1234);
	cr_assert_eq(gm_sys0(SYS_getpid), getpid());
}

Test(sys, syscall_passes_six_arguments)
{
	int fd = memfd_create("six", 0);
	char *p;

	cr_assert_eq(ftruncate(fd, 3 * 4096), 0);
	cr_assert_eq(pwrite(fd, "third", 6, 2 * 4096), 6);
	p = gm_sys_mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 2 * 4096);
	cr_assert(!gm_is_err(p));
	cr_assert_str_eq(p, "third");
	cr_assert_eq(gm_sys_munmap(p, 4096), 0);
	p = gm_sys_mmap(NULL, 4096, PROT_READ, MAP_SHARED, -1, 0);
	cr_assert(gm_is_err(p));
	cr_assert_eq(gm_err(p), -EBADF);
}

/* Other file systems use the same numbers. */
Test(sys, a_memfd_of_ours_is_known_by_device_and_number)
{
	int fd = gmi_memfd("gmem-test", 4096), theirs = memfd_create("gmem-test", 0);
	struct stat st;

	cr_assert_geq(fd, 0);
	cr_assert_eq(fstat(fd, &st), 0);
	cr_expect(gmi_memfd_is_ours(st.st_dev, st.st_ino));
	cr_expect_not(gmi_memfd_is_ours(st.st_dev + 1, st.st_ino));
	cr_assert_eq(fstat(theirs, &st), 0);
	cr_expect_not(gmi_memfd_is_ours(st.st_dev, st.st_ino));
	gmi_fd_close(fd);
	close(theirs);
}

Test(sys, syscalls_go_through_the_gate)
{
	/* inc qword [rip + 8]; syscall; ret; (3 bytes of room) counter at 16 */
	static const unsigned char code[] = {0x48, 0xff, 0x05, 0x09, 0, 0, 0, 0x0f, 0x05, 0xc3};
	unsigned char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
				   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	void *old = gmi_gate;

	memcpy(page, code, sizeof code);
	gmi_gate = page;
	cr_assert_eq(gm_sys0(SYS_getpid), getpid());
	gmi_gettid();
	gmi_gate = old;
	cr_assert_eq(*(uint64_t *)(page + 16), 2);
}

#ifndef __SANITIZE_THREAD__ /* which runs handlers later, from a stack of its own */
static volatile bool unwound;
static __attribute__((noinline)) long sleeper(void)
{
	return gm_sys0(SYS_pause) + 1;
}
static void look_back(int sig)
{
	void *frame[32];
	int n = backtrace(frame, 32);

	for (int i = 0; i < n; i++)
		unwound |= (char *)frame[i] >= (char *)sleeper &&
			   (char *)frame[i] < (char *)sleeper + 128;
}

Test(sys, a_debugger_sees_through_the_gate)
{
	struct itimerval soon = {.it_value = {.tv_usec = 20000}};

	look_back(0); /* loads the unwinder */
	unwound = false;
	signal(SIGALRM, look_back);
	setitimer(ITIMER_REAL, &soon, NULL);
	cr_assert_eq(sleeper(), -EINTR + 1);
	cr_assert(unwound);
}
#endif

/* ---- private memory ---- */

static bool all_zero(const char *p, size_t n)
{
	while (n && !*p)
		p++, n--;
	return !n;
}

Test(alloc, every_size_is_zeroed_aligned_and_its_own)
{
	for (size_t n = 0; n < 70000; n += n < 600 ? 1 : 311) {
		char *a = gmi_alloc(n), *b = gmi_alloc(n);
		cr_assert(a && b && a != b);
		cr_assert_eq((uintptr_t)a % (n >= 64 ? 64 : 16), 0, "size %zu", n);
		cr_assert(all_zero(a, n) && all_zero(b, n));
		memset(a, 0xaa, n);
		cr_assert(all_zero(b, n), "size %zu overlaps", n);
		memset(b, 0xbb, n);
		gmi_free(a, n);
		gmi_free(b, n);
		a = gmi_alloc(n);
		cr_assert(all_zero(a, n), "size %zu is dirty when used again", n);
		gmi_free(a, n);
	}
}

Test(alloc, memory_is_used_again)
{
	for (int i = 0; i < 1000; i++)
		gmi_free(gmi_alloc(3000), 3000);
	size_t before = gmi_private_bytes();
	for (int i = 0; i < 100000; i++)
		gmi_free(gmi_alloc(3000), 3000);
	cr_assert_eq(gmi_private_bytes(), before);
}

Test(alloc, large_sizes_come_and_go)
{
	size_t before = gmi_private_bytes(), n = 10 << 20;
	char *p = gmi_alloc(n);

	cr_assert(all_zero(p, n));
	cr_assert_eq(gmi_private_bytes(), before + n);
	gmi_free(p, n);
	cr_assert_eq(gmi_private_bytes(), before);
	cr_assert_null(gmi_alloc(SIZE_MAX));
	cr_assert_null(gmi_alloc((size_t)1 << 50));
	gmi_free(NULL, 5);
}

Test(alloc, can_be_made_to_fail)
{
	cr_assert_eq(gmi_inject("alloc@3+"), 0);
	cr_assert(gmi_alloc(10) && gmi_alloc(1 << 20));
	cr_assert_null(gmi_alloc(10));
	cr_assert_null(gmi_alloc(1 << 20));
	gmi_inject("");
	cr_assert(gmi_alloc(10));
}

/* Objects carry their owner's mark from end to end; any sharing shows. */
static void hammer(unsigned seed, int rounds)
{
	enum { LIVE = 32 };
	struct {
		uint64_t *p;
		size_t words;
	} o[LIVE] = {{0}};
	uint64_t mark = (uint64_t)seed << 32;

	for (int i = 0; i < rounds; i++) {
		unsigned k = (seed = seed * 1103515245 + 12345) >> 16 & (LIVE - 1);
		if (o[k].p) {
			cr_assert_eq(o[k].p[0], mark + k);
			cr_assert_eq(o[k].p[o[k].words - 1], mark + k);
			gmi_free(o[k].p, o[k].words * 8);
		}
		o[k].words = 1 + (seed >> 20) % 40;
		o[k].p = gmi_alloc(o[k].words * 8);
		cr_assert(all_zero((char *)o[k].p, o[k].words * 8));
		for (size_t w = 0; w < o[k].words; w++)
			o[k].p[w] = mark + k;
	}
	for (int k = 0; k < LIVE; k++)
		gmi_free(o[k].p, o[k].words * 8);
}
static void *hammer_thread(void *arg)
{
	hammer((unsigned)(uintptr_t)arg, 200000);
	return NULL;
}

Test(alloc, four_threads)
{
	pthread_t t[4];

	for (uintptr_t i = 0; i < 4; i++)
		pthread_create(&t[i], NULL, hammer_thread, (void *)(i + 1));
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
}

static volatile int interruptions;
static void allocate_in_handler(int sig)
{
	interruptions++;
	hammer(77u + (unsigned)interruptions, 50);
}

Test(alloc, inside_handlers_that_interrupt_it)
{
	struct itimerval often = {{0, 200}, {0, 200}}, never = {{0, 0}, {0, 0}};

	signal(SIGALRM, allocate_in_handler);
	setitimer(ITIMER_REAL, &often, NULL);
	while (interruptions < 300)
		hammer(5, 1000);
	setitimer(ITIMER_REAL, &never, NULL);
}

static _Atomic bool stop;
static void *hammer_until_stopped(void *arg)
{
	while (!stop)
		hammer((unsigned)(uintptr_t)arg, 1000);
	return NULL;
}

Test(alloc, fork_at_any_moment_leaves_the_child_a_working_heap)
{
	pthread_t t;
	int status;

	pthread_create(&t, NULL, hammer_until_stopped, (void *)9);
	for (int i = 0; i < 50; i++) {
		pid_t pid = fork();
		if (pid == 0) {
			hammer(3, 2000);
			_exit(0);
		}
		cr_assert_eq(waitpid(pid, &status, 0), pid);
		cr_assert_eq(status, 0);
	}
	stop = true;
	pthread_join(t, NULL);
}

#ifdef GM_DEBUG
Test(alloc, double_free_is_found, .signal = SIGABRT)
{
	void *p = gmi_alloc(100);

	gmi_free(p, 100);
	gmi_free(p, 100);
}
#endif

/* ---- locks and futexes ---- */

static struct gm_lock lock;
static volatile long counter;
static void *count_up(void *arg)
{
	for (int i = 0; i < 200000; i++) {
		gm_sigmask old = gmi_block_signals();
		gmi_lock(&lock);
		counter = counter + 1;
		gmi_unlock(&lock);
		gmi_restore_signals(old);
	}
	return NULL;
}

Test(lock, one_at_a_time)
{
	in_four_threads(count_up);
	cr_assert_eq(counter, 800000);
	cr_assert_eq(lock.v, 0);
	cr_assert(gmi_trylock(&lock));
	cr_assert(!gmi_trylock(&lock));
	gmi_unlock(&lock);
}

#ifdef GM_DEBUG
static struct gm_lock region = GM_LOCK_INIT(GM_RANK_REGION), block = GM_LOCK_INIT(GM_RANK_BLOCK),
		      block2 = GM_LOCK_INIT(GM_RANK_BLOCK);

Test(lock, right_order_is_accepted)
{
	gmi_block_signals();
	gmi_lock(&region);
	gmi_lock(&block);
	cr_assert(gmi_trylock(&block2));
	gmi_unlock(&block);
	gmi_unlock(&block2);
	gmi_unlock(&region);
}
Test(lock, wrong_order_is_found, .signal = SIGABRT)
{
	gmi_block_signals();
	gmi_lock(&block);
	gmi_lock(&region);
}
Test(lock, second_block_is_found, .signal = SIGABRT)
{
	gmi_block_signals();
	gmi_lock(&block);
	gmi_lock(&block2);
}
Test(lock, unblocked_signals_are_found, .signal = SIGABRT)
{
	gmi_lock(&block);
}
#endif

Test(futex, wakes_another_process_and_times_out)
{
	_Atomic uint32_t *w =
		mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pid;

	cr_assert_eq(gmi_futex_wait(w, 1, -1), -EAGAIN);
	uint64_t start = gmi_now_ns();
	cr_assert_eq(gmi_futex_wait(w, 0, 3000000), -ETIMEDOUT);
	cr_assert_geq(gmi_now_ns() - start, 3000000);
	if ((pid = fork()) == 0) {
		atomic_store(w, 1);
		gmi_futex_wake(w, 1);
		_exit(0);
	}
	while (atomic_load(w) == 0)
		gmi_futex_wait(w, 0, -1);
	waitpid(pid, NULL, 0);
}

/* ---- signals, time ---- */

Test(signals, all_but_the_synchronous_ones_are_blocked)
{
	static const int never[] = {SIGSEGV, SIGBUS,  SIGSYS,  SIGILL,
				    SIGFPE,  SIGTRAP, SIGKILL, SIGSTOP};
	uint64_t now, expect = ~0ull;
	sigset_t before, after;

	for (unsigned i = 0; i < GM_ARRAY_LEN(never); i++)
		expect &= ~(1ull << (never[i] - 1));
	sigprocmask(SIG_SETMASK, NULL, &before);
	cr_assert(!gmi_signals_blocked());
	gm_sigmask old = gmi_block_signals();
	gm_sys4(SYS_rt_sigprocmask, SIG_BLOCK, NULL, &now, sizeof now);
	cr_assert_eq(now, expect);
	cr_assert(gmi_signals_blocked());
	gm_sigmask nested = gmi_block_signals();
	gmi_restore_signals(nested);
	cr_assert(gmi_signals_blocked());
	gmi_restore_signals(old);
	sigprocmask(SIG_SETMASK, NULL, &after);
	cr_assert_eq(memcmp(&before, &after, 8), 0);
}

Test(time, is_the_monotonic_clock)
{
	struct timespec a, b;

	clock_gettime(CLOCK_MONOTONIC, &a);
	uint64_t t = gmi_now_ns();
	clock_gettime(CLOCK_MONOTONIC, &b);
	cr_assert_leq((uint64_t)a.tv_sec * 1000000000u + (uint64_t)a.tv_nsec, t);
	cr_assert_geq((uint64_t)b.tv_sec * 1000000000u + (uint64_t)b.tv_nsec, t);
	for (int i = 0; i < 10000; i++) {
		uint64_t u = gmi_now_ns();
		cr_assert_leq(t, u);
		t = u;
	}
}

/* ---- text ---- */

#define same_text(room, ...)                                                                       \
	do {                                                                                       \
		volatile size_t n = (room); /* gcc warns of what it sees to be cut off */          \
		char ours[64] = "unset", libc[64] = "unset";                                       \
		int a = gmi_snprintf(ours, n, __VA_ARGS__), b = snprintf(libc, n, __VA_ARGS__);    \
		cr_assert_str_eq(ours, libc);                                                      \
		cr_assert_eq(a, b);                                                                \
	} while (0)

Test(text, like_snprintf)
{
	same_text(64, "plain");
	same_text(64, "%d %d %d", 0, -1, 2147483647);
	same_text(64, "%ld|%ld", (long)INT64_MIN, (long)INT64_MAX);
	same_text(64, "%u %lu %zu %llu", ~0u, ~0ul, (size_t)7, 9ull);
	same_text(64, "%x %lx %04x %016lx", 0xabcu, 0x123456789abcul, 0xau, 0x10ul);
	same_text(64, "%5d|%05d|%3s|%c|%%", -42, -42, "x", 'q');
	same_text(64, "%p", (void *)0x7fff12345678);
	same_text(64, "%.3s|%.*s|%.9s", "abcdef", 2, "xyz", "end");
	same_text(8, "%s", "longer than the room");
	same_text(1, "%d", 12345);
	char none[1] = {'x'};
	cr_assert_eq(gmi_snprintf(none, 0, "%s", "abc"), 3);
	cr_assert_eq(none[0], 'x');
}

static void log_to_pipe(int fd[2])
{
	cr_assert_eq(pipe(fd), 0);
	dup2(fd[1], 2);
	close(fd[1]);
}

Test(text, log_is_one_line_when_enabled)
{
	char buf[4096] = "", huge[3000];
	int fd[2];

	memset(huge, 'h', sizeof huge);
	huge[sizeof huge - 1] = 0;
	log_to_pipe(fd);
	gmi_log_level = GM_LOG_WARN;
	gm_log(GM_LOG_INFO, "not shown");
	gm_log(GM_LOG_WARN, "shown %d", 5);
	gm_log(GM_LOG_ERROR, "%s", huge);
	ssize_t n = read(fd[0], buf, sizeof buf);
	cr_assert_eq(strncmp(buf, "gmem: shown 5\ngmem: hhh", 23), 0);
	cr_assert_eq(n, 14 + 1024 - 1);
	cr_assert_eq(buf[n - 1], '\n');
}

Test(text, log_into_a_closed_pipe_kills_nobody)
{
	sigset_t pending;
	int fd[2];

	log_to_pipe(fd);
	close(fd[0]);
	errno = 99;
	gmi_log(GM_LOG_ERROR, "nobody reads this");
	cr_assert_eq(errno, 99);
	sigpending(&pending);
	cr_assert(!sigismember(&pending, SIGPIPE));
}

/* ---- descriptors ---- */

static void check_raise(void)
{
	int fd = open("/dev/zero", O_RDONLY), high = gmi_fd_raise(fd);
	char c = 1;

	cr_assert_gt(high, fd);
	cr_assert_eq(fcntl(fd, F_GETFD), -1, "the old one is closed");
	cr_assert_eq(fcntl(high, F_GETFD), FD_CLOEXEC);
	cr_assert(gmi_fd_is_ours(high));
	cr_assert(!gmi_fd_is_ours(fd));
	cr_assert_eq(read(high, &c, 1), 1);
	gmi_fd_close(high);
	cr_assert_eq(fcntl(high, F_GETFD), -1);
	cr_assert(!gmi_fd_is_ours(high));
}

Test(fd, is_raised_close_on_exec_and_known)
{
	check_raise();
	cr_assert(!gmi_fd_is_ours(-1));
	cr_assert(!gmi_fd_is_ours(1 << 30));
	cr_assert_eq(gmi_fd_raise(-ENFILE), -ENFILE);
	cr_assert_eq(gmi_fd_raise(7777), -EBADF);
}

Test(fd, works_under_any_limit)
{
	static const rlim_t limit[] = {1024, 256, 40, 24};

	for (unsigned i = 0; i < GM_ARRAY_LEN(limit); i++) {
		struct rlimit lim = {limit[i], limit[i]};
		cr_assert_eq(setrlimit(RLIMIT_NOFILE, &lim), 0);
		check_raise();
	}
}

Test(fd, no_room_is_an_error_not_a_leak)
{
	struct rlimit lim = {24, 24};
	int fd = -1, last = -1;

	setrlimit(RLIMIT_NOFILE, &lim);
	while ((fd = open("/dev/null", O_RDONLY)) >= 0)
		last = fd;
	cr_assert_eq(gmi_fd_raise(last), -EMFILE);
	cr_assert_eq(fcntl(last, F_GETFD), -1);
}

Test(assertion, says_where_and_aborts_whatever_the_program_did, .signal = SIGABRT)
{
	sigset_t all;

	signal(SIGABRT, SIG_IGN);
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL);
	gmi_assert_fail("1 == 2", "test_sys.c", 1);
}
