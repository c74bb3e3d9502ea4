/* show.h - results of calls and errno, for contract programs. */
#ifndef E2E_SHOW_H
#define E2E_SHOW_H

#include <errno.h>
#include <stdio.h>

/* One value after the other: the order in which arguments are evaluated is nobody's contract. */
#define SHOW(what, expr)                                                                           \
	do {                                                                                       \
		errno = 0;                                                                         \
		long r_ = (long)(expr);                                                            \
		printf("%s %ld errno %d\n", what, r_, errno);                                      \
	} while (0)

#endif
