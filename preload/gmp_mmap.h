/*
 * gmp_mmap.h - the hooks of mmap and its relatives. Until gmp_mmap_init() they are plain system calls.
 */
#ifndef GMP_MMAP_H
#define GMP_MMAP_H

/* From now on private anonymous mappings come from the managed window. Once, in the constructor; not with
 * GMEM_DISABLE. */
void gmp_mmap_init(void);

#endif
