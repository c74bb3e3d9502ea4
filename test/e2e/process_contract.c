/*
 * process_contract.c - fork, vfork, exec and spawn with strings and pages that are away;
 * descriptors; waiting for children. Started again with an argument it only tells what it was
 * given.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <ucontext.h>

#include "away.h"
#include "child.h"

extern char **environ;
int close_range(unsigned first, unsigned last, int flags);
static char *self;
static char **volatile bad_vector = (char **)8;

static char *far_string(const char *s)
{
	char *p = aligned_alloc(PAGE, PAGE);
	strcpy(p, s);
	away(p, PAGE);
	return p;
}

static char **far_vector(const char *a, const char *b, const char *c)
{
	char **v = aligned_alloc(PAGE, PAGE);
	v[0] = (char *)a, v[1] = (char *)b, v[2] = (char *)c, v[3] = NULL;
	away(v, PAGE);
	return v;
}

static char **args(const char *what)
{
	return far_vector(far_string("child"), far_string("tell"), far_string(what));
}

static char **env(void)
{
	char *preload = getenv("LD_PRELOAD"), *entry = aligned_alloc(PAGE, PAGE);
	snprintf(entry, PAGE, "LD_PRELOAD=%s", preload ? preload : "");
	away(entry, PAGE);
	return far_vector(far_string("FAR=away"), entry, NULL);
}

static void forks(void)
{
	char *p = absent(64, 1);
	unsigned want;

	for (int i = 0; i < 3; i++) {
		away(p, 64 * PAGE);
		pid_t pid = fork();
		if (!pid) {
			unsigned s = sum(p, 64 * PAGE);
			memset(p, 'c', 64 * PAGE);
			_exit((int)(s % 200));
		}
		memset(p, i, 10 * PAGE); /* the child must not see this */
		printf("fork child %d\n", status_of(pid));
	}
	want = sum(p, 64 * PAGE);
	away(p, 64 * PAGE);
	pid_t pid = (pid_t)syscall(SYS_fork);
	if (!pid) {
		memset(p, 'd', 64 * PAGE);
		syscall(SYS_exit_group, 5);
	}
	printf("raw fork %d\n", status_of(pid));
	printf("parent keeps %d\n", sum(p, 64 * PAGE) == want);
	pid = fork();
	if (!pid) {
		pid_t inner = fork(); /* a grandchild; memory goes on working */
		if (!inner) {
			char *q = malloc(100000);
			memset(q, 1, 100000);
			_exit((int)(sum(p, 64 * PAGE) == want) + 20);
		}
		_exit(status_of(inner));
	}
	printf("grandchild %d\n", status_of(pid));
}

static void *allocate(void *arg)
{
	for (int i = 0; !*(volatile int *)arg; i++) {
		char *p = malloc((size_t)(i % 100) * 1000 + 1);
		p[0] = 1;
		if (i % 64 == 0)
			away(p, 1);
		free(p);
	}
	return NULL;
}

static void forks_with_threads(void)
{
	int stop = 0, bad = 0;
	pthread_t t[3];

	for (int i = 0; i < 3; i++)
		pthread_create(&t[i], NULL, allocate, &stop);
	for (int i = 0; i < 40; i++) {
		pid_t pid = fork();
		if (!pid) {
			char *q = malloc(50000);
			memset(q, i, 50000);
			free(q);
			_exit(i);
		}
		bad += status_of(pid) != i;
	}
	*(volatile int *)&stop = 1;
	for (int i = 0; i < 3; i++)
		pthread_join(t[i], NULL);
	printf("forks with threads, bad %d\n", bad);
}

/* ---- forks from stacks in the heap, and with an altstack there ---- */

static ucontext_t main_uc, co_uc;
static unsigned forked_bad;
static void fork_here(int rounds)
{
	volatile char frame[3 * PAGE];

	for (int i = 0; i < rounds; i++) {
		for (size_t k = 0; k < sizeof(frame); k += 64)
			frame[k] = (char)(i + 1);
		pid_t pid = fork();
		if (!pid) {
			unsigned s = 0;
			for (size_t k = 0; k < sizeof(frame); k += 64)
				s += frame[k] != (char)(i + 1), frame[k] = 99;
			_exit((int)s ? 1 : 33);
		}
		for (size_t k = 0; k < sizeof(frame); k += 64)
			forked_bad += frame[k] != (char)(i + 1), frame[k] = 50;
		forked_bad += status_of(pid) != 33;
	}
}

static void on_usr1(int sig)
{
	fork_here(3);
}

static void forks_on_heap_stacks(void)
{
	stack_t alt = {.ss_sp = absent(64, 1), .ss_size = 64 * PAGE},
		off = {.ss_flags = SS_DISABLE};
	struct sigaction sa = {.sa_handler = on_usr1, .sa_flags = SA_ONSTACK};

	getcontext(&co_uc);
	co_uc.uc_stack.ss_sp = absent(64, 1);
	co_uc.uc_stack.ss_size = 64 * PAGE;
	co_uc.uc_link = &main_uc;
	makecontext(&co_uc, (void (*)(void))fork_here, 1, 20);
	swapcontext(&main_uc, &co_uc);
	printf("forks from a coroutine, bad %u\n", forked_bad);
	sigaltstack(&alt, NULL);
	away(alt.ss_sp, alt.ss_size);
	fork_here(20);
	printf("forks with an altstack in the heap, bad %u\n", forked_bad);
	sigaction(SIGUSR1, &sa, NULL);
	for (int i = 0; i < 5; i++)
		raise(SIGUSR1);
	printf("forks on it, bad %u\n", forked_bad);
	sigaltstack(&off, NULL);
}

