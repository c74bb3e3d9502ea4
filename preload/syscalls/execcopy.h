/*
 * execcopy.h - strings and vectors of strings copied out of managed memory, for calls that
 * another process finishes (exec, posix_spawn): nothing needs to be pinned, and nothing can be
 * away.
 *
 * Two passes of the same code: with base NULL it measures, then it copies. Bad pointers give
 * -EFAULT. Not for fault paths.
 */
#ifndef GMP_EXECCOPY_H
#define GMP_EXECCOPY_H

#include <stddef.h>

struct gmp_copier {
	char *base; /* NULL: measure only */
	size_t used;
};
/* What a pointer of the program becomes: its copy (or NULL for NULL); -errno as a pointer, see
 * gm_is_err. */
char *gmp_copy_string(struct gmp_copier *c, const char *s);
char **gmp_copy_vector(struct gmp_copier *c, char *const *v);
void *gmp_copy_bytes(struct gmp_copier *c, const void *p, size_t n);

#endif
