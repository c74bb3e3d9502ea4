/* limits_test.sh: uses memory that is away, or was meant to be, within limits of all kinds. */
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "away.h"

int main(int argc, char **argv)
{
	char *p = absent(1024, 3);
	printf("memory %u\n", sum(p, 1024 * PAGE));
	if (argc > 1) { /* fills its table, then goes on */
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
