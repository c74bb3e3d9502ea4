/* limits_test.sh: uses memory that is away, or was meant to be, within limits of all kinds. */
#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "away.h"

static void *works(void *arg)
{
	char *p = absent(256, 4);

	return (void *)(uintptr_t)sum(p, 256 * PAGE);
}

/* 1.5 GiB of addresses from now on: what it has asked for is what it has. */
static void limits_itself(const char *p)
{
	const struct rlimit lim = {3ul << 29, 3ul << 29};
	struct rlimit got;
	pthread_t t;
	void *r;

	printf("set %d\n", setrlimit(RLIMIT_AS, &lim));
	getrlimit(RLIMIT_AS, &got);
	printf("it is %lu, at most %lu\n", got.rlim_cur, got.rlim_max);
	syscall(SYS_prlimit64, 0, RLIMIT_DATA, NULL, &got);
	char *half = malloc(512ul << 20), *whole = malloc(2ul << 30);
	memset(half, 1, 512ul << 20);
	away(half, 4096 * PAGE);
	printf("half %d, more %d\n", half[PAGE], whole != NULL);
	void *m = mmap(NULL, 2ul << 30, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	printf("mapped %d\n", m != MAP_FAILED);
	printf("thread %d", pthread_create(&t, NULL, works, NULL));
	pthread_join(t, &r);
	printf(" %u\n", (unsigned)(uintptr_t)r);
	fflush(stdout);
	pid_t pid = fork();
	if (!pid) {
		execlp("sh", "sh", "-c", "echo in a child $(ulimit -v)", NULL);
		_exit(1);
	}
	waitpid(pid, NULL, 0);
	printf("and memory %u\n", sum(p, 1024 * PAGE));
}

/* 48 MiB that go to and fro, as a whole and in halves, and `more` at the end. */
static void uses_much(size_t more)
{
	const size_t much = 48ul << 20;
	char *p = absent(much / PAGE, 5);

	for (int i = 0; i < 3; i++) {
		printf("round %d: %u\n", i, sum(p, much));
		away(p, much / 2);
		printf("half %u\n", sum(p + much / 4, much / 2));
		away(p, much);
	}
	memset(malloc(more), 1, more);
	printf("at the end: %u\n", sum(p, much));
}

int main(int argc, char **argv)
{
	if (argc > 2 && !strcmp(argv[1], "much")) {
		uses_much(strtoul(argv[2], NULL, 0) << 20);
		return 0;
	}
	char *p = absent(1024, 3);
	printf("memory %u\n", sum(p, 1024 * PAGE));
	if (argc > 1 && !strcmp(argv[1], "own")) {
		limits_itself(p);
	} else if (argc > 1 && !strcmp(argv[1], "fill")) { /* its table, then goes on */
		while (open("/dev/null", O_RDONLY) >= 0)
			;
		away(p, 1024 * PAGE);
		printf("and with a full table %u\n", sum(p, 1024 * PAGE));
		pid_t pid = fork();
		if (!pid)
			_exit(sum(p, 1024 * PAGE) & 0x7f);
		memset(p, 0, 1024 * PAGE);
		int status;
		waitpid(pid, &status, 0);
		printf("and in a child %d\n", WEXITSTATUS(status));
	}
	struct rlimit lim;
	getrlimit(RLIMIT_FSIZE, &lim);
	printf("files may have %ld\n", (long)lim.rlim_cur);
	return 0;
}
