/*
 * Every way in which a process ends, in a child of its own that has pages away: its status is the
 * plain run's, and no thread but the program's keeps it alive. Where its last thread ends by
 * itself (a raw exit(2), a filter), the process is over with it, whatever else works in it.
 * (Whose status counts is the last one's since Linux 5.17, the first one's before.)
 */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "away.h"

static pthread_t main_thread;

/* ---- threads ---- */

static void thread(void *(*runs)(void *), long arg)
{
	pthread_t t;

	if (pthread_create(&t, NULL, runs, (void *)arg))
		_exit(98);
}

/* The main thread is gone when it is a zombie: /proc says so, whatever it ended by. */
static void wait_for_mains_end(void)
{
	char line[512] = "";

	do {
		FILE *f = fopen("/proc/self/stat", "r");
		if (!f || !fgets(line, sizeof(line), f))
			return;
		fclose(f);
		usleep(1000);
	} while (!strstr(line, ") Z "));
}

static void *exits_raw_last(void *status)
{
	wait_for_mains_end();
	syscall(SYS_exit, (int)(intptr_t)status);
	return NULL;
}

static void *exits_last(void *status)
{
	wait_for_mains_end();
	exit((int)(intptr_t)status);
}

static void *returns_last(void *arg)
{
	wait_for_mains_end();
	return arg;
}

static void *exits_raw(void *status)
{
	syscall(SYS_exit, (int)(intptr_t)status);
	return NULL;
}

static void *exits_group(void *status)
{
	syscall(SYS_exit_group, (int)(intptr_t)status);
	return NULL;
}

static void *exits(void *status)
{
	exit((int)(intptr_t)status);
}

static void *aborts(void *arg)
{
	abort();
	return arg;
}

static void *stays(void *arg)
{
	for (;;)
		pause();
	return arg;
}

static void *touches_nothing(void *arg)
{
	*(volatile int *)8 = 1;
	return arg;
}

static void *kills_main(void *sig)
{
	pthread_kill(main_thread, (int)(intptr_t)sig);
	return stays(NULL);
}

static void *execs(void *arg)
{
	char *argv[] = {strdup("sh"), strdup("-c"), strdup("exit 21"), NULL};

	away(argv[2], 8);
	execv("/bin/sh", argv);
	return arg;
}

/* ---- filters ---- */

/* From now on getppid has `action` for the calling thread, and for those that it makes. */
static void filter(unsigned action)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, action),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = {.len = sizeof(code) / sizeof(*code), .filter = code};

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog))
		_exit(97);
}

static void *meets_the_filter_last(void *arg)
{
	wait_for_mains_end();
	syscall(SYS_getppid);
	return stays(arg);
}

/* ---- the ends ---- */

static void raw_alone(void)
{
	syscall(SYS_exit, 3);
}

static void raw_then_thread(void)
{
	thread(exits_raw_last, 4);
	syscall(SYS_exit, 14);
}

static void thread_raw_then_all(void)
{
	pthread_t t;

	pthread_create(&t, NULL, exits_raw, (void *)9);
	pthread_join(t, NULL);
	syscall(SYS_exit_group, 5);
}

static void filter_alone(void)
{
	filter(SECCOMP_RET_KILL_THREAD);
	syscall(SYS_getppid);
}

static void filter_one_by_one(void)
{
	filter(SECCOMP_RET_KILL_THREAD);
	thread(meets_the_filter_last, 0);
	syscall(SYS_getppid);
}

static void filter_process(void)
{
	thread(stays, 0);
	filter(SECCOMP_RET_KILL_PROCESS);
	syscall(SYS_getppid);
}

static void filter_then_raw(void)
{
	thread(exits_raw_last, 6);
	filter(SECCOMP_RET_KILL_THREAD);
	syscall(SYS_getppid);
}

static void strict(void)
{
	prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT);
	syscall(SYS_getppid);
}

static void signal_alone(void)
{
	kill(getpid(), SIGTERM);
	stays(NULL);
}

