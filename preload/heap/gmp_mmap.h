/*
 * gmp_mmap.h - the hooks of mmap and its relatives. Until gmp_mmap_init() they are plain system
 * calls.
 */
#ifndef GMP_MMAP_H
#define GMP_MMAP_H

#include <stddef.h>

/* From now on private anonymous mappings come from the managed window. Once, in the constructor;
 * not with GMEM_DISABLE. */
void gmp_mmap_init(void);
/* The process leaves: plain system calls again. */
void gmp_mmap_leave(void);

/* mlock, mlock2 (flags), munlock, msync (flags), mincore on any memory, as the hooks and raw
 * calls have them: results or -errno. vec: accessible for the kernel. */
long gmp_mremap_outside(void *old, size_t old_len, size_t new_len, int flags, void *new_addr);
long gmp_mlock(long nr, const void *addr, size_t len, long flags);
long gmp_mlockall(long flags);
long gmp_munlock(const void *addr, size_t len);
long gmp_msync(void *addr, size_t len, int flags);
long gmp_mincore(void *addr, size_t len, unsigned char *vec);

#endif
