/*
 * Children that are traced by the program, with memory that was away: which stops their tracer
 * sees, what it may do to them, and how they end.
 */
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>

#include "away.h"

static char *data; /* of the parent, away */

/* The child's: it is traced from here on. */
static void be_traced(void)
{
	if (ptrace(PTRACE_TRACEME, 0, NULL, NULL))
		_exit(97);
}

/* Lets it go on, with each signal that it stopped for, to its end. */
static void follow(const char *what, pid_t pid, long request)
{
	int status, n = 0;

	printf("%s:", what);
	while (waitpid(pid, &status, 0) == pid && WIFSTOPPED(status) && n++ < 50) {
		printf(" stop %d", WSTOPSIG(status));
		ptrace(request, pid, NULL, (long)WSTOPSIG(status));
	}
	if (WIFSTOPPED(status))
		kill(pid, SIGKILL), waitpid(pid, &status, 0);
	printf(" end %x\n", status & ~0x80); /* 0x80: a core */
}

/* Each signal stops it; taken away, it goes on. */
static void each_signal(void)
{
	for (int sig = 1; sig < 32; sig++) {
		if (sig == SIGKILL)
			continue;
		int status = 0;
		pid_t pid = fork();
		if (!pid) {
			unsigned before = sum(data, 4 * PAGE);
			be_traced();
			syscall(SYS_kill, syscall(SYS_getpid), sig);
			_exit(before == sum(data, 4 * PAGE) ? 3 : 4);
		}
		waitpid(pid, &status, 0);
		printf("signal %d: %s %d,", sig, WIFSTOPPED(status) ? "stop" : "end",
		       WIFSTOPPED(status) ? WSTOPSIG(status) : status);
		ptrace(PTRACE_CONT, pid, NULL, NULL);
		waitpid(pid, &status, 0);
		printf(" then %x\n", status);
		fflush(stdout);
		if (WIFSTOPPED(status))
			kill(pid, SIGKILL), waitpid(pid, &status, 0);
	}
}

static void given_on(void)
{
	static const int sigs[] = {SIGUSR1, SIGSEGV, SIGSYS, SIGTRAP, SIGTERM};

	for (int i = 0; i < 5; i++) {
		pid_t pid = fork();
		if (!pid) {
			be_traced();
			raise(sigs[i]);
			_exit(3);
		}
		follow("given on", pid, PTRACE_CONT);
	}
}

static void exec_stops(void)
{
	pid_t pid = fork();

	if (!pid) {
		char *argv[] = {strdup("true"), NULL};
		away(argv[0], 5);
		be_traced();
		execv("/bin/true", argv);
		_exit(96);
	}
	follow("exec", pid, PTRACE_CONT);
}

static long word_at(pid_t pid, const void *p, int *err)
{
	errno = 0;
	long w = ptrace(PTRACE_PEEKDATA, pid, p, NULL);
	*err = errno;
	return w;
}

/* What a tracer reads and writes is the child's. */
static void memory(void)
{
	int status, err;
	volatile long *word = (long *)(data + PAGE);
	pid_t pid;

	*word = 0x1234567;
	away(data, 4 * PAGE);
	pid = fork();
	if (!pid) {
		be_traced();
		raise(SIGUSR1);
		_exit(*word == 0x7654321 ? 5 : 6);
	}
	waitpid(pid, &status, 0);
	long w = word_at(pid, (void *)word, &err);
	printf("memory: %lx %d,", w, err);
	printf(" poke %ld,", ptrace(PTRACE_POKEDATA, pid, word, 0x7654321l));
	w = word_at(pid, (void *)word, &err);
	printf(" %lx %d\n", w, err);
	ptrace(PTRACE_CONT, pid, NULL, NULL);
	waitpid(pid, &status, 0);
	printf("memory, the child's: %x, and ours %lx\n", status, *word);
}

static void errors(void)
{
	static const enum __ptrace_request requests[] = {PTRACE_PEEKDATA, PTRACE_PEEKTEXT,
							 PTRACE_PEEKUSER, PTRACE_POKEDATA,
							 PTRACE_POKETEXT, PTRACE_POKEUSER};
	static const long where[] = {0, -1, 8, 4096, (long)0x7ffffffffff8};
	int status;
	pid_t pid = fork();

	if (!pid) {
		be_traced();
		raise(SIGUSR1);
		_exit(7);
	}
	waitpid(pid, &status, 0);
	for (unsigned r = 0; r < 6; r++)
		for (unsigned i = 0; i < 5; i++) {
			if (r % 3 == 2 && where[i] == 0)
				continue; /* a register's place */
			errno = 0;
			ptrace(requests[r], pid, where[i], NULL);
			printf("%s%d", i ? " " : "errors: ", errno);
			fputs(i == 4 ? "\n" : "", stdout);
		}
	struct user_regs_struct regs;
	long got = ptrace(PTRACE_GETREGS, pid, NULL, &regs);
	printf("errors: registers %ld", got);
	got = ptrace(PTRACE_GETREGS, pid, NULL, (void *)8);
	printf(" %ld %d", got, errno);
	got = ptrace(PTRACE_CONT, pid, NULL, 1000l);
	printf(" signal 1000 %ld %d\n", got, errno);
	ptrace(PTRACE_KILL, pid, NULL, NULL);
	waitpid(pid, &status, 0);
	printf("errors: killed %x\n", status);
	errno = 0;
	got = ptrace(PTRACE_CONT, pid, NULL, NULL);
	printf("errors: of nobody %ld %d", got, errno);
	got = ptrace(PTRACE_ATTACH, getpid(), NULL, NULL);
	printf(", of oneself %ld %d\n", got, errno);
}

static void attached(void)
{
	int fd[2], status;
	char c;

	if (pipe(fd))
		return;
	pid_t pid = fork();
	if (!pid) {
		c = (char)(sum(data, 4 * PAGE) % 100);
		if (write(fd[1], &c, 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	if (read(fd[0], &c, 1) != 1)
		return;
	printf("attach %ld,", ptrace(PTRACE_ATTACH, pid, NULL, NULL));
	waitpid(pid, &status, 0);
	printf(" stop %x,", status);
	printf(" detach %ld,", ptrace(PTRACE_DETACH, pid, NULL, NULL));
	kill(pid, SIGTERM);
	waitpid(pid, &status, 0);
	printf(" end %x, it said %d\n", status, c);
}

int main(void)
{
	setvbuf(stdout, NULL, _IONBF, 0);
	data = absent(4, 7);
	each_signal();
	given_on();
	exec_stops();
	memory();
	errors();
	attached();
	printf("memory %u\n", sum(data, 4 * PAGE));
	return 0;
}
