/* limits.h - RLIMIT_AS as the program sees it (limits.c). */
#ifndef GMP_LIMITS_H
#define GMP_LIMITS_H

#include <stdbool.h>
#include <stddef.h>

/* Before the first addresses are reserved; and when they could not be. */
void gmp_limits_init(void);
void gmp_limits_give_back(void);
/* Would so much more memory be beyond what the program may have? */
bool gmp_over_limit(size_t len);
/* prlimit64(2) of the program: -errno. */
long gmp_prlimit(int pid, int resource, const void *to, void *was);

#endif
