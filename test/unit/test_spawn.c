/* Helpers run as asked, and the process that started them never has a child. */
#include "core/sys/sys.h"
#include "test/threads.h"
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char *const env[] = {"PATH=/usr/bin:/bin", "HELLO=world", NULL};

/* Runs a shell line with its standard output in a pipe; what it wrote until it ended. Returns
 * the pid. */
static int run(const char *line, char *out, size_t bytes)
{
	char *argv[] = {"sh", "-c", (char *)line, NULL};
	int p[2];
	size_t n = 0;
	ssize_t r;

	cr_assert_eq(pipe(p), 0);
	int fds[] = {-1, p[1], 2};
	int pid = gmi_spawn("/bin/sh", argv, env, fds, 3);
	close(p[1]);
	while ((r = read(p[0], out + n, bytes - 1 - n)) > 0)
		n += (size_t)r;
	close(p[0]);
	out[n] = 0;
	return pid;
}

static void check_childless(void)
{
	errno = 0;
	cr_assert_eq(waitpid(-1, NULL, WNOHANG | __WALL), -1);
	cr_assert_eq(errno, ECHILD);
}

/* The process ends as somebody else's child: gone, or a zombie that init has not come to yet. */
static void wait_gone(int pid)
{
	char path[64], line[256], state;
	FILE *f;

	for (;;) {
		snprintf(path, sizeof path, "/proc/%d/stat", pid);
		f = fopen(path, "r");
		if (!f)
			return;
		state = 0;
		if (fgets(line, sizeof line, f))
			state = strrchr(line, ')')[2];
		fclose(f);
		if (state == 'Z' || state == 'X' || state == 0)
			return;
		usleep(1000);
	}
}

static volatile int children_heard_of;
static void on_child(int sig)
{
	children_heard_of++;
}

Test(spawn, argv_environment_and_pid_arrive)
{
	char out[200], expect[200];
	int pid = run("echo $HELLO $$ $PPID", out, sizeof out);

	cr_assert_gt(pid, 0);
	snprintf(expect, sizeof expect, "world %d ", pid);
	cr_assert_eq(strncmp(out, expect, strlen(expect)), 0, "%s", out);
	cr_assert_neq(atoi(out + strlen(expect)), getpid());
}

Test(spawn, is_no_child_while_it_runs_nor_when_it_ends)
{
	char *argv[] = {"cat", NULL}, out[10];
	int p[2];

	signal(SIGCHLD, on_child);
	cr_assert_eq(pipe2(p, O_CLOEXEC), 0);
	int fds[] = {p[0], -1, -1}, pid = gmi_spawn("/bin/cat", argv, env, fds, 3);
	cr_assert_gt(pid, 0);
	check_childless();
	cr_assert_eq(kill(pid, 0), 0);
	close(p[1]);
	wait_gone(pid);
	check_childless();
	cr_assert_gt(run("exit 3", out, sizeof out), 0);
	check_childless();
	cr_assert_eq(children_heard_of, 0);
}