/* ---- forks while another thread's call waits for data ---- */

static void *read_bytes(void *arg)
{
	char *b = absent(1, 0);
	int *fds = arg;
	unsigned long good = 0, bad = 0;

	for (;;) {
		long r = read(fds[0], b, 1);
		if (r == 0)
			break;
		good += r == 1, bad += r < 0;
		if (r == 1 && good % 16 == 0)
			away(b, PAGE);
	}
	fds[2] = (int)bad;
	return NULL;
}

static void forks_beside_reads(void)
{
	int fds[3], bad = 0;
	pthread_t t;

	if (pipe(fds))
		return;
	pid_t writer = fork();
	if (!writer) { /* bytes that come while the reader waits, also during a fork */
		for (int i = 0; i < 3000; i++) {
			usleep(50);
			bad += write(fds[1], "x", 1) != 1;
		}
		_exit(bad != 0);
	}
	close(fds[1]);
	pthread_create(&t, NULL, read_bytes, fds);
	char *data = absent(64, 3);
	unsigned want = sum(data, 64 * PAGE);
	for (int i = 0; i < 60; i++) {
		away(data, 64 * PAGE);
		pid_t pid = fork();
		if (!pid)
			_exit(sum(data, 64 * PAGE) == want ? 9 : 1);
		bad += status_of(pid) != 9;
	}
	bad += status_of(writer);
	pthread_join(t, NULL);
	printf("forks beside reads, bad %d, failed reads %d\n", bad, fds[2]);
	close(fds[0]);
}

static void execs(void)
{
	pid_t pid = vfork();

	if (!pid) {
		execve(self, args("vfork+execve"), env());
		_exit(99);
	}
	printf("vfork %d\n", status_of(pid));
	if (!(pid = fork())) {
		execv(self, args("fork+execv"));
		_exit(99);
	}
	printf("fork %d\n", status_of(pid));
	if (!(pid = vfork())) {
		execlp(far_string("sh"), far_string("sh"), far_string("-c"),
		       far_string("echo execlp; exit 6"), NULL);
		_exit(99);
	}
	printf("execlp %d\n", status_of(pid));
	if (!(pid = vfork())) {
		execl(self, far_string("x"), far_string("tell"), far_string("execl"), NULL);
		_exit(99);
	}
	printf("execl %d\n", status_of(pid));
	if (!(pid = fork())) {
		syscall(SYS_execve, self, args("raw execve"), env());
		_exit(99);
	}
	printf("raw %d\n", status_of(pid));
	if (!(pid = vfork())) {
		execve(far_string("/nonexistent"), args("none"), env());
		_exit(errno);
	}
	printf("missing %d\n", status_of(pid));
	if (!(pid = vfork())) {
		execve(self, bad_vector, env());
		_exit(errno);
	}
	printf("bad argv %d\n", status_of(pid));
}

/* libc's array of actions is not cleared: what pointers were there before shows in the unused
 * parts. */
static void spawn_in_old_memory(void)
{
	posix_spawn_file_actions_t fa;
	char *old[64], *text = strdup("a string in the heap"), line[16] = "";
	int fds[2], err = pipe(fds);
	pid_t pid = -1;

	for (size_t i = 0; i < 64; i++) {
		char **words = malloc(256);
		for (size_t k = 0; k < 32; k++)
			words[k] = text;
		old[i] = (char *)words;
	}
	for (size_t i = 0; i < 64; i++)
		free(old[i]);
	posix_spawn_file_actions_init(&fa);
	posix_spawn_file_actions_addclose(&fa, fds[0]);
	posix_spawn_file_actions_adddup2(&fa, fds[1], 1);
	posix_spawn_file_actions_addclose(&fa, fds[1]);
	err = err ? err
		  : posix_spawnp(&pid, "echo", &fa, NULL, (char *[]){"echo", "said", NULL},
				 environ);
	close(fds[1]);
	printf("spawn in old memory %d", err);
	printf(" %d,", status_of(pid));
	printf(" %ld", (long)read(fds[0], line, sizeof(line) - 1));
	printf(" %s", line);
	close(fds[0]);
	posix_spawn_file_actions_destroy(&fa);
}

