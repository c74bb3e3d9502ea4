/*
 * process.h - what makes threads and processes, and ends them: fork.c, exec.c, system.c,
 * children.c, thread.h, libc.h.
 *
 *	what  threads are armed at birth, children get a heap of their own, exec sees copies
 *	who   the program by libc's functions, dispatch, libc by its fork handlers
 *	may   libc's own functions, jemalloc's fork handlers, the order of locks around a fork
 *	must  between prepare and parent or child: all of core's locks, and no fault is taken
 *	else  what a child finds of signals (signals/inherit.h), copying (syscalls/execcopy.h)
 */
#ifndef GMP_PROCESS_H
#define GMP_PROCESS_H

#include <stdbool.h>

void gmp_process_init(void); /* atfork handlers: after malloc is up */
/* The three parts of a fork, for libc's (atfork) and for raw calls. */
void gmp_fork_prepare(void);
void gmp_fork_parent(void);
void gmp_fork_child(void);
/* The process has left, but some of its memory is in the store still: forks go on asking core. */
extern bool gmp_left_shared;
/* execve with path and vectors copied out of managed memory. -errno, or does not return. */
long gmp_execveat(int dirfd, const char *path, char *const argv[], char *const envp[], int flags);

/* A variable of an environment; NULL: not there. */
const char *gmp_env(char *const *envp, const char *name);
/* Programs that get this environment are not preloaded: our entry leaves LD_PRELOAD, others
 * stay. */
void gmp_children_plain(char *const *envp);

#endif