Test(spawn, a_program_that_adopts_orphans_does_not_adopt_it)
{
	char out[100];
	int still = 0;

	cr_assert_eq(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
	signal(SIGCHLD, on_child);
	int pid = run("echo $PPID", out, sizeof out);
	cr_assert_gt(pid, 0);
	cr_assert_neq(atoi(out), getpid());
	wait_gone(pid);
	check_childless();
	cr_assert_eq(children_heard_of, 0);
	prctl(PR_GET_CHILD_SUBREAPER, &still);
	cr_assert_eq(still, 1);
}

Test(spawn, the_program_s_own_children_are_left_alone)
{
	char out[10];
	int status;
	pid_t own = fork();

	if (own == 0)
		_exit(7);
	cr_assert_gt(run("true", out, sizeof out), 0);
	cr_assert_eq(waitpid(-1, &status, 0), own);
	cr_assert_eq(WEXITSTATUS(status), 7);
}

Test(spawn, ignored_sigchld_does_not_matter)
{
	char out[10];

	signal(SIGCHLD, SIG_IGN);
	cr_assert_gt(run("exit 1", out, sizeof out), 0);
	check_childless();
}

Test(spawn, exec_errors_come_back)
{
	char *argv[] = {"x", NULL};
	int many[GM_SPAWN_FDS + 1] = {0}, bad[] = {0, 1, 4444};

	cr_assert_eq(gmi_spawn("/does/not/exist", argv, env, NULL, 0), -ENOENT);
	cr_assert_eq(gmi_spawn("/etc/passwd", argv, env, NULL, 0), -EACCES);
	cr_assert_eq(gmi_spawn("/bin/true", argv, env, many, GM_SPAWN_FDS + 1), -EINVAL);
	cr_assert_eq(gmi_spawn("/bin/true", argv, env, bad, 3), -EBADF);
	check_childless();
}

/* In a process of its own, because the test framework needs its descriptors. */
static int spawn_with_ring(int in, int in3, int result)
{
	char *argv[] = {"sh", "-c",
			"read a; read b <&3; { echo $a $b; for f in 0 1 2 3 4 5 6 7 8 9; do test "
			"-e /proc/$$/fd/$f && echo $f; done; } >&4",
			NULL};

	/* Every descriptor named is one that is also a target. */
	dup2(in, 3);
	dup2(in3, 4);
	dup2(result, 0);
	dup2(2, 9); /* not close-on-exec, not named */
	int fds[] = {3, 0, 2, 4, 0};
	return gmi_spawn("/bin/sh", argv, env, fds, 5) > 0 ? 0 : 1;
}

static int answer(void *arg)
{
	*(int *)arg = 1;
	return 42;
}

/* Nothing is mapped behind the stack that it is lent: what ends it reads nothing there. */
Test(spawn, a_child_on_a_borrowed_stack_ends_by_itself)
{
	int came = 0, status = -1;
	char *stack = gm_sys_mmap(NULL, 3 * 16384, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	cr_assert(!gm_is_err(stack));
	cr_assert_eq(gm_sys_mprotect(stack + 16384, 16384, PROT_READ | PROT_WRITE), 0);
	long pid = gmc_clone_call(CLONE_VM | CLONE_VFORK, stack + 2 * 16384, answer, &came);
	cr_assert_gt(pid, 0);
	cr_assert_eq(gm_sys4(SYS_wait4, pid, &status, __WCLONE, NULL), pid);
	cr_expect_eq(came, 1);
	cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 42, "status 0x%x", status);
}

Test(spawn, descriptors_are_placed_and_the_rest_closed)
{
	char out[200];
	int in[2], in3[2], result[2], status;
	size_t n = 0;
	ssize_t r;

	cr_assert_eq(pipe(in) + pipe(in3) + pipe(result), 0);
	cr_assert_eq(write(in[1], "first\n", 6) + write(in3[1], "third\n", 6), 12);
	pid_t own = fork();
	if (own == 0)
		_exit(spawn_with_ring(in[0], in3[0], result[1]));
	close(result[1]);
	while ((r = read(result[0], out + n, sizeof out - 1 - n)) > 0)
		n += (size_t)r;
	out[n] = 0;
	cr_assert_str_eq(out, "first third\n0\n1\n2\n3\n4\n");
	cr_assert_eq(waitpid(own, &status, 0), own);
	cr_assert_eq(status, 0);
}

Test(spawn, signals_start_from_the_defaults)
{
	char out[400];
	sigset_t some, after;
	struct sigaction sa;

	signal(SIGUSR1, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGTERM, on_child);
	sigemptyset(&some);
	sigaddset(&some, SIGUSR2);
	sigaddset(&some, SIGINT);
	sigprocmask(SIG_BLOCK, &some, NULL);
	cr_assert_gt(run("grep -E 'Sig(Blk|Ign)' /proc/self/status | cut -f2", out, sizeof out), 0);
	cr_assert_str_eq(out, "0000000000000000\n0000000000000000\n");
	sigprocmask(SIG_SETMASK, NULL, &after);
	cr_assert(sigismember(&after, SIGINT) && !sigismember(&after, SIGTERM));
	sigaction(SIGTERM, NULL, &sa);
	cr_assert_eq(sa.sa_handler, on_child, "the program's handlers stay");
}

Test(spawn, has_a_session_of_its_own)
{
	char out[100];

	cr_assert_gt(run("cut -d' ' -f6 /proc/self/stat", out, sizeof out), 0);
	cr_assert_neq(atoi(out), getsid(0));
}

static void *spawn_many(void *arg)
{
	char out[32], expect[32];

	for (int i = 0; i < 20; i++) {
		int pid = run("echo $$", out, sizeof out);
		snprintf(expect, sizeof expect, "%d\n", pid);
		cr_assert_str_eq(out, expect);
	}
	return NULL;
}

Test(spawn, from_several_threads_at_once)
{
	in_four_threads(spawn_many);
	check_childless();
}

/* ---- where helpers are ---- */

Test(helper, is_found_beside_the_library_and_in_its_folders)
{
	char self[4000] = "", dir[4000], path[4096], found[4096];

	cr_assert_gt(readlink("/proc/self/exe", self, sizeof self - 1), 0);
	cr_assert_eq(gmi_find_helper(strrchr(self, '/') + 1, found, sizeof found), 0);
	cr_assert_str_eq(found, self);
	cr_assert_eq(chdir("/"), 0); /* independent of the working directory */
	cr_assert_eq(gmi_find_helper("no-such-program", found, sizeof found), -ENOENT);
	cr_assert_eq(gmi_find_helper(strrchr(self, '/') + 1, found, 5), -ENOENT);

	*strrchr(self, '/') = 0;
	snprintf(dir, sizeof dir, "%.3900s/gmem", self);
	snprintf(path, sizeof path, "%s/helper-of-a-test", dir);
	bool made = mkdir(dir, 0755) == 0;
	close(open(path, O_CREAT | O_WRONLY, 0755));
	cr_assert_eq(gmi_find_helper("helper-of-a-test", found, sizeof found), 0);
	cr_assert_str_eq(found, path);
	unlink(path);
	if (made)
		rmdir(dir);
}
