/* child.h - how a child ended, for contract programs: its status, or 1000 and the signal. */
#ifndef E2E_CHILD_H
#define E2E_CHILD_H

#include <sys/wait.h>

static inline int status_of(pid_t pid)
{
	int status = -1;
	if (waitpid(pid, &status, 0) != pid)
		return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

#endif