static void spawns(void)
{
	posix_spawn_file_actions_t *fa = aligned_alloc(PAGE, PAGE);
	posix_spawnattr_t *attr = aligned_alloc(PAGE, PAGE);
	char name[] = "/tmp/process_contract.XXXXXX", line[100] = "";
	int fd = mkstemp(name), err;
	pid_t pid;

	posix_spawn_file_actions_init(fa);
	posix_spawn_file_actions_addopen(fa, 1, far_string(name), O_WRONLY | O_TRUNC, 0600);
	posix_spawn_file_actions_adddup2(fa, 1, 9);
	posix_spawn_file_actions_addchdir_np(fa, far_string("/usr"));
	posix_spawnattr_init(attr);
	away(fa, PAGE), away(attr, PAGE);
	err = posix_spawn(&pid, self, fa, attr, args("posix_spawn"), env());
	printf("posix_spawn %d", err);
	printf(" %d\n", status_of(pid));
	printf("its output %ld: ", (long)pread(fd, line, 99, 0));
	printf("%s", line);
	err = posix_spawnp(&pid, far_string("sh"), NULL, NULL,
			   far_vector(far_string("sh"), far_string("-c"),
				      far_string("pwd >/dev/null; exit 8")),
			   environ);
	printf("posix_spawnp %d", err);
	printf(" %d\n", status_of(pid));
	printf("missing %d\n",
	       posix_spawnp(&pid, far_string("no-such-program"), NULL, NULL, args("x"), environ));
	printf("missing path %d\n",
	       posix_spawn(&pid, far_string("/no/such"), NULL, NULL, args("x"), environ));
	unlink(name);
	close(fd);
	setenv("FAR_VARIABLE", far_string("from afar"), 1);
	away(environ, PAGE);
	printf("system %d\n", WEXITSTATUS(system(far_string("echo \"$FAR_VARIABLE\"; exit 3"))));
	FILE *f = popen(far_string("echo \"popen $FAR_VARIABLE\""), "r");
	printf("popen %s", fgets(line, sizeof(line), f));
	printf("pclose %d\n", pclose(f));
}

static void descriptors(void)
{
	int p[2], bad = 0;

	if (pipe(p))
		return;
	printf("dup2 %d\n", dup2(p[0], 50));
	printf("dup3 %d\n", dup3(p[0], 51, O_CLOEXEC));
	errno = 0;
	int r = dup2(p[0], -1);
	printf("dup2 bad %d %d\n", r, errno);
	r = close(-1);
	printf("close bad %d %d\n", r, errno);
	r = close_range(60, 40, 0);
	printf("close_range bad %d %d\n", r, errno);
	for (int fd = 3; fd < 4096; fd++)
		close(fd);
	for (int fd = 3; fd < 100; fd++)
		bad += fcntl(fd, F_GETFD) != -1;
	printf("all closed, left %d\n", bad);
	r = open("/dev/null", O_RDONLY);
	printf("next %d\n", r);
	printf("close_range %d\n", close_range(3, ~0u, 0));
	r = open("/dev/null", O_RDONLY);
	closefrom(3);
	printf("closefrom %d\n", fcntl(r, F_GETFD));
	/* and the device still works */
	char *q = absent(16, 7);
	printf("after %u\n", sum(q, 16 * PAGE));
}

/* Nothing is open that the program has not opened. */
static void strangers(void)
{
	struct stat st;
	int by_stat = 0, by_flags = 0, raw = 0;

	for (int fd = 0; fd < 10000; fd++) {
		by_stat += !fstat(fd, &st);
		by_flags += fcntl(fd, F_GETFD) >= 0;
		raw += !syscall(SYS_fstat, fd, &st);
	}
	printf("open descriptors %d %d %d\n", by_stat, by_flags, raw);
}

/* libc makes every thread of the process change its ids, ours too. */
static void identities(void)
{
	int r = setregid((gid_t)-1, (gid_t)-1);

	printf("setregid %d", r);
	r = setreuid((uid_t)-1, (uid_t)-1);
	printf(" setreuid %d", r);
	for (int i = 0; i < 20; i++) { /* also while threads of ours are being made */
		pid_t pid = fork();
		if (!pid) {
			for (int k = r = 0; k < 500; k++)
				r |= setregid((gid_t)-1, (gid_t)-1);
			_exit(r ? 1 : 0);
		}
		r |= status_of(pid);
	}
	printf(" in new processes %d\n", r);
}

static int in_clone(void *arg)
{
	return (int)(sum(arg, PAGE) % 100);
}

static void clones(void)
{
	char *stack = malloc(65536), *p = absent(1, 2);
	int status = 0;

	pid_t pid = clone(in_clone, stack + 65536, CLONE_VM | CLONE_VFORK | SIGCHLD, p);
	printf("clone %d\n", status_of(pid));
	errno = 0;
	pid = waitpid(-1, &status, __WALL | WNOHANG);
	printf("no other children %d %d\n", pid, errno);
	printf("sud %d\n", prctl(4 /* PR_SET_DUMPABLE */, 1));
}

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc > 2 && !strcmp(argv[1], "tell")) {
		const char *far = getenv("FAR");
		printf("%s: I am %s, %s\n", argv[2], argv[0], far ? far : "-");
		return 4;
	}
	self = far_string("/proc/self/exe");
	forks();
	forks_with_threads();
	forks_beside_reads();
	forks_on_heap_stacks();
	execs();
	spawns();
	spawn_in_old_memory();
	clones();
	identities();
	descriptors();
	strangers();
	return 0;
}
