/*
 * Memory of another process of ours by process_vm_readv and process_vm_writev, while it waits in
 * calls that a signal would end.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "away.h"

#define PAGES 512

static int to_child[2], from_child[2];

static void tell(int fd, char c)
{
	if (write(fd, &c, 1) != 1)
		_exit(9);
}

static char hear(int fd)
{
	char c = 0;

	while (read(fd, &c, 1) < 0)
		;
	return c;
}

static volatile int usr1;

static void on_usr1(int sig)
{
	usr1++;
}

/* Its pages go away, then it waits; told so, it looks at what was written there. */
static int child(char *p, int how)
{
	struct pollfd ready = {.fd = to_child[0], .events = POLLIN};
	int ended = 0;

	for (unsigned i = 0; i < PAGES; i++)
		memset(p + i * PAGE, (int)(i % 127) + 1, PAGE);
	away(p, PAGES * PAGE);
	signal(SIGUSR1, on_usr1);
	tell(from_child[1], 'r');
	switch (how) {
	case 0:
		ended = poll(&ready, 1, -1) < 0;
		break;
	case 1:
		ended = pause() && !usr1;
		break;
	default: /* it computes, and takes pages home and away itself */
		while (poll(&ready, 1, 0) == 0) {
			sum(p, PAGES * PAGE);
			away(p, PAGES * PAGE);
		}
	}
	hear(to_child[0]);
	unsigned wrong = 0;
	for (unsigned i = 0; i < PAGES; i++)
		wrong += p[i * PAGE + 5] != (i % 2 ? 77 : (int)(i % 127) + 1);
	tell(from_child[1], (char)(wrong ? 'w' : ended ? 'e' : '='));
	return 0;
}

static void run(const char *what, int how)
{
	char *p = aligned_alloc(PAGE, PAGES * PAGE), *q = absent(PAGES, 1);
	struct iovec to = {q, PAGES * PAGE},
		     from[2] = {{p, 100 * PAGE}, {p + 100 * PAGE, (PAGES - 100) * PAGE}};
	char word[PAGE];
	unsigned wrong = 0;

	memset(word, 77, sizeof(word));
	memset(p, 3, PAGES * PAGE);
	if (pipe(to_child) || pipe(from_child))
		return;
	fflush(stdout);
	pid_t pid = fork();
	if (!pid)
		_exit(child(p, how));
	hear(from_child[0]);
	usleep(20000);
	long n = process_vm_readv(pid, &to, 1, from, 2, 0), m = 0;
	for (unsigned i = 0; i < PAGES; i++)
		wrong += q[i * PAGE + 9] != (int)(i % 127) + 1;
	for (unsigned i = 1; i < PAGES; i += 2) {
		struct iovec one = {word, 60}, there = {p + i * PAGE, 60};
		m += process_vm_writev(pid, &one, 1, &there, 1, 0);
	}
	struct pollfd answer = {.fd = from_child[0], .events = POLLIN};
	tell(to_child[1], 'g');
	while (how == 1 && poll(&answer, 1, 20) == 0)
		kill(pid, SIGUSR1); /* the first may come before it is in its pause */
	printf("%s: read %ld wrong %u, written %ld, there %c\n", what, n, wrong, m,
	       hear(from_child[0]));
	struct iovec nowhere = {(void *)16, PAGE};
	n = process_vm_readv(pid, &to, 1, &nowhere, 1, 0);
	waitpid(pid, NULL, 0);
	free(p);
	free(q);
}

int main(void)
{
	run("peer in poll", 0);
	run("peer in pause", 1);
	run("peer computes", 2);
	pid_t pid = fork();
	if (!pid) {
		pause();
		_exit(0);
	}
	struct iovec to = {malloc(PAGE), PAGE}, nowhere = {(void *)16, PAGE};
	long n = process_vm_readv(pid, &to, 1, &nowhere, 1, 0);
	printf("peer without that memory: %ld %d, it lives %d\n", n, errno, !kill(pid, 0));
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	return 0;
}
