/*
 * descriptors.h - the program's descriptors, among which there are some of ours. Signal-safe.
 */
#ifndef GMP_DESCRIPTORS_H
#define GMP_DESCRIPTORS_H

#include <stdbool.h>

/* close, close_range, dup2/dup3 that leave our descriptors alone. Results or -errno. */
long gmp_close(int fd);
long gmp_close_range(unsigned first, unsigned last, int flags);
/* All that is open, as the kernel lists it: there may be a million numbers. */
void gmp_each_fd(void (*each)(unsigned fd, void *arg), void *arg);
long gmp_dup3(int oldfd, int newfd, int flags, bool dup2);

#endif
