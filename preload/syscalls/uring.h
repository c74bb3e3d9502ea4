/*
 * uring.h - io_uring under dispatch: see uring.c. Called by dispatch.c for the calls, by mmap.c
 * for the mappings of rings, by activate.c for rings that were there before. Signal-safe; a lock
 * of its own, a leaf.
 */
#ifndef GMP_URING_H
#define GMP_URING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* io_uring_setup and io_uring_register: results or -errno. */
long gmp_uring_setup(unsigned entries, void *params);
long gmp_uring_register(const long a[6]);
/* Before io_uring_enter: what the requests name is pinned. */
void gmp_uring_submitting(void);
/* A descriptor was mapped at this offset; memory was unmapped. */
void gmp_uring_mapped(const void *addr, size_t len, uint64_t off);
void gmp_uring_unmapped(const void *addr, size_t len);
/* Does any memory hold requests now? */
bool gmp_uring_any(void);
/* Activation: rings that the process has already. */
void gmp_uring_find(void);
void gmp_uring_forked(void);

#endif