static void signal_from_a_thread(void)
{
	thread(kills_main, SIGUSR2);
	stays(NULL);
}

static void signal_after_main(void)
{
	thread(stays, 0);
	ualarm(100000, 0);
	syscall(SYS_exit, 2);
}

static void killed(void)
{
	sigset_t all;

	thread(stays, 0);
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	kill(getpid(), SIGKILL);
	stays(NULL);
}

static void main_leaves(void)
{
	thread(returns_last, 0);
	pthread_exit((void *)7);
}

static void main_leaves_then_exit(void)
{
	thread(exits_last, 8);
	pthread_exit(NULL);
}

static void group_from_a_thread(void)
{
	thread(exits_group, 10);
	stays(NULL);
}

static void exit_from_a_thread(void)
{
	thread(exits, 11);
	stays(NULL);
}

static void abort_of_main(void)
{
	abort();
}

static void abort_blocked(void)
{
	sigset_t all;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	abort();
}

static void abort_of_a_thread(void)
{
	thread(aborts, 0);
	stays(NULL);
}

static void fault_of_a_thread(void)
{
	thread(touches_nothing, 0);
	stays(NULL);
}

static void at_exit(void)
{
	_exit(12);
}

static void exit_handlers(void)
{
	thread(stays, 0);
	atexit(at_exit);
	exit(1);
}

static void quick(void)
{
	thread(stays, 0);
	at_quick_exit(at_exit);
	quick_exit(13);
}

static void exec_of_a_thread(void)
{
	thread(execs, 0);
	stays(NULL);
}

static const struct {
	const char *what;
	void (*end)(void);
} ends[] = {
	{"raw exit alone", raw_alone},
	{"raw exit of main, then of a thread", raw_then_thread},
	{"raw exit of a thread, then of all", thread_raw_then_all},
	{"filter, alone", filter_alone},
	{"filter, main and then a thread", filter_one_by_one},
	{"filter for all", filter_process},
	{"filter, then a thread's raw exit", filter_then_raw},
	{"strict", strict},
	{"signal, alone", signal_alone},
	{"signal from a thread", signal_from_a_thread},
	{"signal after main's raw exit", signal_after_main},
	{"signal that nobody blocks", killed},
	{"main leaves, a thread returns", main_leaves},
	{"main leaves, a thread exits", main_leaves_then_exit},
	{"exit_group of a thread", group_from_a_thread},
	{"exit of a thread", exit_from_a_thread},
	{"abort", abort_of_main},
	{"abort, blocked", abort_blocked},
	{"abort of a thread", abort_of_a_thread},
	{"fault of a thread", fault_of_a_thread},
	{"exit and its functions", exit_handlers},
	{"quick_exit and its functions", quick},
	{"exec of a thread", exec_of_a_thread},
};

static void show_end(const char *what, void (*end)(void))
{
	const struct rlimit no_core = {0, 0};
	pid_t pid = fork();

	if (!pid) {
		char *p = absent(64, 1);
		if (sum(p, 64 * PAGE) == 1)
			_exit(99);
		away(p, 64 * PAGE);
		setrlimit(RLIMIT_CORE, &no_core);
		main_thread = pthread_self();
		end();
		_exit(96); /* it must not come back */
	}
	int got = -1;
	for (int i = 0; i < 3000 && waitpid(pid, &got, WNOHANG) == 0; i++)
		usleep(10000);
	if (got == -1) {
		kill(pid, SIGKILL);
		waitpid(pid, &got, 0);
		printf("%s: it does not end\n", what);
	} else {
		printf("%s: %x\n", what, got);
	}
}

int main(void)
{
	char *p = absent(64, 1);

	for (unsigned i = 0; i < sizeof(ends) / sizeof(*ends); i++) {
		show_end(ends[i].what, ends[i].end);
		fflush(stdout);
	}
	printf("memory %u\n", sum(p, 64 * PAGE));
	return 0;
}
