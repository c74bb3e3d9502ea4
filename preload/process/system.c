/*
 * system.c - system(3) over our posix_spawn. libc's own would block every signal inside for a
 * moment that no hook can see, and run as long as the command does: dispatch could neither be
 * switched on under it nor wait for it (activate.c).
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "preload/ground/ground.h"
#include "preload/ground/real.h"

#define SHELL "/bin/sh"

/* SIGINT and SIGQUIT are ignored while any thread is in system(); the last one out puts the
 * actions back. */
static struct gm_lock lock;
static int users;
static struct sigaction old_int, old_quit;

static void enter_system(void)
{
	struct sigaction ignore = {.sa_handler = SIG_IGN};

	gm_sigmask mask = gmi_block_signals();
	gmi_lock(&lock);
	if (!users++) {
		sigaction(SIGINT, &ignore, &old_int);
		sigaction(SIGQUIT, &ignore, &old_quit);
	}
	gmi_unlock(&lock);
	gmi_restore_signals(mask);
}

static void leave_system(void)
{
	gm_sigmask mask = gmi_block_signals();
	gmi_lock(&lock);
	if (!--users) {
		sigaction(SIGINT, &old_int, NULL);
		sigaction(SIGQUIT, &old_quit, NULL);
	}
	gmi_unlock(&lock);
	gmi_restore_signals(mask);
}

/* The shell gets the mask and the actions of before. */
static int start_shell(pid_t *pid, const char *command, const sigset_t *mask)
{
	char *argv[] = {"sh", "-c", (char *)command, NULL};
	posix_spawnattr_t attr;
	sigset_t reset;

	sigemptyset(&reset);
	if (old_int.sa_handler != SIG_IGN)
		sigaddset(&reset, SIGINT);
	if (old_quit.sa_handler != SIG_IGN)
		sigaddset(&reset, SIGQUIT);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setsigmask(&attr, mask);
	posix_spawnattr_setsigdefault(&attr, &reset);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
	int err = posix_spawn(pid, SHELL, NULL, &attr, argv, environ);
	posix_spawnattr_destroy(&attr);
	return err;
}

struct running {
	pid_t pid;
	sigset_t mask;
};

/* Cancelled while the command runs: it ends with us. */
static void cancelled(void *arg)
{
	struct running *r = arg;

	gm_sys2(SYS_kill, r->pid, SIGKILL);
	while (gm_sys4(SYS_wait4, r->pid, NULL, 0, NULL) == -EINTR)
		;
	leave_system();
	pthread_sigmask(SIG_SETMASK, &r->mask, NULL);
}

/* 0 and the status, or an error number. */
static int wait_for(struct running *run, int *status)
{
	pid_t r;

	pthread_cleanup_push(cancelled, run);
	do
		r = waitpid(run->pid, status, 0);
	while (r < 0 && errno == EINTR);
	pthread_cleanup_pop(0);
	return r < 0 ? errno : 0;
}

GMP_HOOK int system(const char *command)
{
	struct running run;
	sigset_t child;
	int status = W_EXITCODE(127, 0);

	if (!gmp_armed)
		return GMP_REAL(system)(command);
	if (!command)
		return system("exit 0") == 0;
	enter_system();
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	pthread_sigmask(SIG_BLOCK, &child, &run.mask);
	int err = start_shell(&run.pid, command, &run.mask);
	if (!err && (err = wait_for(&run, &status)))
		status = -1;
	leave_system();
	pthread_sigmask(SIG_SETMASK, &run.mask, NULL);
	if (err)
		errno = err;
	return status;
}
