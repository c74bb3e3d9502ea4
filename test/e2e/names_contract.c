/*
 * A program that has functions of the names of libc's, as Erlang's runtime has a sigaction():
 * each counts its calls and goes on to another name of the same function, or to the next in
 * line. What is below it must reach what it means by itself: the counts are those of the plain
 * run, and nothing comes back in by a name. Exported (-rdynamic), or dlsym() would be the only
 * way to them.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "away.h"

#define NAMES(X)                                                                                   \
	X(sigaction) X(signal) X(sigmask) X(close) X(create) X(yield) X(spawn) X(exec) X(vpe)
static struct {
#define X(n) volatile int n;
	NAMES(X)
#undef X
} calls;

#define SHOW	       __attribute__((visibility("default"), noinline))
#define NEXT(name, as) ((__typeof__(&name))dlsym(RTLD_NEXT, as))

SHOW int sigaction(int sig, const struct sigaction *act, struct sigaction *old)
{
	calls.sigaction++;
	return NEXT(sigaction, "__sigaction")(sig, act, old);
}

SHOW __sighandler_t signal(int sig, __sighandler_t handler)
{
	calls.signal++;
	return NEXT(signal, "bsd_signal")(sig, handler);
}

SHOW int pthread_sigmask(int how, const sigset_t *set, sigset_t *old)
{
	calls.sigmask++;
	return NEXT(sigprocmask, "sigprocmask")(how, set, old) ? errno : 0;
}

SHOW int close(int fd)
{
	calls.close++;
	return NEXT(close, "close")(fd);
}

SHOW int pthread_create(pthread_t *t, const pthread_attr_t *a, void *(*fn)(void *), void *arg)
{
	calls.create++;
	return NEXT(pthread_create, "pthread_create")(t, a, fn, arg);
}

SHOW int sched_yield(void)
{
	calls.yield++;
	return NEXT(sched_yield, "sched_yield")();
}

SHOW int posix_spawn(pid_t *pid, const char *path, const posix_spawn_file_actions_t *actions,
		     const posix_spawnattr_t *attr, char *const argv[], char *const envp[])
{
	calls.spawn++;
	return NEXT(posix_spawn, "posix_spawn")(pid, path, actions, attr, argv, envp);
}

SHOW int execve(const char *path, char *const argv[], char *const envp[])
{
	calls.exec++;
	return NEXT(execve, "execve")(path, argv, envp);
}

SHOW int execvpe(const char *file, char *const argv[], char *const envp[])
{
	calls.vpe++;
	return NEXT(execvpe, "execvpe")(file, argv, envp);
}

/* ---- */

extern char **environ;
static volatile sig_atomic_t caught;

static void on_signal(int sig)
{
	caught++;
}

static void *in_thread(void *arg)
{
	sched_yield();
	return arg;
}

static void children(void)
{
	int status = -1;
	char *const argv[] = {"true", NULL};
	pid_t pid;

	printf("posix_spawnp %d\n", posix_spawnp(&pid, "true", NULL, NULL, argv, environ));
	waitpid(pid, &status, 0);
	printf("ended %d\n", status);
	printf("system %d\n", system("exit 3"));
	if (!(pid = fork())) {
		execlp("true", "true", NULL);
		_exit(9);
	}
	waitpid(pid, &status, 0);
	printf("execlp %d\n", status);
	if (!(pid = fork())) {
		execv("/bin/true", argv);
		_exit(9);
	}
	waitpid(pid, &status, 0);
	printf("execv %d\n", status);
}

int main(void)
{
	struct sigaction act = {.sa_handler = on_signal};
	pthread_t t;
	void *back = NULL;
	sigset_t set;
	char *p = absent(64, 1);

	printf("sigaction %d\n", sigaction(SIGUSR1, &act, NULL));
	raise(SIGUSR1);
	printf("signal %d\n", signal(SIGUSR2, on_signal) == SIG_DFL);
	raise(SIGUSR2);
	printf("handlers ran %d times\n", (int)caught);
	sigemptyset(&set);
	printf("pthread_sigmask %d\n", pthread_sigmask(SIG_SETMASK, &set, NULL));
	printf("pthread_create %d\n", pthread_create(&t, NULL, in_thread, &t));
	pthread_join(t, &back);
	printf("joined %d\n", back == &t);
	children();
	FILE *f = fopen("/dev/null", "r");
	fclose(f);
	int fd = open("/dev/null", O_RDONLY);
	printf("close %d, twice %d\n", close(fd), close(fd));
	printf("memory %u\n", sum(p, 64 * PAGE));
#define X(n) printf("calls of %s: %d\n", #n, calls.n);
	NAMES(X)
#undef X
	fflush(stdout);
	return 0;
}
